/* user: presence of the users of this worker's connections. Layer 3. */
#ifndef CHATD_ROOM_USER_H
#define CHATD_ROOM_USER_H

#include "conn/chat.h"
#include "codec/name.h"
#include "hub/presence.h"

enum { USER_NAME_MAX = NAME_SIGNED_MAX };
_Static_assert(USER_NAME_MAX + 1 == PRESENCE_NAME_MAX, "\"#\" and a name");

/*
 * Enters a connection's user (and, if its door says so, the lobby) in presence;
 * sets its slot's `user`. Returns that, or SHM_NONE: refused (quota.h).
 */
uint32_t
user_enter(struct chat *ch, uint32_t conn, const char *name, size_t len);

/* Makes the lists of users' connections; returns 0, or -1: no memory. */
int user_list_init(struct chat *ch);

/* Lists an entered connection first among its user's; its fields `user` are
 * used for that from now on. */
void user_list_add(struct chat *ch, uint32_t conn, uint32_t entry);

/* Takes it off the list; true: the user has no other one here. */
bool user_list_remove(struct chat *ch, uint32_t conn);

/* The connections of a user here, one after another; SHM_NONE: no more. */
uint32_t user_list_first(const struct chat *ch, uint32_t entry);
uint32_t user_list_next(const struct chat *ch, uint32_t conn);

/* The connection is ending: takes it off its user's list and, if it was the
 * last, out of presence. Nothing if it was not entered. */
void user_leave(struct chat *ch, uint32_t conn);

/* Logs that the user of a presence entry has left with a worker. */
void user_log_left(const struct presence_view *v, void *arg);

/* A user's name from the entry; "" if the entry is corrupted. */
size_t
user_name(const struct hub *h, uint32_t entry, char out[USER_NAME_MAX + 1]);

/* A user's name in a list. */
struct user_name {
	uint8_t len;
	char text[USER_NAME_MAX + 1];
};

/* Lists who is online: returns how many there are, with *n how many of them
 * user_nth() gives (sorted, at most the first 100). With a large table the list
 * may be 100 ms old. */
size_t user_first(struct chat *ch, size_t *n);
const struct user_name *user_nth(size_t k);

#endif
