/* registry: which doors there are. Layer 4. To add one: its folder in src/door,
 * and its row in registry.c. */
#ifndef CHATD_DOOR_REGISTRY_H
#define CHATD_DOOR_REGISTRY_H

#include "door/door.h"
#include "net/endpoint.h"

/* All doors; NULL ends them. */
extern const struct door *const door_registry[];

/* The door of an id, which may be anything; NULL: there is none. */
const struct door *door_by_id(uint8_t id);

/* The door of a name; NULL: there is none. Ids and names last: a program that
 * goes on with another one's connections finds their doors by name. */
const struct door *door_by_name(const char *name);

/* The name of the door of an id; "?" if there is none. */
const char *door_name(uint8_t id);

/* The doors as endpoints know them: [ENDPOINT_DOORS] by id. */
const struct endpoint_door *door_words(void);

/* What struct door_files does, for the door that has files. */
int door_files_read(const char *folder, struct bundle *b);
int door_files_map(int fd);
void door_files_log(const char *folder, const char *image, size_t len);

#endif
