#include "master/watchdog.h"

#include <string.h>

#include "hub/journal.h"
#include "hub/lock.h"
#include "hub/stats.h"

/* Whether a slot is in a mask. */
static bool
has(uint64_t mask, int slot)
{
	return (mask >> slot & 1) != 0;
}

/* The smaller of two times. */
static uint64_t
least(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

void
watchdog_init(struct watchdog *d, uint64_t clock_ms, uint64_t now_ms)
{
	memset(d, 0, sizeof(*d));
	d->clock_ms = clock_ms != 0 ? clock_ms : now_ms;
	d->looked_ms = now_ms;
}

/* Time since the last look; a clock that goes back stands still. */
static uint64_t
clock_passed(const struct watchdog *d, uint64_t now_ms)
{
	return now_ms > d->looked_ms ? now_ms - d->looked_ms : 0;
}

uint64_t
watchdog_clock_ms(const struct watchdog *d, uint64_t now_ms)
{
	return d->clock_ms +
	    least(clock_passed(d, now_ms), WATCHDOG_GONE_MAX_MS);
}

/* Lets the clock go on; returns by how much. Notes whether the look is late: so
 * is one before which the clock went back, since nobody knows by how much. */
static uint64_t
clock_advance(
    struct watchdog *d, const struct watchdog_scene *scene, uint64_t now_ms)
{
	uint64_t passed = clock_passed(d, now_ms), late = WATCHDOG_LATE_MS;
	uint64_t gone = least(passed, WATCHDOG_GONE_MAX_MS);

	if (scene->limit_ms < late)
		late = scene->limit_ms > WATCHDOG_GONE_MAX_MS
		    ? scene->limit_ms
		    : WATCHDOG_GONE_MAX_MS;
	if (now_ms < d->looked_ms)
		passed = d->looked_ms - now_ms + late;
	d->late_ms = passed > late ? passed : 0;
	d->clock_ms += gone;
	d->looked_ms = now_ms;
	return gone;
}

/* A process begins anew: it is alive as of now. */
static void
process_start(struct watchdog_process *p)
{
	p->still_ms = 0;
	p->disk_ms = 0;
}

/* A keeper begins anew. */
static void
keeper_start(struct watchdog *d, int slot)
{
	process_start(&d->keeper[slot]);
	d->continued_ms[slot] = 0;
}

/* Forgets a process; what its successor shows first is new. */
static void
process_forget(struct watchdog_process *p)
{
	memset(p, 0, sizeof(*p));
}

void
watchdog_forget(struct watchdog *d, int slot)
{
	process_forget(&d->worker[slot]);
	memset(&d->lock[slot], 0, sizeof(d->lock[slot]));
	keeper_start(d, slot);
}

void
watchdog_forget_keeper(struct watchdog *d, int slot)
{
	process_forget(&d->keeper[slot]);
	d->continued_ms[slot] = 0;
}

/* How much of the time that is gone a process that waits for a disk is to be
 * reproached with. */
static uint64_t
disk_time(struct watchdog_process *p, uint64_t used, uint64_t gone)
{
	if (p->disk_ms >= WATCHDOG_DISK_MAX_MS)
		return gone;
	p->disk_ms += gone;
	return used;
}

/* How much of the time that is gone a process could have ticked in. */
static uint64_t
process_own_time(struct watchdog *d, struct watchdog_process *p, bool keeper,
    int slot, uint64_t gone)
{
	struct probe now = {0}, before = p->probe;
	bool was_probed = p->is_probed;
	uint64_t used = 0, queue = 0;

	p->is_probed =
	    d->probe != NULL && d->probe(d->probe_arg, keeper, slot, &now);
	p->probe = now;
	if (!p->is_probed)
		return gone;
	if (was_probed && now.used_ms > before.used_ms)
		used = least(now.used_ms - before.used_ms, gone);
	if (was_probed && now.queue_ms > before.queue_ms)
		queue = least(now.queue_ms - before.queue_ms, gone);
	switch (now.state) {
	case 'R': /* has a processor, or waits for one */
		return used;
	case 'D':
		return disk_time(p, used, gone);
	case 'Z': /* its death is about to be told */
	case 'X':
		return 0;
	default: /* sleeps, or is stopped */
		return gone - queue;
	}
}

/* Takes down what a process shows now. Returns how much longer it is silent,
 * 0 if it has ticked. */
static uint64_t
process_note(struct watchdog *d, struct watchdog_process *p, uint64_t tick,
    bool keeper, int slot, uint64_t gone)
{
	uint64_t own_ms;

	if (tick != p->tick) {
		process_forget(p);
		p->tick = tick;
		return 0;
	}
	own_ms = process_own_time(d, p, keeper, slot, gone);
	if (d->late_ms != 0 && !p->has_start) {
		process_start(p);
		p->has_start = true;
		return 0;
	}
	p->still_ms += own_ms;
	return own_ms;
}

/* Whether a worker has the mutex, or may have it. */
static bool
lock_suspects(const struct hub *h, int slot)
{
	int holder = lock_holder(h);

	if (holder == -1)
		return SHM_LOAD(h->line[slot].lock_state) != LOCK_NONE;
	return holder == slot;
}

/* Takes down how a worker that has been silent for own_ms stands with the
 * mutex. Of a busy worker, seen as its holder many times in a row, each time in
 * another turn, the tick or the journal tells. */
static void
lock_note(struct watchdog *d, const struct hub *h, int slot, uint64_t own_ms,
    bool published)
{
	struct watchdog_lock *l = &d->lock[slot];
	bool is_suspect = lock_suspects(h, slot);

	if (SHM_LOAD(h->line[slot].lock_state) != LOCK_WAITING)
		l->waiting_ms = 0;
	else if (l->waiting_ms == 0)
		l->waiting_ms = d->clock_ms;
	if (!is_suspect || published || d->worker[slot].still_ms == 0)
		l->held_ms = 0;
	else if (l->is_suspect)
		l->held_ms += own_ms;
	l->is_suspect = is_suspect;
}

/* Takes down what all show now. */
static void
scene_note(struct watchdog *d, const struct hub *h,
    const struct watchdog_scene *scene, uint64_t gone)
{
	const uint64_t tail = journal_tail(h);
	uint64_t own_ms;

	for (int i = 0; i < SHM_WORKERS; i++) {
		if (has(scene->workers, i)) {
			own_ms = process_note(d, &d->worker[i],
			    SHM_LOAD(h->line[i].tick), false, i, gone);
			lock_note(d, h, i, own_ms, tail != d->tail);
		}
		if (has(scene->keepers, i))
			process_note(d, &d->keeper[i],
			    SHM_LOAD(h->worker[i].keeper_tick), true, i, gone);
		if (has(scene->changing ^ d->changing, i))
			keeper_start(d, i);
	}
	d->changing = scene->changing;
	d->tail = tail;
}

uint64_t
watchdog_still_ms(const struct watchdog *d, int slot)
{
	return d->worker[slot].still_ms;
}

uint64_t
watchdog_keeper_still_ms(const struct watchdog *d, int slot)
{
	return d->keeper[slot].still_ms;
}

bool
watchdog_is_lively(const struct watchdog *d, int slot)
{
	return watchdog_still_ms(d, slot) < WATCHDOG_LOCK_MS;
}

/* Whether some living worker has been waiting for the mutex for too long. */
static bool
lock_is_waited_for(const struct watchdog *d, uint64_t workers)
{
	for (int i = 0; i < SHM_WORKERS; i++)
		if (has(workers, i) && d->lock[i].waiting_ms != 0 &&
		    d->clock_ms - d->lock[i].waiting_ms >= WATCHDOG_LOCK_MS &&
		    watchdog_is_lively(d, i))
			return true;
	return false;
}

/* Who keeps the mutex from those that wait, or -1. */
static int
lock_culprit(const struct watchdog *d, uint64_t workers)
{
	int found = -1;

	if (!lock_is_waited_for(d, workers))
		return -1;
	for (int i = 0; i < SHM_WORKERS; i++)
		if (has(workers, i) && d->lock[i].held_ms >= WATCHDOG_LOCK_MS &&
		    (found == -1 ||
			d->lock[i].held_ms > d->lock[found].held_ms))
			found = i;
	return found;
}

/* How long a slot's keeper may be silent. */
static uint64_t
keeper_limit(const struct watchdog_scene *scene, int slot)
{
	uint64_t limit = scene->limit_ms, more;

	if (limit < WATCHDOG_KEEPER_MIN_MS)
		limit = WATCHDOG_KEEPER_MIN_MS;
	if (!has(scene->changing, slot))
		return limit;
	more = least(WATCHDOG_TAKEOVER_TIMES * limit, WATCHDOG_TAKEOVER_MAX_MS);
	return more > limit ? more : limit;
}

/* The workers, or keepers, that have been silent for a part of their limit: the
 * whole, or a half of it. */
static uint64_t
scene_silent(const struct watchdog *d, const struct watchdog_scene *scene,
    bool keeper, uint64_t part)
{
	uint64_t mask =
	    keeper ? scene->keepers : scene->workers & ~scene->starting;
	uint64_t limit, still, silent = 0;

	for (int i = 0; i < SHM_WORKERS; i++) {
		limit = keeper ? keeper_limit(scene, i) : scene->limit_ms;
		still = (keeper ? d->keeper : d->worker)[i].still_ms;
		if (has(mask, i) && still * part >= limit)
			silent |= 1ull << i;
	}
	return silent;
}

/* The one in a mask that has been silent for the longest time, or -1. */
static int
silent_longest(const struct watchdog_process *p, uint64_t mask)
{
	int found = -1;

	for (int i = 0; i < SHM_WORKERS; i++)
		if (has(mask, i) &&
		    (found == -1 || p[i].still_ms > p[found].still_ms))
			found = i;
	return found;
}

/* Finds the one process that is to be killed, if there is one. */
static bool
victim_find(const struct watchdog *d, const struct watchdog_scene *scene,
    struct watchdog_verdict *v)
{
	uint64_t keepers;

	*v = (struct watchdog_verdict){.action = WATCHDOG_KILL};
	v->slot = lock_culprit(d, scene->workers);
	v->has_lock = v->slot != -1;
	if (v->slot == -1)
		v->slot =
		    silent_longest(d->worker, scene_silent(d, scene, false, 1));
	if (v->slot != -1) {
		v->still_ms = d->worker[v->slot].still_ms;
		return true;
	}
	/* of a pair the worker goes first: its keeper can be continued */
	keepers =
	    scene_silent(d, scene, true, 1) & ~scene_silent(d, scene, false, 2);
	v->keeper = true;
	v->slot = silent_longest(d->keeper, keepers);
	if (v->slot != -1)
		v->still_ms = d->keeper[v->slot].still_ms;
	return v->slot != -1;
}

/* One is killed: those that are silent, too, begin anew, and in any case those
 * that start and a killed keeper's worker. (A killed worker's keeper does so as
 * its slot changes.) */
static void
others_start(struct watchdog *d, const struct watchdog_scene *scene,
    const struct watchdog_verdict *v)
{
	uint64_t workers = scene_silent(d, scene, false, 2);
	uint64_t keepers = scene_silent(d, scene, true, 2);

	workers |= scene->starting | 1ull << v->slot;
	for (int i = 0; i < SHM_WORKERS; i++) {
		if (has(workers, i)) {
			process_start(&d->worker[i]);
			d->lock[i].held_ms = 0;
		}
		if (has(keepers, i))
			keeper_start(d, i);
	}
}

/* The keepers that a worker takes over from and that are stopped, as far as is
 * known. Returns how many. */
static int
stopped_find(struct watchdog *d, const struct watchdog_scene *scene,
    struct watchdog_verdict *verdict)
{
	const struct watchdog_process *p;
	int n = 0;

	for (int i = 0; i < SHM_WORKERS; i++) {
		p = &d->keeper[i];
		if (p->still_ms < d->continued_ms[i]) /* it ticked */
			d->continued_ms[i] = 0;
		if (!has(scene->keepers & scene->changing, i) ||
		    p->still_ms < d->continued_ms[i] + WATCHDOG_CONTINUE_MS ||
		    (p->is_probed && p->probe.state != 'T'))
			continue;
		d->continued_ms[i] = p->still_ms;
		verdict[n++] =
		    (struct watchdog_verdict){.action = WATCHDOG_CONTINUE,
			.keeper = true,
			.slot = i,
			.still_ms = p->still_ms};
	}
	return n;
}

int
watchdog_look(struct watchdog *d, const struct hub *h,
    const struct watchdog_scene *scene, uint64_t now_ms,
    struct watchdog_verdict verdict[WATCHDOG_VERDICTS])
{
	uint64_t gone = clock_advance(d, scene, now_ms);
	int n;

	scene_note(d, h, scene, gone);
	n = stopped_find(d, scene, verdict);
	if (victim_find(d, scene, &verdict[n]))
		others_start(d, scene, &verdict[n++]);
	return n;
}
