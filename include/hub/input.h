/*
 * input: what a client has sent and the worker has not carried out yet: the
 * decoder's state, the payload of its message so far, and behind that the bytes
 * that were read and wait to be decoded, in 1 KiB pages of a bounded pool. No
 * client byte lives in private memory only. Layer 2.
 *
 * A slot's `part` names the first page and which of the two states in it is
 * valid: one store commits bytes and state together.
 */
#ifndef CHATD_HUB_INPUT_H
#define CHATD_HUB_INPUT_H

#include "base/other.h"
#include "codec/framing.h"
#include "hub/claim.h"
#include "hub/shm.h"

enum {
	INPUT_PAGE = OTHER_EITHER(1024, 1536),
	/* Blocks that are free when so much time has passed, and are not
	 * claimed before they are looked at, go back to the machine. Larger:
	 * memory is held longer after a crowd; smaller: crowds that come and go
	 * pay more often for pages that are touched for the first time. */
	INPUT_TRIM_MS = 5000
};

struct input_part {
	uint64_t end;	/* input position up to which this knows everything */
	uint64_t bytes; /* of payload in the pages */
	uint32_t tail;	/* last page */
	uint32_t tail_used; /* bytes in it */
	OTHER_EITHER(uint32_t, uint64_t)
	raw;		/* bytes behind the payload, not decoded yet: the
			 * last ones before `end` */
	uint32_t whole; /* the payload is a whole message, which is being
			 * carried out */
	struct framing_state state;
};

/* What is to be kept of a slot's input. */
struct input_more {
	const void *state;  /* what the framing knows, */
	size_t state_bytes; /* so many bytes of it; the rest becomes zero */
	uint64_t end;
	const void *bytes; /* of payload, decoded */
	size_t len;
	const void *raw; /* at most SHM_STAGE bytes */
	uint32_t raw_len;
	bool whole;
	bool anew; /* replaces the part that is there, which is not used any
		    * more; else appended to its payload */
};

struct input_pool {
	struct hub *h;
	struct claim pages;
	uint32_t serial;  /* of the last blob that was put into one */
	uint64_t aged_ms; /* blocks that were free then are trimmed */
};

int input_pool_init(struct input_pool *pool, struct hub *h);
void input_pool_deinit(struct input_pool *pool);
void input_clear(struct hub *h, int worker);

/* Ten times a second: gives some memory that is not used back to the machine.
 */
void input_trim(struct input_pool *pool, uint64_t now_ms);

/* The part of a slot, or NULL if nothing is unfinished there. */
const struct input_part *input_part(const struct hub *h, uint32_t slot);

/*
 * Appends payload bytes, or bytes that wait, to the slot's part (made if need
 * be), or replaces the part by them, and commits them with the state and the
 * input position. Returns 0, or with nothing changed -1: the pool is full, or
 * INPUT_CORRUPTED: the part is, or it has bytes that wait or a whole message,
 * behind which nothing may come.
 */
enum { INPUT_CORRUPTED = -2 };
int input_keep(
    struct input_pool *pool, uint32_t slot, const struct input_more *more);

/* Whether a slot's part has bytes that wait to be decoded, or a message that
 * waits to be carried out: the connection's worker goes on with those before it
 * reads more. */
bool input_waits(const struct hub *h, uint32_t slot);

/* Copies out a slot's bytes that wait; cap bytes at most. Returns their number,
 * less than the part says if its pages are corrupted. */
size_t input_raw(const struct hub *h, uint32_t slot, void *out, size_t cap);

/* Copies the payload out; cap bytes at most. Returns its length. */
size_t input_gather(const struct hub *h, uint32_t slot, void *out, size_t cap);

/* At a takeover: marks the pages of a slot's part. Returns 0, or -1 if they are
 * corrupted: the part is dropped then. */
int input_adopt(struct input_pool *pool, uint32_t slot);

/* When a connection moves here: copies its part from another worker's pages.
 * *part is what the slot's `part` is to become. Returns 0, -1: no room, or
 * INPUT_CORRUPTED. */
int input_copy(struct input_pool *pool, uint32_t slot, uint64_t *part);

/* Drops the pages of a part that no slot names any more. */
void input_uncopy(struct input_pool *pool, uint64_t part);

/* Drops the part. */
void input_release(struct input_pool *pool, uint32_t slot);

#endif
