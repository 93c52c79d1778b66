/*
 * bucket: presence's index, from a name's hash to its entry: open addressing
 * over cache lines of sixteen buckets, line after line. A line fills from its
 * start, and an entry lies beyond its own line only if all lines before are
 * full: so a look ends at the first empty bucket. Taking one away keeps it so,
 * without marks that would make looks longer with time. Users and channels have
 * lines of their own. Lock held. Private to
 * the hub layer.
 */
#ifndef CHATD_SRC_HUB_BUCKET_H
#define CHATD_SRC_HUB_BUCKET_H

#include "hub/presence.h"

enum { BUCKET_ENTRY = 0x00ffffff }; /* more entries cannot be told apart */

/* The entry of that name and hash, or SHM_NONE. */
uint32_t
bucket_find(const struct hub *h, uint64_t hash, const char *name, size_t len);

/* Puts an entry in, whose `hash` is the high half: one store. False: no
 * room. */
bool bucket_put(struct hub *h, uint64_t hash, uint32_t e);

/* Takes an entry out; nothing if it is not in. */
void bucket_remove(struct hub *h, uint32_t e);

#endif
