/* prune: what deleting what is too old, and deleting what is too much, have in
 * common. */
#ifndef CHATD_SRC_STORE_PRUNE_H
#define CHATD_SRC_STORE_PRUNE_H

#include "database.h"

/* A call: what is left to delete, and whether that was enough. */
struct pruning {
	struct store *s;
	const struct store_bounds *b;
	int64_t now_ms;
	uint32_t left;
	uint64_t bytes; /* of the texts that are gone */
	bool more;
};

/* Whether nothing more is to be deleted by it. */
bool prune_is_done(const struct pruning *p);

/* prune_row.c: binds numbers to a statement; NULL stays NULL. */
sqlite3_stmt *
prune_statement(struct store *s, const char *sql, int64_t a, int64_t b);

/* A statement's only number; STORE_NONE: there is none. */
enum store_result
prune_number(struct store *s, sqlite3_stmt *stmt, int64_t *out);

/* Deletes what a statement finds, as its fifth column says. */
enum store_result prune_found(struct pruning *p, sqlite3_stmt *stmt);

/* A channel that no row is of: it begins anew when it is published to again.
 * That of a user who is known stays, who may have got some of it. An id is
 * never given twice, since the largest one stays.
 * age_ms: since its newest message. */
enum store_result
prune_channel_silent(struct pruning *p, int64_t channel, uint64_t age_ms);

/* prune_much.c: if the file is too large: events, names and what the index has
 * too much go before messages, which strangers cannot make go by making those.
 */
enum store_result prune_much(struct pruning *p);

#endif
