/* erase: what a user has published, erased by the child that can (child_kind:
 * erases). One user at a time. */
#ifndef CHATD_SRC_MASTER_ERASE_H
#define CHATD_SRC_MASTER_ERASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct child;
struct control_wait;
struct master;

/* The one that is asked for. */
struct erasing {
	struct control_wait *wait; /* is told; NULL: nobody waits */
	const struct child *child; /* that does it; NULL: none is asked for */
	uint64_t number;
	bool json;
	char user[256];
};

/* Whether it can be begun: NULL, or why not. */
const char *erase_refuse(const struct master *m);

/* Begins; the wait ends with the answer. */
void erase_begin(struct master *m, const char *user, size_t len, bool json,
    struct control_wait *wait);

/* A child's answer. Returns NULL, or what is wrong with it. */
const char *erase_message(struct child *c, int type, const void *payload);

/* A child has died. */
void erase_died(const struct child *c);

#endif
