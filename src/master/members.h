/* members: what is asked of workers' places without changing them. */
#ifndef CHATD_SRC_MASTER_MEMBERS_H
#define CHATD_SRC_MASTER_MEMBERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct master;
struct member;

uint64_t members_mask(const struct master *m); /* workers alive and ready */
int members_lowest(const struct master *m);    /* a lively one, or -1 */
/* Sends a worker a message now or not at all. Returns 0, or -1 and errno. */
int
member_send(struct member *w, uint32_t type, const void *payload, size_t len);

/* Whether a place without a worker has none for a while, or for good: none
 * follows when chatd leaves. */
bool member_is_vacant(const struct member *w);

#endif
