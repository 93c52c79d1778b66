/* limit: how long a question may take: of processes that only read, since the
 * one that writes has another use for SIGALRM (writer_patience.c). */
#ifndef CHATD_SRC_STORE_LIMIT_H
#define CHATD_SRC_STORE_LIMIT_H

#include "database.h"

/* From now on, until limit_end(). */
void limit_begin(struct store *s, uint32_t ms);

/* It has ended so; returns that. */
enum store_result limit_end(struct store *s, uint32_t ms, enum store_result r);

#endif
