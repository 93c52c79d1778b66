/* check: whether the pages of a database that was not closed well make sense,
 * beside the work of the process. */
#ifndef CHATD_STORE_CHECK_H
#define CHATD_STORE_CHECK_H

#include "store/store.h"

/* Begins in a thread of its own, with the least priority and a connection of
 * its own: the database may be large. False: there can be none. path stays. */
bool check_begin(const char *path);

/* Ends it, if it is not through yet: as long as it reads, nothing is taken out
 * of the write-ahead log. */
void check_stop(void);

/* How it ended; STORE_NONE: it has not, or was told before. error: one line
 * unless STORE_OK. */
enum store_result check_ended(const char **error);

#endif
