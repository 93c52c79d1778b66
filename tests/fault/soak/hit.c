/*
 * Who is hit when: workers, keepers, and several of one place at once, as long
 * as one of the three that hold its connections is left: a worker and a keeper
 * of its own at the same moment, a keeper while it carries out an order, both
 * keepers. Nobody of a place is hit while another one of it has not recovered,
 * nor within APART_MS after that.
 */
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "soak.h"

enum {
	LOOK_MS = 15,
	APART_MS = 200,
	BURST = 16, /* hits of one kind on a slot within BURST_MS: more would
		     * make the master wait before the next respawn */
	BURST_MS = 10000,
	STOP_ONE_IN = 20,
	VOLLEY_ONE_IN = 12, /* all workers at once */
	HANDSHAKER_ONE_IN = 20,
	CRASH_ONE_IN = 15,
	CRASH_MS = 2000,
	READER_ONE_IN = 6, /* a reader of the journal, if there is one */
	ORDER_US = 4000	   /* about how long it takes from a death to the end of
			    * the order that it makes the master give */
};

struct hit_counts hit_counts;

/* One process of a slot. */
struct target {
	int hit_pid;  /* the one that was hit and may not be gone; 0 */
	bool stopped; /* by SIGSTOP */
	uint64_t at[BURST];
	unsigned n;
};
static struct slot_view {
	struct target worker, keeper[KEEPERS];
	uint64_t good_ms; /* recovered since then */
} slots[WORKERS];
static struct worker_view view[WORKERS];
static uint64_t crash_ms; /* when one was to fail by itself */

/* Whether one that was hit has been replaced. */
static bool
recovered(const struct target *t, const int *pid, int n, bool running)
{
	if (t->hit_pid == 0)
		return true;
	for (int j = 0; j < n; j++)
		if (pid[j] <= 0 || pid[j] == t->hit_pid)
			return false;
	return running;
}

/* Whether nobody of a place is missing or hung. */
static bool
place_is_good(const struct slot_view *s, const struct worker_view *w)
{
	bool good = w->running && recovered(&s->worker, &w->pid, 1, true);

	for (int j = 0; j < KEEPERS; j++)
		good = good && w->keeper[j] > 0 &&
		    recovered(&s->keeper[j], w->keeper, KEEPERS, true);
	return good;
}

/* Whether somebody of a place has been hit and not recovered. */
static bool
place_is_hit(const struct slot_view *s)
{
	bool hit = s->worker.hit_pid != 0;

	for (int j = 0; j < KEEPERS; j++)
		hit = hit || s->keeper[j].hit_pid != 0;
	return hit;
}

/* Notes who has recovered. */
static void
look(void)
{
	if (!daemon_workers(view))
		return;
	for (int k = 0; k < WORKERS; k++) {
		struct slot_view *s = &slots[k];

		if (!place_is_hit(s) || !place_is_good(s, &view[k]))
			continue;
		s->worker.hit_pid = 0;
		for (int j = 0; j < KEEPERS; j++)
			s->keeper[j].hit_pid = 0;
		s->good_ms = now_ms;
	}
}

/* Whether one more hit of this kind may be. */
static bool
may(const struct target *t)
{
	return set.one || t->n < BURST ||
	    now_ms - t->at[t->n % BURST] > BURST_MS;
}

/* Whether somebody of a place may be hit. */
static bool
place_may(int k)
{
	const struct slot_view *s = &slots[k];

	return !place_is_hit(s) && now_ms - s->good_ms >= APART_MS &&
	    place_is_good(s, &view[k]) && may(&s->worker) &&
	    may(&s->keeper[0]) && may(&s->keeper[1]);
}

/* Hits one; false: there is no such process. */
static bool
hit(struct target *t, int pid, bool is_keeper, bool may_stop)
{
	t->stopped = may_stop && dice(STOP_ONE_IN) == 0;
	if (kill(pid, t->stopped ? SIGSTOP : SIGKILL) != 0)
		return false;
	/* nobody looks after a keeper that hangs before it is needed */
	t->hit_pid = is_keeper && t->stopped ? 0 : pid;
	t->at[t->n++ % BURST] = now_ms;
	return true;
}

static void
hit_worker(int k, bool may_stop)
{
	struct target *t = &slots[k].worker;

	if (!hit(t, view[k].pid, false, may_stop))
		return;
	hit_counts.workers++;
	hit_counts.stopped += t->stopped;
}

static void
hit_keeper(int k, int j, bool may_stop)
{
	struct target *t = &slots[k].keeper[j];

	if (!hit(t, view[k].keeper[j], true, may_stop))
		return;
	hit_counts.keepers++;
	hit_counts.keepers_stopped += t->stopped;
}

/* Somebody of a place, or several at once. */
static void
hit_place(int k)
{
	const int j = (int)dice(KEEPERS);

	/* an order may have it that one of the three is all there is; which
	 * worker fails by itself, and when, is not known */
	switch (order_busy() || now_ms - crash_ms < CRASH_MS ? 7 : dice(8)) {
	case 0:
	case 1:
		hit_keeper(k, j, true);
		break;
	case 2:
	case 3: /* whichever the kernel ends first */
		if (dice(2) == 0) {
			hit_keeper(k, j, false);
			hit_worker(k, false);
		} else {
			hit_worker(k, false);
			hit_keeper(k, j, false);
		}
		hit_counts.pairs++;
		break;
	case 4: /* the worker's end makes the master give an order */
		hit_worker(k, false);
		usleep(dice(ORDER_US));
		/* no longer there if its pair has been replaced by then */
		if (kill(view[k].keeper[j], SIGKILL) == 0)
			hit_counts.orders++;
		break;
	case 5:
		hit_keeper(k, 0, false);
		hit_keeper(k, 1, false);
		hit_counts.both++;
		break;
	default:
		hit_worker(k, true);
	}
}

/* The reader of the journal. */
static void
hit_reader(void)
{
	static uint64_t at[BURST];
	static unsigned n;
	int pid = daemon_reader();

	if (pid == 0 || (n >= BURST && now_ms - at[n % BURST] <= BURST_MS) ||
	    kill(pid, SIGKILL) != 0)
		return;
	at[n++ % BURST] = now_ms;
	reader_counts.killed++;
}

/* One of those who shake hands. */
static void
hit_handshaker(void)
{
	static uint64_t at[BURST];
	static unsigned n;
	int pid = daemon_of("handshaker", dice(2));

	if (pid == 0 || (n >= BURST && now_ms - at[n % BURST] <= BURST_MS) ||
	    kill(pid, SIGKILL) != 0)
		return;
	at[n++ % BURST] = now_ms;
	hit_counts.handshakers++;
}

/* A worker is to fail by itself, any that the stranger comes to. */
static void
hit_message(void)
{
	/* three in a row would have their place wait */
	if (now_ms - crash_ms < CRASH_MS || order_busy() || !hit_settled())
		return;
	crash_ms = now_ms;
	stranger_crashes();
	hit_counts.crashes++;
}

unsigned
hits_done(void)
{
	return hit_counts.workers + hit_counts.keepers +
	    hit_counts.handshakers + hit_counts.crashes + orders_done();
}

void
hit_turn(bool more)
{
	static uint64_t begun_ms, looked_ms;

	if (begun_ms == 0)
		begun_ms = now_ms;
	if (now_ms - looked_ms < LOOK_MS)
		return;
	looked_ms = now_ms;
	look();
	/* evenly over the time there is, at random moments */
	if (!more || hits_done() >= set.hits ||
	    (uint64_t)hits_done() * set.seconds * 1000 >
		(now_ms - begun_ms) * set.hits ||
	    dice(4) == 0)
		return;
	if (set.reader && dice(READER_ONE_IN) == 0)
		hit_reader();
	else if (set.tls && dice(HANDSHAKER_ONE_IN) == 0)
		hit_handshaker();
	else if (set.oracle && dice(CRASH_ONE_IN) == 0)
		hit_message();
	else if (set.one) {
		if (place_may(0))
			hit_worker(0, true);
	} else if (dice(VOLLEY_ONE_IN) == 0) {
		for (int k = 0; k < WORKERS; k++)
			if (place_may(k))
				hit_worker(k, true);
	} else {
		const int k = (int)dice(WORKERS);

		if (place_may(k))
			hit_place(k);
	}
}

bool
hit_settled(void)
{
	look();
	for (int k = 0; k < WORKERS; k++)
		if (place_is_hit(&slots[k]) ||
		    !place_is_good(&slots[k], &view[k]))
			return false;
	return true;
}
