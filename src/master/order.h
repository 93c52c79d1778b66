/* order: what a worker publishes in the master's place, once. */
#ifndef CHATD_SRC_MASTER_ORDER_H
#define CHATD_SRC_MASTER_ORDER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "codec/message.h"

struct master;
struct member;
struct order;

typedef void (*order_cb)(void *arg, enum message_result result);
/* Gives an order; payload begins with room for a struct message_order. NULL
 * and errno: no memory, or EBUSY: too many are not answered. */
struct order *
order_give(struct master *m, uint32_t type, const void *payload, size_t len);
/* Has done called with its result; NULL: nobody waits any more. */
void order_await(struct order *o, order_cb done, void *arg);
/* A worker's answer; false: it was not asked. */
bool order_done(struct member *w, const struct message_done *done);
void order_lost(struct member *w); /* it died */
void order_time(struct master *m); /* others do what it had */
void order_drop(struct master *m); /* at the end */
/* Those that are not answered as lines "pending ..." of the state, and such a
 * line without its key, behind those of all members; false: it makes no sense.
 */
void order_save(const struct master *m, FILE *f);
bool order_load(struct master *m, const char *line);

#endif
