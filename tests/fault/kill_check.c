/* What must be true in the hub wherever a worker died. */
#include "kill_scene.h"

#include "../unit/charge_check.h"

#include <stdio.h>

#include "hub/lock.h"
#include "hub/presence.h"
#include "hub/subscription.h"

enum { IOV = 1024 };

/* The bytes are those of a stream at that position. */
static void
check_bytes(const void *bytes, uint64_t position, size_t n)
{
	const uint8_t *b = bytes;
	size_t k;

	for (k = 0; k < n; k++)
		assert_int_equal(b[k], scene_byte(position + k));
}

/* Every publication that is kept can be read, once, in its channel's order;
 * the channels' heads follow from them. */
static void
check_journal(struct scene *s)
{
	char buf[SCENE_JOURNAL];
	uint64_t offset[SCENE_ENTRIES] = {0}, newest[SCENE_ENTRIES] = {0};
	uint32_t epoch[SCENE_ENTRIES] = {0}, e;
	uint64_t i, oldest = journal_oldest(&s->h);
	struct publication p;

	assert_true(journal_tail(&s->h) == s->note->published);
	for (i = oldest; i <= s->note->published; i++) {
		assert_int_equal(
		    journal_read(&s->h, i, buf, sizeof(buf), &p), JOURNAL_OK);
		check_bytes(p.data, i, p.data_len);
		e = p.channel;
		assert_true(e < SCENE_ENTRIES);
		if (epoch[e] == p.epoch) {
			assert_true(p.offset == offset[e] + 1);
			assert_true(p.previous == newest[e]);
		} else
			assert_true(p.previous < oldest);
		epoch[e] = p.epoch;
		offset[e] = p.offset;
		newest[e] = i;
	}
	for (e = 0; e < SCENE_ENTRIES; e++)
		if (s->h.entry[e].epoch == epoch[e] && epoch[e] != 0) {
			assert_true(s->h.entry[e].offset == offset[e]);
			assert_true(s->h.entry[e].newest == newest[e]);
		} else if (s->h.entry[e].epoch != 0)
			assert_true(s->h.entry[e].newest < oldest);
}

/* Presence finds exactly the names that are there. */
static void
check_presence(struct scene *s)
{
	char name[PRESENCE_NAME_MAX + 1];
	struct presence_view v;
	uint32_t i, e, live = 0, seen = 0;
	size_t len;

	for (i = 0; i < SCENE_NAMES; i++) {
		hub_lock(&s->h);
		e = scene_find(s, i);
		hub_unlock(&s->h);
		assert_true((e == SHM_NONE ? 0 : presence_mask(&s->h, e)) ==
		    s->note->mask[i]);
		if (s->note->mask[i] == 0)
			continue;
		live++;
		assert_true(presence_read(&s->h, e, &v));
		len = scene_name(i, name);
		assert_int_equal(v.name_len, len);
		assert_memory_equal(v.name, name, len);
		/* of others the entry may have been made anew */
		assert_true(
		    v.offset == s->note->count[i] || (v.offset == 0 && i > 2));
	}
	for (e = presence_next(&s->h, 0); e < s->h.n_entries;
	     e = presence_next(&s->h, e + 1))
		seen += presence_mask(&s->h, e) != 0;
	assert_int_equal(seen, live);
}

/* A connection's records, as a worker that takes it over would read them. */
static void
check_conn(struct scene *s, const struct scene_conn *c)
{
	static uint8_t in[SCENE_SLOTS * 1024];
	uint32_t slot = slot_find(&s->h, c->id);
	const struct input_part *part;
	struct iovec iov[IOV];
	struct output o = {0};
	uint64_t at;
	size_t asked, skip;
	struct slot *r;
	int n, i;

	if (slot == SHM_NONE) {
		/* not open yet, or free already */
		assert_int_equal(slot_state(&s->h, (uint32_t)c->id), 0);
		return;
	}
	r = &s->h.slot[slot];
	assert_true(r->committed == c->committed);
	assert_true(r->appended == c->appended);
	part = input_part(&s->h, slot);
	assert_true((part == NULL ? 0 : part->end) == c->in_end);
	assert_int_equal(
	    input_gather(&s->h, slot, in, sizeof(in)), c->in_bytes);
	check_bytes(in, 0, c->in_bytes);
	o.chunk = shm_index(r->chunk);
	if (o.chunk == SHM_NONE) {
		assert_true(c->out_taken == c->out_bytes);
		return;
	}
	o.front = s->h.chunk[o.chunk].base;
	at = s->h.chunk[o.chunk].start;
	n = output_gather(&s->output, &o, slot, iov, IOV, &asked);
	assert_true(n < IOV);
	assert_true(at + asked == c->out_bytes);
	assert_true(at <= c->out_taken);
	for (i = 0; i < n; i++, at += asked) {
		asked = iov[i].iov_len;
		skip = at >= c->out_taken ? 0 : c->out_taken - at;
		if (skip < asked)
			check_bytes((uint8_t *)iov[i].iov_base + skip,
			    at + skip, asked - skip);
	}
}

void
scene_check(struct scene *s)
{
	int w, c;

	check_presence(s);
	check_journal(s);
	for (w = 0; w < SCENE_WORKERS; w++)
		for (c = 0; c < SCENE_CONNS; c++)
			if (s->note->conn[w][c].id != 0)
				check_conn(s, &s->note->conn[w][c]);
	assert_int_equal(lock_holder(&s->h), -1);
}

static void
left_cb(const struct presence_view *v, void *arg)
{
	(void)v;
	++*(uint32_t *)arg;
}

void
scene_clean(struct scene *s, int dead)
{
	uint32_t left = 0, i;

	presence_clear(&s->h, dead, left_cb, &left);
	subscription_clear(&s->h, dead);
	slot_clear(&s->h, dead);
	output_clear(&s->h, dead);
	input_clear(&s->h, dead);
	for (i = 0; i < SCENE_NAMES; i++)
		s->note->mask[i] &= ~(1ull << dead);
	memset(s->note->conn[dead], 0, sizeof(s->note->conn[dead]));
	/* wherever others died before: all is counted anew */
	assert_true(charge_is_exact(&s->h));
}

/* No block there is the dead worker's. */
static void
check_owner(const _Atomic uint8_t *owner, uint32_t n, int dead)
{
	while (n-- > 0)
		assert_int_not_equal(owner[n], dead + 1);
}

void
scene_check_gone(struct scene *s, int dead)
{
	struct hub *h = &s->h;
	uint32_t i;

	check_owner(h->slot_owner, claim_blocks(h->n_slots), dead);
	check_owner(h->chunk_owner, claim_blocks(h->n_chunks), dead);
	check_owner(h->page_owner, claim_blocks(h->n_pages), dead);
	check_owner(h->segment_owner, h->n_segments, dead);
	for (i = 0; i < h->n_entries; i++)
		assert_false(presence_mask(h, i) & 1ull << dead);
	for (i = 0; i < h->n_slots; i++)
		assert_true(
		    slot_state(h, i) == SLOT_FREE || slot_worker(h, i) != dead);
}

/* Takes all items of a kind. */
static void
exhaust_claim(struct claim *c)
{
	/* but for those that are set apart for others */
	uint32_t apart = c->blocks.apart * (SHM_WORKERS - 1) * SHM_BLOCK;
	uint32_t i, n = 0, max = c->n_items - apart;
	uint32_t *item = calloc(max, sizeof(i));

	while ((i = claim_take(c)) != SHM_NONE)
		item[n++] = i;
	assert_int_equal(c->n_used, max);
	while (n > 0)
		claim_give(c, item[--n]);
	free(item);
}

void
scene_exhaust(struct scene *s)
{
	uint32_t i, live = 0, e, *entry;
	char name[32];
	bool first;

	exhaust_claim(&s->slots);
	exhaust_claim(&s->output.chunks);
	exhaust_claim(&s->input.pages);
	for (i = 0; i < s->h.n_segments; i++)
		assert_true(
		    s->h.segment_owner[i] == 0 || s->h.segment_owner[i] == 1);
	entry = calloc(s->h.n_entries, sizeof(*entry));
	for (i = 1; i < s->h.n_entries; i++)
		live += presence_mask(&s->h, i) != 0;
	hub_lock(&s->h);
	for (i = 0; live + i < SCENE_USERS; i++) {
		e = presence_enter(&s->h, name,
		    (size_t)sprintf(name, "a name too long to fit %u", i),
		    &first);
		assert_int_not_equal(e, SHM_NONE);
		entry[i] = e;
	}
	assert_int_equal(presence_enter(&s->h, "more", 4, &first), SHM_NONE);
	while (i > 0)
		presence_leave(&s->h, entry[--i], 0);
	hub_unlock(&s->h);
	free(entry);
}
