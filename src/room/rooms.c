#include "room/rooms.h"

#include <errno.h>
#include <stdlib.h>

#include "base/sparse.h"
#include "hub/journal.h"
#include "room/archive.h"
#include "room/away.h"
#include "room/kept.h"
#include "room/membership.h"
#include "room/publish.h"
#include "room/relay.h"
#include "room/user.h"

bool
rooms_have(const struct chat *ch, uint32_t entry)
{
	return presence_is_user(ch->hub, entry)
	    ? user_list_first(ch, entry) != SHM_NONE
	    : ch->rooms->members[entry] != 0;
}

int
rooms_init(struct chat *ch)
{
	struct rooms *r = calloc(1, sizeof(*r));
	struct hub *h = ch->hub;

	ch->rooms = r;
	if (r == NULL)
		return -1;
	r->members = sparse_new(h->n_entries, sizeof(*r->members));
	r->copy = sparse_new(1, h->journal_size / JOURNAL_SHARE);
	if (r->members == NULL || r->copy == NULL || user_list_init(ch) < 0) {
		errno = ENOMEM;
		return -1;
	}
	if (claim_init(&r->subscriptions, h->subscription_owner,
		h->n_subscriptions, h->self) < 0 ||
	    relay_init(ch) < 0 || archive_init(ch) < 0)
		return -1;
	publish_init(ch);
	if (away_init(ch) < 0) {
		errno = ENOMEM;
		return -1;
	}
	kept_init(ch);
	ch->members = &membership;
	return 0;
}
