#include <sys/mman.h>
#include <sys/stat.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "heads.h"
#include "hub/charge.h"
#include "hub/claim.h"
#include "hub/input.h"
#include "hub/journal.h"
#include "base/kill_list.h"
#include "base/memory_file.h"
#include "hub/layout.h"
#include "hub/line.h"
#include "hub/lock.h"
#include "hub/output.h"
#include "hub/presence.h"
#include "hub/shm.h"
#include "hub/slot.h"
#include "hub/stats.h"
#include "hub/subscription.h"
#include "hub/wire.h"
#include "name.h"
#include "ring.h"

enum {
	PAGE = 4096,
	/* No process can cut or grow the file (all others would get SIGBUS),
	 * nor remove the seals. */
	SEALS = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL
};

/* Reserves the next region, on its own pages. */
static size_t
region(size_t *end, size_t bytes)
{
	size_t at = *end;

	*end = (at + bytes + PAGE - 1) & ~(size_t)(PAGE - 1);
	return at;
}

/* The largest power of two that is not above n. */
static uint64_t
power_below(uint64_t n)
{
	uint64_t p = 1;

	while (p <= n / 2)
		p *= 2;
	return p;
}

/* Bits of a row of counters by user: one counter for two channels. */
static uint32_t
payer_bits(uint32_t channels)
{
	uint32_t bits = CHARGE_PAYER_BITS;

	while (bits < CHARGE_KEY_BITS && (2u << bits) < channels)
		bits++;
	return bits;
}

/* Lines of the index of so many entries: seven buckets for four of them. */
static uint32_t
index_lines(uint32_t entries)
{
	return (uint32_t)(((uint64_t)entries * 7 / 4 + 15) / 16 + 1);
}

/* What one reader may leave unread of the journal, if that is one part of so
 * many, in steps of an entry's place. */
static uint64_t
reader_bytes(const struct hub *h, uint32_t share)
{
	const uint64_t all = h->journal_size / READER_SHARES;
	const unsigned n = (unsigned)__builtin_popcount(h->readers);
	const uint64_t one =
	    h->journal_size / (share != 0 ? share : READER_SHARE);

	return (n > 0 && one > all / n ? all / n : one) & ~7ull;
}

/* Numbers of everything from the limits. By the index's size, of a
 * full table's misses 97 % read one cache line (72 % with five). A quarter of
 * the output memory is for references, besides one chunk per connection and
 * what is set apart for each worker. */
static void
hub_count(struct hub *h, const struct hub_limits *l)
{
	uint64_t entries = (uint64_t)l->users + l->channels;

	h->n_user_lines = index_lines(l->users);
	h->n_lines = h->n_user_lines + index_lines(l->channels);
	h->n_users = l->users;
	h->n_channels = l->channels;
	h->n_entries = (uint32_t)entries + 1; /* and the lobby */
	h->payer_bits = payer_bits(l->channels);
	h->n_charge = charge_count(h);
	h->n_slots = l->connections;
	h->n_segments = (uint32_t)(l->output_bytes / 4 * 3 / OUTPUT_SEGMENT) +
	    SHM_WORKERS * OUTPUT_APART;
	h->n_chunks = (uint32_t)(l->output_bytes / 4 / sizeof(struct chunk)) +
	    l->connections + SHM_WORKERS * SHM_BLOCK;
	h->n_chunks = claim_blocks(h->n_chunks) * SHM_BLOCK +
	    SHM_WORKERS * OUTPUT_CHUNKS_APART * SHM_BLOCK;
	h->n_pages = (uint32_t)(l->input_bytes / INPUT_PAGE);
	h->n_subscriptions =
	    l->subscriptions != 0 ? l->subscriptions : l->connections * 8;
	h->journal_size = power_below(l->journal_bytes);
	h->n_index = h->journal_size / 128;
	h->readers = l->readers;
	h->events = l->events & l->readers;
	h->reader_share = reader_bytes(h, l->reader_share);
	/* what readers may leave unread, and one entry more that does not fit
	 * behind the others */
	h->spill_size = l->readers != 0
	    ? reader_most(h) * (unsigned)__builtin_popcount(l->readers) +
		entry_max(h)
	    : 0;
}

/* Places the regions; with base NULL only their total size counts. */
static void
hub_place(struct hub *h, uint8_t *base)
{
	size_t end = 0;

#define PLACE(field, bytes) \
	(h->field = (void *)((uintptr_t)base + region(&end, (bytes))))
	PLACE(heads, sizeof(struct shm_heads));
	PLACE(lock, sizeof(struct shm_lock));
	PLACE(line, sizeof(struct shm_line) * SHM_LINES);
	PLACE(worker, sizeof(struct shm_worker) * SHM_WORKERS);
	PLACE(bucket, (size_t)h->n_lines * 64);
	PLACE(entry, sizeof(struct presence_entry) * h->n_entries);
	PLACE(stream, sizeof(uint64_t) * h->n_entries);
	PLACE(
	    piece, sizeof(struct presence_piece) * NAME_PIECES * h->n_entries);
	PLACE(charge, sizeof(uint32_t) * CHARGE_COPIES * h->n_charge);
	PLACE(slot_owner, claim_blocks(h->n_slots));
	PLACE(slot_touched, claim_blocks(h->n_slots));
	PLACE(slot, sizeof(struct slot) * h->n_slots);
	PLACE(socket, sizeof(uint64_t) * h->n_slots);
	PLACE(chunk_owner, claim_blocks(h->n_chunks));
	PLACE(chunk, sizeof(struct chunk) * h->n_chunks);
	PLACE(segment_owner, h->n_segments);
	PLACE(arena, (size_t)OUTPUT_SEGMENT * h->n_segments);
	PLACE(page_owner, claim_blocks(h->n_pages));
	PLACE(page, (size_t)INPUT_PAGE * h->n_pages);
	PLACE(subscription_owner, claim_blocks(h->n_subscriptions));
	PLACE(subscription, sizeof(struct subscription) * h->n_subscriptions);
	PLACE(chain, sizeof(uint32_t) * SHM_WORKERS * h->n_entries);
	PLACE(stage, (size_t)SHM_STAGE * SHM_WORKERS);
	PLACE(index, sizeof(struct index_entry) * h->n_index);
	PLACE(journal, h->journal_size);
	PLACE(spill, h->spill_size);
#undef PLACE
	h->base = base;
	h->size = end;
}

/* The sizes as this program knows them. */
static struct shm_sizes
hub_sizes(const struct hub *h)
{
	struct shm_sizes s;

	memset(&s, 0,
	    sizeof(s)); /* also the padding: structs are compared as bytes */
	s.total = h->size;
	s.lines = h->n_lines;
	s.users = h->n_users;
	s.channels = h->n_channels;
	s.charge = h->n_charge;
	s.payer_bits = h->payer_bits;
	s.slots = h->n_slots;
	s.segments = h->n_segments;
	s.chunks = h->n_chunks;
	s.pages = h->n_pages;
	s.subscriptions = h->n_subscriptions;
	s.index = h->n_index;
	s.journal = h->journal_size;
	s.spill = h->spill_size;
	s.readers = h->readers;
	s.events = h->events;
	s.heads = sizeof(struct shm_heads);
	s.worker = sizeof(struct shm_worker);
	s.entry = sizeof(struct presence_entry);
	s.slot = sizeof(struct slot);
	s.chunk = sizeof(struct chunk);
	s.subscription = sizeof(struct subscription);
	return s;
}

void
hub_plan(struct hub *h, const struct hub_limits *limits)
{
	memset(h, 0, sizeof(*h));
	h->self = -1;
	hub_count(h, limits);
	hub_place(h, NULL);
}

bool
hub_plan_as(struct hub *h, const struct shm_sizes *sizes, uint8_t *base)
{
	const struct hub_limits limits = {.connections = sizes->slots,
	    .users = sizes->users,
	    .channels = sizes->channels,
	    .journal_bytes = sizes->journal,
	    .subscriptions = sizes->subscriptions,
	    .readers = (uint8_t)sizes->readers,
	    .events = (uint8_t)sizes->events};
	struct shm_sizes mine;

	hub_plan(h, &limits);
	h->fd = -1;
	/* what does not follow from the numbers above */
	h->n_segments = sizes->segments;
	h->n_chunks = sizes->chunks;
	h->n_pages = sizes->pages;
	h->n_subscriptions = sizes->subscriptions;
	h->spill_size = sizes->spill;
	hub_place(h, base);
	mine = hub_sizes(h);
	return memcmp(&mine, sizes, sizeof(mine)) == 0;
}

/* The bytes from one region to another of a hub that is only planned. */
static uint64_t
region_bytes(const void *from, const void *to)
{
	return (uintptr_t)to - (uintptr_t)from;
}

void
hub_measure(
    struct hub_bytes *b, const struct hub_limits *limits, uint32_t workers)
{
	const uint32_t absent =
	    workers < SHM_WORKERS ? SHM_WORKERS - workers : 0;
	const uint64_t apart = OUTPUT_APART * OUTPUT_SEGMENT +
	    OUTPUT_CHUNKS_APART * SHM_BLOCK * sizeof(struct chunk);
	uint64_t names; /* of users and channels */
	struct hub h;

	hub_plan(&h, limits);
	b->connections = region_bytes(h.slot_owner, h.chunk_owner);
	names = region_bytes(h.bucket, h.slot_owner) +
	    (uint64_t)h.n_entries * sizeof(*h.chain) * workers;
	b->users = names / h.n_entries * h.n_users;
	b->channels = names - b->users;
	b->subscriptions = region_bytes(h.subscription_owner, h.chain);
	b->journal = h.size - (uintptr_t)h.index;
	b->output = region_bytes(h.chunk_owner, h.page_owner) - absent * apart;
	b->input = region_bytes(h.page_owner, h.subscription_owner);
	b->workers =
	    region_bytes(h.heads, h.bucket) + (uint64_t)SHM_STAGE * workers;
}

void
hub_sign(struct hub *h)
{
	h->heads->magic = SHM_MAGIC;
	h->heads->layout = layout_number();
	h->heads->sizes = hub_sizes(h);
}

void
hub_move(struct hub *h, uint8_t *base)
{
	hub_place(h, base);
}

/* Maps a file at a multiple of HUB_ALIGN, or where there is room. */
static uint8_t *
hub_map(int fd, size_t bytes, int protection)
{
	const int flags = MAP_SHARED | MAP_NORESERVE;
	const size_t room = bytes + HUB_ALIGN;
	uint8_t *p = mmap(NULL, room, PROT_NONE,
	    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	uint8_t *at, *end;

	if (p == MAP_FAILED)
		return mmap(NULL, bytes, protection, flags, fd, 0);
	at = p + -(uintptr_t)p % HUB_ALIGN;
	end = at + ((bytes + PAGE - 1) & ~(size_t)(PAGE - 1));
	if (mmap(at, bytes, protection, flags | MAP_FIXED, fd, 0) ==
	    MAP_FAILED) {
		munmap(p, room);
		return MAP_FAILED;
	}
	if (p < at)
		munmap(p, (size_t)(at - p));
	if (end < p + room)
		munmap(end, (size_t)(p + room - end));
	return at;
}

int
hub_create_in(struct hub *h, int fd, const struct hub_limits *limits,
    const uint8_t hash_key[16])
{
	uint8_t *base;

	hub_plan(h, limits);
	if (ftruncate(fd, (off_t)h->size) < 0 ||
	    fcntl(fd, F_ADD_SEALS, SEALS) < 0)
		return -1;
	base = hub_map(fd, h->size, PROT_READ | PROT_WRITE);
	if (base == MAP_FAILED)
		return -1;
	h->fd = fd;
	hub_place(h, base);
	memcpy(h->hash_key, hash_key, sizeof(h->hash_key));
	hub_sign(h);
	lock_reset(h);
	journal_init(h);
	presence_init(h);
	return 0;
}

int
hub_create(struct hub *h, const struct hub_limits *limits)
{
	int fd = memory_file("chatd"), save;
	uint8_t key[16];

	/* not arc4random_buf(), which ends the process without a word if there
	 * is no memory for its own state */
	if (fd >= 0 && getentropy(key, sizeof(key)) == 0 &&
	    hub_create_in(h, fd, limits, key) == 0)
		return 0;
	save = errno;
	if (fd >= 0)
		close(fd);
	errno = save;
	return -1;
}

bool
hub_limits_equal(const struct hub_limits *a, const struct hub_limits *b)
{
	return a->connections == b->connections && a->users == b->users &&
	    a->channels == b->channels &&
	    a->journal_bytes == b->journal_bytes &&
	    a->output_bytes == b->output_bytes &&
	    a->input_bytes == b->input_bytes &&
	    a->subscriptions == b->subscriptions && a->readers == b->readers &&
	    a->events == b->events &&
	    (a->readers == 0 || a->reader_share == b->reader_share);
}

int
hub_attach(struct hub *h, int fd, const struct hub_limits *limits,
    const uint8_t hash_key[16], bool look, char *error, size_t error_len)
{
	struct shm_sizes mine, theirs;
	struct stat st;
	uint8_t *base;
	int seals;

	hub_plan(h, limits);
	if (fstat(fd, &st) < 0 || (size_t)st.st_size < sizeof(*h->heads)) {
		snprintf(error, error_len, "there is no shared memory");
		return -1;
	}
	seals = fcntl(fd, F_GET_SEALS);
	if (seals < 0 || (seals & SEALS) != SEALS) {
		snprintf(error, error_len,
		    "the shared memory is not sealed: a process could cut it "
		    "off under the others");
		return -1;
	}
	base = hub_map(
	    fd, (size_t)st.st_size, PROT_READ | (look ? 0 : PROT_WRITE));
	if (base == MAP_FAILED) {
		snprintf(
		    error, error_len, "shared memory: %s", strerror(errno));
		return -1;
	}
	mine = hub_sizes(h);
	hub_place(h, base);
	theirs = h->heads->sizes;
	if (h->heads->magic != SHM_MAGIC)
		snprintf(error, error_len, "the shared memory is not chatd's");
	else if (h->heads->layout != layout_number())
		snprintf(error, error_len,
		    "the shared memory has layout %016llx, this program knows "
		    "%016llx",
		    (unsigned long long)h->heads->layout,
		    (unsigned long long)layout_number());
	else if (memcmp(&mine, &theirs, sizeof(mine)) != 0 ||
	    (size_t)st.st_size != h->size)
		snprintf(error, error_len,
		    "the shared memory has other sizes than this program's");
	else {
		h->fd = fd;
		memcpy(h->hash_key, hash_key, sizeof(h->hash_key));
		return 0;
	}
	munmap(base, (size_t)st.st_size);
	return -1;
}

void
hub_close_file(struct hub *h)
{
	if (h->fd >= 0)
		close(h->fd);
	h->fd = -1;
}

void
hub_destroy(struct hub *h)
{
	wire_detach(h);
	munmap(h->base, h->size);
	hub_close_file(h);
	memset(h, 0, sizeof(*h));
}

void
hub_become(struct hub *h, int line)
{
	h->self = line;
	h->mine = &h->line[line];
	h->me = line < SHM_WORKERS ? &h->worker[line] : NULL;
	lock_become(h);
	kill_list_become(line);
}
