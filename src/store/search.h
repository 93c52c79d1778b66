/* search: finds publications by the words of their texts. */
#ifndef CHATD_STORE_SEARCH_H
#define CHATD_STORE_SEARCH_H

#include "database.h"

/* STORE_MATCHES of store_find(). */
enum store_result search_find(struct store *s, const struct store_query *q,
    bool (*row)(void *arg, const struct store_row *r), void *arg);

#endif
