/*
 * ledger: a test's reader of the journal, as a store would be one: it writes
 * what it takes to a file (book.h), then answers: opens channels, delivers
 * proposals, says to waiting commands how they went. What it answers follows
 * from the file alone, so that the next one goes on, also beside a new journal.
 *
 * A test tells it by files in its folder how to behave (enum mood).
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "book.h"
#include "hub/presence.h"
#include "hub/reader.h"
#include "ledger.h"
#include "process/reader_child.h"

enum {
	BATCH = 256,	/* entries of one commit */
	LEAP = 1 << 20, /* after an end that was not clean: offsets that were
			 * told and are not in the book */
	SLOW_MS = 20,	/* for an entry */
	SEEK_MS = 1000
};

enum mood {
	MOOD_WAIT = 1,	  /* takes nothing */
	MOOD_BLOCKED = 2, /* and says that it cannot */
	MOOD_SLOW = 4,
	MOOD_MUTE = 8,	/* answers no command */
	MOOD_SHUT = 16, /* opens no channel */
	MOOD_FAIL = 32	/* answers, and opens, with an error */
};
static const char *const moods[] = {
    "wait", "blocked", "slow", "mute", "shut", "fail"};

/* A channel that is to be opened. */
struct asked {
	uint32_t channel, epoch;
};

struct ledger {
	struct reader reader;
	struct reader_child child;
	struct hub *hub;
	struct book book;
	const char *dir;
	unsigned mood;
	bool leaps; /* channels that are opened */
	char *buf;  /* an entry */
	size_t cap;
	struct reader_answer *answer; /* that it owes */
	size_t n_answers, room_answers;
	struct asked *asked;
	size_t n_asked, room_asked;
	uint64_t seek_ms; /* not before that others are looked for */
};

bool
ledger_is_wanted(const struct conf *c)
{
	(void)c;
	return getenv(LEDGER_DIR) != NULL;
}

bool
ledger_is_absent(const struct conf *c)
{
	return !ledger_is_wanted(c);
}

/* Room for one more of n items. */
static void *
more_room(void *items, size_t n, size_t *room, size_t size)
{
	if (n < *room)
		return items;
	*room = 2 * *room + 64;
	if ((items = realloc(items, *room * size)) == NULL)
		log_fatal("ledger: no memory");
	return items;
}

/* Looks what its folder tells it, and shows that it does. */
static void
ledger_mood(struct ledger *l)
{
	char path[4096];
	unsigned mood = 0;

	snprintf(path, sizeof(path), "%s/look", l->dir);
	unlink(path);
	for (size_t k = 0; k < sizeof(moods) / sizeof(moods[0]); k++) {
		snprintf(path, sizeof(path), "%s/%s", l->dir, moods[k]);
		if (access(path, F_OK) == 0)
			mood |= 1u << k;
	}
	if ((mood ^ l->mood) & MOOD_BLOCKED)
		reader_child_blocked(&l->child, (mood & MOOD_BLOCKED) != 0);
	l->mood = mood;
}

/* The channel's name; "?" if it is another one's by now. */
static size_t
ledger_name(const struct ledger *l, uint32_t channel, uint32_t epoch,
    struct presence_view *v)
{
	if (presence_read(l->hub, channel, v) && v->epoch == epoch)
		return v->name_len;
	v->name[0] = '?';
	v->stream = 0;
	return 1;
}

static void
ledger_owe(struct ledger *l, const struct reader_answer *a)
{
	l->answer =
	    more_room(l->answer, l->n_answers, &l->room_answers, sizeof(*a));
	l->answer[l->n_answers++] = *a;
}

/* A channel that is to be opened when all before this is in the book. */
static void
ledger_ask(void *arg, uint32_t channel, uint32_t epoch)
{
	struct ledger *l = arg;

	l->asked =
	    more_room(l->asked, l->n_asked, &l->room_asked, sizeof(*l->asked));
	l->asked[l->n_asked++] = (struct asked){channel, epoch};
}

/* A message. */
static void
ledger_message(struct ledger *l, const struct publication *p)
{
	const bool asks = reader_is_asked(&l->reader, p);
	const bool proposed = asks && p->flags & PUBLICATION_PROPOSED;
	bool refused = proposed && l->mood & MOOD_FAIL;
	struct reader_answer a = reader_answer_to(p, RESULT_OK);
	const struct book_copy *c;
	struct presence_view v;
	size_t len = ledger_name(l, p->channel, p->epoch, &v);
	struct book_shelf *s = book_find(&l->book, v.name, len);

	if (s->stream == 0)
		s->stream = v.stream;
	/* its entry is another channel's: nobody knows the name any more */
	if (proposed && v.stream == 0)
		refused = true;
	if (refused || (l->mood & MOOD_FAIL && asks)) {
		a.error = proposed ? RESULT_TEMPORARY : RESULT_UNKNOWN;
		ledger_owe(l, &a);
	}
	if (refused) {
		book_refuse(&l->book, s, p);
		return;
	}
	if (!proposed && s->top != 0 && p->before != s->top)
		book_gap(&l->book, v.name, len, s->top, p->before);
	c = book_message(&l->book, s, p);
	if (c != NULL) {
		a.offset = c->p.offset;
		a.deliver = &c->p;
	}
	if (asks && !(l->mood & MOOD_FAIL))
		ledger_owe(l, &a);
}

/* What it has found. */
static void
ledger_found(struct ledger *l, const struct publication *p)
{
	const struct timespec slow = {0, SLOW_MS * 1000000};
	struct presence_view v;
	size_t len;

	if (p->format == FORMAT_OPEN) {
		ledger_ask(l, p->channel, p->epoch);
	} else if (publication_is_event(p)) {
		len = ledger_name(l, p->channel, p->epoch, &v);
		book_event(&l->book, p, v.name, len);
	} else if (p->format != FORMAT_LEAP) {
		ledger_message(l, p);
	}
	if (l->mood & MOOD_SLOW)
		nanosleep(&slow, NULL);
}

/* A channel's newest publication was overwritten unread. */
static void
ledger_lost(void *arg, uint32_t channel, uint32_t epoch, uint64_t offset)
{
	struct ledger *l = arg;
	struct presence_view v;
	size_t len = ledger_name(l, channel, epoch, &v);
	struct book_shelf *s = book_find(&l->book, v.name, len);

	book_gap(&l->book, v.name, len, s->top, offset);
	s->top = offset;
}

/* Takes what there is; false: that is all. */
static bool
ledger_take(struct ledger *l)
{
	const int most = l->mood & MOOD_SLOW ? 4 : BATCH;
	struct publication p;

	for (int n = 0; n < most; n++)
		switch (reader_next(&l->reader, l->buf, l->cap, &p)) {
		case READER_FOUND:
			ledger_found(l, &p);
			break;
		case READER_LOST:
			book_hole(&l->book, l->reader.from, l->reader.to);
			reader_lost_each(&l->reader, l->reader.from,
			    l->reader.to, ledger_lost, l);
			reader_opening(&l->reader, ledger_ask, l);
			break;
		case READER_BAD:
			book_hole(&l->book, l->reader.position - 1,
			    l->reader.position + 1);
			break;
		case READER_END:
		case READER_STOPPED:
			return false;
		}
	return true;
}

/* Where a channel stands, which is in the book from now on. */
static struct book_shelf *
ledger_stand(struct ledger *l, const struct asked *a, struct reader_opening *o)
{
	struct presence_view v;
	size_t len = ledger_name(l, a->channel, a->epoch, &v);
	struct book_shelf *s = book_find(&l->book, v.name, len);

	o->stream = s->stream;
	if (o->stream == 0 &&
	    getrandom(&o->stream, sizeof(o->stream), 0) != sizeof(o->stream))
		log_fatal("ledger: no random numbers");
	o->top = s->top;
	if (l->leaps && !s->opened && s->top != 0)
		o->leap = s->top + LEAP;
	s->opened = true;
	book_opening(&l->book, s, o->stream, o->leap != 0 ? o->leap : o->top);
	return s;
}

/* Opens a channel. */
static void
ledger_open(struct ledger *l, const struct asked *a)
{
	struct publication pubs[BOOK_NEWEST];
	struct reader_opening o = {.pubs = pubs};
	struct book_shelf *s;
	unsigned k;

	if (PRESENCE_WARMTH_OF(presence_flags(l->hub, a->channel)) !=
	    PRESENCE_OPENING)
		return; /* nobody waits for it any more */
	if (l->mood & MOOD_FAIL) {
		o.error = RESULT_TEMPORARY;
	} else {
		s = ledger_stand(l, a, &o);
		k = s->n > BOOK_NEWEST ? s->n - BOOK_NEWEST : 0;
		for (; k < s->n; k++)
			pubs[o.n++] = s->newest[k % BOOK_NEWEST]->p;
		book_commit(&l->book, l->reader.passed);
	}
	reader_child_wake(
	    &l->child, reader_opened(&l->reader, a->channel, a->epoch, &o));
	KILL_POINT();
}

/* Answers what it owes. */
static void
ledger_answer(struct ledger *l)
{
	uint64_t delivered = 0;

	if (l->n_answers == 0 || l->mood & MOOD_MUTE)
		return;
	for (size_t k = 0; k < l->n_answers; k++)
		if (l->answer[k].deliver != NULL)
			delivered = l->answer[k].deliver->position;
	reader_child_wake(
	    &l->child, reader_answer(&l->reader, l->answer, l->n_answers));
	KILL_POINT();
	l->n_answers = 0;
	book_delivered(&l->book, delivered);
}

/* A turn; false: there is no more to do now. */
static bool
ledger_turn(struct ledger *l)
{
	bool more = false;

	ledger_mood(l);
	if (!(l->mood & (MOOD_WAIT | MOOD_BLOCKED)))
		more = ledger_take(l);
	if (l->reader.passed != l->book.mark || l->book.len > 0)
		book_commit(&l->book, l->reader.passed);
	/* while it is behind they ask by their entry alone */
	if (!more && !(l->mood & (MOOD_WAIT | MOOD_BLOCKED)) &&
	    clock_ms() >= l->seek_ms) {
		l->seek_ms = clock_ms() + SEEK_MS;
		reader_opening(&l->reader, ledger_ask, l);
	}
	if (!(l->mood & MOOD_SHUT)) {
		for (size_t k = 0; k < l->n_asked; k++)
			ledger_open(l, &l->asked[k]);
		l->n_asked = 0;
	}
	ledger_answer(l);
	reader_taken(&l->reader, l->reader.passed);
	if (l->n_answers == 0)
		reader_settled(&l->reader, l->reader.passed);
	return more;
}

/* The proposal at that position, if it is still to be delivered. */
static const struct book_copy *
ledger_proposal(const struct ledger *l, uint64_t position)
{
	const struct book_copy *c = l->book.first;

	while (c != NULL && c->p.position != position)
		c = c->next;
	return c;
}

/* One that its predecessor may not have answered. */
static void
ledger_unsettled(void *arg, const struct publication *p, bool delivered)
{
	struct ledger *l = arg;
	struct reader_answer a = reader_answer_to(p, RESULT_OK);
	const struct book_copy *c;

	if (p->flags & PUBLICATION_PROPOSED) {
		c = ledger_proposal(l, p->position);
		if (c != NULL)
			a.offset = c->p.offset;
		if (c == NULL && !delivered)
			a.error = RESULT_TEMPORARY; /* it was refused */
		else if (!delivered)
			a.deliver = &c->p;
	}
	ledger_owe(l, &a);
}

/* Proposals whose senders are gone: delivered, unless they were. */
static void
ledger_orphans(struct ledger *l)
{
	const size_t known = l->n_answers;
	struct reader_answer a;
	size_t k;

	for (const struct book_copy *c = l->book.first; c != NULL;
	     c = c->next) {
		for (k = 0; k < known; k++)
			if (l->answer[k].position == c->p.position)
				break;
		if (k < known)
			continue;
		a = reader_answer_to(&c->p, RESULT_OK);
		a.offset = c->p.offset; /* the book has it with that one */
		a.flags &= (uint8_t)~PUBLICATION_WAITS;
		a.deliver = &c->p;
		ledger_owe(l, &a);
	}
}

/* By position. */
static int
answer_compare(const void *a, const void *b)
{
	const uint64_t x = ((const struct reader_answer *)a)->position;
	const uint64_t y = ((const struct reader_answer *)b)->position;

	return x < y ? -1 : x > y;
}

/* What its predecessor has left undone. */
static void
ledger_resume(struct ledger *l)
{
	l->leaps = !l->book.same && !l->book.clean;
	if (l->book.same &&
	    reader_unsettled(&l->reader, l->buf, l->cap, ledger_unsettled, l) ==
		-1)
		log_fatal("ledger: no memory");
	ledger_orphans(l);
	qsort(l->answer, l->n_answers, sizeof(*l->answer), answer_compare);
	reader_opening(&l->reader, ledger_ask, l);
}

/* The file of its book, of that journal. */
static void
ledger_book(struct ledger *l)
{
	char path[4096], key[2 * sizeof(l->hub->hash_key) + 1];

	for (size_t k = 0; k < sizeof(l->hub->hash_key); k++)
		sprintf(key + 2 * k, "%02x", l->hub->hash_key[k]);
	snprintf(path, sizeof(path), "%s/book", l->dir);
	book_open(&l->book, path, key);
}

void
ledger_main(struct child_start *start)
{
	static struct ledger l;

	l.hub = start->hub;
	l.dir = getenv(LEDGER_DIR);
	l.cap = (size_t)(l.hub->journal_size / JOURNAL_SHARE);
	if (l.dir == NULL || (l.buf = malloc(l.cap)) == NULL)
		log_fatal("ledger: no folder, or no memory");
	ledger_book(&l);
	reader_init(&l.reader, l.hub, start->kind->reader - 1u, l.book.mark);
	reader_child_init(&l.child, start, &l.reader);
	ledger_resume(&l);
	child_hello(start);
	while (reader_child_turn(
	    &l.child, ledger_turn(&l) ? 0 : READER_CHILD_WAIT_MS))
		log_more();
	book_clean(&l.book);
	book_commit(&l.book, l.reader.passed);
	reader_child_flush(&l.child);
	child_leave();
}
