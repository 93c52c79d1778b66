/* presence and presence_stats: who is in a channel. */
#include <stdlib.h>

#include "centrifugo.h"

/* The channel to look at, and where it stands; channel SHM_NONE if nobody has
 * it. */
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
	if (bad == C_OK)
		(void)channel_find(c->ch, name.text, name.len, false, at);
	return bad;
}

/* Where members are written to. */
struct listing {
	struct chat *ch;
	struct json_writer *w;
};

/* "client id": {"user":...}. */
static void
member_put(const struct channel_member *m, void *arg)
{
	struct listing *l = arg;
	struct member_text text;
	char id[C_CLIENT_ID];

	if (!channel_member_text(l->ch->hub, m, &text))
		return;
	client_id(m->id, id);
	json_put_name(l->w, id);
	put_client(l->w, m->id, text.user, text.user_len, text.info,
	    text.info_len, text.sub_info, text.sub_info_len);
}

void
command_presence(struct command *c)
{
	struct channel_position at;
	enum centrifugo_error bad = take_present(c, MEMBER_PRESENCE, &at);
	struct listing l = {c->ch, NULL};

	if (bad != C_OK) {
		reply_error(c, bad);
		return;
	}
	l.w = reply_begin(c, "presence");
	json_open(l.w, '{');
	json_put_name(l.w, "presence");
	json_open(l.w, '{');
	if (at.channel != SHM_NONE)
		channel_members(
		    c->ch, &at, c->ch->hub->n_slots, member_put, &l);
	json_close(l.w, '}');
	json_close(l.w, '}');
	if (l.w->len > c->ch->live.queue_bytes)
		reply_error(c, C_LIMIT_EXCEEDED);
	else
		reply_end(c, l.w);
}

/* Users of members, as many as there are. */
struct counting {
	uint32_t *user;
	size_t n, cap;
	bool failed;
};

/* Notes one member's user. */
static void
member_count(const struct channel_member *m, void *arg)
{
	struct counting *k = arg;
	uint32_t *more;

	if (k->n == k->cap) {
		k->cap = k->cap > 0 ? k->cap * 2 : 256;
		more = reallocarray(k->user, k->cap, sizeof(*more));
		if (more == NULL) {
			k->failed = true;
			k->cap = k->n;
			return;
		}
		k->user = more;
	}
	k->user[k->n++] = m->user;
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

void
command_presence_stats(struct command *c)
{
	struct channel_position at;
	enum centrifugo_error bad = take_present(c, MEMBER_PRESENCE_STATS, &at);
	struct counting k = {0};
	struct json_writer *w;

	if (bad == C_OK && at.channel != SHM_NONE)
		channel_members(
		    c->ch, &at, c->ch->hub->n_slots, member_count, &k);
	if (bad == C_OK && k.failed)
		bad = C_INTERNAL;
	if (bad != C_OK) {
		free(k.user);
		reply_error(c, bad);
		return;
	}
	w = reply_begin(c, "presence_stats");
	json_open(w, '{');
	json_put_name(w, "num_clients");
	json_put_uint(w, k.n);
	json_put_name(w, "num_users");
	json_put_uint(w, users_of(&k));
	json_close(w, '}');
	free(k.user);
	reply_end(c, w);
}
