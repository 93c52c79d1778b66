#include "master/watchdog.h"

#include <string.h>

#include "hub/journal.h"
#include "hub/lock.h"
#include "hub/stats.h"

/* Whether a place is in a mask. */
static bool
has(uint64_t mask, int place)
{
	return (mask >> place & 1) != 0;
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
 * is one before which the clock went back, since it is unknown by how much. */
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

/* Forgets a process; what its successor shows first is new. */
static void
process_forget(struct watchdog_process *p)
{
	memset(p, 0, sizeof(*p));
}

void
watchdog_forget(struct watchdog *d, int line)
{
	process_forget(&d->line[line]);
	memset(&d->lock[line], 0, sizeof(d->lock[line]));
	if (line >= SHM_WORKERS)
		memset(&d->reader[line - SHM_WORKERS], 0, sizeof(d->reader[0]));
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
process_own_time(
    struct watchdog *d, struct watchdog_process *p, int line, uint64_t gone)
{
	struct probe now = {0}, before = p->probe;
	bool was_probed = p->is_probed;
	uint64_t used = 0, queue = 0;

	p->is_probed = d->probe != NULL && d->probe(d->probe_arg, line, &now);
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
    int line, uint64_t gone)
{
	uint64_t own_ms;

	if (tick != p->tick) {
		process_forget(p);
		p->tick = tick;
		return 0;
	}
	own_ms = process_own_time(d, p, line, gone);
	if (d->late_ms != 0 && !p->has_start) {
		process_start(p);
		p->has_start = true;
		return 0;
	}
	p->still_ms += own_ms;
	return own_ms;
}

/* Whether a worker has the lock, or may have it. */
static bool
lock_suspects(const struct hub *h, int place)
{
	int holder = lock_holder(h);

	if (holder == -1)
		return SHM_LOAD(h->line[place].lock_state) != LOCK_NONE;
	return holder == place;
}

/* Takes down how a worker that has been silent for own_ms stands with the
 * lock. Of a busy worker, seen as its holder many times in a row, each time in
 * another turn, the tick or the journal tells. */
static void
lock_note(struct watchdog *d, const struct hub *h, int place, uint64_t own_ms,
    bool published)
{
	struct watchdog_lock *l = &d->lock[place];
	bool is_suspect = lock_suspects(h, place);

	if (SHM_LOAD(h->line[place].lock_state) != LOCK_WAITING)
		l->waiting_ms = 0;
	else if (l->waiting_ms == 0)
		l->waiting_ms = d->clock_ms;
	if (!is_suspect || published || d->line[place].still_ms == 0)
		l->held_ms = 0;
	else if (l->is_suspect)
		l->held_ms += own_ms;
	l->is_suspect = is_suspect;
}

/* Whether there is a process with that line that is to be looked at. */
static bool
line_lives(const struct watchdog_scene *scene, int i)
{
	return i < SHM_WORKERS ? has(scene->workers, i)
			       : has(scene->others, i - SHM_WORKERS);
}

/* Whether it need not tick yet. */
static bool
line_starts(const struct watchdog_scene *scene, int i)
{
	return i < SHM_WORKERS ? has(scene->starting, i)
			       : has(scene->others_starting, i - SHM_WORKERS);
}

/* Its life sign: of a process that must not write into shared memory it is
 * elsewhere. */
static uint64_t
line_shows(const struct hub *h, const struct watchdog_scene *scene, int i)
{
	const struct shm_line *line =
	    i < SHM_WORKERS ? &h->line[i] : scene->other[i - SHM_WORKERS];

	return SHM_LOAD(line->tick);
}

/* Takes down how far a reader has come. The time in which it does not tick
 * counts for silence alone. */
static void
reader_note(struct watchdog_reader *r, const struct shm_line *line,
    uint64_t tail, uint64_t gone)
{
	const uint64_t cursor = SHM_LOAD(line->cursor);
	const uint64_t tick = SHM_LOAD(line->tick);

	if (cursor != r->cursor || cursor >= tail ||
	    SHM_LOAD(line->hand) == HAND_BLOCKED)
		r->stuck_ms = 0;
	else if (tick != r->tick)
		r->stuck_ms += gone;
	r->cursor = cursor;
	r->tick = tick;
}

/* Takes down what all show now. */
static void
scene_note(struct watchdog *d, const struct hub *h,
    const struct watchdog_scene *scene, uint64_t gone)
{
	const uint64_t tail = journal_tail(h);
	uint64_t own_ms;

	for (int i = 0; i < SHM_LINES; i++)
		if (line_lives(scene, i)) {
			own_ms = process_note(
			    d, &d->line[i], line_shows(h, scene, i), i, gone);
			lock_note(d, h, i, own_ms, tail != d->tail);
		}
	for (int i = 0; i < SHM_OTHERS; i++)
		if (has(scene->readers & scene->others, i) &&
		    !line_starts(scene, SHM_WORKERS + i))
			reader_note(&d->reader[i], scene->other[i], tail, gone);
	d->tail = tail;
}

uint64_t
watchdog_still_ms(const struct watchdog *d, int place)
{
	return d->line[place].still_ms;
}

bool
watchdog_is_lively(const struct watchdog *d, int place)
{
	return watchdog_still_ms(d, place) < WATCHDOG_LOCK_MS;
}

/* Whether some living process has been waiting for the lock for too long. */
static bool
lock_is_waited_for(const struct watchdog *d, const struct watchdog_scene *scene)
{
	for (int i = 0; i < SHM_LINES; i++)
		if (line_lives(scene, i) && d->lock[i].waiting_ms != 0 &&
		    d->clock_ms - d->lock[i].waiting_ms >= WATCHDOG_LOCK_MS &&
		    watchdog_is_lively(d, i))
			return true;
	return false;
}

/* Who keeps the lock from those that wait, or -1. */
static int
lock_culprit(const struct watchdog *d, const struct watchdog_scene *scene)
{
	int found = -1;

	if (!lock_is_waited_for(d, scene))
		return -1;
	for (int i = 0; i < SHM_LINES; i++)
		if (line_lives(scene, i) &&
		    d->lock[i].held_ms >= WATCHDOG_LOCK_MS &&
		    (found == -1 ||
			d->lock[i].held_ms > d->lock[found].held_ms))
			found = i;
	return found;
}

/* How long a process may be silent. */
static uint64_t
line_limit(const struct watchdog_scene *scene, int i)
{
	const uint64_t own =
	    i < SHM_WORKERS ? 0 : scene->other_ms[i - SHM_WORKERS];

	return own != 0 ? own : scene->limit_ms;
}

/* Whether a process has been silent for a part of its limit: the whole (1), or
 * a half of it (2). */
static bool
line_is_silent(const struct watchdog *d, const struct watchdog_scene *scene,
    int i, uint64_t part)
{
	return line_lives(scene, i) && !line_starts(scene, i) &&
	    d->line[i].still_ms * part >= line_limit(scene, i);
}

/* The process that has been silent for the longest time, of those that hang;
 * -1: none does. */
static int
line_hangs(const struct watchdog *d, const struct watchdog_scene *scene)
{
	int found = -1;

	for (int i = 0; i < SHM_LINES; i++)
		if (line_is_silent(d, scene, i, 1) &&
		    (found == -1 ||
			d->line[i].still_ms > d->line[found].still_ms))
			found = i;
	return found;
}

/* A reader that is stuck; -1: none is. */
static int
reader_stuck(const struct watchdog *d, const struct watchdog_scene *scene)
{
	for (int i = 0; i < SHM_OTHERS; i++)
		if (line_lives(scene, SHM_WORKERS + i) &&
		    d->reader[i].stuck_ms >= WATCHDOG_STUCK_MS)
			return SHM_WORKERS + i;
	return -1;
}

/* Finds the one process that is to be killed, if there is one. */
static bool
victim_find(const struct watchdog *d, const struct watchdog_scene *scene,
    struct watchdog_verdict *v)
{
	*v = (struct watchdog_verdict){0};
	v->place = lock_culprit(d, scene);
	v->has_lock = v->place != -1;
	if (v->place == -1)
		v->place = line_hangs(d, scene);
	if (v->place != -1)
		v->still_ms = d->line[v->place].still_ms;
	else if ((v->place = reader_stuck(d, scene)) != -1) {
		v->is_stuck = true;
		v->still_ms = d->reader[v->place - SHM_WORKERS].stuck_ms;
	}
	return v->place != -1;
}

/* One is killed: those that are silent, too, begin anew, and in any case those
 * that start. */
static void
others_start(struct watchdog *d, const struct watchdog_scene *scene,
    const struct watchdog_verdict *v)
{
	for (int i = 0; i < SHM_LINES; i++)
		if (line_is_silent(d, scene, i, 2) || line_starts(scene, i) ||
		    i == v->place) {
			process_start(&d->line[i]);
			d->lock[i].held_ms = 0;
		}
	if (v->is_stuck)
		d->reader[v->place - SHM_WORKERS].stuck_ms = 0;
}

bool
watchdog_look(struct watchdog *d, const struct hub *h,
    const struct watchdog_scene *scene, uint64_t now_ms,
    struct watchdog_verdict *verdict)
{
	const uint64_t gone = clock_advance(d, scene, now_ms);

	scene_note(d, h, scene, gone);
	if (!victim_find(d, scene, verdict))
		return false;
	others_start(d, scene, verdict);
	return true;
}
