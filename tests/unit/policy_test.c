/* policy: who is replaced at once, who waits for how long. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "process/policy.h"

/* Whatever kills a worker in good health, the next one comes at once. */
static void
good_life_replaced_at_once(void **state)
{
	struct policy p = {.faults = 0};

	for (int i = 0; i < 50; i++)
		assert_int_equal(policy_died(&p, true, true,
				     POLICY_GOOD_LIFE_MS, 20000u * (i + 1)),
		    0);
}

/* The first two young deaths are let pass; then 1, 2, 4 ... 60 s. */
static void
young_faults_back_off(void **state)
{
	static const uint64_t wait[] = {
	    0, 0, 1000, 2000, 4000, 8000, 16000, 32000, 60000, 60000, 60000};
	struct policy p = {.faults = 0};

	for (size_t i = 0; i < sizeof(wait) / sizeof(wait[0]); i++) {
		policy_ready(&p);
		assert_int_equal(
		    policy_died(&p, true, true, 9999, 100000 * (i + 1)),
		    wait[i]);
	}
	/* A good life clears it all. */
	assert_int_equal(policy_died(&p, true, true, 10000, 9000000), 0);
	assert_int_equal(policy_died(&p, true, true, 100, 9000100), 0);
	assert_int_equal(policy_died(&p, true, true, 100, 9000200), 0);
	assert_int_equal(policy_died(&p, true, true, 100, 9000300), 1000);
}

/* One that never gets ready waits from the first time on, for ever longer. */
static void
unready_back_off(void **state)
{
	static const uint64_t wait[] = {
	    1000, 2000, 4000, 8000, 16000, 32000, 60000, 60000};
	struct policy p = {.faults = 0};

	for (size_t i = 0; i < sizeof(wait) / sizeof(wait[0]); i++)
		assert_int_equal(
		    policy_died(&p, true, false, 5, 100000 * (i + 1)), wait[i]);
}

/* 2^32 failures do not shift out of the limit. */
static void
back_off_never_wraps(void **state)
{
	struct policy p = {.faults = UINT32_MAX - 2, .unready = 4000000000u};

	assert_int_equal(
	    policy_died(&p, true, false, 5, 100000), POLICY_BACKOFF_MAX_MS);
}

/* Being killed neither counts nor waits, before readiness and after. */
static void
killed_never_counts(void **state)
{
	struct policy p = {.faults = 0};

	for (int i = 0; i < 10; i++)
		assert_int_equal(
		    policy_died(&p, false, i % 2 == 0, 5, 100000u * (i + 1)),
		    0);
	assert_int_equal(policy_died(&p, true, true, 5, 2000000), 0);
	assert_int_equal(policy_died(&p, false, true, 5, 2000001), 0);
	assert_int_equal(policy_died(&p, true, true, 5, 2000002), 0);
	assert_int_equal(policy_died(&p, true, true, 5, 2000003), 1000);
	assert_int_equal(policy_died(&p, false, true, 5, 2000004), 0);
}

/* Twenty respawns in ten seconds, not one more. */
static void
burst_is_limited(void **state)
{
	struct policy p = {.faults = 0};
	uint64_t now = 50000;

	for (int i = 0; i < POLICY_BURST; i++, now += 100) {
		assert_int_equal(policy_died(&p, false, true, 50, now), 0);
		policy_respawned(&p, now);
	}
	/* 2 s are gone since the first: 8 s to wait. */
	assert_int_equal(policy_died(&p, false, true, 50, now), 8000);
	assert_int_equal(policy_died(&p, false, true, 50, now + 7999), 1);
	assert_int_equal(policy_died(&p, false, true, 50, now + 8000), 0);
	policy_respawned(&p, now + 8000);
	/* The second was 100 ms after the first. */
	assert_int_equal(policy_died(&p, false, true, 50, now + 8000), 100);
}

/* A wait status as waitpid() gives it, on this platform. */
static int
status_of(int exit_status, int sig)
{
	return exit_status << 8 | sig;
}

/* Faults are five signals and any exit. */
static void
faults_are_told_apart(void **state)
{
	static const int own[] = {SIGSEGV, SIGABRT, SIGBUS, SIGFPE, SIGILL};

	for (size_t i = 0; i < sizeof(own) / sizeof(own[0]); i++) {
		assert_true(policy_is_fault(status_of(0, own[i])));
		assert_true(policy_is_fault(status_of(0, own[i] | 0x80)));
	}
	assert_true(policy_is_fault(status_of(0, 0)));
	assert_true(policy_is_fault(status_of(1, 0)));
	assert_false(policy_is_fault(status_of(0, SIGKILL)));
	assert_false(policy_is_fault(status_of(0, SIGTERM)));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(good_life_replaced_at_once),
	    cmocka_unit_test(young_faults_back_off),
	    cmocka_unit_test(unready_back_off),
	    cmocka_unit_test(back_off_never_wraps),
	    cmocka_unit_test(killed_never_counts),
	    cmocka_unit_test(burst_is_limited),
	    cmocka_unit_test(faults_are_told_apart),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
