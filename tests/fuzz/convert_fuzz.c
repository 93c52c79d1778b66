/*
 * convert_fuzz: memory into which workers have written anything is copied into
 * other sizes: the copy is refused with a reason, or ends, and what it has made
 * can be walked: no record belongs to two connections, the journal is sound,
 * and what is set aside for readers of it. What nobody has written into goes
 * over. An input is one byte that chooses the sizes, then pieces: a region, an
 * offset of two bytes, a length, and so many bytes that are written there.
 */
#include "fuzz.h"

#include "../unit/convert_fixture.h"

#include "../../src/hub/name.h"
#include "../../src/hub/page.h"

enum { REGIONS = 21, PIECE_HEAD = 4 };

/* What is written into, and what was there before. */
static struct region {
	void *at;
	size_t size;
	uint8_t *was;
} region[REGIONS];
static struct scene scene;
static struct hub_limits made; /* what it is made with */

/* Notes a region. */
static void
region_note(struct region *r, void *at, size_t size)
{
	*r = (struct region){at, size, malloc(size)};
	REQUIRE(r->was != NULL);
	memcpy(r->was, at, size);
}

/* A reader has taken nothing and needs the first message, which is set aside as
 * if the ring had no room for it. */
static void
spill_fill(struct hub *h)
{
	struct entry_head *e = (void *)h->journal;
	const size_t n = journal_entry_bytes(e->user_len, e->data_len);

	e->format |= 1 << READER_HOOKS << ENTRY_REQUIRED;
	h->entry[e->channel].flags =
	    1 << READER_HOOKS | 1 << READER_HOOKS << PRESENCE_REQUIRED;
	memcpy(h->spill, e, n);
	h->heads->spill_end = n;
	h->heads->oldest = 2;
}

/* Makes the scene, once. */
static void
scene_begin(void)
{
	struct hub *h = &scene.h;
	struct region *r = region;

	made = usual;
	made.readers = made.events = 1 << READER_HOOKS;
	made.reader_share = READER_SHARE;
	scene_limits = &made;
	scene_make(&scene);
	spill_fill(h);
	region_note(r++, h->heads, sizeof(*h->heads));
	region_note(r++, h->line, 4 * sizeof(*h->line));
	region_note(r++, h->worker, 4 * sizeof(*h->worker));
	region_note(r++, h->entry, 8 * sizeof(*h->entry));
	region_note(r++, &h->entry[1 + h->n_users], 8 * sizeof(*h->entry));
	region_note(r++, h->piece, 8 * sizeof(*h->piece));
	region_note(r++, h->slot, 8 * sizeof(*h->slot));
	region_note(r++, (void *)h->slot_owner, 4);
	region_note(r++, (void *)h->slot_touched, 4);
	region_note(r++, h->chunk, 8 * sizeof(*h->chunk));
	region_note(r++, (void *)h->chunk_owner, 8);
	region_note(r++, (void *)h->segment_owner, 64);
	region_note(r++, h->page, 8 * sizeof(*h->page));
	region_note(r++, (void *)h->page_owner, 8);
	region_note(r++, h->subscription, 8 * sizeof(*h->subscription));
	region_note(r++, (void *)h->subscription_owner, 8);
	region_note(r++, h->index, 16 * sizeof(*h->index));
	region_note(r++, h->journal, 1024);
	region_note(r++, (void *)h->socket, 8 * sizeof(*h->socket));
	region_note(r++, h->stream, 8 * sizeof(*h->stream));
	region_note(r++, h->spill, 1024);
	REQUIRE(r == region + REGIONS);
}

/* Writes what an input says. */
static void
scribble(const uint8_t *data, size_t size)
{
	struct region *r;
	size_t at, len;

	while (size > PIECE_HEAD) {
		r = &region[data[0] % REGIONS];
		at = (size_t)(data[1] | data[2] << 8) % r->size;
		len = data[3];
		data += PIECE_HEAD;
		size -= PIECE_HEAD;
		len = len < size ? len : size;
		len = len < r->size - at ? len : r->size - at;
		memcpy((uint8_t *)r->at + at, data, len);
		data += len;
		size -= len;
	}
}

/* All messages can be asked for. */
static void
journal_walk(const struct hub *h)
{
	static char bytes[1 << 17];
	struct publication p;
	uint64_t tail = journal_tail(h);

	REQUIRE(journal_is_sound(h));
	for (uint64_t k = 0; k < 64 && k < tail; k++)
		(void)journal_read(h, tail - k, bytes, sizeof(bytes), &p);
}

/* All that is set aside is one entry behind the other, in order. */
static void
spill_walk(const struct hub *h)
{
	uint64_t at = 0, end = h->heads->spill_end, last = 0, n;
	struct publication p;

	REQUIRE(h->heads->spill_begin == 0 && end <= h->spill_size);
	while (at < end) {
		n = publication_decode(h->spill + at, end - at, &p);
		REQUIRE(n != 0 && p.position > last && p.required != 0);
		last = p.position;
		at += n;
	}
	for (int r = 0; r < READERS; r++)
		REQUIRE(h->heads->reader[r].taken <= journal_tail(h) &&
		    h->heads->reader[r].end <= h->heads->end);
}

/* What a connection has; notes whose its records are. */
static void
slot_walk(struct hub *h, uint32_t i, uint8_t *seen)
{
	static char bytes[1 << 17];
	const uint64_t id = slot_id(h, i);
	struct slot *slot = &h->slot[i];
	struct subscription_walk w = {
	    id, slot->subscriptions, SUBSCRIPTIONS_MAX};
	struct presence_view v;
	uint32_t sub;

	hub_become(h, slot_worker(h, i));
	while ((sub = subscription_walk_next(h, &w)) != SHM_NONE) {
		REQUIRE(sub < h->n_subscriptions && !seen[sub]);
		seen[sub] = 1;
		REQUIRE(h->subscription_owner[sub / SHM_BLOCK] ==
		    slot_worker(h, i) + 1);
		REQUIRE(h->subscription[sub].channel >= 1 &&
		    h->subscription[sub].channel <= h->n_entries);
		(void)blob_get(h, h->subscription[sub].info, id, bytes);
	}
	(void)presence_read(h, slot->user, &v);
	(void)blob_get(h, slot->info, id, bytes);
	if (input_part(h, i) != NULL) {
		(void)input_gather(h, i, bytes, sizeof(bytes));
		(void)input_raw(h, i, bytes, sizeof(bytes));
	}
}

/* What the next program would find. */
static void
copy_walk(int fd, const struct hub_limits *limits)
{
	static uint8_t seen[4096];
	struct hub h;

	REQUIRE(hub_attach(&h, fd, limits, scene.h.hash_key, false, error,
		    sizeof(error)) == 0);
	REQUIRE(h.n_subscriptions <= sizeof(seen));
	memset(seen, 0, sizeof(seen));
	hub_become(&h, 0);
	journal_walk(&h);
	spill_walk(&h);
	for (uint32_t i = slot_ever(&h, 0); i < h.n_slots;
	     i = slot_ever(&h, i + 1))
		if (slot_in_use(&h, i)) {
			REQUIRE(slot_worker(&h, i) < SHM_WORKERS);
			slot_walk(&h, i, seen);
		}
	hub_destroy(&h);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct hub_limits limits;
	struct convert_result r;
	struct convert *c;
	bool good;
	int fd;

	if (size == 0)
		return 0;
	if (scene.h.base == NULL)
		scene_begin();
	limits = made;
	if (data[0] % 3 == 1)
		limits.users = limits.channels = limits.connections = 40;
	else if (data[0] % 3 == 2)
		limits.journal_bytes = 1 << 17;
	scribble(data + 1, size - 1);
	c = convert_open(scene.h.fd, print, "", tables, error, sizeof(error));
	REQUIRE(c != NULL);
	fd = memfd_create("fuzz", MFD_ALLOW_SEALING | MFD_CLOEXEC);
	REQUIRE(fd != -1);
	error[0] = '\0';
	good =
	    (convert_fits(c, &limits, error, sizeof(error)) || data[0] > 127) &&
	    convert_prepare(
		c, fd, &limits, scene.h.hash_key, error, sizeof(error)) == 0 &&
	    convert_run(c, &r, error, sizeof(error)) == 0;
	if (good)
		copy_walk(dup(fd), &limits);
	else
		REQUIRE(error[0] != '\0');
	REQUIRE(size > 1 || (good && r.connections == 1 && r.spoilt == 0));
	convert_close(c);
	close(fd);
	for (int k = 0; k < REGIONS; k++)
		memcpy(region[k].at, region[k].was, region[k].size);
	return 0;
}
