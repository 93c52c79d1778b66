/*
 * archive: who has more of channels than the ring, as this worker sees it: a
 * process that it asks (MSG_ASK) and that answers later (MSG_ROWS). A command
 * that needs rows waits (conn/hold.h: HOLD_ROWS) and is looked at again when
 * they have come; then archive_ask() with the same question has them. What is
 * asked is known to this worker alone: after a takeover the command is looked
 * at again, too, and asks again. Layer 3.
 *
 * Rows are read as if who answers were hostile: texts are UTF-8 and JSON, and
 * offsets in order, or none of an answer is taken.
 */
#ifndef CHATD_ROOM_ARCHIVE_H
#define CHATD_ROOM_ARCHIVE_H

#include "codec/message.h"
#include "conn/chat.h"
#include "hub/journal.h"

enum {
	/* Questions of a worker that are not answered yet, or whose rows are
	 * not used yet. Larger: more of its memory; smaller: when very many
	 * clients come back at once, more of them are refused for now. */
	ARCHIVE_ASKED_MAX = 4096,
	/* Bytes of all rows that are there. Larger: more of its memory;
	 * smaller: as above. */
	ARCHIVE_BYTES_MAX = 64 * 1024 * 1024
};

enum archive_result {
	ARCHIVE_ROWS,	/* they are there */
	ARCHIVE_WAITS,	/* the command in hand is to wait: return, unanswered */
	ARCHIVE_FAILED, /* they cannot be read */
	ARCHIVE_ABSENT, /* texts are not indexed */
	ARCHIVE_LATE	/* it has waited in vain: it is refused for now */
};

/* The limits of an answer's size, and its number, are filled in. */
struct archive_query {
	struct message_ask ask;
	const char *name; /* not terminated */
	size_t name_len;
	const char *text;
	size_t text_len;
	bool now; /* the command cannot wait any more */
};

/* Rows of an answer: valid until archive_done(). */
struct archive_rows {
	const uint8_t *bytes;
	size_t len;
	uint32_t n;
	bool more; /* there are more than those */
};

int archive_init(struct chat *ch);

/* Whether more is known of a channel than the ring has. */
bool archive_has(const struct chat *ch, uint32_t channel);

/* Asks for the command or request in hand, or has what it asked for before it
 * waited. A question is the same if all of it is but for oldest_ms. While there
 * are too many the command waits, too. */
enum archive_result archive_ask(
    struct chat *ch, const struct archive_query *q, struct archive_rows *out);

/* The rows in hand, of that question, do not lead to where the ring begins:
 * they are missing at that offset, and were in the journal up to that position.
 * If they were perhaps not committed yet when they were read, they are asked
 * for once more when all up to there is; as above, but ROWS: something is
 * missing, and will not come. */
enum archive_result archive_ask_again(struct chat *ch,
    const struct archive_query *q, uint64_t missing, uint64_t position);

/* The row at *at, which moves to the next; from 0. False: there is none. */
bool archive_row(
    const struct archive_rows *rows, size_t *at, struct publication *out);

/* The command or request in hand is answered, and has used its rows. */
void archive_done(struct chat *ch);

/* A connection is leaving: it asks nothing any more. */
void archive_left(struct chat *ch, uint32_t conn);

/* By the worker: that line's process answers, and has a link with this one;
 * that of its line has ended. */
void archive_linked(struct chat *ch, int peer);
void archive_ended(struct chat *ch, int peer);
/* Whether a peer answers questions. */
bool archive_is(const struct chat *ch, int peer);

/* An answer, which was checked but for its rows: they are in the payload, or,
 * fd not -1, in that file, which stays the caller's. Returns NULL, or what is
 * wrong with it. */
const char *
archive_answer(struct chat *ch, const void *payload, size_t len, int fd);

/* Whether who answers seems to hang: it has answered nothing for a second. Who
 * waits then is looked at again. */
bool archive_hangs(const struct chat *ch);

/* Whose question that was; SHM_NONE: nobody's. */
uint32_t archive_answered(const struct chat *ch);

/* Every 100 ms: what the link had no room for; what nobody uses any more. */
void archive_sweep(struct chat *ch);

#endif
