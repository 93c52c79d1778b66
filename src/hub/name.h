/* name: the names of presence entries: their beginnings in the entries
 * themselves, the rest in extensions. Private to the hub layer. */
#ifndef CHATD_SRC_HUB_NAME_H
#define CHATD_SRC_HUB_NAME_H

#include "hub/presence.h"

/* Copies a name out; its length, or 0 if the entry says nonsense. */
uint32_t name_copy(const struct hub *h, const struct presence_entry *e,
    char out[PRESENCE_NAME_MAX + 1]);
bool name_equals(const struct hub *h, const struct presence_entry *e,
    const char *name, size_t len);

/* Gives entry e, which must be free, a name. False: no extension is left.
 * Lock held. */
bool name_write(struct hub *h, uint32_t e, const char *name, size_t len);

#endif
