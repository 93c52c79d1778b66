/* charge_copy: the two copies of the counters of charge.h; private to the hub
 * layer. */
#ifndef CHATD_SRC_HUB_CHARGE_COPY_H
#define CHATD_SRC_HUB_CHARGE_COPY_H

#include "hub/charge.h"

/* The copy that counts: 0 or 1. */
uint32_t charge_copy_live(const struct hub *h);

/* Counts an entry in a copy. The lobby is charged to no user and is of no
 * kind. */
void charge_copy_add(struct hub *h, uint32_t copy, uint32_t e, bool more);

#endif
