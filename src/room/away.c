#include "room/away.h"

#include <stdlib.h>
#include <string.h>

#include "away_note.h"
#include "base/sparse.h"
#include "conn/door.h"
#include "conn/hold.h"
#include "conn/recipient.h"
#include "hub/reader.h"
#include "hub/slot.h"
#include "room/rooms.h"

enum {
	AWAY_PARTS = 10, /* all connections are looked at once a second */
	/* So long who has the rows may take to have all up to when a connection
	 * was opened, what the user got by the one before among it. Larger:
	 * while the disk is slow users are told later what came; smaller: they
	 * are told again what they have got. */
	AWAY_BEHIND_MS = 2000
};

static struct away_found news; /* that is being told */

int
away_init(struct chat *ch)
{
	struct hub *h = ch->hub;
	struct away *a;

	if (!(h->readers & AWAY_STORE))
		return 0;
	a = calloc(1, sizeof(*a));
	if (a == NULL)
		return -1;
	a->conn = sparse_new(h->n_slots, sizeof(*a->conn));
	a->user = sparse_new(h->n_users + 1ul, sizeof(*a->user));
	ch->rooms->away = a;
	return a->conn != NULL && a->user != NULL ? 0 : -1;
}

void
away_adopt(struct chat *ch, uint32_t i)
{
	struct slot *s = conn_slot(ch, i);

	if (ch->rooms->away == NULL && s->flags & SLOT_OWED &&
	    s->offset == SLOT_OFFSET_UNKNOWN && ch->conn[i].present &&
	    ch->door[ch->conn[i].door]->away != NULL)
		s->offset =
		    SHM_LOAD(ch->hub->entry[ch->conn[i].user.entry].offset);
}

bool
away_is_kept(const struct chat *ch, const char *name, size_t len)
{
	const struct conf_channel *rule;

	if (ch->rooms->away == NULL)
		return false;
	rule = conf_channel_find(&ch->live, name, len);
	return rule != NULL && rule->store != CONF_STORE_NO;
}

void
away_enter(struct chat *ch, uint32_t i)
{
	struct slot *s = conn_slot(ch, i);

	if (!away_entry_is_kept(ch, s->user))
		return;
	s->flags |= SLOT_OWED;
	if (ch->door[ch->conn[i].door]->away != NULL)
		s->offset = SLOT_OFFSET_UNKNOWN;
}

/* Whether rows are worth asking for: those who know them have seen what its
 * user did before, or take too long. */
static bool
away_may_ask(struct chat *ch, uint32_t i, uint64_t offset, uint32_t limit_ms)
{
	struct away_conn *known = away_of(ch, i);

	if (known->tail == 0) {
		known->tail = journal_tail(ch->hub);
		known->upto = offset;
		known->since_ms = (uint32_t)ch->now_ms;
	}
	known->asked = known->asked ||
	    reader_has_taken(ch->hub, READER_STORE, known->tail) ||
	    conn_age_ms(ch, known->since_ms) >= limit_ms;
	return known->asked;
}

/* It is tried again soon. */
static void
away_wait(struct chat *ch, uint32_t i)
{
	struct away *a = ch->rooms->away;
	uint32_t cap = a->n_waiting == 0 ? 64 : 2 * a->n_waiting, *more;

	if (a->n_waiting == a->waiting_cap) {
		more = reallocarray(a->waiting, cap, sizeof(*more));
		if (more == NULL)
			return; /* the sweep looks at all, now and then */
		a->waiting = more;
		a->waiting_cap = cap;
	}
	a->waiting[a->n_waiting++] = i;
}

/* away_may_ask() for the command in hand; false: it is to wait, if it can. */
static bool
away_may_ask_now(struct chat *ch, uint64_t offset)
{
	const uint32_t i = ch->hold.conn;

	if (ch->hold.aside || ch->rooms->away == NULL ||
	    !conn_has_slot(ch, i) ||
	    away_may_ask(ch, i, offset, AWAY_BEHIND_MS / 2))
		return true;
	if (hold_rows(ch, 0) && !away_of(ch, i)->held) {
		away_of(ch, i)->held = true;
		away_wait(ch, i);
	}
	return false;
}

/* Asks how far a user has got it, and when that one was here before. */
static enum past_result
away_ask_user(struct chat *ch, const char *name, size_t len,
    const struct channel_position *at, bool now, struct away_found *out)
{
	const struct archive_query q = {.ask = {.what = ASK_USER, .limit = 1},
	    .name = name,
	    .name_len = len,
	    .now = now};
	struct archive_rows rows;
	struct publication p;
	size_t row = 0;

	switch (archive_ask(ch, &q, &rows)) {
	case ARCHIVE_ROWS:
		break;
	case ARCHIVE_WAITS:
		return PAST_WAITS;
	case ARCHIVE_ABSENT:
	case ARCHIVE_FAILED:
		return PAST_FAILED;
	case ARCHIVE_LATE:
		return PAST_LATE;
	}
	if (!archive_row(&rows, &row, &p))
		return PAST_OK;
	out->since_ms = p.time_ms;
	/* more than there is: the channel has begun anew since */
	out->delivered = p.offset <= at->offset ? p.offset : 0;
	return PAST_OK;
}

/* What was noted here may be newer than what was asked for. */
static void
away_know(const struct chat *ch, const struct channel_position *at,
    struct away_found *out)
{
	const struct away_user *u;

	if (ch->rooms->away == NULL || !presence_is_user(ch->hub, at->channel))
		return;
	u = &ch->rooms->away->user[at->channel];
	if (u->epoch == at->epoch && u->offset > out->delivered)
		out->delivered = u->offset;
}

/* Leaves out what the user has got. */
static void
away_trim(struct chat *ch, struct away_found *out)
{
	struct publication p;
	uint64_t before = 0;

	for (out->n = 0; out->n < out->past.n; out->n++) {
		if (!past_read(ch, &out->past, out->n, &p))
			continue;
		if (p.offset <= out->delivered)
			return;
		before = p.before;
	}
	out->more = before > out->delivered &&
	    (out->n == AWAY_MESSAGES || out->past.more || out->past.gap);
}

enum past_result
away_find(struct chat *ch, const struct channel_position *at, bool now,
    struct away_found *out)
{
	char name[PRESENCE_NAME_MAX + 1];
	size_t len = channel_name(ch->hub, at->channel, name);
	const struct conf_channel *of = conf_channel_find(&ch->live, name, len);
	struct conf_channel rule;
	enum past_result r;

	out->delivered = 0;
	out->since_ms = 0;
	out->n = 0;
	out->more = false;
	if (of == NULL || !presence_name_is_user(name, len))
		return PAST_OK;
	if (!now && !away_may_ask_now(ch, at->offset))
		return ch->hold.what == HOLD_ROWS ? PAST_WAITS : PAST_LATE;
	r = away_ask_user(ch, name + 1, len - 1, at, now, out);
	away_know(ch, at, out);
	if (r != PAST_OK || out->delivered == at->offset)
		return r;
	/* `history 0` says what clients may ask for */
	rule = *of;
	if (rule.history == 0)
		rule.history = AWAY_MESSAGES;
	const struct past_query q = {.name = name,
	    .len = len,
	    .rule = &rule,
	    .at = at,
	    .reverse = true,
	    .limit = AWAY_MESSAGES,
	    .now = now};

	r = past_find(ch, &q, &out->past);
	if (r == PAST_OK)
		away_trim(ch, out);
	return r;
}

/* What the door says of those that fit into half of `queue`. Those above `upto`
 * have come since the connection was opened. *n: how many all are. */
static void
away_describe(
    struct chat *ch, uint64_t upto, struct door_away *what, uint32_t *n)
{
	struct publication p;
	size_t bytes = 0;

	*what =
	    (struct door_away){.more = news.more, .since_ms = news.since_ms};
	for (*n = 0; *n < news.n; ++*n) {
		if (!past_read(ch, &news.past, *n, &p))
			continue;
		bytes += p.data_len + PRESENCE_NAME_MAX;
		if (*n > 0 && bytes > ch->live.queue_bytes / 2) {
			what->more = true;
			return;
		}
		what->n += p.offset <= upto;
		/* the user was never here before, or it was not noted */
		if (what->since_ms == 0 || p.time_ms < what->since_ms)
			what->since_ms = p.time_ms;
	}
}

/* Tells what came, the oldest first. */
static void
away_tell(struct chat *ch, uint32_t i)
{
	const struct door *door = ch->door[ch->conn[i].door];
	struct publication p;
	struct door_away what;
	uint32_t n;

	away_describe(ch, away_of(ch, i)->upto, &what, &n);
	if (what.n > 0)
		door->away(ch, i, &what, NULL);
	for (; n > 0 && ch->conn[i].phase == CONN_OPEN; n--) {
		if (!past_read(ch, &news.past, n - 1, &p))
			continue;
		p.channel = conn_slot(ch, i)->user;
		door->away(ch, i, &what, &p);
	}
}

/* From here on it gets what is published. owed: not all of what came was told.
 */
static void
away_done(struct chat *ch, uint32_t i, uint64_t offset, bool owed)
{
	struct slot *s = conn_slot(ch, i);

	KILL_POINT(); /* told: it is told again */
	s->offset = offset;
	atomic_signal_fence(memory_order_release);
	KILL_POINT();
	if (!owed)
		s->flags &= ~SLOT_OWED;
	KILL_POINT();
}

/* What came cannot be told: a later connection is told it. */
static void
away_give_up(struct chat *ch, uint32_t i, uint64_t offset)
{
	static const struct door_away nothing;

	if ((int32_t)conn_age_ms(ch, away_of(ch, i)->since_ms) < AWAY_LIMIT_MS)
		return;
	ch->door[ch->conn[i].door]->away(ch, i, &nothing, NULL);
	away_done(ch, i, offset, true);
}

/* away_try() with the connection in hand. */
static void
away_look_up(struct chat *ch, uint32_t i)
{
	char name[PRESENCE_NAME_MAX + 1];
	struct channel_position at;
	size_t len = channel_name(ch->hub, conn_slot(ch, i)->user, name);

	if (len == 0 || channel_find(ch, name, len, true, &at) != CHANNEL_OK)
		return; /* not open yet: it has been asked for */
	if (!away_is_kept(ch, name, len)) {
		away_done(ch, i, at.offset, true);
		return;
	}
	if (!away_may_ask(ch, i, at.offset, AWAY_BEHIND_MS))
		return;
	if (away_find(ch, &at, false, &news) != PAST_OK) {
		away_give_up(ch, i, at.offset);
		return;
	}
	away_tell(ch, i);
	archive_done(ch);
	if (ch->conn[i].phase == CONN_OPEN) /* else not all of it was told */
		away_done(ch, i, at.offset, false);
}

void
away_begin(struct chat *ch, uint32_t i)
{
	if (!away_waits(ch, i))
		return;
	away_wait(ch, i);
	away_try(ch, i);
}

void
away_try(struct chat *ch, uint32_t i)
{
	const struct hold_hand was = ch->hold;

	if (!conn_has_slot(ch, i) || !away_waits(ch, i))
		return;
	ch->hold =
	    (struct hold_hand){.conn = i, .aside = true, .ended = HOLD_NOT};
	away_look_up(ch, i);
	ch->hold = was;
}

/* One of those that wait for what needs no asking; false: no more. */
static bool
away_again_one(struct chat *ch, uint32_t i)
{
	struct away_conn *known = away_of(ch, i);

	if (known->held) {
		known->held = ch->conn[i].phase == CONN_OPEN &&
		    !away_may_ask(ch, i, 0, AWAY_BEHIND_MS / 2);
		if (!known->held)
			(void)hold_arrived(ch, i);
		return known->held;
	}
	if (away_waits(ch, i) && !known->asked)
		away_try(ch, i);
	return away_waits(ch, i) && !known->asked;
}

/* Tries those that wait for what needs no asking. */
static void
away_again(struct chat *ch)
{
	struct away *a = ch->rooms->away;
	uint32_t n = a->n_waiting, k, i;

	a->n_waiting = 0;
	for (k = 0; k < n; k++) {
		i = a->waiting[k];
		if (away_again_one(ch, i))
			a->waiting[a->n_waiting++] = i;
	}
}

/* Whether any user's own channel is kept. */
static bool
away_is_wanted(const struct chat *ch)
{
	for (unsigned k = 0; k < ch->live.n_channels; k++)
		if (ch->live.channel[k].pattern[0] == '#' &&
		    ch->live.channel[k].store != CONF_STORE_NO)
			return true;
	return false;
}

void
away_sweep(struct chat *ch)
{
	struct away *a = ch->rooms->away;
	uint32_t n = ch->hub->n_slots, end, i;

	if (a == NULL)
		return;
	/* once more round when nothing is kept any more: for those that wait */
	a->rest = away_is_wanted(ch) ? 0 : a->rest + (a->rest < AWAY_PARTS + 2);
	if (a->rest == AWAY_PARTS + 2)
		return;
	away_again(ch);
	if (a->at >= n)
		a->at = 0;
	end = a->at + n / AWAY_PARTS + 1;
	i = a->at == 0 ? SHM_NONE : a->at - 1;
	while (conn_next(ch, &i) && i < end) {
		if (ch->conn[i].phase != CONN_OPEN)
			continue;
		away_try(ch, i);
		away_look(ch, i, false);
	}
	a->at = end;
}

void
away_end(struct chat *ch, uint32_t i)
{
	if (ch->rooms->away != NULL && conn_has_slot(ch, i) &&
	    away_is_wanted(ch))
		away_look(ch, i, true);
}
