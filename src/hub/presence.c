#include <stdlib.h>
#include <string.h>

#include "base/siphash.h"
#include "heads.h"
#include "hub/journal.h"
#include "hub/lock.h"
#include "hub/presence.h"

/*
 * A bucket is tag << 24 | entry + 1: eight bits of the hash spare most looks
 * at entries that are not meant.
 */
enum {
	LINE = 16,           /* buckets in a cache line */
	LINES_MAX = 64,      /* probed: more never happens below load 0.8 */
	EMPTY = 0,           /* ends a probe */
	DELETED = 0x00ffffff, /* does not */
	ENTRY_MASK = 0x00ffffff,
	EXTRA_BYTES = 56,
	REUSE_LOOK = 16384 /* entries looked at for one to reuse: <= 1 ms */
};

/* Line of the k-th probe for a hash. */
static uint32_t
probe_line(const struct hub *h, uint64_t hash, uint32_t k)
{
	uint32_t line = (uint32_t)((hash >> 32) * h->n_lines >> 32) + k;

	return line >= h->n_lines ? line - h->n_lines : line;
}

static uint32_t
probe_max(const struct hub *h)
{
	return h->n_lines < LINES_MAX ? h->n_lines : LINES_MAX;
}

static uint32_t
bucket_value(uint64_t hash, uint32_t entry)
{
	return (uint32_t)(hash >> 8 & 0xff) << 24 | (entry + 1);
}

/* Copies a name out; its length, or 0 if the entry says nonsense. */
static uint32_t
name_copy(const struct hub *h, const struct presence_entry *e,
    char out[PRESENCE_NAME_MAX + 1])
{
	uint32_t len = e->name_len, got, x = e->extra, k;

	got = len < PRESENCE_INLINE ? len : PRESENCE_INLINE;
	memcpy(out, e->name, got);
	while (got < len) {
		if (x == 0 || x > h->n_extra)
			return 0;
		k = len - got < EXTRA_BYTES ? len - got : EXTRA_BYTES;
		memcpy(out + got, h->extra[x - 1].bytes, k);
		x = h->extra[x - 1].next;
		got += k;
	}
	out[len] = '\0';
	return len;
}

static bool
name_equals(const struct hub *h, const struct presence_entry *e,
    const char *name, size_t len)
{
	char copy[PRESENCE_NAME_MAX + 1];

	if (e->name_len != len)
		return false;
	if (len <= PRESENCE_INLINE)
		return memcmp(e->name, name, len) == 0;
	return name_copy(h, e, copy) == len && memcmp(copy, name, len) == 0;
}

/* Finds a name, or where to put it: *room is a bucket, or NULL. */
static uint32_t
find(const struct hub *h, uint64_t hash, const char *name, size_t len,
    _Atomic uint32_t **room)
{
	uint32_t k, j, v, e, tag = bucket_value(hash, 0) & ~ENTRY_MASK;
	_Atomic uint32_t *line;

	if (room != NULL)
		*room = NULL;
	for (k = 0; k < probe_max(h); k++) {
		line = &h->bucket[(size_t)probe_line(h, hash, k) * LINE];
		for (j = 0; j < LINE; j++) {
			v = SHM_LOAD(line[j]);
			if ((v == EMPTY || v == DELETED) && room != NULL &&
			    *room == NULL)
				*room = &line[j];
			if (v == EMPTY)
				return SHM_NONE;
			if (v == DELETED || (v & ~ENTRY_MASK) != tag)
				continue;
			e = (v & ENTRY_MASK) - 1;
			if (e < h->n_entries &&
			    h->entry[e].hash == (uint32_t)hash &&
			    SHM_LOAD(h->entry[e].epoch) != 0 &&
			    name_equals(h, &h->entry[e], name, len))
				return e;
		}
	}
	return SHM_NONE;
}

uint32_t
presence_find(struct hub *h, const char *name, size_t len)
{
	if (len == 0 || len > PRESENCE_NAME_MAX)
		return SHM_NONE;
	return find(h, siphash(h->hash_key, name, len), name, len, NULL);
}

/* Takes an entry's bucket away; nothing if it has none. */
static void
unlist(struct hub *h, uint32_t e)
{
	char name[PRESENCE_NAME_MAX + 1];
	uint32_t len = name_copy(h, &h->entry[e], name), k, j, v;
	uint64_t hash = siphash(h->hash_key, name, len);
	_Atomic uint32_t *line;

	for (k = 0; k < probe_max(h); k++) {
		line = &h->bucket[(size_t)probe_line(h, hash, k) * LINE];
		for (j = 0; j < LINE; j++) {
			v = SHM_LOAD(line[j]);
			if (v == EMPTY)
				return;
			if (v != bucket_value(hash, e))
				continue;
			/* lines fill from their start, and the last bucket
			 * never becomes empty again: before an empty one
			 * nothing was ever probed beyond this line */
			SHM_STORE(line[j],
			    j < LINE - 1 && SHM_LOAD(line[j + 1]) == EMPTY
				? EMPTY
				: DELETED);
			return;
		}
	}
}

/* An entry that nobody has: one without kept publications, or any. */
static uint32_t
entry_reuse(struct hub *h)
{
	uint32_t n = h->n_entries, k, e, any = SHM_NONE;
	uint64_t newest;

	for (k = 0; k < REUSE_LOOK && k < n; k++) {
		e = SHM_LOAD(h->heads->hand) % n;
		SHM_STORE(h->heads->hand, e + 1);
		if (e == PRESENCE_LOBBY || SHM_LOAD(h->entry[e].mask) != 0)
			continue;
		newest = SHM_LOAD(h->entry[e].newest);
		if (newest == 0 || newest < journal_oldest(h)) {
			any = e;
			break;
		}
		any = e;
	}
	if (any == SHM_NONE)
		return SHM_NONE;
	if (SHM_LOAD(h->entry[any].epoch) != 0)
		unlist(h, any);
	SHM_STORE(h->entry[any].epoch, 0);
	return any;
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

/* Whether an extension belongs to nobody who lives. */
static bool
extra_free(const struct hub *h, uint32_t x)
{
	uint32_t owner = SHM_LOAD(h->extra[x].owner);

	return owner == 0 || owner > h->n_entries ||
	    SHM_LOAD(h->entry[owner - 1].epoch) == 0;
}

/* Writes a name's tail into extensions; false if there are none left. */
static bool
extra_write(struct hub *h, uint32_t e, const char *bytes, size_t len)
{
	uint32_t *link = &h->entry[e].extra, x = SHM_LOAD(h->heads->extra_hand);
	uint32_t looked;
	size_t k;

	for (looked = 0; len > 0 && looked < h->n_extra; looked++, x++) {
		if (x >= h->n_extra)
			x = 0;
		if (!extra_free(h, x))
			continue;
		k = len < EXTRA_BYTES ? len : EXTRA_BYTES;
		memcpy(h->extra[x].bytes, bytes, k);
		h->extra[x].next = 0;
		SHM_STORE(h->extra[x].owner, e + 1);
		*link = x + 1;
		link = &h->extra[x].next;
		bytes += k;
		len -= k;
	}
	SHM_STORE(h->heads->extra_hand, x);
	return len == 0;
}

/* Makes an entry; the store of its bucket commits it. */
static uint32_t
entry_make(struct hub *h, uint64_t hash, const char *name, size_t len,
    _Atomic uint32_t *room)
{
	uint32_t e = entry_take(h), epoch;
	struct presence_entry *p;
	size_t in = len < PRESENCE_INLINE ? len : PRESENCE_INLINE;

	if (e == SHM_NONE)
		return SHM_NONE;
	p = &h->entry[e];
	p->hash = (uint32_t)hash;
	p->name_len = (uint8_t)len;
	p->extra = 0;
	memcpy(p->name, name, in);
	if (!extra_write(h, e, name + in, len - in))
		return SHM_NONE;
	SHM_STORE(p->mask, 0);
	SHM_STORE(p->offset, 0);
	SHM_STORE(p->newest, 0);
	epoch = SHM_LOAD(h->heads->epoch) + 1;
	if (epoch == 0)
		epoch = 1;
	SHM_STORE(h->heads->epoch, epoch);
	SHM_STORE(p->epoch, epoch);
	SHM_STORE(*room, bucket_value(hash, e));
	return e;
}

/* The entry of a name, made if need be. */
static uint32_t
find_or_make(struct hub *h, const char *name, size_t len)
{
	uint64_t hash;
	_Atomic uint32_t *room;
	uint32_t e;

	if (len == 0 || len > PRESENCE_NAME_MAX)
		return SHM_NONE;
	hash = siphash(h->hash_key, name, len);
	e = find(h, hash, name, len, &room);
	if (e != SHM_NONE || room == NULL)
		return e;
	return entry_make(h, hash, name, len, room);
}

void
presence_init(struct hub *h)
{
	uint32_t epoch;

	arc4random_buf(&epoch, sizeof(epoch));
	h->heads->epoch = epoch;
	if (find_or_make(h, "lobby", 5) != PRESENCE_LOBBY)
		abort();
}

uint32_t
presence_enter(struct hub *h, const char *name, size_t len, bool *first)
{
	uint32_t e = find_or_make(h, name, len);
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
	uint32_t n = SHM_LOAD(h->heads->entries) + 1;

	return n < h->n_entries ? n : h->n_entries;
}

void
presence_clear(struct hub *h, int worker,
    void (*left)(const struct presence_view *, void *), void *arg)
{
	enum { GONE = 64, STEP = 1024 };
	uint32_t gone[GONE], n = presence_count(h), e = 0, stop, k, n_gone;
	struct presence_view v;

	while (e < n) {
		n_gone = 0;
		stop = e + STEP < n ? e + STEP : n;
		hub_lock(h);
		for (; e < stop && n_gone < GONE; e++)
			if (presence_leave(h, e, worker))
				gone[n_gone++] = e;
		hub_unlock(h);
		for (k = 0; k < n_gone; k++)
			if (presence_read(h, gone[k], &v))
				left(&v, arg);
	}
}
