/* find: rows as those who asked get them. */
#ifndef CHATD_STORE_FIND_H
#define CHATD_STORE_FIND_H

#include "database.h"

/* What a statement selects of a publication and its channel, and in which
 * tables it looks. */
#define FIND_COLUMNS                                                           \
	" c.name, c.id, c.epoch, c.top, p.offset, p.before, p.time, p.sender," \
	" p.user, p.format, p.data, p.info, p.sub_info, p.tags, p.erased"
#define FIND_TABLES " publication p JOIN channel c ON c.id = p.channel"

/* The most rows that are asked for, as SQL has it; limit 0: all. */
sqlite3_int64 find_limit(const struct store_query *q);

/* Hands the rows of such a statement, whose values are bound, to row(). With
 * position: that of a proposal is behind those columns. */
enum store_result find_rows(struct store *s, sqlite3_stmt *stmt, bool position,
    bool (*row)(void *arg, const struct store_row *r), void *arg);

/* The offset of the message of a channel that n newer ones follow: LEAPs are no
 * messages. STORE_NONE: it has no more than n. */
enum store_result
find_behind(struct store *s, int64_t channel, uint32_t n, uint64_t *offset);

#endif
