/*
 * seen: names that a worker has logged, so that no worker logs them again.
 * Layer 2. One hash for each. When all places are taken no name counts as new
 * any more, so that clients cannot fill the log with new names. No code relies
 * on it.
 */
#ifndef CHATD_HUB_SEEN_H
#define CHATD_HUB_SEEN_H

#include "hub/shm.h"

/* Whether no process has asked for that before, and there is a place to note
 * it. */
bool hub_first_seen(struct hub *h, uint64_t hash);

#endif
