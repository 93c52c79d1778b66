/* follower: what is for one worker, or all; overruns and suspected
 * publications. */
#include "follower_fixture.h"

#include <signal.h>
#include <sys/wait.h>

#include "../../src/hub/heads.h"

#include "base/clock.h"

/* Each worker is handed what is for it, in order and once. */
static void
test_bits(void **state)
{
	struct scene s;
	uint64_t k, bits;

	for (bits = 1; bits <= 3; bits++) {
		scene_begin(&s, bits);
		for (k = 0; k < 60; k++)
			publish_many(&s, k % 3, 1);
		follower_begin(&s.f);
		for (k = 0; k < 60; k++)
			if (k % 3 < 2 && bits & 1ull << k % 3) {
				expect(&s.f, k + 1);
				assert_true(s.f.mask == 1ull << k % 3);
			}
		expect_end(&s.f);
		follower_begin(&s.f);
		expect_end(&s.f);
		scene_end(&s);
	}
}

/* Who reads all is handed what is for no worker, too. */
static void
test_all(void **state)
{
	static const uint64_t mask[] = {1, 2, 0};
	struct scene s;
	uint64_t k;

	scene_begin(&s, FOLLOWER_ALL);
	for (k = 0; k < 60; k++)
		publish_many(&s, k % 3, 1);
	follower_begin(&s.f);
	for (k = 0; k < 60; k++) {
		expect(&s.f, k + 1);
		assert_true(s.f.mask == mask[k % 3]);
	}
	expect_end(&s.f);
	scene_end(&s);
}

/* It goes no farther than the end that it saw, and says that there is more. */
static void
test_more(void **state)
{
	struct scene s;

	scene_begin(&s, 1);
	publish_many(&s, 0, 2);
	follower_begin(&s.f);
	publish_many(&s, 0, 1);
	expect(&s.f, 1);
	expect(&s.f, 2);
	assert_int_equal(follower_next(&s.f), FOLLOWER_END);
	assert_true(follower_end(&s.f));
	follower_begin(&s.f);
	expect(&s.f, 3);
	expect_end(&s.f);
	scene_end(&s);
}

/* One that ends early begins again at what it has not done. */
static void
test_not_done(void **state)
{
	struct scene s;

	scene_begin(&s, 1);
	publish_many(&s, 0, 3);
	follower_begin(&s.f);
	expect(&s.f, 1);
	assert_int_equal(follower_next(&s.f), FOLLOWER_FOUND);
	assert_true(follower_end(&s.f));
	assert_true(s.cursor == 1);
	follower_begin(&s.f);
	expect(&s.f, 2);
	expect(&s.f, 3);
	expect_end(&s.f);
	scene_end(&s);
}

/* The tail is written over while it reads: what has not been accepted is not
 * handed out, and nothing is passed over. */
static void
test_tail_back(void **state)
{
	struct scene s;
	uint64_t bits;

	for (bits = 1; bits != 0; bits = bits == 1 ? FOLLOWER_ALL : 0) {
		scene_begin(&s, bits);
		publish_many(&s, 2, 1); /* the tail is looked at for it */
		publish_many(&s, 0, 3);
		publish_many(&s, 1, 2);
		follower_begin(&s.f);
		if (bits == FOLLOWER_ALL)
			expect(&s.f, 1);
		expect(&s.f, 2);
		SHM_STORE(s.h.heads->tail, 4);
		expect(&s.f, 3);
		expect(&s.f, 4);
		assert_int_equal(follower_next(&s.f), FOLLOWER_STOPPED);
		(void)follower_end(&s.f);
		assert_true(s.cursor == 4);
		scene_end(&s);
	}
}

/* The ring goes round while it reads: before the next is looked for, between
 * that and the copy, and for channels of others alone. */
static void
test_overrun(void **state)
{
	char buf[RING / JOURNAL_SHARE];
	struct publication p;
	uint64_t oldest, bits;
	struct scene s;
	int k;

	for (bits = 1; bits != 0; bits = bits == 1 ? FOLLOWER_ALL : 0) {
		for (k = 0; k < 2; k++) {
			scene_begin(&s, bits);
			publish_many(&s, 0, 100);
			follower_begin(&s.f);
			expect(&s.f, 1);
			expect(&s.f, 2);
			expect(&s.f, 3);
			if (k == 1)
				assert_int_equal(
				    follower_next(&s.f), FOLLOWER_FOUND);
			publish_many(&s, 0, s.h.n_index - 90);
			if (k == 1)
				assert_int_equal(
				    follower_read(&s.f, buf, sizeof(buf), &p),
				    JOURNAL_GONE);
			oldest = journal_oldest(&s.h);
			assert_in_range(oldest, 5, 100);
			assert_int_equal(follower_next(&s.f), FOLLOWER_OVERRUN);
			assert_true(s.f.from == 3 && s.f.to == oldest);
			for (; oldest <= 100; oldest++)
				expect(&s.f, oldest);
			assert_int_equal(follower_next(&s.f), FOLLOWER_END);
			assert_true(follower_end(&s.f));
			scene_end(&s);
		}
	}
}

/* One that comes when the ring has gone round often: what is left, and each of
 * the others once in what is lost. */
static void
test_far_behind(void **state)
{
	struct scene s;
	uint64_t oldest, bits;

	for (bits = 1; bits != 0; bits = bits == 1 ? FOLLOWER_ALL : 0) {
		scene_begin(&s, bits);
		publish_many(&s, 0, 3 * s.h.n_index + 7);
		oldest = journal_oldest(&s.h);
		follower_begin(&s.f);
		assert_int_equal(follower_next(&s.f), FOLLOWER_OVERRUN);
		assert_true(s.f.from == 0 && s.f.to == oldest);
		for (; oldest <= journal_tail(&s.h); oldest++)
			expect(&s.f, oldest);
		expect_end(&s.f);
		scene_end(&s);
	}
}

/* One that others have died over is held off, so many looks, then the mark
 * counts as corrupted, and so do those after it for a while. */
static void
test_suspected(void **state)
{
	struct scene s;
	uint32_t k;

	scene_begin(&s, 1);
	publish_many(&s, 0, 3);
	journal_suspect(&s.h, 1);
	follower_begin(&s.f);
	for (k = 0; k < FOLLOWER_LOOKS; k++)
		assert_int_equal(follower_next(&s.f), FOLLOWER_HELD);
	assert_int_equal(journal_suspected(&s.h, 1), 1);
	assert_true(s.cursor == 0);
	expect(&s.f, 1);
	assert_int_equal(journal_suspected(&s.h, 1), 0);
	journal_suspect(&s.h, 2);
	expect(&s.f, 2);
	assert_int_equal(journal_suspected(&s.h, 2), 1);
	s.f.not_ms = clock_ms();
	journal_suspect(&s.h, 3);
	assert_int_equal(follower_next(&s.f), FOLLOWER_HELD);
	scene_end(&s);
}

/* The process that tries it gets through, which others are told: they are held
 * until then. What it says of itself alone counts for one death, not for two.
 */
static void
test_tried(void **state)
{
	_Atomic uint64_t cursor = 0;
	struct follower trier;
	struct scene s;

	scene_begin(&s, 1);
	follower_init(&trier, &s.h, &cursor, 1);
	publish_many(&s, 0, 2);
	journal_suspect(&s.h, 2);
	trier.trial = 2;
	follower_begin(&s.f);
	follower_begin(&trier);
	expect(&s.f, 1);
	assert_int_equal(follower_next(&s.f), FOLLOWER_HELD);
	expect(&trier, 1);
	assert_int_equal(journal_suspected(&s.h, 2), 1);
	journal_suspect(&s.h, 2);
	assert_int_equal(follower_next(&trier), FOLLOWER_HELD);
	journal_acquit(&s.h, 2);
	journal_suspect(&s.h, 2);
	assert_int_equal(follower_next(&s.f), FOLLOWER_HELD);
	expect(&trier, 2);
	assert_int_equal(journal_suspected(&s.h, 2), 0);
	expect(&s.f, 2);
	expect_end(&s.f);
	scene_end(&s);
}

/* The second death marks the entry as dead: it is passed over by all who were
 * held, but for one who reads all, who is never held. */
static void
test_two_deaths(void **state)
{
	_Atomic uint64_t cursor = 0;
	struct follower all;
	struct scene s;

	scene_begin(&s, 1);
	follower_init(&all, &s.h, &cursor, FOLLOWER_ALL);
	publish_many(&s, 0, 3);
	journal_suspect(&s.h, 2);
	follower_begin(&s.f);
	follower_begin(&all);
	expect(&all, 1);
	expect(&all, 2);
	expect(&s.f, 1);
	assert_int_equal(follower_next(&s.f), FOLLOWER_HELD);
	hub_lock(&s.h);
	assert_false(journal_fault(&s.h, 2));
	hub_unlock(&s.h);
	assert_int_equal(follower_next(&s.f), FOLLOWER_HELD);
	journal_suspect(&s.h, 2);
	hub_lock(&s.h);
	assert_true(journal_fault(&s.h, 2));
	hub_unlock(&s.h);
	expect(&s.f, 3);
	expect_end(&s.f);
	expect(&all, 3);
	/* and one that comes later */
	cursor = 0;
	follower_begin(&all);
	expect(&all, 1);
	expect(&all, 2);
	assert_true(all.mask == 0);
	scene_end(&s);
}

/* Publishes for ever, to the first two channels in turn. */
static void
publish_for_ever(struct scene *s)
{
	hub_become(&s->h, 2);
	for (;;)
		publish_at(&s->h, s->channel[journal_tail(&s->h) % 2]);
}

/* Reads what there is; counts what was found and what was lost. */
static void
follow(struct follower *f, uint64_t *found, uint64_t *lost)
{
	char buf[RING / JOURNAL_SHARE];
	struct publication p;
	enum follower_result what;
	uint64_t at;

	follower_begin(f);
	at = f->at;
	while ((what = follower_next(f)) != FOLLOWER_END) {
		/* the ring went round while its end was looked at */
		if (what == FOLLOWER_STOPPED)
			break;
		if (what == FOLLOWER_OVERRUN) {
			assert_true(f->from >= at && f->to > f->from + 1);
			*lost += f->to - f->from - 1;
			at = f->to - 1;
			continue;
		}
		assert_int_equal(what, FOLLOWER_FOUND);
		assert_true(f->position > at);
		switch (follower_read(f, buf, sizeof(buf), &p)) {
		case JOURNAL_OK:
			assert_memory_equal(
			    p.data, &f->position, sizeof(f->position));
			at = f->position;
			++*found;
			follower_done(f);
			break;
		case JOURNAL_GONE:
			break;
		default:
			fail();
		}
	}
	follower_end(f);
}

/* Another process publishes as fast as it can: of those for all, each is found
 * or lost, none twice; of those for one worker each that was not lost. */
static void
test_concurrent(void **state)
{
	_Atomic uint64_t cursor = 0;
	uint64_t found[2] = {0}, lost[2] = {0}, until;
	struct follower all;
	struct scene s;
	pid_t pid;

	scene_begin(&s, 2);
	follower_init(&all, &s.h, &cursor, FOLLOWER_ALL);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0)
		publish_for_ever(&s);
	until = clock_ms() + fixture_rounds(1000);
	while (clock_ms() < until || found[1] < 1000) {
		follow(&s.f, &found[0], &lost[0]);
		follow(&all, &found[1], &lost[1]);
	}
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	follow(&all, &found[1], &lost[1]);
	assert_true(found[1] + lost[1] == journal_tail(&s.h));
	assert_true(found[0] > 0 && lost[1] > 0);
	print_message("of %llu all: %llu found, %llu lost\n",
	    (unsigned long long)journal_tail(&s.h),
	    (unsigned long long)found[1], (unsigned long long)lost[1]);
	scene_end(&s);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_bits),
	    cmocka_unit_test(test_all),
	    cmocka_unit_test(test_more),
	    cmocka_unit_test(test_not_done),
	    cmocka_unit_test(test_tail_back),
	    cmocka_unit_test(test_overrun),
	    cmocka_unit_test(test_far_behind),
	    cmocka_unit_test(test_suspected),
	    cmocka_unit_test(test_tried),
	    cmocka_unit_test(test_two_deaths),
	    cmocka_unit_test(test_concurrent),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
