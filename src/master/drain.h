/* drain: takes no more connections and ends those that are there. */
#ifndef CHATD_SRC_MASTER_DRAIN_H
#define CHATD_SRC_MASTER_DRAIN_H

#include <stdint.h>

struct master;

/* rate in connections per second, 0 to serve again */
void drain_set(struct master *m, uint32_t rate);
uint32_t drain_left(const struct master *m); /* connections */

#endif
