#include "own_user.h"

#include <errno.h>
#include <string.h>

#include "base/bundle.h"
#include "base/log.h"
#include "private.h"

void
own_users_find(struct bundle *b)
{
	const struct child_row *row;
	struct identity id;
	char error[256];

	for (unsigned k = 0; (row = child_row_counted(k)) != NULL; k++)
		if (row->kind->user != NULL &&
		    identity_find(&id, row->kind->user, error, sizeof(error)) ==
			0)
			(void)bundle_put(b, BUNDLE_USER, row->kind->user, 0,
			    &id, sizeof(id));
}

bool
own_user_get(const struct bundle *b, const char *user, struct identity *id)
{
	struct bundle_piece piece;

	if (!bundle_get(b, BUNDLE_USER, user, &piece) || piece.error != 0 ||
	    piece.len != sizeof(*id))
		return false;
	memcpy(id, piece.bytes, sizeof(*id));
	id->name[sizeof(id->name) - 1] = '\0';
	return id->drop;
}

void
own_users_take(struct master *m, const struct bundle *b)
{
	const char *user, *told = NULL;
	struct child *c;

	for (int i = 0; i < m->n_others && m->identity.drop; i++) {
		c = &m->other[i];
		if (c->kind == NULL || (user = c->kind->user) == NULL)
			continue;
		if (own_user_get(b, user, &m->other_identity[i]))
			c->identity = &m->other_identity[i];
		else if (told == NULL || strcmp(told, user) != 0) {
			told = user; /* once for all of a kind, or more */
			log_warn("%s runs as user %s, as other processes do, "
				 "since there is no user %s: make one "
				 "(adduser --system --group %s) and restart "
				 "chatd",
			    child_name(c), m->identity.name, user, user);
		}
	}
}

bool
own_users_have(const struct master *m, uid_t uid)
{
	for (int i = 0; i < m->n_others; i++)
		if (m->other[i].identity != NULL &&
		    m->other[i].identity->uid == uid)
			return true;
	return false;
}
