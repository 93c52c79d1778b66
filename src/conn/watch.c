#include "conn/watch.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "conn/recipient.h"
#include "conn/turn.h"
#include "hub/stats.h"
#include "net/ready.h"

/* A set that tells of a socket which is none of this worker's is made anew when
 * it has done so in that many sweeps on end, 100 ms each. Larger: the worker
 * spins for longer; smaller: it is done for one that is gone in a moment, as
 * while a process that is about to leave has it, too. */
enum { WATCH_SUSPECT_SWEEPS = 10 };

/* The set in which clients' sockets are watched. */
struct watch {
	struct ready *ready;
	bool kept;	  /* the former worker's */
	uint64_t suspect; /* what it told of that is none of ours; 0: none */
	uint32_t again;	  /* how often it has, since the last sweep */
	uint32_t sweeps;  /* so many on end in which it has */
};

/* By what the set tells which connection is ready: its slot's id, or its number
 * alone, which no id is, if it has no slot. */
static uint64_t
watch_key(const struct chat *ch, uint32_t i)
{
	return conn_has_slot(ch, i) ? slot_id(ch->hub, i) : i;
}

/* Some are ready: what is looked at next is fetched meanwhile. */
static void
watch_seen_cb(void *arg, uint64_t key)
{
	struct chat *ch = arg;
	const uint32_t i = (uint32_t)key;

	if (key == ch->watch->suspect)
		ch->watch->again++;
	if (i >= ch->hub->n_slots)
		return;
	__builtin_prefetch(&ch->conn[i]);
	__builtin_prefetch(&ch->hub->slot[i]);
}

/* Notes one of which the set tells and that is not watched, and forgets it once
 * it is: it was paused, say, after the kernel had told of it. */
static void
watch_suspect(struct watch *w, uint64_t key, bool watched)
{
	if (!watched && w->suspect == 0)
		w->suspect = key;
	else if (watched && w->suspect == key)
		w->suspect = w->again = w->sweeps = 0;
}

/* What a socket that is watched for `is` is ready for, of what was told. */
static unsigned
watch_told(unsigned is, unsigned what)
{
	/* all that is told of one that is not watched for input */
	if (is & READY_BROKEN && what & READY_READ)
		what |= READY_BROKEN;
	return what & is;
}

/* One is ready. It may have ended since the kernel said so, or not be watched
 * any more. */
static bool
watch_ready_cb(void *arg, uint64_t key, unsigned what)
{
	struct chat *ch = arg;
	const uint32_t i = (uint32_t)key;
	const bool goes_on = chat_event(ch);

	/* of another use of the slot, say, whose socket a keeper still has */
	if (i < ch->hub->n_slots + CHAT_SPARE && key == watch_key(ch, i))
		what = watch_told(ch->conn[i].watched, what);
	else
		what = 0;
	watch_suspect(ch->watch, key, what != 0);
	if (what != 0)
		ch->on_ready(ch, i, what);
	return goes_on;
}

int
watch_init(struct chat *ch)
{
	static const struct ready_host host = {
	    .seen = watch_seen_cb, .ready = watch_ready_cb};
	struct shm_worker *me = ch->hub->me;
	struct watch *w = calloc(1, sizeof(*w));

	if (w == NULL)
		return -1;
	w->ready = ready_new(ch->base, table_fd(ch->hub, SHM_LOAD(me->watch)),
	    &w->kept, &host, ch);
	if (w->ready == NULL) {
		free(w);
		return -1;
	}
	/* until all are in a new set, there is none to be kept */
	if (!w->kept)
		SHM_STORE(me->watch, 0);
	ch->watch = w;
	return 0;
}

int
watch_lead(struct chat *ch, int loop)
{
	return ready_lead(ch->watch->ready, loop);
}

int
watch_turn(struct chat *ch, int ms)
{
	return ready_turn(ch->watch->ready, ms);
}

struct ready *
watch_ready(const struct chat *ch)
{
	return ch->watch->ready;
}

void
watch_settled(struct chat *ch)
{
	SHM_STORE(ch->hub->me->watch,
	    table_word(ch->hub, ready_fd(ch->watch->ready)));
}

/* What it is to be watched for. One that waits for an answer is watched as
 * before until something comes: most send nothing meanwhile, and two system
 * calls are saved. */
static unsigned
watch_wanted(const struct conn *c)
{
	const bool held = c->held || c->ended != HOLD_NOT;
	unsigned what = READY_READ;

	if (held && (c->watched & READY_READ) == 0)
		what = READY_BROKEN;
	else if (!held && (c->paused || c->waits))
		what = 0;
	return what | (c->blocked ? READY_WRITE : 0);
}

/* Watches a socket for `what`. The slot says before that this is not sure any
 * more, or after it that it is: the next worker keeps the set. */
static int
watch_set(struct chat *ch, uint32_t i, unsigned what)
{
	struct conn *c = &ch->conn[i];
	struct slot *s = conn_has_slot(ch, i) ? conn_slot(ch, i) : NULL;
	int r;

	if (s != NULL && SHM_OWN(s->watched) != 0)
		SHM_STORE(s->watched, 0);
	r = ready_watch(
	    ch->watch->ready, c->fd, watch_key(ch, i), c->watched, what);
	KILL_POINT();
	if (r < 0) {
		log_error("epoll_ctl: %s", strerror(errno));
		return -1;
	}
	c->watched = what & (READY_READ | READY_WRITE | READY_BROKEN);
	if (s != NULL && what == READY_READ)
		SHM_STORE(s->watched, 1);
	return 0;
}

int
conn_watch(struct chat *ch, uint32_t i)
{
	const struct conn *c = &ch->conn[i];
	const unsigned what = watch_wanted(c);

	if (c->phase == CONN_DROPPED || c->phase == CONN_MOVING ||
	    c->watched == what)
		return 0;
	return watch_set(ch, i, what);
}

void
conn_watch_held(struct chat *ch, uint32_t i)
{
	const unsigned was = ch->conn[i].watched;

	(void)watch_set(ch, i, (was & READY_WRITE) | READY_BROKEN);
}

void
conn_watch_again(struct chat *ch, uint32_t i)
{
	struct conn *c = &ch->conn[i];

	c->watched = 0;
	if (!ch->watch->kept)
		return;
	if (SHM_LOAD(conn_slot(ch, i)->watched) != 0)
		c->watched = READY_READ;
	else
		(void)watch_set(ch, i, watch_wanted(c));
}

void
conn_unwatch(struct chat *ch, uint32_t i)
{
	if (ch->conn[i].watched != 0)
		(void)watch_set(ch, i, 0);
}

/* Adds a connection to a new set, as it was in the former one; false: it is not
 * in it, and the slot says that nobody knows. */
static bool
watch_add(struct chat *ch, uint32_t i)
{
	struct conn *c = &ch->conn[i];

	if (c->watched == 0 ||
	    ready_watch(
		ch->watch->ready, c->fd, watch_key(ch, i), 0, c->watched) == 0)
		return true;
	if (conn_has_slot(ch, i))
		SHM_STORE(conn_slot(ch, i)->watched, 0);
	c->watched = 0;
	return false;
}

/* Calls watch_add() for all. False: some are not in the set. */
static bool
watch_add_all(struct chat *ch)
{
	bool all = true;
	uint32_t i;

	for (i = SHM_NONE; conn_next(ch, &i);)
		all = watch_add(ch, i) && all;
	for (i = 0; i < CHAT_SPARE; i++)
		if (ch->spare_used & 1ull << i)
			all = watch_add(ch, ch->hub->n_slots + i) && all;
	return all;
}

/* Goes on with a new set. The former one counts until all are in the new one.
 */
static void
watch_renew(struct chat *ch)
{
	const int former = ready_renew(ch->watch->ready);
	bool all;
	uint32_t i;

	if (former < 0) {
		log_warn("the epoll set is not made anew: %s", strerror(errno));
		return;
	}
	log_warn("the epoll set told of a socket that is none of this "
		 "worker's: made anew");
	all = watch_add_all(ch);
	watch_settled(ch);
	close(former);
	/* The kernel may have had no more watches while there were two. */
	for (i = SHM_NONE; !all && conn_next(ch, &i);)
		(void)conn_watch(ch, i);
	for (i = 0; !all && i < CHAT_SPARE; i++)
		if (ch->spare_used & 1ull << i)
			(void)conn_watch(ch, ch->hub->n_slots + i);
}

void
watch_sweep(struct chat *ch)
{
	struct watch *w = ch->watch;

	if (w->again == 0) {
		w->suspect = 0;
		w->sweeps = 0;
	} else if (++w->sweeps >= WATCH_SUSPECT_SWEEPS) {
		w->suspect = 0;
		w->sweeps = 0;
		watch_renew(ch);
	}
	w->again = 0;
}

void
conn_pause(struct chat *ch, uint32_t i, bool paused)
{
	if (ch->conn[i].paused == paused)
		return;
	ch->conn[i].paused = paused;
	conn_watch(ch, i);
}

void
conn_dirty(struct chat *ch, uint32_t i)
{
	struct conn *c = &ch->conn[i];

	if (c->dirty || c->blocked)
		return;
	c->dirty = true;
	ch->dirty[ch->n_dirty++] = i;
}
