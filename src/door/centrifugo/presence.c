/* presence and presence_stats: who is in a channel. */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"

#include "centrifugo.h"

/* The channel to look at, and where it stands; channel SHM_NONE if no
 * connection has it. */
static enum centrifugo_error
take_present(
    const struct command *c, enum member_of of, struct channel_position *at)
{
	struct json_value v[CHANNEL_MEMBERS];
	struct channel_name name;
	enum centrifugo_error bad = take_request(c, of, v, &name);

	at->channel = SHM_NONE;
	if (bad == C_OK && !name.rule->presence)
		bad = C_NOT_AVAILABLE;
	if (bad == C_OK)
		bad = may_look(c, &name);
	/* names, to those outside, are what `who` is about */
	if (bad == C_OK && of == MEMBER_PRESENCE &&
	    !is_among(c, c->ch->live.who) && !is_in(c, &name))
		bad = C_PERMISSION_DENIED;
	if (bad == C_OK &&
	    channel_find(c->ch, name.text, name.len, false, at) == CHANNEL_COLD)
		bad = cold_error(c->ch, at);
	return bad;
}

/*
 * Counts of large channels, which are reused for COUNTED_AGE_MS, since the
 * worker's other clients wait while all members are looked at. Small channels
 * are counted each time. COUNTED_AGE_MS larger: counts are older; smaller:
 * clients that keep asking cost more.
 */
enum { COUNTED_LARGE = 256, COUNTED_AGE_MS = 100, COUNTED = 64 };

struct counted {
	uint32_t channel, epoch;
	uint64_t stats_ms;    /* clock_ms() of the two below, 0: not known */
	uint64_t too_long_ms; /* of when its list was more than `queue` */
	size_t clients, users;
};

static struct counted counted[COUNTED];

/* The note of a channel; empty if it was another's. */
static struct counted *
counted_of(const struct channel_position *at)
{
	struct counted *k = &counted[at->channel % COUNTED];

	if (k->channel != at->channel || k->epoch != at->epoch)
		*k = (struct counted){
		    .channel = at->channel, .epoch = at->epoch};
	return k;
}

/* Whether a count of that time may still be used. */
static bool
counted_is_fresh(uint64_t then_ms)
{
	return then_ms != 0 && clock_ms() - then_ms < COUNTED_AGE_MS;
}

/* The list of a large channel that was written last, as it stands in a reply:
 * as long as it is fresh it is not made again. */
enum { LISTED_MAX = 1024 * 1024 };

static struct {
	uint32_t channel, epoch;
	uint64_t made_ms;
	size_t len;
	char text[LISTED_MAX];
} listed;

/* Where members are written to. */
struct listing {
	struct chat *ch;
	struct json_writer *w;
	size_t members;
	bool too_long; /* for what may wait for a client */
};

/* "client id": {"user":...}. */
static bool
member_put(const struct channel_member *m, void *arg)
{
	struct listing *l = arg;
	struct member_text text;
	char id[C_CLIENT_ID];

	if (!channel_member_text(l->ch->hub, m, &text))
		return true;
	l->members++;
	client_id(m->id, id);
	json_put_name(l->w, id);
	put_client(l->w, m->id, text.user, text.user_len, text.info,
	    text.info_len, text.sub_info, text.sub_info_len);
	l->too_long =
	    l->w->len > l->ch->live.queue_bytes || json_writer_failed(l->w);
	return !l->too_long;
}

/* Keeps the list that was just written, which is all from a place on. */
static void
listed_keep(
    const struct listing *l, const struct channel_position *at, size_t begin)
{
	size_t len = l->w->len - begin;

	if (l->members < COUNTED_LARGE || len > LISTED_MAX)
		return;
	listed.channel = at->channel;
	listed.epoch = at->epoch;
	listed.made_ms = clock_ms();
	listed.len = len;
	memcpy(listed.text, l->w->buf + begin, len);
}

/* Writes the members of a channel; false if that is too long. */
static bool
put_members(struct listing *l, const struct channel_position *at)
{
	struct counted *k = counted_of(at);
	size_t begin = l->w->len;

	if (counted_is_fresh(k->too_long_ms))
		return false;
	if (listed.channel == at->channel && listed.epoch == at->epoch &&
	    counted_is_fresh(listed.made_ms)) {
		json_put(l->w, listed.text, listed.len);
		return true;
	}
	channel_members(l->ch, at, l->ch->hub->n_slots, member_put, l);
	if (l->too_long)
		k->too_long_ms = clock_ms();
	else
		listed_keep(l, at, begin);
	return !l->too_long;
}

void
command_presence(struct command *c)
{
	struct channel_position at;
	enum centrifugo_error bad = take_present(c, MEMBER_PRESENCE, &at);
	struct listing l = {.ch = c->ch};

	if (bad != C_OK) {
		reply_error(c, bad);
		return;
	}
	l.w = reply_begin(c, "presence");
	json_open(l.w, '{');
	json_put_name(l.w, "presence");
	json_open(l.w, '{');
	if (at.channel != SHM_NONE && !put_members(&l, &at)) {
		reply_error(c, C_LIMIT_EXCEEDED);
		return;
	}
	json_close(l.w, '}');
	json_close(l.w, '}');
	reply_end(c, l.w);
}

/* Users of members, as many as there are. */
struct counting {
	uint32_t *user;
	size_t n, cap;
	bool failed;
};

/* Notes one member's user. */
static bool
member_count(const struct channel_member *m, void *arg)
{
	struct counting *k = arg;
	uint32_t *more;

	if (k->n == k->cap) {
		k->cap = k->cap > 0 ? k->cap * 2 : 256;
		more = reallocarray(k->user, k->cap, sizeof(*more));
		if (more == NULL) {
			k->failed = true;
			return false;
		}
		k->user = more;
	}
	k->user[k->n++] = m->user;
	return true;
}

/* Orders users by their entry. */
static int
user_compare(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return x < y ? -1 : x > y;
}

/* How many different users. */
static size_t
users_of(struct counting *k)
{
	size_t i, n = 0;

	if (k->n > 0)
		qsort(k->user, k->n, sizeof(*k->user), user_compare);
	for (i = 0; i < k->n; i++)
		n += i == 0 || k->user[i] != k->user[i - 1];
	return n;
}

/* Counts the members of a channel, or takes a recent count. */
static enum centrifugo_error
count(struct chat *ch, const struct channel_position *at, struct counted *out)
{
	struct counted *k = counted_of(at);
	struct counting all = {0};

	if (!counted_is_fresh(k->stats_ms)) {
		channel_members(ch, at, ch->hub->n_slots, member_count, &all);
		k->clients = all.n;
		k->users = users_of(&all);
		k->stats_ms =
		    all.failed || all.n < COUNTED_LARGE ? 0 : clock_ms();
		free(all.user);
	}
	*out = *k;
	return all.failed ? C_INTERNAL : C_OK;
}

void
command_presence_stats(struct command *c)
{
	struct channel_position at;
	enum centrifugo_error bad = take_present(c, MEMBER_PRESENCE_STATS, &at);
	struct counted found = {0};
	struct json_writer *w;

	if (bad == C_OK && at.channel != SHM_NONE)
		bad = count(c->ch, &at, &found);
	if (bad != C_OK) {
		reply_error(c, bad);
		return;
	}
	w = reply_begin(c, "presence_stats");
	json_open(w, '{');
	json_put_name(w, "num_clients");
	json_put_uint(w, found.clients);
	json_put_name(w, "num_users");
	json_put_uint(w, found.users);
	json_close(w, '}');
	reply_end(c, w);
}
