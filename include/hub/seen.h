/*
 * seen: what has been logged once by any worker, and shall not be again.
 * Layer 2. A hash for each; when all places are taken nothing is new any more,
 * so what others can name does not fill the log. Nothing relies on it.
 */
#ifndef CHATD_HUB_SEEN_H
#define CHATD_HUB_SEEN_H

#include "hub/shm.h"

/* Whether no process has asked for that before, and there is a place to note
 * it. */
bool hub_first_seen(struct hub *h, uint64_t hash);

#endif
