/* The copy as a whole: the new memory, what fits, all parts in turn, and the
 * proof that the next workers can take it over. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/kill_list.h"
#include "convert.h"
#include "heads.h"
#include "hub/charge.h"
#include "hub/input.h"
#include "hub/journal.h"
#include "hub/line.h"
#include "hub/lock.h"
#include "hub/output.h"
#include "hub/slot.h"
#include "hub/stats.h"
#include "hub/subscription.h"

/* How many of a kind their workers have taken. */
static uint64_t
used_sum(const struct convert *c, enum used_kind kind)
{
	const uint8_t *w;
	uint64_t n = 0;

	for (uint64_t k = 0; k < SHM_WORKERS; k++)
		if ((w = convert_item(c, R_WORKER, C_WORKER, k)) != NULL)
			n += convert_get_of(
			    c, F_WORKER_USED, w, (uint32_t)kind, USED_KINDS);
	return n;
}

/* The next slot of theirs from *i on that is connected; NULL: there is none. */
static const uint8_t *
slot_next(const struct convert *c, uint64_t *i)
{
	const uint8_t *p;

	for (; *i < c->count[N_SLOTS]; ++*i) {
		if (convert_byte(c, R_SLOT_TOUCHED, *i / SHM_BLOCK) == 0) {
			*i |= SHM_BLOCK - 1;
			continue;
		}
		p = convert_item(c, R_SLOT, C_SLOT, *i);
		if (p != NULL &&
		    c->slot_state[convert_get(c, F_SLOT_LIFE, p) & 7] !=
			SLOT_FREE)
			return p;
	}
	return NULL;
}

/* The highest slot of theirs that is connected, + 1. */
static uint64_t
slots_end(const struct convert *c)
{
	uint64_t end = 0;

	for (uint64_t i = 0; slot_next(c, &i) != NULL; i++)
		end = i + 1;
	return end;
}

/* Whether this program has what connections of theirs use. */
static bool
slots_known(struct convert *c)
{
	const uint8_t *p;

	for (uint64_t i = 0; (p = slot_next(c, &i)) != NULL; i++)
		if (!convert_known(c, C_SLOT, p))
			return false;
	return true;
}

/* Segments of theirs that some worker has. */
static uint64_t
segments_used(const struct convert *c)
{
	uint64_t n = 0;

	for (uint64_t i = 0; i < c->count[N_SEGMENTS]; i++)
		n += convert_byte(c, R_SEGMENT_OWNER, i) != 0;
	return n;
}

/* Whether so many fit. */
static bool
size_fits(const char *key, uint64_t used, uint64_t room, char *error,
    size_t error_len)
{
	if (used <= room)
		return true;
	snprintf(error, error_len,
	    "%s: %llu are used, %llu would fit; raise the key, or wait until "
	    "fewer are",
	    key, (unsigned long long)used, (unsigned long long)room);
	return false;
}

bool
convert_fits(struct convert *c, const struct hub_limits *limits, char *error,
    size_t error_len)
{
	struct hub h;

	c->error = error;
	c->error_len = error_len;
	hub_plan(&h, limits);
	return slots_known(c) &&
	    size_fits("connections (by their numbers)", slots_end(c), h.n_slots,
		error, error_len) &&
	    size_fits("users", convert_presence_held(c, CHARGE_USERS),
		h.n_users, error, error_len) &&
	    size_fits("channels", convert_presence_held(c, CHARGE_CHANNELS),
		h.n_channels, error, error_len) &&
	    size_fits("subscriptions", used_sum(c, USED_SUBSCRIPTIONS),
		h.n_subscriptions, error, error_len) &&
	    size_fits("output-memory (chunks)", used_sum(c, USED_CHUNKS),
		h.n_chunks, error, error_len) &&
	    size_fits("output-memory (segments)", segments_used(c),
		h.n_segments, error, error_len) &&
	    size_fits("input-memory (pages)", used_sum(c, USED_PAGES),
		h.n_pages, error, error_len);
}

int
convert_prepare(struct convert *c, int fd, const struct hub_limits *limits,
    const uint8_t hash_key[16], char *error, size_t error_len)
{
	const uint8_t *heads = convert_item(c, R_HEADS, C_HEADS, 0);
	uint64_t touched, journal;

	c->error = error;
	c->error_len = error_len;
	if (hub_create_in(&c->hub, fd, limits, hash_key) == -1) {
		(void)convert_fail(c, "new memory: %s", strerror(errno));
		return -1;
	}
	KILL_POINT();
	/* as far as their ring has been filled, ours will be */
	touched = convert_get(c, F_HEADS_TAIL, heads) < c->count[N_INDEX]
	    ? convert_get(c, F_HEADS_TAIL, heads)
	    : c->count[N_INDEX];
	journal = touched * 256 < c->hub.journal_size ? touched * 256
						      : c->hub.journal_size;
	(void)madvise(c->hub.journal, journal, MADV_POPULATE_WRITE);
	if (touched > c->hub.n_index)
		touched = c->hub.n_index;
	(void)madvise(
	    c->hub.index, touched * sizeof(*c->hub.index), MADV_POPULATE_WRITE);
	(void)madvise(c->hub.slot, slots_end(c) * sizeof(*c->hub.slot),
	    MADV_POPULATE_WRITE);
	return 0;
}

/* The words that everybody meets at. */
static bool
heads_copy(struct convert *c)
{
	struct shm_heads *h = c->hub.heads;

	if (!convert_record(
		c, C_HEADS, convert_item(c, R_HEADS, C_HEADS, 0), h))
		return false;
	for (int k = 0; k < CHARGE_KINDS; k++)
		h->entries[k] = h->hand[k] = 0;
	h->charge_live = h->charge_turn = h->charge_at = 0;
	h->tail = h->redone = h->end = 0;
	h->oldest = 1;
	KILL_POINT();
	return true;
}

int
convert_run(
    struct convert *c, struct convert_result *r, char *error, size_t error_len)
{
	struct hub *h = &c->hub;

	memset(r, 0, sizeof(*r));
	c->result = r;
	c->error = error;
	c->error_len = error_len;
	if (!heads_copy(c) || !convert_presence(c) || !convert_journal(c) ||
	    !convert_readers(c) || !convert_slots(c))
		return -1;
	convert_newest(c);
	KILL_POINT();
	hub_sign(h);
	/* what is charged follows from the entries; nobody else is here */
	hub_become(h, 0);
	kill_list_become(KILL_COPIER);
	charge_recount(h);
	KILL_POINT();
	SHM_STORE(h->line[0].thread, 0);
	SHM_STORE(h->line[0].tick, 0);
	return convert_prove(c) ? 0 : -1;
}

/* What one worker would do at its takeover, in memory of its own. */
static bool
worker_prove(struct convert *c, struct hub *h, int worker, uint32_t *n)
{
	struct output_pool output;
	struct input_pool input;
	struct output o;
	uint32_t i, bad = 0;

	h->self = worker;
	h->mine = &h->line[worker];
	h->me = &h->worker[worker];
	if (output_pool_init(&output, h) == -1)
		return convert_fail(c, "no memory");
	if (input_pool_init(&input, h) == -1) {
		output_pool_deinit(&output);
		return convert_fail(c, "no memory");
	}
	for (i = slot_ever(h, 0); i < h->n_slots; i = slot_ever(h, i + 1)) {
		if (!slot_in_use(h, i) || slot_worker(h, i) != worker)
			continue;
		++*n;
		/* one after its close frame is not looked at any more */
		if (slot_state(h, i) != SLOT_CLOSING &&
		    (output_adopt(&output, &o, i, OUTPUT_ALL) == -1 ||
			input_adopt(&input, i) == -1))
			bad++;
	}
	output_pool_deinit(&output);
	input_pool_deinit(&input);
	if (bad > c->result->spoilt)
		return convert_fail(c,
		    "%u connections of worker %d would not go on", bad, worker);
	return true;
}

/* Whether a slot's records are all in its chain, and its user where it was. */
static bool
slots_prove(struct convert *c, const struct hub *h)
{
	uint32_t i, subscriptions = 0;

	for (i = slot_ever(h, 0); i < h->n_slots; i = slot_ever(h, i + 1))
		if (slot_in_use(h, i))
			subscriptions += subscription_count(h, i);
	if (subscriptions != c->result->subscriptions)
		return convert_fail(c, "%u of %u subscriptions would go on",
		    subscriptions, c->result->subscriptions);
	if (!journal_is_sound(h))
		return convert_fail(c, "the journal would not go on");
	return true;
}

/* Which workers have connections. */
static uint64_t
workers_of(const struct hub *h)
{
	uint64_t mask = 0;
	uint32_t i;

	for (i = slot_ever(h, 0); i < h->n_slots; i = slot_ever(h, i + 1))
		if (slot_in_use(h, i))
			mask |= 1ull << slot_worker(h, i) % SHM_WORKERS;
	return mask;
}

bool
convert_prove(struct convert *c)
{
	struct hub h = c->hub;
	uint64_t mask = workers_of(&h);
	bool good = true;
	uint32_t n = 0;
	uint8_t *base;

	/* what the proof writes stays in this process */
	base = mmap(NULL, c->hub.size, PROT_READ | PROT_WRITE,
	    MAP_PRIVATE | MAP_NORESERVE, c->hub.fd, 0);
	if (base == MAP_FAILED)
		return convert_fail(c, "proof: %s", strerror(errno));
	hub_move(&h, base);
	for (int k = 0; k < SHM_WORKERS && good; k++)
		if ((mask >> k & 1) != 0)
			good = worker_prove(c, &h, k, &n);
	if (good && n != c->result->connections)
		good = convert_fail(c, "%u of %u connections would go on", n,
		    c->result->connections);
	good = good && slots_prove(c, &h);
	munmap(base, c->hub.size);
	KILL_POINT();
	return good;
}
