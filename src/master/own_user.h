/* own_user: the system users of those kinds of children that name one of their
 * own (process/child.h). */
#ifndef CHATD_SRC_MASTER_OWN_USER_H
#define CHATD_SRC_MASTER_OWN_USER_H

#include <stdbool.h>
#include <sys/types.h>

struct bundle;
struct master;

/* In the process that reads for the master: puts them into the bundle. */
void own_users_find(struct bundle *b);
/* Whom children of such kinds become. One whose user there is not becomes the
 * one that all do, with a word in the log. */
void own_users_take(struct master *m, const struct bundle *b);
/* The user of that name, as a bundle has it; false: it is not there. */
struct identity;
bool
own_user_get(const struct bundle *b, const char *user, struct identity *id);
/* Whether a child becomes that one. */
bool own_users_have(const struct master *m, uid_t uid);

#endif
