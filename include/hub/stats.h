/* stats: words that each worker has in shared memory besides its line, such as
 * counters. Layer 2. Counters have one writer and are for people only. */
#ifndef CHATD_HUB_STATS_H
#define CHATD_HUB_STATS_H

#include "base/other.h"
#include "hub/line.h"
#include "hub/shm.h"

/* Items that a worker has taken of what is shared out (claim.h). */
enum used_kind {
	USED_SLOTS,
	USED_CHUNKS,
	USED_PAGES,
	USED_SUBSCRIPTIONS,
	USED_KINDS
};

/* How a worker sends. */
enum sends_by { SENDS_UNKNOWN, SENDS_SENDMSG, SENDS_URING };

struct shm_worker {
	/* written by the master */
	_Atomic uint32_t keeper
	    __attribute__((aligned(64))); /* pid of one; 0: none */

	/* written by the worker, often */
	_Atomic uint64_t staged_conn[STAGE_PARTS]
	    __attribute__((aligned(64))); /* ids of the connections whose bytes
					   * the stage holds; 0: none */
	OTHER_ONLY(uint64_t other);
	/* a connection that moves here: what its slot's fields become */
	_Atomic uint64_t move_id; /* 0: none */
	_Atomic uint64_t move_part;
	_Atomic uint32_t move_chunk;
	_Atomic uint32_t move_info;
	_Atomic uint32_t move_subs;
	_Atomic uint64_t move_socket; /* table.h */
	_Atomic uint64_t move_from;   /* the former worker's cursor */
	/* input positions of their first bytes */
	_Atomic uint64_t staged_from[STAGE_PARTS];
	_Atomic uint64_t watch; /* epoll set of its clients, as table.h has it;
				 * 0: none */

	/* read by the other workers when they accept */
	_Atomic uint32_t connections __attribute__((aligned(64)));
	_Atomic uint32_t pending; /* accepted, handshake not complete */
	_Atomic uint32_t opened;  /* connections at a door */
	_Atomic uint32_t
	    room; /* how many more connections it could take over */
	_Atomic uint32_t accepting; /* takes new ones if it is its turn */
	/* Descriptors that it may have for connections and for links to the
	 * other workers. */
	_Atomic uint32_t spare_files;
	_Atomic uint32_t sends_by;    /* enum sends_by */
	_Atomic uint32_t sends_error; /* errno of its ring; 0: none */

	char counters[0] __attribute__((aligned(64))); /* begin here */
#define COUNTER(field, metric, words) _Atomic uint64_t field;
#include "hub/stats.def"
#undef COUNTER
	_Atomic uint64_t turn_max_us; /* its longest turn of the loop */
	_Atomic uint32_t used[USED_KINDS];
};

/* The counters, in the order of hub/stats.def. */
enum stats_counter {
#define COUNTER(field, metric, words) STATS_##field,
#include "hub/stats.def"
#undef COUNTER
	STATS_COUNTERS
};

/* A counter: its name, which is the field's; the name of the metric; what it
 * counts, in a sentence. */
struct stats_row {
	const char *name, *metric, *words;
};
extern const struct stats_row stats_rows[STATS_COUNTERS];

/* A worker's counter. */
_Atomic uint64_t *
stats_counter(struct shm_worker *line, enum stats_counter counter);

/* Workers that there are or will be: those that are not stopped. */
uint32_t stats_workers(const struct hub *h);

/* How long closing all connections may take, in ms, beyond what closing a few
 * does. It is what two processors need for them and for clients of the same
 * machine. */
uint64_t stats_closing_ms(const struct hub *h);

/* "running", as chatctl says it; "?" for other numbers. */
const char *worker_state_name(uint32_t state);

/* "io_uring", "sendmsg"; "-" if it is not known. */
const char *sends_by_name(uint32_t by);

#endif
