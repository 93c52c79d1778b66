/* hostile: shared memory is read as if a hostile worker had written it. All
 * that reads it is tried on memory full of random bytes, and on memory of
 * which some words are wrong: no crash (sanitizers), no endless loop. */
#include "hub_fixture.h"
#include "input_fixture.h"

#include <sys/mman.h>

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "hub/blob.h"
#include "hub/history.h"
#include "hub/input.h"
#include "hub/journal.h"
#include "hub/lock.h"
#include "hub/output.h"
#include "hub/presence.h"
#include "hub/slot.h"
#include "hub/subscription.h"

enum { SLOTS = 70, USERS = 100, RING = 65536, ROUND_SECONDS = 20 };

struct world {
	struct hub h;
	struct claim slots, subs;
	struct output_pool output;
	struct input_pool input;
	struct output out[4];
	uint32_t slot[4];
};

/* A connection is in a channel, if there is room. */
static void
subscribe(struct world *w, uint32_t slot, uint32_t channel)
{
	const struct subscription new = {
	    .channel = channel + 1, .slot = slot, .epoch = 1};

	(void)subscription_add(&w->h, &w->subs, &new);
}

/* For struct hub: one rule or another. */
static uint8_t
flags_cb(void *arg, const char *name, size_t len)
{
	static const uint8_t flags[] = {0, 1 << READER_STORE,
	    1 << READER_STORE | (1 << READER_STORE) << PRESENCE_REQUIRED,
	    1 << READER_HOOKS};

	return flags[len % 4];
}

/* Some honest contents of everything. */
static void
world_new(struct world *w, uint8_t readers)
{
	static uint8_t data[9000];
	struct framing_state state = {{0}};
	struct publication p = {.user = "u",
	    .user_len = 1,
	    .data = (char *)data,
	    .format = FORMAT_TEXT};
	struct frame f;
	char name[64];
	uint32_t i, e, k;
	bool first;

	fixture_hub_readers(&w->h, SLOTS, USERS, RING, 4 << 20, 1 << 18,
	    readers, readers & 1 << READER_HOOKS);
	w->h.flags_of = flags_cb;
	claim_init(&w->slots, w->h.slot_owner, w->h.n_slots, 0);
	claim_init(&w->subs, w->h.subscription_owner, w->h.n_subscriptions, 0);
	output_pool_init(&w->output, &w->h);
	input_pool_init(&w->input, &w->h);
	for (i = 0; i < 4; i++) {
		w->slot[i] = slot_take(&w->h, &w->slots);
		output_open(&w->output, &w->out[i], w->slot[i]);
		slot_set(&w->h, w->slot[i], SLOT_OPEN);
	}
	for (i = 0; i < 60; i++) {
		memset(name, 'a' + (int)(i % 26), sizeof(name));
		memcpy(name, &i, sizeof(i));
		k = i % 4;
		hub_lock(&w->h);
		e = presence_enter(&w->h, name, 5 + i, &first);
		p.channel = e;
		p.data_len = fixture_random(4000);
		p.sender = slot_id(&w->h, w->slot[k]);
		journal_append(&w->h, &p);
		hub_unlock(&w->h);
		subscribe(w, w->slot[k], e);
		input_save(&w->input, w->slot[k], &state, i + 1, data,
		    fixture_random(1500));
		if (frame_build(&w->output, &f, FRAME_SHARED,
			&(struct iovec){data, 1 + fixture_random(8000)},
			1) == 0) {
			output_append(
			    &w->output, &w->out[k], w->slot[k], &f, i);
			frame_release(&w->output, &f);
		}
	}
}

static void
world_free(struct world *w)
{
	claim_deinit(&w->slots);
	claim_deinit(&w->subs);
	output_pool_deinit(&w->output);
	input_pool_deinit(&w->input);
	hub_destroy(&w->h);
}

/* Writes random bytes, all over or into some words. */
static void
world_spoil(struct world *w, bool all)
{
	uint8_t *b = w->h.base;
	static const uint32_t odd[] = {
	    0, 1, 2, 0xffffffff, 0x7fffffff, 0x80000000, 64, 70, 101};
	uint32_t k, n, x;
	size_t at;

	if (all) {
		fixture_fill(b, w->h.size);
		return;
	}
	n = 1 + fixture_random(400);
	for (k = 0; k < n; k++) {
		at = fixture_random((uint32_t)(w->h.size / 4)) * 4ul;
		/* mostly where records are, not payload */
		if (fixture_random(4) != 0)
			at = (size_t)((uint8_t *)w->h.bucket - b) +
			    fixture_random(200000) * 4ul % 120000;
		if (fixture_random(8) == 0)
			at = fixture_random(64) * 4;
		if (fixture_random(6) == 0)
			at = (size_t)((uint8_t *)w->h.slot - b) +
			    fixture_random(4 * 48) * 4ul;
		if (fixture_random(6) == 0)
			at = (size_t)((uint8_t *)w->h.chunk - b) +
			    fixture_random(64 * 16) * 4ul;
		if (fixture_random(6) == 0)
			at = (size_t)((uint8_t *)w->h.page - b) +
			    fixture_random(64 * 256) * 4ul;
		if (fixture_random(50) == 0)
			at = (size_t)((uint8_t *)w->h.lock - b) +
			    fixture_random(5) * 4ul;
		x = fixture_random(2)	? odd[fixture_random(9)]
		    : fixture_random(2) ? fixture_random(300)
					: fixture_random(0xffffffff);
		memcpy(b + at, &x, 4);
	}
}

/* What others ask about a worker's things. */
static void
read_all(struct world *w)
{
	static char buf[RING];
	static struct history history;
	struct history_query q = {.limit = 100, .keep = 1000};
	char blob[BLOB_MAX];
	struct {
		uint32_t next, owner, slot, len;
	} page;
	struct presence_view v;
	struct publication p;
	struct hub *h = &w->h;
	struct slot s;
	uint64_t id, tail = journal_tail(h);
	uint32_t i;
	char peer[64];

	for (i = 0; i < 100; i++) {
		(void)journal_read(h, tail - i, buf, sizeof(buf), &p);
		(void)journal_read(h, i, buf, 100, &p);
		(void)journal_peek(h, tail - i, &p);
		(void)journal_mask(h, tail - i);
		(void)journal_readers(h, tail - i);
		fixture_fill(buf, 200);
		if (publication_decode(buf, fixture_random(200), &p) != 0)
			assert_true(p.data + p.data_len <= buf + 200);
	}
	(void)presence_users_end(h);
	(void)presence_next(h, 0);
	for (i = 0; i < h->n_entries + 2; i++) {
		(void)presence_mask(h, i);
		(void)presence_stream(h, i, 1);
		(void)presence_opener(presence_flags(h, i));
		if (presence_read(h, i, &v))
			assert_int_equal(v.name[v.name_len], 0);
		q.channel = i;
		q.epoch = i < h->n_entries ? h->entry[i].epoch : 1;
		q.has_since = i % 2;
		(void)history_find(h, &q, &history);
		assert_true(history.n <= HISTORY_MAX);
	}
	for (i = 0; i < h->n_slots + 2; i++)
		if (slot_read(h, i, &s, &id)) {
			(void)slot_find(h, id);
			(void)slot_peer_name(&s, peer);
		}
	for (i = 0; i < h->n_slots; i++) {
		(void)input_part(h, i);
		(void)input_gather(h, i, buf, sizeof(buf));
	}
	/* as a blob of the connection that it names */
	for (i = 0; i < h->n_pages; i++) {
		memcpy(&page, (char *)h->page + i * INPUT_PAGE, sizeof(page));
		id = (uint64_t)page.owner << 32 | page.slot;
		assert_true(blob_get(h, i + 1, id, blob) <= BLOB_MAX);
	}
	(void)blob_get(h, h->n_pages + 1, id, blob);
	(void)lock_holder(h);
}

static bool
member_cb(const struct subscription *s, void *arg)
{
	(void)s;
	++*(uint32_t *)arg;
	return true;
}

static void
left_cb(const struct presence_view *v, void *arg)
{
	(void)v;
	(void)arg;
}

static bool
next_cb(void *arg, struct output **o, uint32_t *slot)
{
	struct world *w = ((void **)arg)[0];
	uint32_t *n = ((void **)arg)[1];

	if (*n == 4)
		return false;
	*o = &w->out[*n];
	*slot = w->slot[(*n)++];
	return true;
}

/* What a worker does with its own things and under the lock. */
static void
work_all(struct world *w)
{
	static uint8_t data[3000];
	struct publication p = {.user = "u",
	    .user_len = 1,
	    .data = (char *)data,
	    .data_len = fixture_random(3000),
	    .format = FORMAT_TEXT,
	    .sender = slot_id(&w->h, w->slot[0])};
	struct hub *h = &w->h;
	struct framing_state state = {{0}};
	struct iovec iov[64];
	struct frame f;
	char name[80];
	uint32_t i, e, n = 0;
	void *arg[2] = {w, &n};
	size_t asked;
	bool first;

	for (i = 0; i < 20; i++) {
		memset(name, (int)fixture_random(26) + 'a', sizeof(name));
		hub_lock(h);
		e = presence_enter(h, name, 5 + i * 3, &first);
		(void)presence_find(h, name, 4 + i);
		(void)presence_recall(h, name, 5 + i);
		(void)presence_is_cold(h, e);
		presence_flags_set(h, e, (uint8_t)fixture_random(256));
		if (e != SHM_NONE) {
			p.channel = e;
			journal_append(h, &p);
			if (i % 2)
				presence_leave(h, e, 0);
		}
		hub_unlock(h);
		if (e != SHM_NONE)
			subscribe(w, w->slot[i % 4], e);
	}
	for (i = 0; i < 4; i++) {
		(void)output_gather(
		    &w->output, &w->out[i], w->slot[i], iov, 64, &asked);
		assert_true(asked <= 100000000);
		if (frame_build(&w->output, &f, FRAME_OWN,
			&(struct iovec){data, 3000}, 1) == 0) {
			(void)output_append(
			    &w->output, &w->out[i], w->slot[i], &f, i);
			frame_release(&w->output, &f);
		}
		output_wrote(&w->output, &w->out[i], w->slot[i], 5000);
		(void)input_save(&w->input, w->slot[i], &state, 9, data, 3000);
		n = subscription_count(h, w->slot[i]);
		(void)subscription_find(h, w->slot[i], 3);
	}
	for (i = 0; i < h->n_entries; i++)
		(void)subscription_members(h, 0, i, 1000, member_cb, &n);
	n = 0;
	(void)output_compact(&w->output, next_cb, arg);
	for (i = 0; i < h->n_subscriptions && i < 200; i++)
		subscription_remove(h, &w->subs, i);
	for (i = 0; i < 4; i++) {
		input_release(&w->input, w->slot[i]);
		output_close(&w->output, &w->out[i], w->slot[i]);
		slot_release(h, &w->slots, w->slot[i]);
	}
}

/* What a survivor cleans up. */
static void
clean_all(struct hub *h)
{
	presence_clear(h, 1, left_cb, NULL);
	subscription_clear(h, 1);
	slot_clear(h, 1);
	output_clear(h, 1);
	input_clear(h, 1);
}

static void
run(bool all, uint32_t rounds)
{
	struct world w;

	for (; rounds > 0; rounds--) {
		alarm(ROUND_SECONDS); /* a loop without end ends the test */
		world_new(&w, rounds % 2 ? (1 << READERS) - 1 : 0);
		world_spoil(&w, all);
		read_all(&w);
		work_all(&w);
		clean_all(&w.h);
		read_all(&w);
		world_free(&w);
	}
	alarm(0);
}

static void
test_all_random(void **state)
{
	run(true, fixture_rounds(15));
}

static void
test_some_words(void **state)
{
	run(false, fixture_rounds(400));
}

/* A process that has the file can neither cut it off nor let it grow. */
static void
test_sealed(void **state)
{
	struct hub h;

	fixture_hub(&h, SLOTS, USERS, RING, 4 << 20, 1 << 18);
	errno = 0;
	assert_int_equal(ftruncate(h.fd, 0), -1);
	assert_int_equal(errno, EPERM);
	assert_int_equal(ftruncate(h.fd, (off_t)h.size + 4096), -1);
	assert_int_equal(fcntl(h.fd, F_ADD_SEALS, F_SEAL_WRITE), -1);
	assert_int_equal(h.base[h.size - 1], 0); /* still there */
	hub_close_file(&h);
	assert_int_equal(h.fd, -1);
	hub_destroy(&h);
}

/* Memory whose size others can change is not taken over. */
static void
test_attach_unsealed(void **state)
{
	struct hub_limits l = {.connections = SLOTS,
	    .users = USERS,
	    .channels = USERS,
	    .journal_bytes = RING,
	    .output_bytes = 4 << 20,
	    .input_bytes = 1 << 18};
	struct hub h, other;
	char error[128] = "";
	int fd;

	fixture_hub(&h, SLOTS, USERS, RING, 4 << 20, 1 << 18);
	fd = memfd_create("copy", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	assert_int_equal(ftruncate(fd, (off_t)h.size), 0);
	assert_int_equal(pwrite(fd, h.base, 4096, 0), 4096);
	assert_int_equal(
	    hub_attach(&other, fd, &l, h.hash_key, false, error, sizeof(error)),
	    -1);
	assert_non_null(strstr(error, "not sealed"));
	assert_int_equal(
	    fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL),
	    0);
	assert_int_equal(
	    hub_attach(&other, fd, &l, h.hash_key, false, error, sizeof(error)),
	    0);
	hub_destroy(&other);
	hub_destroy(&h);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_sealed),
	    cmocka_unit_test(test_attach_unsealed),
	    cmocka_unit_test(test_all_random),
	    cmocka_unit_test(test_some_words),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
