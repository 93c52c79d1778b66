#include "room/membership.h"

#include "conn/recipient.h"
#include "hub/blob.h"
#include "room/archive.h"
#include "room/away.h"
#include "room/channel.h"
#include "room/event.h"
#include "room/quota.h"
#include "room/user.h"

/* A connection is about to open, at a door that enters its user then. */
static uint32_t
membership_enter(struct chat *ch, uint32_t i, const char *name, size_t len)
{
	const uint32_t entry = user_enter(ch, i, name, len);

	if (entry != SHM_NONE)
		away_enter(ch, i);
	return entry;
}

/* A connection is open: it is listed among its user's, and its join is told. */
static void
membership_opened(struct chat *ch, uint32_t i, uint32_t entry)
{
	if (entry != SHM_NONE)
		user_list_add(ch, i, entry);
	channel_tell_connect(ch, i);
	if (conn_in_lobby(ch, i))
		channel_tell_lobby_join(ch, i);
	channel_tell_own_join(ch, i); /* both of who is known by now */
	away_begin(ch, i);
}

/* Takes a connection out of all that it is in. */
static void
membership_leave(struct chat *ch, uint32_t i)
{
	struct slot *s = conn_slot(ch, i);
	const struct door *door = ch->door[ch->conn[i].door];

	if (door != NULL && door->leave != NULL)
		door->leave(ch, i);
	away_end(ch, i);
	archive_left(ch, i);
	if (!conn_in_lobby(ch, i) || ch->conn[i].present)
		channel_tell_leaves(ch, i);
	channel_unsubscribe_all(ch, i);
	/* first: once the user has left, the entry may become another user's,
	 * and a worker that takes this over must not leave it again */
	s->user = SHM_NONE;
	KILL_POINT();
	user_leave(ch, i);
	KILL_POINT();
	blob_drop(&ch->input, s->info);
	s->info = 0;
	s->flags &= ~SLOT_LEAVING;
	KILL_POINT();
}

/* The name of a connection's user. */
static size_t
membership_user(
    const struct chat *ch, uint32_t i, char out[NAME_SIGNED_MAX + 1])
{
	return user_name(ch->hub, ch->hub->slot[i].user, out);
}

const struct conn_rooms membership = {.enter = membership_enter,
    .opened = membership_opened,
    .request_ended = archive_left,
    .leave = membership_leave,
    .gone = user_leave,
    .user = membership_user,
    .refused = quota_text};
