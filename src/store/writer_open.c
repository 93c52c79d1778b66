/* writer_open: says where channels stand that are asked for, with their newest
 * messages. */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "hub/presence.h"
#include "writer.h"

enum {
	/* Of one channel, that the ring gets, messages and the ring's part.
	 * Larger: an opening takes longer, and leaves less of the ring to what
	 * is said; smaller: more of what is asked for is found in the database.
	 */
	OPEN_ROWS = 256,
	OPEN_SHARE = 256,
	/* So much of the ring may be unread while more than one is opened in a
	 * turn, and while the ring gets messages of it. Larger: what is said
	 * meanwhile is overwritten unread; smaller: many that are asked for at
	 * once wait longer, and more is found in the database. */
	OPEN_UNREAD = 16,
	OPEN_EMPTY = 4,
	/* So many may wait while the ring gets messages of each. Larger: the
	 * last of them waits longer, which takes some ms for each; smaller:
	 * more is found in the database. */
	OPEN_CROWD = 128,
	/* Larger: who waits for a commit waits longer; smaller: more commits
	 * where many are asked for at once. */
	OPEN_TURN_MS = 50,
	/* Between two looks for those that ask by their entry alone. Larger:
	 * they wait longer; smaller: an idle daemon does more. */
	OPEN_SEEK_MS = 1000,
	/* Between two words in the log that a channel cannot be opened. Larger:
	 * another reason is told later; smaller: clients fill the log. */
	OPEN_TELL_MS = 60 * 1000,
	/* At a start, for channels that nobody has asked for yet. Larger: the
	 * chat is served later. */
	LOAD_MS = 5000
};

/* A channel that is to be opened. */
struct opening {
	struct writer *w;
	struct reader_opening o;
	struct writer_copy *copy[OPEN_ROWS]; /* newest first */
	struct publication pub[OPEN_ROWS];   /* oldest first */
	size_t n, bytes, bytes_max;
	uint32_t messages, messages_max; /* leaps are none */
};

/* One of its messages. */
static bool
opening_row_cb(void *arg, const struct store_row *row)
{
	struct opening *p = arg;
	const size_t bytes = publication_bytes(&row->pub);

	if (p->n == OPEN_ROWS || p->messages == p->messages_max ||
	    (p->n > 0 && p->bytes + bytes > p->bytes_max))
		return false;
	p->messages += row->pub.format != FORMAT_LEAP;
	p->bytes += bytes;
	p->copy[p->n++] = writer_copy(&row->pub);
	return true;
}

void
writer_skip_damage(struct writer *w)
{
	const char *why = store_error(writer_reads(w));

	if (!w->damaged) {
		log_error("%s: met in reading: nothing is moved", why);
		figures_tell(w->figures, FIGURES_DAMAGED, why);
	}
	w->damaged = true;
	/* it was undone; nothing of the journal was in it */
	w->taken = w->rows = w->holes = 0;
	writer_forget(w);
}

/* Gives back what it holds. */
static void
opening_free(struct opening *p)
{
	for (size_t k = 0; k < p->n; k++)
		free(p->copy[k]);
	p->n = 0;
}

/* Finds its newest messages, as many as its rule keeps. */
static enum store_result
opening_find(struct opening *p, const struct conf_channel *rule,
    const char *name, size_t len)
{
	struct store_query q = {.what = STORE_PAGE,
	    .name = name,
	    .name_len = len,
	    .reverse = true,
	    .limit = OPEN_ROWS};
	enum store_result r;

	if (rule->history_age_ms != 0)
		q.oldest_ms = clock_wall_ms() - (int64_t)rule->history_age_ms;
	if (rule->history == 0 || p->bytes_max == 0)
		return STORE_OK;
	p->messages_max = rule->history;
	r = store_find(writer_reads(p->w), &q, opening_row_cb, p);
	if (r == STORE_DAMAGED) {
		/* the channel goes on without them */
		writer_skip_damage(p->w);
		opening_free(p);
		r = STORE_OK;
	}
	for (size_t k = 0; k < p->n; k++)
		p->pub[k] = p->copy[p->n - 1 - k]->p;
	p->o.pubs = p->pub;
	p->o.n = p->n;
	return r == STORE_NONE ? STORE_OK : r;
}

/* Only whether there is one is asked. */
static bool
opening_user_cb(void *arg, const struct store_row *row)
{
	(void)arg;
	(void)row;
	return false;
}

/* Whether nobody knows a channel: no message of it was stored, and, of a user's
 * own, that user was never here. */
static enum store_result
opening_know(struct writer *w, const char *name, size_t len)
{
	const struct store_query q = {
	    .what = STORE_USER, .name = name + 1, .name_len = len - 1};

	return presence_name_is_user(name, len)
	    ? store_find(writer_reads(w), &q, opening_user_cb, NULL)
	    : STORE_NONE;
}

/* Where a channel stands. bytes_max: of its newest messages, which are one at
 * least; 0: none. */
static enum store_result
opening_make(struct opening *p, struct writer *w, const char *name, size_t len,
    enum open_ask ask, size_t bytes_max)
{
	const struct conf_channel *rule =
	    conf_channel_find(w->start->live, name, len);
	struct store_channel c = {.stream = 0};
	enum store_result r = STORE_NONE;

	if (!w->is_void)
		r = store_channel(writer_reads(w), name, len, 0, &c);
	p->w = w;
	p->o = (struct reader_opening){.error = RESULT_OK};
	p->n = p->bytes = p->messages = 0;
	p->bytes_max = bytes_max;
	if (r == STORE_NONE && ask == OPEN_KNOWN &&
	    (w->is_void || (r = opening_know(w, name, len)) == STORE_NONE)) {
		p->o.error = RESULT_NO_CHANNEL;
		return STORE_OK;
	}
	if (r == STORE_NONE || (r == STORE_OK && c.stream == 0)) {
		/* its first message makes it */
		p->o.stream = writer_stream();
		return STORE_OK;
	}
	if (r != STORE_OK)
		return r;
	if (c.top > 0)
		c.top += w->lead;
	p->o.stream = c.stream;
	p->o.top = c.newest != 0 ? c.newest : c.top;
	if (c.newest != 0 && c.top > c.newest) {
		p->o.leap = c.top;
		/* while nothing can be written: with its next message */
		r = w->state == STORE_OK ? writer_bridge(w, &c, c.top)
					 : STORE_OK;
		if (r != STORE_OK)
			return r;
		if (w->state == STORE_OK)
			writer_took(w);
	}
	return rule != NULL ? opening_find(p, rule, name, len) : STORE_OK;
}

void
writer_ask(void *arg, uint32_t channel, uint32_t epoch)
{
	struct writer *w = arg;
	/* who is told something by the channel of a user who is not here needs
	 * one that is known */
	const bool known = presence_is_user(w->hub, channel) &&
	    presence_mask(w->hub, channel) == 0;

	w->asked = writer_room(
	    w->asked, w->n_asked, &w->room_asked, sizeof(*w->asked));
	w->asked[w->n_asked++] = (struct writer_asked){
	    channel, epoch, known ? OPEN_KNOWN : OPEN_MAKE};
}

/* Says that one cannot be opened: clients can ask for others all the time. */
static void
open_tell(struct writer *w)
{
	const uint64_t now = clock_ms();

	if (w->unopened_ms != 0 && now < w->unopened_ms + OPEN_TELL_MS)
		return;
	w->unopened_ms = now;
	log_error(
	    "a channel cannot be opened: %s", store_error(writer_reads(w)));
}

/* How much of a channel's messages the ring gets, if so many wait. */
static size_t
open_bytes(const struct writer *w, size_t n)
{
	const uint64_t ring = w->hub->journal_size;

	return n <= OPEN_CROWD && reader_unread(&w->reader) < ring / OPEN_EMPTY
	    ? (size_t)(ring / OPEN_SHARE)
	    : 0;
}

/* Opens one, of whose messages the ring gets so many bytes. */
static enum store_result
open_one(struct writer *w, const struct writer_asked *a, size_t bytes_max)
{
	static struct opening p;
	struct presence_view v;
	enum store_result r;

	if (!presence_read(w->hub, a->channel, &v) || v.epoch != a->epoch ||
	    PRESENCE_WARMTH_OF(v.flags) != PRESENCE_OPENING)
		return STORE_OK; /* nobody waits for it any more */
	if (!writer_may_open(w, v.name, v.name_len))
		return STORE_OK; /* it waits until something can be written */
	r = opening_make(&p, w, v.name, v.name_len, a->ask, bytes_max);
	if (r != STORE_OK) {
		p.o = (struct reader_opening){.error = RESULT_TEMPORARY};
		open_tell(w);
	}
	if (r == STORE_DAMAGED) {
		writer_skip_damage(w);
		r = STORE_OK;
	}
	reader_child_wake(
	    &w->child, reader_opened(&w->reader, a->channel, a->epoch, &p.o));
	KILL_POINT();
	opening_free(&p);
	return r;
}

/* Opens some, so that what is said meanwhile is read before it is overwritten;
 * one at least. */
static enum store_result
open_some(struct writer *w)
{
	const uint64_t limit_ms = clock_ms() + OPEN_TURN_MS;
	const uint64_t most = w->hub->journal_size / OPEN_UNREAD;
	enum store_result r = STORE_OK;
	size_t k = 0;

	while (k < w->n_asked && r == STORE_OK &&
	    (k == 0 ||
		(clock_ms() < limit_ms && reader_unread(&w->reader) < most))) {
		r = open_one(w, &w->asked[k], open_bytes(w, w->n_asked - k));
		k++;
		child_tick(w->start);
	}
	w->n_asked -= k;
	memmove(w->asked, w->asked + k, w->n_asked * sizeof(*w->asked));
	reader_child_flush(&w->child);
	return r;
}

enum store_result
writer_open_asked(struct writer *w, bool more)
{
	const uint64_t now = clock_ms();

	/* those that it is to meet yet say what is asked; those that wait here
	 * would be found once more each time */
	if (w->n_asked == 0 && now >= w->seek_ms &&
	    (!more || reader_unread(&w->reader) > w->hub->reader_share)) {
		w->seek_ms = now + OPEN_SEEK_MS;
		reader_opening(&w->reader, writer_ask, w);
	}
	return w->n_asked > 0 ? open_some(w) : STORE_OK;
}

void
writer_open_blocked(struct writer *w)
{
	/* whatever others have written there: what is required is kept by it */
	reader_taken(&w->reader, w->mark.position);
	if (writer_reads(w) == NULL && !w->is_void)
		return;
	/* those that are asked for later are found, too: nothing of a channel
	 * that is cold waits in the journal */
	if (w->n_asked == 0)
		reader_opening(&w->reader, writer_ask, w);
	if (w->n_asked > 0)
		(void)open_some(w);
}

/* The names of channels that were published to last, newest first. */
struct loading {
	struct writer *w;
	char *names; /* length and bytes of each */
	size_t len, room;
	uint32_t left[2]; /* room for channels, and for users' own */
	uint32_t n, rows;
};

/* One of them, if there is room for it. */
static bool
loading_row_cb(void *arg, const struct store_row *row)
{
	struct loading *l = arg;
	const bool user = presence_name_is_user(row->name, row->name_len);
	const uint16_t len = (uint16_t)row->name_len;

	if (row->name_len == 0 || row->name_len > PRESENCE_NAME_MAX ||
	    l->left[user] == 0)
		return l->left[0] > 0 || l->left[1] > 0;
	while (l->room - l->len < sizeof(len) + len)
		l->names = writer_room(l->names, l->room, &l->room, 1);
	memcpy(l->names + l->len, &len, sizeof(len));
	memcpy(l->names + l->len + sizeof(len), row->name, len);
	l->len += sizeof(len) + len;
	l->left[user]--;
	return true;
}

/* Opens one. */
static enum store_result
loading_open(struct loading *l, const char *name, size_t len)
{
	static struct opening p;
	struct writer *w = l->w;
	const struct conf_channel *rule =
	    conf_channel_find(w->start->live, name, len);
	enum store_result r;

	if (rule == NULL || rule->store == CONF_STORE_NO)
		return STORE_OK;
	r = opening_make(&p, w, name, len, OPEN_MAKE,
	    (size_t)(w->hub->journal_size / OPEN_SHARE));
	if (r == STORE_OK) {
		reader_child_wake(
		    &w->child, reader_load(&w->reader, name, len, &p.o));
		l->n += p.n > 0;
		l->rows += (uint32_t)p.n;
	}
	opening_free(&p);
	return r;
}

/* Opens all, as long as what is unread then leaves half of the ring, and time.
 */
static enum store_result
loading_run(struct loading *l, uint64_t limit_ms)
{
	const struct hub *h = l->w->hub;
	const struct reader *reader = &l->w->reader;
	enum store_result r = STORE_OK;
	uint16_t len;

	for (size_t at = 0; at < l->len && r == STORE_OK &&
	     reader_unread(reader) < h->journal_size / 2 &&
	     l->n + l->rows < h->n_index / 2 && clock_ms() < limit_ms;
	     at += sizeof(len) + len) {
		memcpy(&len, l->names + at, sizeof(len));
		r = loading_open(l, l->names + at + sizeof(len), len);
		child_tick(l->w->start);
	}
	return r;
}

enum store_result
writer_load(struct writer *w)
{
	const uint64_t begin_ms = clock_ms();
	struct loading l = {
	    .w = w, .left = {w->hub->n_channels / 2, w->hub->n_users / 2}};
	const uint64_t most = l.left[0] + l.left[1], ring = w->hub->n_index / 2;
	const struct store_query q = {.what = STORE_CHANNELS,
	    .limit = (uint32_t)(most < ring ? most : ring)};
	enum store_result r = store_find(w->store, &q, loading_row_cb, &l);

	if (r == STORE_NONE)
		r = STORE_OK;
	/* who publishes before anybody is there does so to the lobby */
	if (r == STORE_OK)
		r = loading_open(&l, PRESENCE_LOBBY_NAME, PRESENCE_LOBBY_LEN);
	if (r == STORE_OK)
		r = loading_run(&l, begin_ms + LOAD_MS);
	free(l.names);
	if (r == STORE_DAMAGED) {
		/* each is opened when it is asked for, if it can be */
		writer_skip_damage(w);
		r = STORE_OK;
	}
	if (r == STORE_OK && l.n > 0)
		log_info("%u channels with %u messages are there again, "
			 "after %llu ms",
		    l.n, l.rows, (unsigned long long)(clock_ms() - begin_ms));
	return r;
}
