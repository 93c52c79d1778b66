/* mask: the masks of presence entries; private to the hub layer. */
#ifndef CHATD_SRC_HUB_MASK_H
#define CHATD_SRC_HUB_MASK_H

#include "hub/shm.h"

/* Which workers have an entry from now on, with what is charged for that: after
 * FORMAT_ONLINE, OFFLINE, OCCUPIED or VACATED. May be done again. Lock held;
 * the entry is that of the event, in the same incarnation. */
void presence_mask_redo(struct hub *h, uint32_t entry, uint64_t mask);

#endif
