#include "chat/publish.h"

#include "chat/conn.h"
#include "chat/relay.h"
#include "chat/user.h"
#include "hub/lock.h"
#include "hub/presence.h"
#include "hub/stats.h"

/* Describes a message of a connection, or of the server. */
static void
describe(struct chat *ch, uint32_t conn, struct publication *p,
    const char *data, size_t len, uint64_t position)
{
	*p = (struct publication){.time_ms = ch->wall_ms,
	    .format = FORMAT_TEXT,
	    .data = data,
	    .data_len = (uint32_t)len,
	    .input_end = position};
	if (conn != SHM_NONE)
		p->sender = slot_id(ch->hub, conn);
}

/* What follows an accepted publication. */
static void
accepted(struct chat *ch, const struct publication *p, uint64_t mask)
{
	SHM_COUNT(ch->hub->me->published, 1);
	ch->unsettled = true;
	relay_send(ch, p, mask);
}

void
publish_lobby(struct chat *ch, uint32_t conn, const char *user, size_t user_len,
    const char *data, size_t len, uint64_t position)
{
	char name[USER_NAME_MAX + 1];
	struct publication p;
	uint64_t mask;

	describe(ch, conn, &p, data, len, position);
	p.user = user;
	p.user_len = (uint8_t)user_len;
	if (conn != SHM_NONE) {
		p.user_len = (uint8_t)user_name(
		    ch->hub, conn_slot(ch, conn)->user, name);
		p.user = name;
	}
	p.channel = PRESENCE_LOBBY;
	hub_lock(ch->hub);
	mask = journal_append(ch->hub, &p);
	hub_unlock(ch->hub);
	accepted(ch, &p, mask);
}

bool
publish_user(struct chat *ch, uint32_t conn, const char *to, size_t to_len,
    const char *data, size_t len, uint64_t position)
{
	char name[USER_NAME_MAX + 1];
	struct publication p;
	uint64_t mask = 0;

	describe(ch, conn, &p, data, len, position);
	p.user_len =
	    (uint8_t)user_name(ch->hub, conn_slot(ch, conn)->user, name);
	p.user = name;
	hub_lock(ch->hub);
	p.channel = user_find(ch, to, to_len);
	if (p.channel != SHM_NONE)
		mask = journal_append(ch->hub, &p);
	hub_unlock(ch->hub);
	if (p.channel == SHM_NONE)
		return false;
	accepted(ch, &p, mask);
	return true;
}

void
publish_settle(struct chat *ch)
{
	while (ch->unsettled)
		ch->unsettled = deliver(ch);
}
