#include <stdlib.h>

#include "base/siphash.h"
#include "bucket.h"
#include "heads.h"
#include "hub/journal.h"
#include "hub/lock.h"
#include "hub/presence.h"
#include "hub/stats.h"
#include "name.h"

enum {
	REUSE_LOOK = 16384, /* entries looked at for one to reuse: <= 1 ms */
	EVICT_MAX = 8,	    /* entries that give up their names for one name */
	LEAVERS_MAX = 64,   /* entries that nobody has any more, and entries */
	LEAVERS_STEP = 1024 /* looked at, in one hold of the lock */
};

uint32_t
presence_find(struct hub *h, const char *name, size_t len)
{
	if (len == 0 || len > PRESENCE_NAME_MAX)
		return SHM_NONE;
	return bucket_find(h, siphash(h->hash_key, name, len), name, len);
}

/* The next entry to consider for reuse that nobody has, or SHM_NONE; *look
 * counts those still to be looked at. */
static uint32_t
entry_next(struct hub *h, uint32_t *look)
{
	uint32_t e;

	while (*look > 0) {
		--*look;
		e = SHM_LOAD(h->heads->hand) % h->n_entries;
		SHM_STORE(h->heads->hand, e + 1);
		if (e != PRESENCE_LOBBY && SHM_LOAD(h->entry[e].mask) == 0)
			return e;
	}
	return SHM_NONE;
}

/* Frees an entry that nobody has. */
static void
entry_free(struct hub *h, uint32_t e)
{
	if (SHM_LOAD(h->entry[e].epoch) != 0)
		bucket_remove(h, e);
	SHM_STORE(h->entry[e].epoch, 0);
	/* who reads it meanwhile sees this before any other word changes */
	atomic_thread_fence(memory_order_release);
}

static uint32_t
look_max(const struct hub *h)
{
	return h->n_entries < REUSE_LOOK ? h->n_entries : REUSE_LOOK;
}

/* An entry that no worker has, with extensions if `extra`: the first one
 * without kept publications, or else the one whose newest publication is the
 * oldest of those looked at, so that active channels keep their history. */
static uint32_t
entry_oldest(struct hub *h, bool extra)
{
	uint32_t look = look_max(h), e, oldest = SHM_NONE;
	uint64_t newest, least = UINT64_MAX;

	while ((e = entry_next(h, &look)) != SHM_NONE) {
		if (extra &&
		    (SHM_LOAD(h->entry[e].epoch) == 0 ||
			h->entry[e].extra == 0))
			continue;
		newest = SHM_LOAD(h->entry[e].newest);
		if (newest < least) {
			least = newest;
			oldest = e;
		}
		if (newest < journal_oldest(h))
			break;
	}
	return oldest;
}

/* Makes an entry free that no worker has. */
static uint32_t
entry_reuse(struct hub *h)
{
	uint32_t e = entry_oldest(h, false);

	if (e != SHM_NONE)
		entry_free(h, e);
	return e;
}

/* A free entry. `entries` follows from the entries: redone here. */
static uint32_t
entry_take(struct hub *h)
{
	uint32_t e = SHM_LOAD(h->heads->entries);

	while (e < h->n_entries && SHM_LOAD(h->entry[e].epoch) != 0)
		SHM_STORE(h->heads->entries, ++e);
	return e < h->n_entries ? e : entry_reuse(h);
}

/* Gives a free entry its name. If no extensions are left, entries that no
 * worker has and that have some go. */
static bool
entry_name(struct hub *h, uint32_t e, const char *name, size_t len)
{
	uint32_t gone;
	int k;

	for (k = 0; !name_write(h, e, name, len); k++) {
		gone = k < EVICT_MAX ? entry_oldest(h, true) : SHM_NONE;
		if (gone == SHM_NONE)
			return false;
		entry_free(h, gone);
	}
	return true;
}

/* Makes an entry; the store of its bucket commits it. */
static uint32_t
entry_make(struct hub *h, uint64_t hash, const char *name, size_t len)
{
	uint32_t e = entry_take(h), epoch;
	struct presence_entry *p;

	if (e == SHM_NONE)
		return SHM_NONE;
	p = &h->entry[e];
	p->hash = (uint32_t)(hash >> 32);
	if (!entry_name(h, e, name, len))
		return SHM_NONE;
	SHM_STORE(p->mask, 0);
	SHM_STORE(p->offset, 0);
	SHM_STORE(p->newest, 0);
	epoch = SHM_LOAD(h->heads->epoch) + 1;
	if (epoch == 0)
		epoch = 1;
	SHM_STORE(h->heads->epoch, epoch);
	SHM_STORE(p->epoch, epoch);
	if (bucket_put(h, hash, e))
		return e;
	SHM_STORE(p->epoch, 0);
	return SHM_NONE;
}

uint32_t
presence_make(struct hub *h, const char *name, size_t len)
{
	uint64_t hash;
	uint32_t e;

	if (len == 0 || len > PRESENCE_NAME_MAX)
		return SHM_NONE;
	hash = siphash(h->hash_key, name, len);
	e = bucket_find(h, hash, name, len);
	return e != SHM_NONE ? e : entry_make(h, hash, name, len);
}

void
presence_init(struct hub *h)
{
	uint32_t epoch;

	arc4random_buf(&epoch, sizeof(epoch));
	h->heads->epoch = epoch;
	if (presence_make(h, "lobby", 5) != PRESENCE_LOBBY)
		abort();
}

uint32_t
presence_enter(struct hub *h, const char *name, size_t len, bool *first)
{
	uint32_t e = presence_make(h, name, len);
	uint64_t mask;

	if (e == SHM_NONE)
		return SHM_NONE;
	mask = SHM_LOAD(h->entry[e].mask);
	*first = mask == 0;
	SHM_STORE(h->entry[e].mask, mask | 1ull << h->self);
	return e;
}

bool
presence_leave(struct hub *h, uint32_t e, int worker)
{
	uint64_t mask;

	if (e >= h->n_entries)
		return false;
	mask = SHM_LOAD(h->entry[e].mask);
	if (!(mask & 1ull << worker))
		return false;
	mask &= ~(1ull << worker);
	SHM_STORE(h->entry[e].mask, mask);
	return mask == 0;
}

uint64_t
presence_mask(const struct hub *h, uint32_t e)
{
	return e < h->n_entries ? SHM_LOAD(h->entry[e].mask) : 0;
}

bool
presence_read(const struct hub *h, uint32_t e, struct presence_view *out)
{
	const struct presence_entry *p;

	if (e >= h->n_entries)
		return false;
	p = &h->entry[e];
	out->epoch = SHM_LOAD(p->epoch);
	if (out->epoch == 0)
		return false;
	out->mask = SHM_LOAD(p->mask);
	out->offset = SHM_LOAD(p->offset);
	out->newest = SHM_LOAD(p->newest);
	out->name_len = name_copy(h, p, out->name);
	atomic_thread_fence(memory_order_acquire);
	return out->name_len > 0 && SHM_LOAD(p->epoch) == out->epoch;
}

uint32_t
presence_count(const struct hub *h)
{
	uint32_t n = SHM_LOAD(h->heads->entries);

	return n < h->n_entries ? n + 1 : h->n_entries;
}

/* Entries that nobody has any more, as they were: others' by the time that they
 * are told. */
struct leavers {
	uint32_t n;
	struct presence_view view[LEAVERS_MAX];
};

/* Clears a worker's bit, if it is set. Lock held. */
static void
leavers_add(struct hub *h, uint32_t e, int worker, struct leavers *gone)
{
	struct presence_view *v = &gone->view[gone->n];
	bool last = presence_mask(h, e) == 1ull << worker;

	if (last && !presence_read(h, e, v))
		last = false;
	if (presence_leave(h, e, worker) && last)
		gone->n++;
}

/* Tells of all. */
static void
leavers_tell(const struct leavers *gone,
    void (*left)(const struct presence_view *, void *), void *arg)
{
	uint32_t k;

	for (k = 0; k < gone->n; k++)
		left(&gone->view[k], arg);
}

void
presence_clear(struct hub *h, int worker,
    void (*left)(const struct presence_view *, void *), void *arg)
{
	static struct leavers gone;
	uint32_t n = presence_count(h), e = 0, stop;

	while (e < n) {
		gone.n = 0;
		stop = e + LEAVERS_STEP < n ? e + LEAVERS_STEP : n;
		hub_lock(h);
		for (; e < stop && gone.n < LEAVERS_MAX; e++)
			leavers_add(h, e, worker, &gone);
		hub_unlock(h);
		leavers_tell(&gone, left, arg);
		stats_tick(h);
	}
}

void
presence_match(struct hub *h, const uint32_t *has,
    void (*left)(const struct presence_view *, void *), void *arg)
{
	static struct leavers gone;
	uint32_t e = 0, n = presence_count(h), stop;

	while (e < n) {
		gone.n = 0;
		stop = e + LEAVERS_STEP < n ? e + LEAVERS_STEP : n;
		hub_lock(h);
		for (; e < stop && gone.n < LEAVERS_MAX; e++)
			if (!has[e])
				leavers_add(h, e, h->self, &gone);
			else if (!(presence_mask(h, e) & 1ull << h->self))
				presence_set(h, e);
		hub_unlock(h);
		leavers_tell(&gone, left, arg);
		stats_tick(h);
	}
}

void
presence_set(struct hub *h, uint32_t e)
{
	if (e < h->n_entries)
		SHM_STORE(h->entry[e].mask,
		    SHM_LOAD(h->entry[e].mask) | 1ull << h->self);
}
