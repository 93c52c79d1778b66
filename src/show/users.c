/* Users who are connected: what `chatctl show users` says. */
#include <inttypes.h>
#include <stdlib.h>

#include "hub/presence.h"
#include "show/subject.h"

/* Makes room for the users' numbers of connections, and counts these. */
static bool
users_begin(struct show *s)
{
	if (s->count == NULL && s->n_users > 0 &&
	    (s->count = calloc(s->n_users, sizeof(*s->count))) == NULL) {
		s->failed = true;
		return true;
	}
	return show_count(s);
}

/* The head line. */
static void
users_head(struct show *s)
{
	show_put(s, "CONNECTIONS WORKERS         USER\n");
}

/* One user, or a presence entry that is none. */
static bool
users_next(struct show *s)
{
	const struct hub *h = s->from.hub;
	const uint64_t alive = s->from.alive;
	const uint32_t i = s->at++;
	struct presence_view v;

	if (i >= s->n_users)
		return false;
	if ((presence_mask(h, i) & alive) == 0 || !presence_read(h, i, &v) ||
	    !presence_name_is_user(v.name, v.name_len) || (v.mask & alive) == 0)
		return true;
	show_comma(s);
	if (s->json) {
		show_put(s, "{\"user\":");
		show_text(s, v.name + 1, v.name_len - 1);
		show_put(s, ",\"workers\":");
		show_mask(s, v.mask & alive);
		show_put(s, ",\"connections\":%" PRIu32 "}", s->count[i]);
		return true;
	}
	show_put(s, "%11" PRIu32 " ", s->count[i]);
	show_mask(s, v.mask & alive);
	show_text(s, v.name + 1, v.name_len - 1);
	show_put(s, "\n");
	return true;
}

const struct show_subject show_users = {.name = "users",
    .begin = users_begin,
    .next = users_next,
    .head = users_head,
    .open = "[",
    .close = "]\n"};
