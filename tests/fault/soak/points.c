/*
 * Workers die at chosen kill points: each point that any worker has passed,
 * least hit first, in a worker chosen at random, at a pass chosen at random.
 * Where nobody comes by in time, the worker is killed, so that its replacement
 * comes by while it takes over. One in four replacements dies, too.
 */
#include <err.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/kill_list.h"
#include "soak.h"

enum {
	LOOK_MS = 10,
	POINTS_LONG_S = 50, /* from there on three quarters are to be hit */
	POINTS_HITS = 4,    /* of so many hits one is to be at a point that was
			     * not hit before: a slow machine has fewer */
	WAIT_MS = 250,	    /* for a worker to pass the point */
	BURST = 16,	    /* deaths of a slot within BURST_MS, as in hit.c */
	BURST_MS = 10000
};

static struct kill_list *list;
static char path[] = "/tmp/chatd-points-XXXXXX";
static struct aim {
	bool armed, killed;
	uint32_t point, fired;
	int pid;
	uint64_t since_ms;
	uint64_t serves_ms; /* it may serve until then: a machine that is busy
			     * would have no time between two deaths */
	uint64_t died_ms[BURST];
	unsigned n_died;
} aims[WORKERS];
static uint32_t tried[KILL_POINTS];

void
points_open(void)
{
	int fd = mkstemp(path);

	/* children open it themselves, perhaps as another user */
	if (fd < 0 || ftruncate(fd, sizeof(*list)) != 0 ||
	    fchmod(fd, 0666) != 0)
		err(2, "%s", path);
	list = mmap(
	    NULL, sizeof(*list), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (list == MAP_FAILED)
		err(2, "mmap");
	close(fd);
	setenv("CHATD_KILL_LIST", path, 1);
}

/* How often a point has been tried; tries in which a worker died count more. */
static uint32_t
weight(uint32_t i)
{
	return tried[i] + (list->entry[i].deaths > 0 ? KILL_POINTS : 0);
}

/* Whether a point is one of those asked for. */
static bool
wanted(uint32_t i)
{
	/* handshakers die by hit.c and begun_kill_test */
	return strncmp(list->entry[i].name, "handshaker/", 11) != 0 &&
	    (set.only == NULL || strstr(list->entry[i].name, set.only) != NULL);
}

/* A point that weighs least. */
static uint32_t
choose(void)
{
	uint32_t k, best = KILL_POINTS, at = dice(KILL_POINTS), i;

	for (k = 0; k < KILL_POINTS; k++) {
		i = (at + k) % KILL_POINTS;
		if (list->entry[i].state == 2 && wanted(i) &&
		    (best == KILL_POINTS || weight(i) < weight(best)))
			best = i;
	}
	return best;
}

/* A point passed by any. */
static uint32_t
any(void)
{
	uint32_t i;

	do
		i = dice(KILL_POINTS);
	while (list->entry[i].state != 2);
	return i;
}

/* Whether the slot may have another death soon. */
static bool
may_die(const struct aim *a)
{
	return a->n_died + 2 < BURST ||
	    now_ms - a->died_ms[(a->n_died + 2) % BURST] > BURST_MS;
}

/* Notes deaths. */
static void
note(struct aim *a, uint32_t deaths)
{
	for (; deaths > 0; deaths--) {
		a->died_ms[a->n_died++ % BURST] = now_ms;
		hit_counts.workers++;
	}
}

/* Arms a point in a worker that is well. */
static void
arm(int slot, const struct worker_view *view)
{
	struct aim *a = &aims[slot];
	uint32_t point = choose();
	uint64_t passes;

	if (point == KILL_POINTS || !view->running || view->keeper[0] <= 0 ||
	    view->keeper[1] <= 0 || !may_die(a) || now_ms < a->serves_ms)
		return;
	passes = list->entry[point].passes;
	a->armed = true;
	a->killed = false;
	a->point = point;
	a->pid = view->pid;
	a->fired = list->fired[slot];
	a->since_ms = now_ms;
	tried[point]++;
	if (dice(4) == 0) {
		list->arm[slot][1].point = any();
		list->arm[slot][1].nth = 1 + dice(20);
	}
	list->arm[slot][0].point = point;
	list->arm[slot][0].nth = 1 +
	    dice(passes < 5000 ? 1
		    : dice(2)  ? 5
			       : 500);
}

/* No worker of that slot dies at a point any more. */
static void
disarm(int slot)
{
	list->arm[slot][0].nth = list->arm[slot][1].nth = 0;
	aims[slot].armed = false;
}

/* One slot. */
static void
slot_turn(int slot, const struct worker_view *view)
{
	struct aim *a = &aims[slot];
	uint32_t deaths = list->fired[slot] - a->fired;

	if (!a->armed) {
		arm(slot, view);
	} else if (deaths > 0) {
		if (!view->running || view->pid == a->pid ||
		    (list->arm[slot][0].nth != 0 &&
			now_ms - a->since_ms < WAIT_MS))
			return;
		note(a, deaths);
		a->serves_ms = now_ms + (now_ms - a->since_ms);
		hit_counts.twice += deaths > 1;
		disarm(slot);
	} else if (now_ms - a->since_ms > WAIT_MS) {
		if (!a->killed && tried[a->point] % 2 == 1) {
			a->killed = true; /* perhaps while taking over */
			a->since_ms = now_ms;
			list->arm[slot][0].nth = 1 + dice(3);
			kill(a->pid, SIGKILL);
			note(a, 1);
		} else
			disarm(slot);
	}
}

void
points_turn(void)
{
	static uint64_t looked_ms;
	static struct worker_view view[WORKERS];
	int k;

	if (now_ms - looked_ms < LOOK_MS)
		return;
	looked_ms = now_ms;
	stranger_come();
	if (!daemon_workers(view))
		return;
	for (k = set.one; k < WORKERS; k++)
		slot_turn(k, &view[k]);
}

bool
points_settled(void)
{
	int k;

	for (k = 0; k < WORKERS; k++)
		disarm(k);
	strangers_go();
	return hit_settled();
}

void
points_print(void)
{
	uint32_t i, known = 0, hit = 0, deaths = 0, due;

	for (i = 0; i < KILL_POINTS; i++) {
		known += list->entry[i].state == 2;
		hit += list->entry[i].deaths > 0;
		deaths += list->entry[i].deaths;
	}
	printf("%u deaths at kill points, %u of %u points hit, %u "
	       "replacements died, too\n",
	    deaths, hit, known, hit_counts.twice);
	if (known == 0)
		fault(F_OTHER, "no process has passed a point");
	/* in half a minute fewer */
	due = set.seconds < POINTS_LONG_S ? known / 3 : known * 3 / 4;
	if (due > hits_done() / POINTS_HITS)
		due = hits_done() / POINTS_HITS;
	if (set.only == NULL && hit < due)
		fault(F_OTHER, "only %u of %u points hit", hit, known);
	for (i = 0; i < KILL_POINTS; i++)
		if (list->entry[i].state == 2 && wanted(i) &&
		    (set.verbose || list->entry[i].deaths == 0))
			printf("  %-32s %4u deaths, %llu passes\n",
			    list->entry[i].name, list->entry[i].deaths,
			    (unsigned long long)list->entry[i].passes);
	unlink(path);
}
