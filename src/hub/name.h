/* name: the names of presence entries: their beginnings in the entries
 * themselves, the rest in pieces at fixed places, so that there is room for
 * every name of any length. Private to the hub layer. */
#ifndef CHATD_SRC_HUB_NAME_H
#define CHATD_SRC_HUB_NAME_H

#include "base/other.h"
#include "hub/presence.h"

enum {
	NAME_PIECE = OTHER_EITHER(64, 80), /* bytes of a piece; a cache line */
	NAME_PIECES =
	    (PRESENCE_NAME_MAX - PRESENCE_INLINE + NAME_PIECE - 1) / NAME_PIECE
};

/* A part of a name. */
struct presence_piece {
	char bytes[NAME_PIECE];
};

/* Copies a name out; its length, or 0 if the entry is corrupted. */
uint32_t name_copy(const struct hub *h, const struct presence_entry *e,
    char out[PRESENCE_NAME_MAX + 1]);
bool name_equals(const struct hub *h, const struct presence_entry *e,
    const char *name, size_t len);

/* Gives an entry, which must be free, a name. Lock held. */
void name_write(
    struct hub *h, struct presence_entry *e, const char *name, size_t len);

#endif
