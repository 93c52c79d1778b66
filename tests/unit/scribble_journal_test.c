/* scribble_journal: what another worker may have written over the words that
 * say where the journal begins and ends: all that is published afterwards is
 * delivered, and no loop goes on for ever. */
#include <signal.h>
#include <sys/wait.h>
#include <time.h>

#include "scribble_fixture.h"

#include "../../src/hub/heads.h"

/* The journal's end is where it cannot be; then a worker's own cursor. */
static void
test_journal_end(void **state)
{
	struct scene s;

	scene_begin(&s);
	s.h.heads->tail = 1ull << 60;
	while (deliver(&s.n->ch))
		;
	say(s.n, "room0", "beyond");
	bob_got(&s, "beyond");
	s.n->h.mine->cursor = 1ull << 61;
	chat_turn(&s.n->ch);
	say(s.n, "room0", "at last");
	bob_got(&s, "at last");
	scene_end(&s);
}

/* The words that say where the journal ends are written over, one or all, with
 * what they may be and what they cannot be: the next one to publish finds the
 * end, who looks meanwhile skips nothing, and all goes on. */
static void
test_journal_words(void **state)
{
	struct scene s;
	struct shm_heads *heads;
	uint64_t tail, bad;
	char text[32];
	uint32_t k;

	scene_begin(&s);
	heads = s.h.heads;
	for (k = 0; k < 8; k++)
		say(s.n, "room0", "before");
	for (k = 0; k < 400; k++) {
		if (k % 50 == 49) /* a new process knows nothing of before */
			s.n->h.tail = 0;
		tail = journal_tail(&s.h);
		bad = k % 4 == 0 ? tail - fixture_random(tail)
		    : k % 4 == 1 ? tail + fixture_random(100)
		    : k % 4 == 2 ? fixture_random(0xffffffff)
				 : (uint64_t)fixture_random(0xffffffff) << 32;
		if (k % 5 != 4)
			heads->tail = bad;
		if (k % 3 == 0 && k % 50 != 49)
			heads->redone = bad + 1 + fixture_random(2);
		if (k % 7 == 0)
			heads->end = fixture_random(0xffffffff);
		if (k % 11 == 0)
			heads->oldest = bad;
		deliver(&s.n->ch);
		snprintf(text, sizeof(text), "word %u", k);
		say(s.n, "room0", text);
		assert_true(journal_is_sound(&s.h));
		assert_in_range(journal_tail(&s.h), tail, tail + 3);
		bob_got(&s, text);
	}
	scene_end(&s);
}

/* Where the journal begins is said to be beyond its end, while something is to
 * be delivered: it is, and nothing counts as missed. */
static void
test_journal_begin(void **state)
{
	struct scene s;
	uint32_t k;

	for (k = 0; k < 3; k++) {
		scene_begin(&s);
		node_say(s.n, "room0", "pending");
		s.h.heads->oldest = k == 0 ? UINT64_MAX
		    : k == 1		   ? 1ull << 50
					   : journal_tail(&s.h) + 5;
		deliver(&s.n->ch);
		assert_int_equal(s.n->h.me->overrun, 0);
		bob_got(&s, "pending");
		say(s.n, "room0", "after");
		bob_got(&s, "after");
		assert_true(s.h.heads->oldest <= journal_tail(&s.h));
		scene_end(&s);
	}
}

/* A connection comes back, and where the journal or what is delivered of it
 * ends makes no sense. */
static void
test_end_of_the_missed(void **state)
{
	struct scene s;
	int k;

	for (k = 0; k < 4; k++) {
		scene_begin(&s);
		assert_int_not_equal(give_freeze(&s.n->ch, 1), SHM_NONE);
		assert_int_not_equal(give_freeze(&s.n->ch, 1), SHM_NONE);
		if (k < 2)
			s.h.heads->tail = k == 0 ? 1ull << 60 : UINT64_MAX;
		else
			s.n->h.mine->cursor = k == 2 ? 1ull << 60 : UINT64_MAX;
		give_done(&s.n->ch, 1, slot_id(&s.h, s.alice));
		give_done(&s.n->ch, 1, slot_id(&s.h, s.bob));
		while (deliver(&s.n->ch))
			;
		say(s.n, "room0", "at last");
		bob_got(&s, "at last");
		scene_end(&s);
	}
}

/* A suspicion that nobody ever clears holds a publication up, but not for
 * ever; who is there to try it does not wait, and clears it. */
static void
test_suspect(void **state)
{
	struct scene s;
	uint64_t next;

	scene_begin(&s);
	next = journal_tail(&s.h) + 1;
	journal_suspect(&s.h, next);
	node_say(s.n, "lobby", "held up");
	chat_turn(&s.n->ch);
	assert_int_equal(journal_suspected(&s.h, next), 0);
	journal_suspect(&s.h, ++next);
	node_say(s.n, "lobby", "not again"); /* at once */
	chat_turn(&s.n->ch);
	assert_int_equal(journal_suspected(&s.h, next), 1);
	s.n->ch.rooms->follower.not_ms = 0;
	journal_suspect(&s.h, ++next);
	s.n->ch.rooms->follower.trial = next;
	node_say(s.n, "lobby", "tried");
	chat_turn(&s.n->ch);
	assert_int_equal(journal_suspected(&s.h, next), 0);
	node_say(s.n, "lobby", "the end");
	chat_turn(&s.n->ch);
	assert_int_equal(client_got(s.client[0], "held up", "the end"), 1);
	scene_end(&s);
}

/* The machine stands still while a suspected publication is tried elsewhere:
 * that time does not count, for who tries it stood still as well. */
static void
test_suspect_stalled(void **state)
{
	const struct timespec stall = {1, 300000000}, trial = {0, 20000000};
	struct scene s;
	uint64_t next;
	pid_t child;
	int status;

	scene_begin(&s);
	next = journal_tail(&s.h) + 1;
	journal_suspect(&s.h, next);
	node_say(s.n, "lobby", "tried elsewhere");
	child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		kill(getppid(), SIGSTOP);
		nanosleep(&stall, NULL);
		kill(getppid(), SIGCONT);
		nanosleep(&trial, NULL);
		journal_acquit(&s.h, next);
		_exit(0);
	}
	chat_turn(&s.n->ch);
	assert_int_equal(s.n->ch.rooms->follower.not_ms, 0);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	scene_end(&s);
}

/* Each who dies over a publication counts; others do not. */
static void
test_suspect_deaths(void **state)
{
	struct hub h;

	fixture_hub(&h, SLOTS, 100, 1 << 20, 4 << 20, 1 << 20);
	assert_int_equal(journal_suspected(&h, 7), 0);
	journal_suspect(&h, 7);
	assert_int_equal(journal_suspected(&h, 7), 1);
	assert_int_equal(journal_suspected(&h, 8), 0);
	journal_suspect(&h, 7);
	journal_acquit(&h, 8);
	assert_int_equal(journal_suspected(&h, 7), 2);
	journal_suspect(&h, 7);
	journal_suspect(&h, 7); /* more are not told apart */
	assert_int_equal(journal_suspected(&h, 7), 3);
	journal_suspect(&h, 8);
	assert_int_equal(journal_suspected(&h, 7), 0);
	assert_int_equal(journal_suspected(&h, 8), 1);
	hub_destroy(&h);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_journal_end),
	    cmocka_unit_test(test_journal_words),
	    cmocka_unit_test(test_journal_begin),
	    cmocka_unit_test(test_end_of_the_missed),
	    cmocka_unit_test(test_suspect),
	    cmocka_unit_test(test_suspect_stalled),
	    cmocka_unit_test(test_suspect_deaths),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
