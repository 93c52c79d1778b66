/* Who is hit when: workers and keepers, never both of one slot within
 * APART_MS, nor one while the other has not recovered. */
#include <signal.h>
#include <string.h>

#include "soak.h"

enum {
	LOOK_MS = 15,
	APART_MS = 200,
	BURST = 16, /* hits of one kind on a slot within BURST_MS: more would
		     * make the master wait before the next respawn */
	BURST_MS = 10000,
	STOP_ONE_IN = 20,
	VOLLEY_ONE_IN = 12 /* all workers at once */
};

struct hit_counts hit_counts;

/* One process of a slot. */
struct target {
	int hit_pid;	  /* the one that was hit and may not be gone; 0 */
	bool stopped;	  /* by SIGSTOP: the watchdog has to act */
	uint64_t good_ms; /* recovered since then */
	uint64_t at[BURST];
	unsigned n;
};
static struct slot_view {
	struct target worker, keeper;
} slots[WORKERS];
static struct worker_view view[WORKERS];

/* Notes who has recovered. */
static void
look(void)
{
	struct target *t;
	int k;

	if (!daemon_workers(view))
		return;
	for (k = 0; k < WORKERS; k++) {
		t = &slots[k].worker;
		if (t->hit_pid != 0 && view[k].pid != t->hit_pid &&
		    view[k].running) {
			t->hit_pid = 0;
			t->good_ms = now_ms;
		}
		t = &slots[k].keeper;
		if (t->hit_pid != 0 && view[k].keeper > 0 &&
		    view[k].keeper != t->hit_pid) {
			t->hit_pid = 0;
			t->good_ms = now_ms;
		}
	}
}

/* Whether one may be hit while the other is as it is. */
static bool
may(const struct target *t, const struct target *other, int pid)
{
	if (pid <= 0 || other->hit_pid != 0 ||
	    now_ms - other->good_ms < APART_MS)
		return false;
	if (t->hit_pid != 0 && (t->stopped || pid == t->hit_pid))
		return false; /* it is dead or hung already */
	return set.one || t->n < BURST ||
	    now_ms - t->at[t->n % BURST] > BURST_MS;
}

/* Hits one. */
static void
hit(struct target *t, int pid)
{
	t->stopped = dice(STOP_ONE_IN) == 0;
	if (kill(pid, t->stopped ? SIGSTOP : SIGKILL) != 0)
		return;
	t->hit_pid = pid;
	t->at[t->n++ % BURST] = now_ms;
}

/* Hits a slot's worker if it may be. */
static void
hit_worker(int k)
{
	struct slot_view *s = &slots[k];

	if (!may(&s->worker, &s->keeper, view[k].pid))
		return;
	hit(&s->worker, view[k].pid);
	hit_counts.workers++;
	hit_counts.stopped += s->worker.stopped;
}

/* Hits a slot's keeper if it may be. */
static void
hit_keeper(int k)
{
	struct slot_view *s = &slots[k];

	if (!view[k].running || s->worker.hit_pid != 0 ||
	    !may(&s->keeper, &s->worker, view[k].keeper))
		return;
	hit(&s->keeper, view[k].keeper);
	hit_counts.keepers++;
	hit_counts.keepers_stopped += s->keeper.stopped;
}

unsigned
hits_done(void)
{
	return hit_counts.workers + hit_counts.keepers;
}

void
hit_turn(void)
{
	static uint64_t begun_ms, looked_ms;
	int k;

	if (begun_ms == 0)
		begun_ms = now_ms;
	if (now_ms - looked_ms < LOOK_MS)
		return;
	looked_ms = now_ms;
	look();
	/* evenly over the time there is, at random moments */
	if (hits_done() >= set.hits ||
	    (uint64_t)hits_done() * set.seconds * 1000 >
		(now_ms - begun_ms) * set.hits ||
	    dice(4) == 0)
		return;
	if (set.one)
		hit_worker(0);
	else if (dice(VOLLEY_ONE_IN) == 0)
		for (k = 0; k < WORKERS; k++)
			hit_worker(k);
	else if (dice(3) > 0)
		hit_worker((int)dice(WORKERS));
	else
		hit_keeper((int)dice(WORKERS));
}

bool
hit_settled(void)
{
	int k;

	look();
	for (k = 0; k < WORKERS; k++)
		if (slots[k].worker.hit_pid != 0 ||
		    slots[k].keeper.hit_pid != 0 || !view[k].running ||
		    view[k].keeper <= 0)
			return false;
	return true;
}
