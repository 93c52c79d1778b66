#include <string.h>

#include "base/log.h"
#include "room/channel.h"
#include "room/rooms.h"
#include "conn/recipient.h"
#include "room/quota.h"
#include "room/user.h"
#include "hub/lock.h"
#include "hub/presence.h"
#include "hub/reader.h"

/* "#alice" from "alice"; returns the length. */
static size_t
user_channel(const char *name, size_t len, char out[USER_NAME_MAX + 1])
{
	out[0] = '#';
	memcpy(out + 1, name, len);
	return len + 1;
}

void
user_log_left(const struct presence_view *v, void *arg)
{
	if (presence_name_is_user(v->name, v->name_len))
		log_debug("%s left", log_text(v->name + 1, v->name_len - 1));
}

uint32_t
user_enter(struct chat *ch, uint32_t conn, const char *name, size_t len)
{
	char channel[USER_NAME_MAX + 1];
	struct charge_terms terms = quota_terms(ch, conn);
	struct hub *h = ch->hub;
	size_t n = user_channel(name, len, channel);
	enum charge_result how, lobby;
	bool cold = false;
	uint32_t e;

	hub_lock(h);
	e = presence_enter_for(h, channel, n, &terms, &how);
	if (e != SHM_NONE && conn_in_lobby(ch, conn))
		channel_hold(ch, PRESENCE_LOBBY_NAME, PRESENCE_LOBBY_LEN,
		    &terms, &lobby);
	/* it opens behind the connection, which does not wait for that */
	if (h->readers != 0)
		cold = presence_is_cold(h, e);
	hub_unlock(h);
	if (cold)
		reader_wake(h, PRESENCE_OPENERS);
	if (e == SHM_NONE) {
		quota_refuse(ch, conn, quota_of(CHARGE_USERS, how));
		return SHM_NONE;
	}
	conn_slot(ch, conn)->user = e;
	ch->conn[conn].present = true;
	if (how == CHARGE_FIRST)
		log_debug("%s joined", log_text(name, len));
	return e;
}

void
user_leave(struct chat *ch, uint32_t conn)
{
	struct hub *h = ch->hub;
	uint32_t e = ch->conn[conn].user.entry;
	char name[USER_NAME_MAX + 1];
	bool gone = false;
	size_t len = 0;

	if (!ch->conn[conn].present)
		return;
	ch->conn[conn].present = false;
	if (user_list_remove(ch, conn)) {
		/* before presence is left: the entry is the user's only until
		 * then */
		len = user_name(h, e, name);
		hub_lock(h);
		gone = presence_leave(h, e, h->self);
		hub_unlock(h);
	}
	if (conn_in_lobby(ch, conn))
		channel_release(ch, PRESENCE_LOBBY);
	if (gone)
		log_debug("%s left", log_text(name, len));
}
