#include "hub/share.h"

/* Larger: less of the table is used when few are in use; smaller: a page of
 * what a worker keeps for each is used for others' more often. */
enum { SHARE_STRIPS = 256 };

/* Where a common one may be taken; the first of these that has one. */
enum look {
	LOOK_OWN,  /* in strips in which this worker has one */
	LOOK_FREE, /* in strips in which nobody has one */
	LOOK_ALL
};

void
share_init(struct share *s, _Atomic uint8_t *owner, uint32_t n, int worker)
{
	*s = (struct share){.owner = owner,
	    .n = n,
	    .common = n,
	    .fair = n,
	    .workers = 1,
	    .strip = 1,
	    .mine = (uint8_t)(worker + 1)};
}

void
share_strips(struct share *s)
{
	s->strip = (s->n + SHARE_STRIPS - 1) / SHARE_STRIPS;
}

void
share_no_strips(struct share *s)
{
	s->strip = 1;
}

void
share_limit(struct share *s, uint32_t apart, uint32_t low)
{
	if (apart * SHM_WORKERS >= s->n)
		return;
	s->apart = apart;
	s->common = s->n - apart * SHM_WORKERS;
	s->low = low < s->common ? low : 0;
	share_divide(s, s->workers);
}

void
share_divide(struct share *s, uint32_t workers)
{
	s->workers = workers > 0 ? workers : 1;
	s->fair = s->common / s->workers;
	s->credit = 0;
}

void
share_recount(struct share *s)
{
	uint32_t i;

	s->owned = 0;
	for (i = 0; i < s->common; i++)
		s->owned += SHM_OWN(s->owner[i]) == s->mine;
}

/* Common ones that no worker has. */
static uint32_t
share_free(const struct share *s)
{
	uint32_t i, n = 0;

	for (i = 0; i < s->common; i++)
		n += SHM_OWN(s->owner[i]) == 0;
	return n;
}

/* Whether this worker may take a common one now. Counting the free ones takes
 * some microseconds: their number is divided by the workers, which may all
 * count at once, and so many may be taken before the next count. */
static bool
share_allows(struct share *s)
{
	uint32_t free;

	if (s->low == 0 || s->owned < s->fair)
		return true;
	if (s->credit == 0) {
		free = share_free(s);
		if (free > s->low)
			s->credit = (free - s->low - 1) / s->workers + 1;
	}
	return s->credit > 0;
}

/* Takes this one if it is free. */
static bool
share_try(struct share *s, uint32_t i,
    bool (*idle)(const void *arg, uint32_t i), const void *arg)
{
	uint8_t nobody = 0;

	/* what is in use here is free only by another process's stray store */
	if (SHM_OWN(s->owner[i]) != 0 || !idle(arg, i) ||
	    !atomic_compare_exchange_strong(&s->owner[i], &nobody, s->mine))
		return false;
	KILL_POINT();
	return true;
}

/* Takes one that is set apart for this worker. */
static uint32_t
take_apart(
    struct share *s, bool (*idle)(const void *arg, uint32_t i), const void *arg)
{
	uint32_t i = s->common + (s->mine - 1u) * s->apart, k;

	for (k = 0; k < s->apart; k++)
		if (share_try(s, i + k, idle, arg))
			return i + k;
	return SHM_NONE;
}

/* Whether a strip of common ones may be looked at. */
static bool
strip_suits(const struct share *s, uint32_t strip, enum look look)
{
	uint32_t i = strip * s->strip, end = i + s->strip;
	bool own = false, free = true;

	for (; i < end && i < s->common; i++) {
		own |= SHM_OWN(s->owner[i]) == s->mine;
		free &= SHM_OWN(s->owner[i]) == 0;
	}
	return look == LOOK_OWN ? own : free;
}

/* Takes the first common one from the hint on and around. */
static uint32_t
take_look(struct share *s, enum look look,
    bool (*idle)(const void *arg, uint32_t i), const void *arg)
{
	/* strips that were given back are begun before those never touched */
	uint32_t i = look == LOOK_FREE ? 0 : s->hint, k, strip = SHM_NONE;
	bool suits = look == LOOK_ALL;

	for (k = 0; k < s->common; k++, i++) {
		if (i >= s->common)
			i = 0;
		if (look != LOOK_ALL && i / s->strip != strip) {
			strip = i / s->strip;
			suits = strip_suits(s, strip, look);
		}
		if (suits && share_try(s, i, idle, arg))
			return i;
	}
	return SHM_NONE;
}

/* Takes a common one. */
static uint32_t
take_common(
    struct share *s, bool (*idle)(const void *arg, uint32_t i), const void *arg)
{
	enum look look = s->strip > 1 ? LOOK_OWN : LOOK_ALL;
	uint32_t i = SHM_NONE;

	if (!share_allows(s))
		return SHM_NONE;
	for (; look <= LOOK_ALL && i == SHM_NONE; look++) {
		if (look == LOOK_ALL)
			share_no_strips(s); /* there are none to be had */
		i = take_look(s, look, idle, arg);
	}
	if (i == SHM_NONE)
		return SHM_NONE;
	s->hint = i;
	s->owned++;
	if (s->credit > 0)
		s->credit--;
	return i;
}

uint32_t
share_take(
    struct share *s, bool (*idle)(const void *arg, uint32_t i), const void *arg)
{
	uint32_t i = SHM_NONE;

	/* where few are common, the first ones, which stay in use for ever,
	 * come from the worker's own */
	if (s->fair < s->apart)
		i = take_apart(s, idle, arg);
	if (i == SHM_NONE)
		i = take_common(s, idle, arg);
	return i != SHM_NONE ? i : take_apart(s, idle, arg);
}

void
share_give(struct share *s, uint32_t i)
{
	SHM_STORE(s->owner[i], 0);
	if (i < s->common && s->owned > 0)
		s->owned--;
	/* and the next take finds it before one whose pages were never
	 * touched */
	if (i < s->hint)
		s->hint = i;
}

bool
share_is_greedy(const struct share *s)
{
	return s->low > 0 && s->owned > s->fair && share_free(s) < s->low / 2;
}
