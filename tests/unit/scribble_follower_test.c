/* scribble_follower: words of the journal that were written over, seen by who
 * follows it. */
#include "follower_fixture.h"

#include "../../src/hub/heads.h"

/* The journal's end is written over, before it begins and while it reads: it
 * stops where it is, and misses nothing once that is mended. */
static void
test_tail(void **state)
{
	static const uint64_t bad[] = {1ull << 60, UINT64_MAX, 25, 300, 2, 0};
	struct scene s;
	uint64_t bits, at;
	uint32_t k;

	for (bits = 1; bits != 0; bits = bits == 1 ? FOLLOWER_ALL : 0)
		for (k = 0; k < 2 * sizeof(bad) / sizeof(bad[0]); k++) {
			scene_begin(&s, bits);
			publish_many(&s, 0, 4);
			publish_many(&s, 2, 16);
			if (k % 2 == 0)
				s.h.heads->tail = bad[k / 2];
			follower_begin(&s.f);
			if (k % 2 == 1)
				s.h.heads->tail = bad[k / 2];
			while (follower_next(&s.f) == FOLLOWER_FOUND) {
				read_right(&s.f);
				follower_done(&s.f);
			}
			/* an end that is too near is no reason to stop there */
			if (bad[k / 2] > 20)
				assert_int_equal(
				    follower_next(&s.f), FOLLOWER_STOPPED);
			assert_false(follower_end(&s.f));
			at = s.cursor;
			publish_many(&s, 0, 1);
			assert_true(journal_tail(&s.h) == 21);
			follower_begin(&s.f);
			for (at++; at < 21; at++)
				if (at <= 4 || bits == FOLLOWER_ALL)
					expect(&s.f, at);
			expect(&s.f, 21);
			expect_end(&s.f);
			scene_end(&s);
		}
}

/* Its cursor is written over: it goes on from the end. */
static void
test_cursor(void **state)
{
	struct scene s;

	scene_begin(&s, 1);
	publish_many(&s, 0, 4);
	s.cursor = 1ull << 60;
	follower_begin(&s.f);
	expect_end(&s.f);
	publish_many(&s, 0, 1);
	follower_begin(&s.f);
	expect(&s.f, 5);
	expect_end(&s.f);
	scene_end(&s);
}

/* The index leads to another place, the entry is written over, a buffer is too
 * small: that one cannot be read, the next can. */
static void
test_entry(void **state)
{
	char buf[RING / JOURNAL_SHARE];
	struct publication p;
	struct scene s;
	size_t cap;
	int k;

	for (k = 0; k < 3; k++) {
		scene_begin(&s, 1);
		publish_many(&s, 0, 3);
		cap = k == 2 ? JOURNAL_HEAD : sizeof(buf);
		if (k == 0)
			s.h.index[2].at += 16;
		if (k == 1)
			memset(
			    s.h.journal + s.h.index[2].at, 0xff, JOURNAL_HEAD);
		follower_begin(&s.f);
		expect(&s.f, 1);
		assert_int_equal(follower_next(&s.f), FOLLOWER_FOUND);
		assert_int_equal(
		    follower_read(&s.f, buf, cap, &p), JOURNAL_BAD);
		follower_done(&s.f);
		expect(&s.f, 3);
		expect_end(&s.f);
		scene_end(&s);
	}
}

/* Random bits anywhere: it comes to an end, never goes back, and once the words
 * are mended all that is published is found. */
static void
test_scribbled(void **state)
{
	char buf[RING / JOURNAL_SHARE];
	enum follower_result what;
	struct publication p;
	struct scene s;
	uint64_t k, last, n;
	uint32_t round;

	scene_begin(&s, 1);
	for (round = 0; round < fixture_rounds(300); round++) {
		publish_many(&s, fixture_random(3), 1 + fixture_random(200));
		k = fixture_random((uint32_t)s.h.n_index);
		switch (fixture_random(5)) {
		case 0:
			s.h.index[k].at ^= 1ull << fixture_random(64);
			break;
		case 1:
			s.h.index[k].mask ^= 1ull << fixture_random(2);
			break;
		case 2:
			s.h.heads->tail ^= 1ull << fixture_random(64);
			break;
		case 3:
			s.h.heads->oldest ^= 1ull << fixture_random(64);
			break;
		default:
			fixture_fill(s.h.journal + k * 64, 16);
		}
		follower_begin(&s.f);
		last = s.f.at;
		for (n = 0; (what = follower_next(&s.f)) != FOLLOWER_END &&
		     what != FOLLOWER_STOPPED;
		     n++) {
			assert_in_range(n, 0, 2 * s.h.n_index);
			if (what != FOLLOWER_FOUND)
				continue;
			assert_true(s.f.position > last);
			last = s.f.position;
			if (follower_read(&s.f, buf, sizeof(buf), &p) !=
			    JOURNAL_GONE)
				follower_done(&s.f);
		}
		follower_end(&s.f);
		k = publish_at(&s.h, s.channel[0]);
		follower_begin(&s.f);
		while ((what = follower_next(&s.f)) != FOLLOWER_END) {
			assert_int_not_equal(what, FOLLOWER_STOPPED);
			if (what == FOLLOWER_FOUND &&
			    follower_read(&s.f, buf, sizeof(buf), &p) !=
				JOURNAL_GONE)
				follower_done(&s.f);
		}
		assert_true(s.f.position == k);
		expect_end(&s.f);
	}
	scene_end(&s);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_tail),
	    cmocka_unit_test(test_cursor),
	    cmocka_unit_test(test_entry),
	    cmocka_unit_test(test_scribbled),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
