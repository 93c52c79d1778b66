/* presence: against a plain table, with limits so small that everything
 * overflows and is used again and again. */
#include "hub_fixture.h"

#include <stdio.h>

#include "hub/journal.h"
#include "hub/lock.h"
#include "hub/presence.h"

enum { NAMES = 400, WORKERS = 5 };

/* What ought to be. */
struct model {
	uint32_t users;
	uint32_t len[NAMES];
	char name[NAMES][PRESENCE_NAME_MAX + 1];
	uint64_t mask[NAMES];
	uint64_t offset[NAMES];
	uint32_t entry[NAMES]; /* while the mask is not 0 */
	uint32_t n_live;
};

/* Names that share beginnings, lengths and ends; n is in each. */
static void
names_make(struct model *m, uint32_t max)
{
	uint32_t i, k;
	char number[12];

	for (i = 0; i < NAMES; i++) {
		m->len[i] = 4 + fixture_random(max - 3);
		if (i % 16 == 0)
			m->len[i] = max;
		for (k = 0; k < m->len[i]; k++)
			m->name[i][k] = (char)('a' + k % 26);
		snprintf(number, sizeof(number), "%04u", i);
		/* where they differ: at the end, or at the beginning */
		memcpy(
		    i % 2 ? m->name[i] : m->name[i] + m->len[i] - 4, number, 4);
	}
}

/* The hub says what the model says. */
static void
model_check(struct hub *h, const struct model *m)
{
	struct presence_view v;
	uint32_t i, e, seen = 0;

	for (i = 0; i < NAMES; i++) {
		hub_lock(h);
		e = presence_find(h, m->name[i], m->len[i]);
		hub_unlock(h);
		assert_true(
		    (e == SHM_NONE ? 0 : presence_mask(h, e)) == m->mask[i]);
		if (m->mask[i] == 0)
			continue;
		assert_int_equal(e, m->entry[i]);
		assert_true(presence_read(h, e, &v));
		assert_true(v.mask == m->mask[i]);
		assert_int_equal(v.name_len, m->len[i]);
		assert_memory_equal(v.name, m->name[i], m->len[i]);
		assert_true(v.offset == m->offset[i]);
	}
	for (e = presence_next(h, 0); e < h->n_entries;
	     e = presence_next(h, e + 1))
		if (e != PRESENCE_LOBBY && presence_read(h, e, &v) &&
		    v.mask != 0)
			seen++;
	assert_int_equal(seen, m->n_live);
	assert_false(presence_read(h, h->n_entries, &v));
	assert_int_equal(presence_mask(h, h->n_entries), 0);
}

/* A worker gets a name; nobody is refused while there is room. */
static void
model_enter(struct hub *h, struct model *m, uint32_t i, uint32_t worker)
{
	bool first = false;
	uint32_t e;

	hub_become(h, (int)worker);
	hub_lock(h);
	e = presence_enter(h, m->name[i], m->len[i], &first);
	hub_unlock(h);
	if (e == SHM_NONE) {
		assert_int_equal(m->mask[i], 0);
		assert_int_equal(m->n_live, m->users);
		return;
	}
	assert_int_not_equal(e, PRESENCE_LOBBY);
	assert_int_equal(first, m->mask[i] == 0);
	if (m->mask[i] == 0) {
		m->n_live++;
		m->entry[i] = e;
		m->offset[i] = h->entry[e].offset;
	}
	assert_int_equal(e, m->entry[i]);
	m->mask[i] |= 1ull << worker;
}

/* A worker loses a name. */
static void
model_leave(struct hub *h, struct model *m, uint32_t i, uint32_t worker)
{
	uint64_t bit = 1ull << worker;
	bool gone;

	if (m->mask[i] == 0)
		return;
	hub_lock(h);
	gone = presence_leave(h, m->entry[i], (int)worker);
	hub_unlock(h);
	assert_int_equal(gone, m->mask[i] == bit);
	m->mask[i] &= ~bit;
	m->n_live -= gone;
}

/* Somebody publishes to a name. */
static void
model_publish(struct hub *h, struct model *m, uint32_t i)
{
	struct publication p = {.user = "", .data = "", .format = FORMAT_TEXT};

	if (m->mask[i] == 0)
		return;
	p.channel = m->entry[i];
	hub_lock(h);
	assert_true(journal_append(h, &p) == m->mask[i]);
	hub_unlock(h);
	assert_true(p.offset == ++m->offset[i]);
}

static void
count_cb(const struct presence_view *v, void *arg)
{
	assert_true(v->name_len > 0);
	++*(uint32_t *)arg;
}

/* A worker dies. */
static void
model_die(struct hub *h, struct model *m, uint32_t worker)
{
	uint64_t bit = 1ull << worker;
	uint32_t i, left = 0, want = 0;

	for (i = 0; i < NAMES; i++) {
		want += m->mask[i] == bit;
		m->mask[i] &= ~bit;
	}
	m->n_live -= want;
	presence_clear(h, (int)worker, count_cb, &left);
	assert_int_equal(left, want);
}

/* Random work with that many users at most and names of that length. */
static void
model_run(uint32_t users, uint32_t max, uint32_t rounds)
{
	struct model *m = calloc(1, sizeof(*m));
	uint32_t round, i, worker;
	struct hub h;

	m->users = users;
	names_make(m, max);
	fixture_hub(&h, 16, users, 16384, 1 << 20, 1 << 20);
	for (round = 0; round < rounds; round++) {
		i = fixture_random(NAMES);
		worker = fixture_random(WORKERS);
		switch (fixture_random(8)) {
		case 0:
		case 1:
		case 2:
			model_enter(&h, m, i, worker);
			break;
		case 3:
			model_publish(&h, m, i);
			break;
		default:
			/* all of one worker's in waves, so that it empties */
			model_leave(&h, m, i, worker);
			break;
		}
		if (fixture_random(2000) == 0)
			model_die(&h, m, worker);
		if (round % 64 == 0)
			model_check(&h, m);
	}
	model_check(&h, m);
	hub_destroy(&h);
	free(m);
}

static void
test_tiny(void **state)
{
	model_run(16, 64, fixture_rounds(20000));
}

static void
test_small(void **state)
{
	model_run(100, 65, fixture_rounds(20000));
}

/* Names of all lengths come and go, a few at a time. */
static void
test_long_names(void **state)
{
	struct model *m = calloc(1, sizeof(*m));
	uint32_t round, i, live[3] = {0};
	struct hub h;

	m->users = SHM_NONE;
	names_make(m, PRESENCE_NAME_MAX);
	fixture_hub(&h, 16, 16, 16384, 1 << 20, 1 << 20);
	for (round = 0; round < fixture_rounds(20000); round++) {
		i = fixture_random(3);
		model_leave(&h, m, live[i], 1);
		if (m->mask[live[i]] == 0)
			live[i] = fixture_random(NAMES);
		model_enter(&h, m, live[i], 1);
		if (round % 16 == 0)
			model_check(&h, m);
	}
	hub_destroy(&h);
	free(m);
}

/* The table is full: nothing changes, and one who leaves makes room. */
static void
test_full(void **state)
{
	char name[16];
	struct hub h;
	uint32_t i, e, entry[64];
	bool first;

	fixture_hub(&h, 16, 64, 16384, 1 << 20, 1 << 20);
	hub_lock(&h);
	for (i = 0; i < 64; i++) {
		snprintf(name, sizeof(name), "#user%u", i);
		entry[i] = presence_enter(&h, name, strlen(name), &first);
		assert_int_not_equal(entry[i], SHM_NONE);
	}
	assert_int_equal(presence_enter(&h, "#late", 5, &first), SHM_NONE);
	assert_int_equal(presence_find(&h, "#late", 5), SHM_NONE);
	for (i = 0; i < 64; i++) {
		snprintf(name, sizeof(name), "#user%u", i);
		e = presence_find(&h, name, strlen(name));
		assert_int_equal(e, entry[i]);
	}
	assert_true(presence_leave(&h, entry[40], 0));
	assert_int_equal(presence_enter(&h, "#late", 5, &first), entry[40]);
	assert_true(first);
	assert_int_equal(presence_find(&h, "#user40", 7), SHM_NONE);
	assert_int_equal(presence_enter(&h, "", 0, &first), SHM_NONE);
	assert_int_equal(presence_find(&h, "lobby", 5), PRESENCE_LOBBY);
	hub_unlock(&h);
	hub_destroy(&h);
}

/* What has kept publications stays as long as something else can go. */
static void
test_kept(void **state)
{
	struct publication p = {.user = "", .data = ""};
	char name[16];
	struct hub h;
	uint32_t i, kept;
	bool first;

	fixture_hub(&h, 16, 16, 1 << 20, 1 << 20, 1 << 20);
	hub_lock(&h);
	kept = presence_enter(&h, "#kept", 5, &first);
	p.channel = kept;
	journal_append(&h, &p);
	presence_leave(&h, kept, 0);
	for (i = 0; i < 200; i++) {
		snprintf(name, sizeof(name), "#user%u", i);
		presence_leave(
		    &h, presence_enter(&h, name, strlen(name), &first), 0);
	}
	assert_int_equal(presence_find(&h, "#kept", 5), kept);
	assert_int_equal(h.entry[kept].offset, 1);
	hub_unlock(&h);
	hub_destroy(&h);
}

/* Publishes to a channel that no worker has; returns its offset. */
static uint64_t
say(struct hub *h, const char *name, size_t len)
{
	struct publication p = {.user = "", .data = ""};

	p.channel = presence_make(h, name, len);
	assert_int_not_equal(p.channel, SHM_NONE);
	journal_append(h, &p);
	return p.offset;
}

/* The table is full of channels that keep publications: a new one takes the
 * place of that which was published to longest ago, so that two that are used
 * in turn both keep theirs. */
static void
oldest_goes(size_t long_name)
{
	static char name[PRESENCE_NAME_MAX];
	struct hub h;
	uint64_t i;

	fixture_hub(&h, 16, 100, 1 << 20, 1 << 20, 1 << 20);
	hub_lock(&h);
	memset(name, 'n', sizeof(name));
	for (i = 0; i < 150; i++) {
		snprintf(name, sizeof(name), "idle%llu", (unsigned long long)i);
		name[strlen(name)] = '-';
		say(&h, name, long_name);
	}
	for (i = 1; i <= 5; i++) {
		name[0] = 'x';
		assert_int_equal(say(&h, name, long_name), i);
		name[0] = 'y';
		assert_int_equal(say(&h, name, long_name), i);
	}
	hub_unlock(&h);
	hub_destroy(&h);
}

/* Names that fit into their entries, and names that do not. */
static void
test_oldest_goes(void **state)
{
	oldest_goes(12);
	oldest_goes(PRESENCE_NAME_MAX);
}

/* An entry says that its name is longer than any: it has none, and nothing is
 * written behind the room for one. */
static void
test_length_corrupted(void **state)
{
	static char name[PRESENCE_NAME_MAX];
	struct presence_view v;
	struct hub h;
	uint32_t e, len;
	bool first;

	fixture_hub(&h, 16, 64, 16384, 1 << 20, 1 << 20);
	memset(name, 'n', sizeof(name));
	hub_lock(&h);
	e = presence_enter(&h, name, sizeof(name), &first);
	assert_int_not_equal(e, SHM_NONE);
	for (len = PRESENCE_NAME_MAX + 1; len <= UINT16_MAX; len += 97) {
		h.entry[e].name_len = (uint16_t)len;
		assert_false(presence_read(&h, e, &v));
		assert_int_equal(
		    presence_find(&h, name, sizeof(name)), SHM_NONE);
	}
	h.entry[e].name_len = PRESENCE_NAME_MAX;
	assert_true(presence_read(&h, e, &v));
	assert_int_equal(presence_find(&h, name, sizeof(name)), e);
	hub_unlock(&h);
	hub_destroy(&h);
}

/* Other memory under the index changes nothing in it. */
static void
test_populate(void **state)
{
	struct hub h;
	uint32_t e;
	bool first;

	fixture_hub(&h, 16, 65536, 16384, 1 << 20, 1 << 20);
	assert_true(h.size > 2 * HUB_ALIGN);
	hub_lock(&h);
	e = presence_enter(&h, "#alice", 6, &first);
	hub_unlock(&h);
	presence_populate(&h);
	presence_populate(&h); /* as each worker does */
	assert_int_equal(presence_find(&h, "#alice", 6), e);
	assert_int_equal(presence_find(&h, "#bob", 4), SHM_NONE);
	hub_destroy(&h);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_full),
	    cmocka_unit_test(test_kept),
	    cmocka_unit_test(test_oldest_goes),
	    cmocka_unit_test(test_tiny),
	    cmocka_unit_test(test_small),
	    cmocka_unit_test(test_long_names),
	    cmocka_unit_test(test_length_corrupted),
	    cmocka_unit_test(test_populate),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
