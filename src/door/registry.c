/* The doors, a row each. What names one outside of its own folder stands here
 * and nowhere else. */
#include "door/registry.h"

#include <stddef.h>
#include <string.h>

/* A test build adds rows: -DCHATD_DOORS_MORE='ROW(name)'. */
#ifndef CHATD_DOORS_MORE
#define CHATD_DOORS_MORE
#endif

#define DOORS           \
	ROW(plain)      \
	ROW(echo)       \
	ROW(centrifugo) \
	ROW(web)        \
	CHATD_DOORS_MORE

#define ROW(name) extern const struct door name##_door;
DOORS
#undef ROW

#define ROW(name) &name##_door,
const struct door *const door_registry[] = {DOORS NULL};
#undef ROW

const struct door *
door_by_id(uint8_t id)
{
	size_t k;

	for (k = 0; door_registry[k] != NULL; k++)
		if (id != 0 && door_registry[k]->id == id)
			return door_registry[k];
	return NULL;
}

const struct door *
door_by_name(const char *name)
{
	size_t k;

	for (k = 0; door_registry[k] != NULL; k++)
		if (strcmp(door_registry[k]->name, name) == 0)
			return door_registry[k];
	return NULL;
}

const char *
door_name(uint8_t id)
{
	const struct door *door = door_by_id(id);

	return door != NULL ? door->name : "?";
}

const struct endpoint_door *
door_words(void)
{
	static struct endpoint_door words[ENDPOINT_DOORS];
	const struct door *door;
	size_t k;

	for (k = 0; (door = door_registry[k]) != NULL; k++)
		if (door->id != 0)
			words[door->id] =
			    (struct endpoint_door){door->name, door->framing};
	return words;
}

/* The files of the one door that has some. */
static const struct door_files *
registry_files(void)
{
	size_t k = 0;

	while (door_registry[k]->files == NULL)
		k++;
	return door_registry[k]->files;
}

int
door_files_read(const char *folder, struct bundle *b)
{
	return registry_files()->read(folder, b);
}

int
door_files_map(int fd)
{
	return registry_files()->map(fd);
}

void
door_files_log(const char *folder, const char *image, size_t len)
{
	registry_files()->log(folder, image, len);
}
