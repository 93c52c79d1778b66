/* reader: what a reader is given, what of it comes from the spill, what is lost
 * to it, and who has to wait for it. */
#include "reader_fixture.h"

#include <unistd.h>

enum { LEN = 100 };

static const char text[RING];

/* A reader finds what has its bit, in order; others' entries are passed over,
 * and so is nothing that no worker delivers any more. */
static void
test_bits(void **state)
{
	struct scene s;
	struct reader r;

	scene_begin(&s);
	scene_channel(&s, "stored");
	scene_become(&s, HOOKS_LINE);
	reader_init(&r, &s.h, READER_HOOKS, READER_NO_MARK);
	assert_int_equal(scene_next(&s, &r), READER_END);
	scene_become(&s, 0);
	for (int k = 0; k < 3; k++) {
		scene_say(&s, "told", "1", 1);
		scene_say(&s, "plain", "2", 1);
		scene_say(&s, "kept", "3", 1);
		scene_say(&s, "stored", "4", 1);
	}
	/* it has crashed two workers */
	hub_lock(&s.h);
	assert_false(journal_fault(&s.h, 1));
	assert_true(journal_fault(&s.h, 1));
	hub_unlock(&s.h);
	scene_become(&s, HOOKS_LINE);
	for (uint64_t at = 1; at <= 12; at += 2) {
		assert_int_equal(scene_next(&s, &r), READER_FOUND);
		assert_true(r.position == at && s.p.position == at);
		assert_int_equal(s.p.data[0], at % 4 == 1 ? '1' : '3');
		assert_int_equal(s.p.required, at % 4 == 1 ? 0 : HOOKS);
		assert_true(s.p.offset == (at + 3) / 4);
		assert_true(s.p.before == s.p.offset - 1);
	}
	assert_int_equal(scene_next(&s, &r), READER_END);
	assert_true(r.passed == 12);
	/* what it has taken it is told by nobody */
	reader_taken(&r, 5);
	assert_true(s.h.heads->reader[READER_HOOKS].taken == 5);
	assert_true(s.h.heads->reader[READER_HOOKS].end ==
	    index_place(s.h.index[6].at));
	reader_taken(&r, r.passed);
	assert_true(s.h.heads->reader[READER_HOOKS].end == s.h.heads->end);
	assert_true(s.h.line[HOOKS_LINE].cursor == 12);
	scene_end(&s);
}

/* Where a reader begins: behind its mark, or where its line says; not behind
 * the journal's end, nor before what it has taken. */
static void
test_begin(void **state)
{
	struct scene s;
	struct reader r;

	scene_begin(&s);
	for (int k = 0; k < 9; k++)
		scene_say(&s, "told", "1", 1);
	scene_become(&s, HOOKS_LINE);
	reader_init(&r, &s.h, READER_HOOKS, READER_NO_MARK);
	assert_true(r.passed == 0);
	reader_init(&r, &s.h, READER_HOOKS, 4);
	assert_int_equal(scene_next(&s, &r), READER_FOUND);
	assert_true(r.position == 5);
	reader_init(&r, &s.h, READER_HOOKS, 10);
	assert_true(r.passed == 9);
	reader_init(&r, &s.h, READER_HOOKS, 0);
	assert_true(r.passed == 0);
	s.h.mine->cursor = 6;
	reader_init(&r, &s.h, READER_HOOKS, READER_NO_MARK);
	assert_true(r.passed == 6);
	for (int k = 0; k < 2; k++) {
		/* its line lies */
		reader_init(&r, &s.h, READER_HOOKS, 6);
		s.h.mine->cursor = k == 0 ? 5 : 10;
		reader_init(&r, &s.h, READER_HOOKS, READER_NO_MARK);
		assert_true(r.passed == 6);
	}
	s.h.heads->reader[READER_HOOKS].taken = 10;
	reader_init(&r, &s.h, READER_HOOKS, READER_NO_MARK);
	assert_true(r.passed == 9);
	scene_end(&s);
}

/* What is lost to a reader, by channel. */
struct losses {
	int n;
	uint32_t channel;
	uint64_t offset;
};

static void
lost_cb(void *arg, uint32_t channel, uint32_t epoch, uint64_t offset)
{
	struct losses *l = arg;

	assert_true(epoch != 0);
	l->n++;
	l->channel = channel;
	l->offset = offset;
}

/* A reader that stands still: its channel is busy past its share, and nobody
 * else's; whatever goes by, what it requires comes from the spill, once and in
 * order, and what is lost of the rest is told. */
static void
test_behind(void **state)
{
	struct losses l = {0};
	struct scene s;
	struct reader r;
	uint32_t told;
	int kept = 0, k;

	scene_begin(&s);
	scene_channel(&s, "stored");
	scene_become(&s, HOOKS_LINE);
	reader_init(&r, &s.h, READER_HOOKS, 0);
	assert_true(reader_unread(&r) == 0);
	scene_become(&s, 0);
	while (scene_say(&s, "kept", text, LEN) == PUBLISH_OK) {
		assert_int_equal(scene_say(&s, "told", text, LEN), PUBLISH_OK);
		told = s.p.channel;
		kept++;
	}
	/* the share holds so many, half of them told */
	assert_in_range(kept, 10, RING / 4 / 2 / LEN);
	/* it is woken if it only sleeps, by who is kept back alone */
	s.h.heads->sleeps[READER_HOOKS] = 1;
	assert_int_equal(scene_say(&s, "told", text, 1), PUBLISH_OK);
	assert_int_equal(s.h.heads->sleeps[READER_HOOKS], 1);
	assert_int_equal(scene_say(&s, "kept", text, LEN), PUBLISH_BUSY);
	assert_int_equal(s.h.heads->sleeps[READER_HOOKS], 0);
	assert_true(s.h.heads->spill_end == 0);
	for (k = 0; k < 1000; k++) {
		assert_int_equal(scene_say(&s, "plain", text, LEN), PUBLISH_OK);
		assert_int_equal(scene_say(&s, "kept", text, 1), PUBLISH_BUSY);
	}
	assert_true(s.h.heads->spill_end > 0);
	assert_in_range(reader_unread(&r), RING / 2, RING);
	scene_become(&s, STORE_LINE); /* the other one's business */
	assert_int_equal(scene_say(&s, "stored", text, LEN), PUBLISH_BUSY);
	scene_become(&s, HOOKS_LINE);
	assert_int_equal(scene_next(&s, &r), READER_LOST);
	assert_true(r.from == 0 && r.to == journal_oldest(&s.h));
	reader_lost_each(&r, r.from, r.to, lost_cb, &l);
	assert_int_equal(l.n, 1);
	assert_int_equal(l.channel, told);
	assert_true(l.offset == (uint64_t)kept + 1);
	for (int turn = 0; turn < 3; turn++) {
		/* the first two are for nothing, and all is told again */
		for (k = 1; k <= (turn == 0 ? kept / 2 : kept); k++) {
			assert_int_equal(scene_next(&s, &r), READER_FOUND);
			assert_true(s.p.offset == (uint64_t)k);
			assert_true(r.position == (uint64_t)k * 2 - 1);
			assert_int_equal(s.p.required, HOOKS);
		}
		if (turn == 2)
			break;
		reader_rewind(&r, 0);
		assert_int_equal(scene_next(&s, &r), READER_LOST);
		assert_true(r.from == 0 && r.to == journal_oldest(&s.h));
	}
	assert_int_equal(scene_next(&s, &r), READER_END);
	/* as long as it is not said to be taken, it is not */
	assert_int_equal(scene_say(&s, "kept", text, LEN), PUBLISH_BUSY);
	reader_taken(&r, r.passed);
	assert_int_equal(scene_say(&s, "kept", text, LEN), PUBLISH_OK);
	assert_true(s.p.offset == (uint64_t)kept + 1);
	assert_true(s.h.heads->spill_begin == s.h.heads->spill_end);
	assert_int_equal(scene_next(&s, &r), READER_FOUND);
	/* its successor begins where it was: nothing twice */
	reader_init(&r, &s.h, READER_HOOKS, READER_NO_MARK);
	assert_int_equal(scene_next(&s, &r), READER_FOUND);
	assert_true(s.p.offset == (uint64_t)kept + 1);
	scene_end(&s);
}

/* A process has died before all followed from what it published: that is no
 * loss of the reader's, for it is there. */
static void
test_lost_redone(void **state)
{
	struct losses l = {0};
	struct scene s;
	struct reader r;
	uint64_t newest;
	uint32_t e;

	scene_begin(&s);
	scene_become(&s, HOOKS_LINE);
	reader_init(&r, &s.h, READER_HOOKS, 0);
	scene_become(&s, 0);
	assert_int_equal(scene_say(&s, "told", text, LEN), PUBLISH_OK);
	e = s.p.channel;
	for (int k = 0; k < 1000; k++)
		scene_say(&s, "plain", text, LEN);
	newest = s.h.entry[e].newest;
	assert_int_equal(scene_next(&s, &r), READER_LOST);
	reader_lost_each(&r, r.from, r.to, lost_cb, &l);
	assert_int_equal(l.n, 1);
	scene_say(&s, "told", text, LEN);
	s.h.entry[e].newest = newest;
	s.h.heads->redone--;
	reader_lost_each(&r, r.from, r.to, lost_cb, &l);
	assert_int_equal(l.n, 1);
	/* what made room for it was overwritten, too */
	assert_int_equal(scene_next(&s, &r), READER_LOST);
	assert_int_equal(scene_next(&s, &r), READER_FOUND);
	assert_true(s.p.before == 1);
	scene_end(&s);
}

/* Words of the spill at the end of all numbers: the reader comes to an end. */
static void
test_spill_last(void **state)
{
	struct scene s;
	struct reader r;

	scene_begin(&s);
	scene_become(&s, HOOKS_LINE);
	reader_init(&r, &s.h, READER_HOOKS, 0);
	scene_become(&s, 0);
	for (int k = 0; k < 1000; k++)
		scene_say(&s, "plain", text, LEN);
	SHM_STORE(s.h.heads->spill_begin, (UINT64_MAX & ~7ull) - 8);
	SHM_STORE(s.h.heads->spill_end, UINT64_MAX & ~7ull);
	scene_become(&s, HOOKS_LINE);
	alarm(20);
	assert_int_equal(scene_next(&s, &r), READER_LOST);
	assert_int_equal(scene_next(&s, &r), READER_END);
	alarm(0);
	scene_end(&s);
}

/* A reader that takes nothing holds half of the table, not more: other channels
 * are made, and what is held already goes on. */
static void
test_crowded(void **state)
{
	struct scene s;
	struct reader r;
	char name[16];
	uint32_t half;
	int k = 0;

	scene_begin_of(&s, 1 << 20, HOOKS);
	half = s.h.n_entries - 1 - s.h.n_users;
	half /= 2;
	scene_become(&s, HOOKS_LINE);
	reader_init(&r, &s.h, READER_HOOKS, 0);
	scene_become(&s, 0);
	do
		snprintf(name, sizeof(name), "k%d", k++);
	while (scene_say(&s, name, text, 1) == PUBLISH_OK);
	assert_in_range(k, half + 1, half + 3);
	assert_int_equal(scene_say(&s, name, text, 1), PUBLISH_BUSY);
	assert_int_equal(scene_say(&s, "k0", text, 1), PUBLISH_OK);
	for (k = 0; k < 100; k++) {
		snprintf(name, sizeof(name), "p%d", k);
		assert_int_equal(scene_say(&s, name, text, 1), PUBLISH_OK);
	}
	scene_become(&s, HOOKS_LINE);
	reader_taken(&r, journal_tail(&s.h));
	for (k = 0; k < 100; k++) {
		snprintf(name, sizeof(name), "k%d", k);
		assert_int_equal(scene_say(&s, name, text, 1), PUBLISH_OK);
		reader_taken(&r, journal_tail(&s.h));
	}
	scene_end(&s);
}

/* What no reader requires is spilled for nobody. */
static void
test_not_required(void **state)
{
	struct scene s;

	scene_begin(&s);
	for (int k = 0; k < 1000; k++)
		assert_int_equal(scene_say(&s, "told", text, LEN), PUBLISH_OK);
	assert_true(s.h.heads->spill_end == 0);
	scene_end(&s);
}

/* Joins, leaves and kicks are never refused, and readers may miss them. */
static void
test_events_pass(void **state)
{
	const struct publishing kick = {.conn = SHM_NONE,
	    .format = FORMAT_KICK,
	    .subscription = SHM_NONE,
	    .user = "",
	    .data = ""};
	struct scene s;

	scene_begin(&s);
	while (scene_say(&s, "kept", text, LEN) == PUBLISH_OK)
		;
	for (int k = 0; k < 2; k++) {
		const char *name = k == 0 ? "kept" : "stored";

		assert_int_equal(publisher_publish(&s.pub, name, strlen(name),
				     PUBLISH_MAKE, &kick, &s.p, &s.mask),
		    PUBLISH_OK);
		assert_int_equal(s.p.required, 0);
		assert_int_equal(journal_readers(&s.h, s.p.position),
		    k == 0 ? HOOKS : STORE);
	}
	scene_end(&s);
}

/* A large publication that has much to spill does it in steps, and gives back
 * the lock in between; then there is room. */
static void
test_steps(void **state)
{
	enum { LARGE = 8 << 20, MANY = 4000 };
	static char data[LARGE / JOURNAL_SHARE];
	static char buf[LARGE / JOURNAL_SHARE];
	struct scene s;
	struct reader r;
	uint32_t turns;
	int k, kept = 0;

	scene_begin_of(&s, LARGE, HOOKS);
	scene_become(&s, HOOKS_LINE);
	reader_init(&r, &s.h, READER_HOOKS, 0);
	scene_become(&s, 0);
	while (scene_say(&s, "kept", data, 200) == PUBLISH_OK)
		kept++;
	assert_in_range(kept, MANY, LARGE / 4 / 200);
	for (k = 0; k < 5; k++)
		assert_int_equal(
		    scene_say(&s, "plain", data, 1000 * 1000), PUBLISH_OK);
	turns = s.h.lock->turns;
	do
		assert_int_equal(
		    scene_say(&s, "plain", data, 1000 * 1000), PUBLISH_OK);
	while (s.h.heads->spill_end == 0);
	turns = s.h.lock->turns - turns;
	/* a megabyte by 64 KiB, and the other ones */
	assert_in_range(turns, s.h.heads->spill_end / JOURNAL_STEP / 2,
	    s.h.heads->spill_end / JOURNAL_STEP * 2 + 3);
	assert_true(turns > 5);
	for (k = 0; k < 8; k++)
		scene_say(&s, "plain", data, 1000 * 1000);
	scene_become(&s, HOOKS_LINE);
	assert_int_equal(reader_next(&r, buf, sizeof(buf), &s.p), READER_LOST);
	for (k = 1; k <= kept; k++) {
		assert_int_equal(
		    reader_next(&r, buf, sizeof(buf), &s.p), READER_FOUND);
		assert_true(s.p.offset == (uint64_t)k);
	}
	scene_end(&s);
}

/* An entry larger than the share goes if nothing is unread. */
static void
test_small_share(void **state)
{
	const size_t most = RING / JOURNAL_SHARE - JOURNAL_HEAD - 8;
	struct scene s;
	struct reader r;

	scene_begin_of(&s, RING, HOOKS);
	s.h.reader_share = 64;
	assert_int_equal(scene_say(&s, "kept", text, most), PUBLISH_OK);
	assert_int_equal(scene_say(&s, "kept", text, 1), PUBLISH_BUSY);
	scene_become(&s, HOOKS_LINE);
	reader_init(&r, &s.h, READER_HOOKS, 0);
	assert_int_equal(scene_next(&s, &r), READER_FOUND);
	reader_taken(&r, r.passed);
	assert_int_equal(scene_say(&s, "kept", text, most), PUBLISH_OK);
	scene_end(&s);
}

/* The largest entry is set aside for each reader, however small their shares
 * are, and wherever the spill goes on. */
static void
test_small_spill(void **state)
{
	const size_t most = RING / JOURNAL_SHARE - JOURNAL_HEAD - 8;
	struct reader r[2];
	struct scene s;

	scene_begin_share(&s, RING, STORE | HOOKS, 64);
	scene_channel(&s, "stored");
	for (int k = 0; k < 2; k++) {
		scene_become(&s, k == 0 ? STORE_LINE : HOOKS_LINE);
		reader_init(&r[k], &s.h, k == 0 ? READER_STORE : READER_HOOKS,
		    READER_NO_MARK);
	}
	for (int round = 0; round < 20; round++) {
		scene_become(&s, 0);
		assert_int_equal(
		    scene_say(&s, "stored", text, most / 20 * round),
		    PUBLISH_OK);
		reader_taken(&r[1], journal_tail(&s.h));
		r[1].passed = journal_tail(&s.h);
		assert_int_equal(scene_say(&s, "kept", text, most), PUBLISH_OK);
		for (int k = 0; k < 20; k++)
			assert_int_equal(
			    scene_say(&s, "plain", text, most / 2), PUBLISH_OK);
		for (int k = 0; k < 2; k++) {
			scene_become(&s, k == 0 ? STORE_LINE : HOOKS_LINE);
			assert_int_equal(scene_next(&s, &r[k]), READER_LOST);
			assert_int_equal(scene_next(&s, &r[k]), READER_FOUND);
			assert_true(s.p.offset == (uint64_t)round + 1);
			assert_int_equal(scene_next(&s, &r[k]), READER_END);
			reader_taken(&r[k], r[k].passed);
		}
	}
	scene_end(&s);
}

/* What two readers have still to get, in order, by channel. */
struct model {
	struct reader r[2];
	uint64_t accepted[3]; /* kept, stored, both */
	uint64_t got[2][3];   /* newest offset */
	uint64_t busy;
};

static const char *const names[] = {"kept", "stored", "both", "told", "plain"};

/* One reader reads up to so many, and may forget about it. */
static void
model_read(struct scene *s, struct model *m, int who, uint32_t n, bool tell)
{
	struct reader *r = &m->r[who];
	enum reader_result what = READER_FOUND;
	uint32_t k, e;

	scene_become(s, who == 0 ? STORE_LINE : HOOKS_LINE);
	while (n-- > 0 && (what = scene_next(s, r)) != READER_END) {
		assert_true(what == READER_FOUND || what == READER_LOST);
		if (what == READER_LOST)
			continue;
		for (k = 0; k < 3; k++) {
			hub_lock(&s->h);
			e = presence_find(&s->h, names[k], strlen(names[k]));
			hub_unlock(&s->h);
			if (s->p.channel == e)
				break;
		}
		assert_true(k != (who == 0 ? 0 : 1));
		if (k == 3)
			continue;
		assert_true(s->p.offset == m->got[who][k] + 1);
		assert_true(s->p.before == m->got[who][k]);
		m->got[who][k]++;
	}
	if (tell)
		reader_taken(r, r->passed);
	scene_become(s, 0);
}

/* Two readers at random paces: each gets all that it requires, once, in order;
 * the spill is never larger than it may be. */
static void
test_random(void **state)
{
	struct model m = {0};
	struct scene s;
	uint64_t used, most = 0;
	uint32_t k, rest;

	scene_begin(&s);
	for (k = 0; k < 5; k++)
		scene_channel(&s, names[k]);
	for (k = 0; k < 2; k++) {
		scene_become(&s, k == 0 ? STORE_LINE : HOOKS_LINE);
		reader_init(&m.r[k], &s.h, k == 0 ? READER_STORE : READER_HOOKS,
		    READER_NO_MARK);
	}
	scene_become(&s, 0);
	for (uint32_t n = 0; n < fixture_rounds(200000); n++) {
		k = fixture_random(5);
		rest = fixture_random(20) == 0
		    ? fixture_random(RING / JOURNAL_SHARE - JOURNAL_HEAD - 8)
		    : fixture_random(100);
		if (scene_say(&s, names[k], text, rest) == PUBLISH_OK)
			m.accepted[k < 3 ? k : 0] += k < 3;
		else
			m.busy++;
		used = s.h.heads->spill_end - s.h.heads->spill_begin;
		assert_true(used <= s.h.spill_size);
		most = used > most ? used : most;
		/* each sleeps through some thousand, now and then */
		for (int who = 0; who < 2; who++)
			if (n / 3000 % 3 != (uint32_t)who &&
			    fixture_random(8) == 0)
				model_read(&s, &m, who, fixture_random(60),
				    fixture_random(4) != 0);
	}
	for (int who = 0; who < 2; who++)
		model_read(&s, &m, who, UINT32_MAX, true);
	print_message("%u, %u, %u accepted, %u busy, %u of %u spilled\n",
	    (unsigned)m.accepted[0], (unsigned)m.accepted[1],
	    (unsigned)m.accepted[2], (unsigned)m.busy, (unsigned)most,
	    (unsigned)s.h.spill_size);
	assert_true(m.got[1][0] == m.accepted[0]);
	assert_true(m.got[0][1] == m.accepted[1]);
	assert_true(m.got[0][2] == m.accepted[2]);
	assert_true(m.got[1][2] == m.accepted[2]);
	assert_true(m.busy > 0 && most > s.h.spill_size / 4);
	scene_end(&s);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_bits),
	    cmocka_unit_test(test_begin),
	    cmocka_unit_test(test_behind),
	    cmocka_unit_test(test_lost_redone),
	    cmocka_unit_test(test_spill_last),
	    cmocka_unit_test(test_crowded),
	    cmocka_unit_test(test_not_required),
	    cmocka_unit_test(test_events_pass),
	    cmocka_unit_test(test_steps),
	    cmocka_unit_test(test_small_share),
	    cmocka_unit_test(test_small_spill),
	    cmocka_unit_test(test_random),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
