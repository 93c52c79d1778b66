#include "away_note.h"

#include "conn/recipient.h"
#include "hub/line.h"
#include "hub/lock.h"
#include "room/rooms.h"

enum { AWAY_NOTE_MS = 1000 }; /* of a user at most one note in that time */

bool
away_entry_is_kept(const struct chat *ch, uint32_t e)
{
	char name[PRESENCE_NAME_MAX + 1];

	return presence_is_user(ch->hub, e) &&
	    presence_flags(ch->hub, e) & AWAY_STORE &&
	    away_is_kept(ch, name, channel_name(ch->hub, e, name));
}

struct away_conn *
away_of(struct chat *ch, uint32_t i)
{
	struct away_conn *known = &ch->rooms->away->conn[i];
	uint32_t use = slot_use(ch->hub, i);

	if (known->use != use)
		*known = (struct away_conn){.use = use};
	return known;
}

/* Where a channel stands, if all of it up to there has been appended to those
 * who are here; 0: not yet. */
static uint64_t
away_appended(struct chat *ch, uint32_t e)
{
	struct hub *h = ch->hub;
	uint64_t offset, newest;

	hub_lock(h);
	offset = SHM_LOAD(h->entry[e].offset);
	newest = SHM_LOAD(h->entry[e].newest);
	hub_unlock(h);
	return SHM_OWN(h->mine->cursor) >= newest ? offset : 0;
}

/* Notes where the end of its output is, if a channel's newest is in there. */
static void
away_sample(struct chat *ch, uint32_t i, struct away_conn *known, uint32_t e)
{
	const struct slot *s = conn_slot(ch, i);
	uint64_t offset;

	if (s->flags & (SLOT_OWED | SLOT_GAP | SLOT_MOVED) ||
	    s->offset == SLOT_OFFSET_UNKNOWN || slot_is_entering(s))
		return;
	if (!away_entry_is_kept(ch, e)) {
		known->looked = SHM_LOAD(ch->hub->entry[e].offset);
		return;
	}
	offset = away_appended(ch, e);
	known->end = offset != 0 ? conn_output_end(ch, i) : 0;
	if (known->end != 0)
		known->looked = known->offset = offset;
}

/* Notes in the journal what a user has got; false: later, there was a note just
 * now. last: the connection is ending. */
static bool
away_note(struct chat *ch, uint32_t e, uint64_t offset, bool last)
{
	struct away_user *u = &ch->rooms->away->user[e];
	struct hub *h = ch->hub;
	char user[USER_NAME_MAX + 1];
	struct publication p = {.channel = e,
	    .offset = offset,
	    .before = offset,
	    .subscription = SHM_NONE,
	    .time_ms = ch->wall_ms,
	    .format = FORMAT_DELIVERED,
	    .user_len = (uint8_t)user_name(h, e, user),
	    .user = user,
	    .data = ""};
	uint32_t epoch = SHM_LOAD(h->entry[e].epoch);

	if (u->epoch == epoch && offset <= u->offset)
		return true;
	if (!last && u->epoch == epoch &&
	    conn_age_ms(ch, u->at_ms) < AWAY_NOTE_MS)
		return false;
	*u = (struct away_user){epoch, (uint32_t)ch->now_ms, offset};
	hub_lock(h);
	journal_append_at(h, &p, AWAY_STORE, 0);
	hub_unlock(h);
	return true;
}

void
away_look(struct chat *ch, uint32_t i, bool last)
{
	uint32_t e = ch->conn[i].user.entry;
	struct away_conn *known;

	if (!ch->conn[i].present || !presence_is_user(ch->hub, e) ||
	    !(presence_flags(ch->hub, e) & AWAY_STORE))
		return;
	known = away_of(ch, i);
	if (known->end != 0 && conn_has_got(ch, i, known->end) &&
	    away_note(ch, e, known->offset, last))
		known->end = 0;
	if (known->looked == SHM_LOAD(ch->hub->entry[e].offset) ||
	    (known->end != 0 && !last))
		return;
	known->end = 0;
	away_sample(ch, i, known, e);
	if (known->end != 0 && conn_has_got(ch, i, known->end) &&
	    away_note(ch, e, known->offset, last))
		known->end = 0;
}
