#include "master/watchdog.h"

#include <string.h>

#include "hub/lock.h"
#include "hub/stats.h"

void
watchdog_init(struct watchdog *d, uint64_t clock_ms, uint64_t now_ms)
{
	memset(d, 0, sizeof(*d));
	d->clock_ms = clock_ms != 0 ? clock_ms : now_ms;
	d->looked_ms = now_ms;
}

/* How much of the time since the last look the master ran, as far as is known:
 * a clock that goes back stands still. */
static uint64_t
clock_gone(const struct watchdog *d, uint64_t now_ms)
{
	uint64_t gone = now_ms > d->looked_ms ? now_ms - d->looked_ms : 0;

	return gone < WATCHDOG_GONE_MAX_MS ? gone : WATCHDOG_GONE_MAX_MS;
}

uint64_t
watchdog_clock_ms(const struct watchdog *d, uint64_t now_ms)
{
	return d->clock_ms + clock_gone(d, now_ms);
}

void
watchdog_forget(struct watchdog *d, int worker)
{
	memset(&d->worker[worker], 0, sizeof(d->worker[worker]));
}

/* Lets the own clock go on; returns by how much. */
static uint64_t
clock_advance(struct watchdog *d, uint64_t now_ms)
{
	uint64_t gone = clock_gone(d, now_ms);

	d->clock_ms += gone;
	d->looked_ms = now_ms;
	return gone;
}

/* How much of the time that is gone a worker could have ticked in. */
static uint64_t
own_time(struct watchdog *d, int worker, uint64_t gone)
{
	uint64_t before = d->worker[worker].used_ms, used;
	bool runnable;

	if (d->probe == NULL ||
	    !d->probe(d->probe_arg, worker, &runnable, &used))
		return gone;
	d->worker[worker].used_ms = used + 1;
	if (!runnable || before == 0 || used + 1 - before > gone)
		return gone;
	return used + 1 - before;
}

/* Takes down what a worker shows now. */
static void
worker_note(struct watchdog *d, const struct shm_worker *line, int worker,
    uint64_t gone)
{
	uint64_t tick = SHM_LOAD(line->tick);
	uint64_t own_ms = own_time(d, worker, gone);

	if (tick != d->worker[worker].tick) {
		d->worker[worker].tick = tick;
		d->worker[worker].still_ms = 0;
	} else
		d->worker[worker].still_ms += own_ms;
	if (SHM_LOAD(line->lock_state) != LOCK_WAITING)
		d->worker[worker].waiting_ms = 0;
	else if (d->worker[worker].waiting_ms == 0)
		d->worker[worker].waiting_ms = d->clock_ms;
}

uint64_t
watchdog_still_ms(const struct watchdog *d, int worker)
{
	return d->worker[worker].still_ms;
}

bool
watchdog_is_lively(const struct watchdog *d, int worker)
{
	return watchdog_still_ms(d, worker) < WATCHDOG_LOCK_MS;
}

/* Whether some living worker has been waiting for the mutex for too long. */
static bool
somebody_waits(const struct watchdog *d, uint64_t mask)
{
	for (int i = 0; i < SHM_WORKERS; i++)
		if ((mask >> i & 1) != 0 && d->worker[i].waiting_ms != 0 &&
		    d->clock_ms - d->worker[i].waiting_ms >= WATCHDOG_LOCK_MS &&
		    watchdog_is_lively(d, i))
			return true;
	return false;
}

/*
 * Who keeps the mutex from those that wait, or -1. That the holder does not
 * tick matters: somebody may be seen waiting many times in a row under load,
 * each time for another turn of a busy but healthy holder.
 */
static int
culprit_find(const struct watchdog *d, const struct hub *h, uint64_t mask)
{
	int holder = lock_holder(h), found = -1;

	if (holder >= 0 && holder < SHM_WORKERS && (mask >> holder & 1) != 0 &&
	    !watchdog_is_lively(d, holder))
		return holder;
	if (holder != -1)
		return -1;
	for (int i = 0; i < SHM_WORKERS; i++)
		if ((mask >> i & 1) != 0 && !watchdog_is_lively(d, i) &&
		    SHM_LOAD(h->worker[i].lock_state) != LOCK_NONE &&
		    (found == -1 ||
			watchdog_still_ms(d, i) > watchdog_still_ms(d, found)))
			found = i;
	return found;
}

int
watchdog_look(struct watchdog *d, const struct hub *h, uint64_t mask,
    uint64_t limit_ms, uint64_t now_ms, struct watchdog_verdict *verdict)
{
	uint64_t gone = clock_advance(d, now_ms);
	int culprit = -1, n = 0;

	for (int i = 0; i < SHM_WORKERS; i++)
		if ((mask >> i & 1) != 0)
			worker_note(d, &h->worker[i], i, gone);
	if (somebody_waits(d, mask))
		culprit = culprit_find(d, h, mask);
	for (int i = 0; i < SHM_WORKERS; i++) {
		if ((mask >> i & 1) == 0 ||
		    (i != culprit && watchdog_still_ms(d, i) < limit_ms))
			continue;
		verdict[n++] = (struct watchdog_verdict){.worker = i,
		    .still_ms = watchdog_still_ms(d, i),
		    .has_lock = i == culprit};
	}
	return n;
}
