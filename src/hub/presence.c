#include <stdlib.h>
#include <string.h>

#include "base/siphash.h"
#include "bucket.h"
#include "hub/journal.h"
#include "hub/lock.h"
#include "hub/presence.h"
#include "hub/stats.h"
#include "large.h"
#include "mask.h"
#include "name.h"
#include "ring.h"

/* Ranks of entries, see entry_rank(): positions are below. */
#define RANK_LAST (1ull << 62)
#define RANK_HELD UINT64_MAX

enum {
	REUSE_LOOK = 16384, /* entries looked at for one to reuse: <= 1 ms */
	/* And for a name that only a reader may know. Anybody may ask for any
	 * number of those, past all quotas. Larger: where all are held the lock
	 * is held for longer; smaller: where nearly all are, one that is known
	 * may be said to be unknown. */
	RECALL_LOOK = 256,
	/* Entries that are looked at for how many readers hold. Larger: the
	 * lock is held for longer, at some publications to a reader that is
	 * behind; smaller: half of the table is found out less exactly. */
	CROWD_LOOK = 64,
	/* Large pages of the index that are made ahead. Larger: more memory for
	 * users that may never come; smaller: of an index for more than a
	 * million users some is touched page by page. */
	POPULATE_MAX = 4,
	LEAVERS_MAX = 64,   /* entries without a worker that are noted, and
			     * entries that are */
	LEAVERS_STEP = 1024 /* looked at, in one hold of the lock */
};

uint32_t
presence_find(struct hub *h, const char *name, size_t len)
{
	if (len == 0 || len > PRESENCE_NAME_MAX)
		return SHM_NONE;
	return bucket_find(h, siphash(h->hash_key, name, len), name, len);
}

/* The kind of entry that a name is of. */
static enum charge_kind
name_kind(const char *name, size_t len)
{
	return presence_name_is_user(name, len) ? CHARGE_USERS
						: CHARGE_CHANNELS;
}

/* The first entry of a kind. */
static uint32_t
kind_first(const struct hub *h, enum charge_kind kind)
{
	return kind == CHARGE_USERS ? 1 : 1 + h->n_users;
}

/* How many entries of a kind may ever have been used. */
static uint32_t
kind_ever(const struct hub *h, enum charge_kind kind)
{
	uint32_t n = SHM_LOAD(h->heads->entries[kind]);

	/* the one in hand is counted later */
	return n < charge_size(h, kind) ? n + 1 : charge_size(h, kind);
}

/* Frees an entry that no worker has. */
static void
entry_free(struct hub *h, uint32_t e)
{
	if (SHM_LOAD(h->entry[e].epoch) != 0)
		bucket_remove(h, e);
	SHM_STORE(h->entry[e].epoch, 0);
	/* a reader without the lock sees this before any other word changes */
	atomic_thread_fence(memory_order_release);
}

/*
 * The rank of an entry among those that may be reused, the lowest first: its
 * newest publication; RANK_HELD: it may not be. A reader learns a channel's
 * name from its entry, so one that a reader has not taken all of comes last,
 * and is held while that reader must miss nothing, or is the one that is asked
 * where the channel stands when it comes again. One that is opening comes last,
 * too: nobody has been told anything of it yet, and a reader that answers no
 * question must not fill the table with them.
 */
static uint64_t
entry_rank(const struct hub *h, uint32_t e)
{
	uint64_t newest = SHM_LOAD(h->entry[e].newest);
	uint8_t flags = presence_flags(h, e), untaken;

	if (SHM_LOAD(h->entry[e].mask) != 0)
		return RANK_HELD;
	if (flags == 0)
		return newest;
	untaken = readers_behind(h, PRESENCE_READERS(flags), newest);
	if (untaken & (PRESENCE_REQUIRES(flags) | presence_opener(flags)))
		return RANK_HELD;
	return untaken != 0 || PRESENCE_WARMTH_OF(flags) == PRESENCE_OPENING
	    ? newest | RANK_LAST
	    : newest;
}

/* Frees an entry of a kind that no worker has: the first one without kept
 * publications, or else the one whose newest publication is the oldest of those
 * looked at, so that active channels keep their history. SHM_NONE: all that
 * were looked at, `most` of them, are held. */
static uint32_t
entry_reuse(struct hub *h, enum charge_kind kind, uint32_t most)
{
	uint32_t n = charge_size(h, kind), look, e, first = SHM_NONE;
	uint64_t rank, least = RANK_HELD;

	for (look = n < most ? n : most; look > 0; look--) {
		e = SHM_LOAD(h->heads->hand[kind]) % n;
		SHM_STORE(h->heads->hand[kind], e + 1);
		e += kind_first(h, kind);
		rank = entry_rank(h, e);
		if (rank < least) {
			least = rank;
			first = e;
		}
		if (rank < journal_oldest(h))
			break;
	}
	if (first != SHM_NONE)
		entry_free(h, first);
	return first;
}

/* A free entry of a kind, with a look at `most` that may be reused. `entries`
 * follows from the entries: redone here. */
static uint32_t
entry_take(struct hub *h, enum charge_kind kind, uint32_t most)
{
	uint32_t first = kind_first(h, kind), n = charge_size(h, kind);
	uint32_t k = SHM_LOAD(h->heads->entries[kind]);

	while (k < n && SHM_LOAD(h->entry[first + k].epoch) != 0)
		SHM_STORE(h->heads->entries[kind], ++k);
	return k < n ? first + k : entry_reuse(h, kind, most);
}

/* Flags as a rule says them, without readers that are not there, and with no
 * warmth. */
static uint8_t
flags_of_rule(const struct hub *h, uint8_t flags)
{
	uint8_t readers = PRESENCE_READERS(flags) & h->readers;

	return (uint8_t)(readers |
	    (PRESENCE_REQUIRES(flags) & readers) << PRESENCE_REQUIRED);
}

/* The flags of a new entry of that name. */
static uint8_t
flags_of_name(const struct hub *h, const char *name, size_t len)
{
	uint8_t flags;

	if (h->readers == 0 || h->flags_of == NULL)
		return 0;
	flags = flags_of_rule(h, h->flags_of(h->flags_arg, name, len));
	if (presence_opener(flags) != 0)
		flags = PRESENCE_WARM(flags, PRESENCE_COLD);
	return flags;
}

/* Gives a free entry a name; the store of its bucket commits it. */
static uint32_t
entry_make(
    struct hub *h, uint32_t e, uint64_t hash, const char *name, size_t len)
{
	struct presence_entry *p = &h->entry[e];
	uint32_t epoch;

	p->hash = (uint32_t)(hash >> 32);
	name_write(h, p, name, len);
	SHM_STORE(p->mask, 0);
	SHM_STORE(p->offset, 0);
	SHM_STORE(p->newest, 0);
	epoch = SHM_LOAD(h->heads->epoch) + 1;
	if (epoch == 0)
		epoch = 1;
	SHM_STORE(h->heads->epoch, epoch);
	SHM_STORE(h->stream[e], epoch);
	SHM_STORE(p->flags, flags_of_name(h, name, len));
	SHM_STORE(p->epoch, epoch);
	if (bucket_put(h, hash, e))
		return e;
	SHM_STORE(p->epoch, 0);
	return SHM_NONE;
}

/* An entry for a name that has none, as entry_take(). */
static uint32_t
entry_new(
    struct hub *h, uint64_t hash, const char *name, size_t len, uint32_t most)
{
	uint32_t e = entry_take(h, name_kind(name, len), most);

	return e != SHM_NONE ? entry_make(h, e, hash, name, len) : SHM_NONE;
}

/* The entry of a name; if it has none, as entry_new(). */
static uint32_t
name_entry(struct hub *h, const char *name, size_t len, uint32_t most)
{
	uint64_t hash;
	uint32_t e;

	if (len == 0 || len > PRESENCE_NAME_MAX)
		return SHM_NONE;
	hash = siphash(h->hash_key, name, len);
	e = bucket_find(h, hash, name, len);
	return e != SHM_NONE ? e : entry_new(h, hash, name, len, most);
}

uint32_t
presence_make(struct hub *h, const char *name, size_t len)
{
	return name_entry(h, name, len, REUSE_LOOK);
}

void
presence_init(struct hub *h)
{
	uint32_t epoch;

	arc4random_buf(&epoch, sizeof(epoch));
	h->heads->epoch = epoch;
	if (entry_make(h, PRESENCE_LOBBY,
		siphash(h->hash_key, PRESENCE_LOBBY_NAME, PRESENCE_LOBBY_LEN),
		PRESENCE_LOBBY_NAME, PRESENCE_LOBBY_LEN) != PRESENCE_LOBBY)
		abort();
}

void
presence_populate(struct hub *h)
{
	uint8_t *at = h->base, *end = at + h->size;
	int n;

	if ((uintptr_t)at % HUB_ALIGN != 0)
		return;
	/* what is before it, and the first entries, which are used first */
	for (n = 0; n < POPULATE_MAX && at < (uint8_t *)h->entry &&
	     end - at >= HUB_ALIGN && large_page(at);
	     n++)
		at += HUB_ALIGN;
}

uint32_t
presence_recall(struct hub *h, const char *name, size_t len)
{
	return presence_opener(flags_of_name(h, name, len)) != 0
	    ? name_entry(h, name, len, RECALL_LOOK)
	    : presence_find(h, name, len);
}

uint32_t
presence_recall_for(struct hub *h, const char *name, size_t len,
    const struct charge_terms *terms)
{
	return charge_judge(h, name_kind(name, len), terms) == CHARGE_FIRST
	    ? presence_recall(h, name, len)
	    : presence_find(h, name, len);
}

/* Changes who has an entry: this store commits it, or the journal does. What is
 * charged follows. */
static void
mask_store(struct hub *h, uint32_t e, uint64_t mask)
{
	bool edge = (SHM_LOAD(h->entry[e].mask) == 0) != (mask == 0);

	if (!edge || h->events == 0 || !presence_tell(h, e, mask))
		presence_mask_redo(h, e, mask);
}

/* An entry that no worker has, e if the name has one, charged as the terms say;
 * SHM_NONE with *how telling why it is refused. */
static uint32_t
entry_charge(struct hub *h, uint32_t e, uint64_t hash, const char *name,
    size_t len, const struct charge_terms *terms, enum charge_result *how)
{
	/* the lobby is always there, charged to no user */
	*how = e == PRESENCE_LOBBY
	    ? CHARGE_FIRST
	    : charge_judge(h, name_kind(name, len), terms);
	if (*how != CHARGE_FIRST)
		return SHM_NONE;
	if (e == SHM_NONE)
		e = entry_new(h, hash, name, len, REUSE_LOOK);
	if (e == SHM_NONE)
		*how = CHARGE_FULL;
	else
		charge_name(h, e, terms);
	return e;
}

uint32_t
presence_enter_for(struct hub *h, const char *name, size_t len,
    const struct charge_terms *terms, enum charge_result *how)
{
	uint64_t hash;
	uint32_t e;

	*how = CHARGE_FULL;
	if (len == 0 || len > PRESENCE_NAME_MAX)
		return SHM_NONE;
	hash = siphash(h->hash_key, name, len);
	e = bucket_find(h, hash, name, len);
	*how = CHARGE_FURTHER;
	if (presence_mask(h, e) == 0)
		e = entry_charge(h, e, hash, name, len, terms, how);
	presence_set(h, e);
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
	mask_store(h, e, mask);
	return mask == 0;
}

uint64_t
presence_mask(const struct hub *h, uint32_t e)
{
	return e < h->n_entries ? SHM_LOAD(h->entry[e].mask) : 0;
}

uint8_t
presence_flags(const struct hub *h, uint32_t e)
{
	return e < h->n_entries ? SHM_LOAD(h->entry[e].flags) : 0;
}

/* The warmth of an entry that gets these flags. */
static enum presence_warmth
warmth_next(const struct hub *h, uint32_t e, uint8_t flags)
{
	uint8_t was = presence_flags(h, e);

	if (presence_opener(flags) == 0)
		return PRESENCE_OPEN;
	if (presence_opener(flags) == presence_opener(was))
		return PRESENCE_WARMTH_OF(was);
	return presence_mask(h, e) == 0 &&
		SHM_LOAD(h->entry[e].newest) < journal_oldest(h)
	    ? PRESENCE_COLD
	    : PRESENCE_OPEN;
}

void
presence_flags_set(struct hub *h, uint32_t e, uint8_t flags)
{
	if (e >= h->n_entries)
		return;
	flags = flags_of_rule(h, flags);
	SHM_STORE(
	    h->entry[e].flags, PRESENCE_WARM(flags, warmth_next(h, e, flags)));
}

/* Whether an entry is not open: then its opener is asked. Lock held. */
static bool
entry_is_cold(struct hub *h, uint32_t e, enum open_ask ask)
{
	uint8_t flags = presence_flags(h, e);
	uint8_t opener = presence_opener(flags);

	switch (PRESENCE_WARMTH_OF(flags)) {
	case PRESENCE_COLD:
		if (opener != 0)
			presence_ask(h, e, opener, ask);
		return opener != 0;
	case PRESENCE_OPENING:
		return opener != 0;
	default:
		return false;
	}
}

bool
presence_is_cold(struct hub *h, uint32_t e)
{
	return entry_is_cold(h, e, OPEN_MAKE);
}

bool
presence_is_cold_known(struct hub *h, uint32_t e)
{
	return entry_is_cold(h, e, OPEN_KNOWN);
}

/* How many of some entries of a kind, out of *looked, are held by readers
 * alone. */
static uint32_t
crowd_count(const struct hub *h, enum charge_kind kind, uint32_t *looked)
{
	uint32_t n = charge_size(h, kind), ever = kind_ever(h, kind);
	uint32_t step = n / CROWD_LOOK + 1, at = (uint32_t)(h->tail % step);
	uint32_t held = 0, e;

	for (*looked = 0; at < n; at += step, ++*looked) {
		e = kind_first(h, kind) + at;
		held += at < ever && SHM_LOAD(h->entry[e].epoch) != 0 &&
		    SHM_LOAD(h->entry[e].mask) == 0 &&
		    entry_rank(h, e) == RANK_HELD;
	}
	return held;
}

bool
presence_is_crowded(struct hub *h, uint32_t e, uint8_t readers)
{
	enum charge_kind kind =
	    presence_is_user(h, e) ? CHARGE_USERS : CHARGE_CHANNELS;
	uint64_t tail = h->tail, half = charge_size(h, kind) / 2;
	uint32_t held, looked;

	/* each that is held has a publication that was not taken; the lobby,
	 * and what is held already, is not one more */
	if (e == PRESENCE_LOBBY || tail <= half ||
	    readers_behind(h, readers, tail - half) == 0 ||
	    readers_behind(h, readers, SHM_LOAD(h->entry[e].newest)) != 0)
		return false;
	held = crowd_count(h, kind, &looked);
	return held > looked / 2;
}

uint64_t
presence_stream(const struct hub *h, uint32_t e, uint32_t incarnation)
{
	uint64_t stream;

	if (e >= h->n_entries)
		return incarnation;
	stream = SHM_LOAD(h->stream[e]);
	shm_copied();
	return SHM_LOAD(h->entry[e].epoch) == incarnation ? stream
							  : incarnation;
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
	out->stream = SHM_LOAD(h->stream[e]);
	out->flags = SHM_LOAD(p->flags);
	out->name_len = name_copy(h, p, out->name);
	shm_copied();
	return out->name_len > 0 && SHM_LOAD(p->epoch) == out->epoch;
}

size_t
presence_user(const struct hub *h, uint32_t entry, char out[PRESENCE_NAME_MAX])
{
	struct presence_view v;

	out[0] = '\0';
	if (!presence_read(h, entry, &v) ||
	    !presence_name_is_user(v.name, v.name_len) ||
	    v.name_len > PRESENCE_NAME_MAX)
		return 0;
	memcpy(out, v.name + 1, v.name_len); /* and the NUL */
	return v.name_len - 1;
}

uint32_t
presence_next(const struct hub *h, uint32_t e)
{
	uint32_t channels = kind_first(h, CHARGE_CHANNELS);

	if (e >= presence_users_end(h) && e < channels)
		e = channels;
	return e < channels + kind_ever(h, CHARGE_CHANNELS) ? e : h->n_entries;
}

uint32_t
presence_users_end(const struct hub *h)
{
	return kind_first(h, CHARGE_USERS) + kind_ever(h, CHARGE_USERS);
}

/* Copies of entries that no worker has any more: they may be other channels' by
 * the time that `left` is called. */
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

/* Clears a worker's bit where has() is false, or everywhere (NULL), sets it
 * elsewhere, and has counted what is charged. */
static void
entries_sweep(struct hub *h, int worker,
    bool (*has)(const void *arg, uint32_t e),
    void (*left)(const struct presence_view *, void *), void *arg)
{
	static struct leavers gone;
	uint32_t e = presence_next(h, 0), looked;

	while (e < h->n_entries) {
		gone.n = 0;
		hub_lock(h);
		for (looked = 0; e < h->n_entries && looked < LEAVERS_STEP &&
		     gone.n < LEAVERS_MAX;
		     looked++, e = presence_next(h, e + 1))
			if (has == NULL || !has(arg, e))
				leavers_add(h, e, worker, &gone);
			else if (!(presence_mask(h, e) & 1ull << worker))
				presence_set(h, e);
		hub_unlock(h);
		leavers_tell(&gone, left, arg);
		line_tick(h);
	}
	charge_recount(h);
}

void
presence_clear(struct hub *h, int worker,
    void (*left)(const struct presence_view *, void *), void *arg)
{
	entries_sweep(h, worker, NULL, left, arg);
}

void
presence_match(struct hub *h, bool (*has)(const void *arg, uint32_t e),
    void (*left)(const struct presence_view *, void *), void *arg)
{
	entries_sweep(h, h->self, has, left, arg);
}

void
presence_set(struct hub *h, uint32_t e)
{
	if (e < h->n_entries)
		mask_store(h, e, SHM_LOAD(h->entry[e].mask) | 1ull << h->self);
}
