/* kill_point: a worker dies at each store that recovery relies on, one after
 * the other (there is no list: they are counted until one gets through).
 * Another worker goes on; nothing may be lost, doubled or left over. */
#include "kill_scene.h"

#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

enum { ACTS = 120 };

static uint64_t seed = 88172645463325252ull;

/* In a child: a crash is one, not a failed test of this program's copy. */
static void
victim_signals(void)
{
	static const int sig[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT};
	size_t i;

	for (i = 0; i < sizeof(sig) / sizeof(sig[0]); i++)
		signal(sig[i], SIG_DFL);
}

/* A worker does what that seed says and dies at kill point n (0: at none).
 * With `clean` it cleans up after that worker first. True if it died. */
static bool
victim_run(struct scene *s, int worker, uint64_t n, int clean)
{
	pid_t pid = fork();
	int status;

	assert_true(pid >= 0);
	if (pid == 0) {
		victim_signals();
		fixture_seed = seed + (uint64_t)worker;
		scene_become(s, worker);
		kill_point_arm(n, SIGKILL);
		if (clean >= 0)
			scene_clean(s, clean);
		scene_act(s, ACTS);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (WIFSIGNALED(status)) {
		assert_int_equal(WTERMSIG(status), SIGKILL);
		return true;
	}
	assert_int_equal(status, 0);
	return false;
}

/* One that was dead is cleaned up after, and life goes on. */
static void
recover(struct scene *s, int dead, uint64_t n)
{
	if (n % 3 == 0) { /* nobody has cleaned up yet */
		scene_act(s, 10);
		scene_check(s);
	}
	scene_clean(s, dead);
	scene_check_gone(s, dead);
	scene_check(s);
	scene_act(s, 20);
	scene_check(s);
}

/* Dies at every point of one scenario. Returns how many there are. */
static uint64_t
every_point(void)
{
	struct scene s;
	uint64_t n = 0;
	bool died = true;

	while (died) {
		scene_new(&s);
		died = victim_run(&s, 1, ++n, -1);
		scene_settle(&s, 1);
		scene_check(&s);
		recover(&s, 1, n);
		if (n % 8 == 0)
			scene_exhaust(&s);
		scene_free(&s);
	}
	return n - 1;
}

static void
test_every_point(void **state)
{
	uint32_t k;
	uint64_t n;

	for (k = 0; k < fixture_rounds(1); k++) {
		n = every_point();
		print_message("%llu kill points\n", (unsigned long long)n);
		assert_true(n > 50);
		seed = seed * 6364136223846793005ull + 1442695040888963407ull;
	}
}

/* Two die, one after the other, the second perhaps while it cleans up. */
static void
test_pairs(void **state)
{
	struct scene s;
	uint32_t k, a, b, max = 1200;
	int clean;

	for (k = 0; k < fixture_rounds(300); k++) {
		scene_new(&s);
		fixture_seed = seed ^ (k + 1) * 0x9e3779b97f4a7c15ull;
		a = 1 + fixture_random(max);
		b = 1 + fixture_random(fixture_random(2) ? 300 : max);
		clean = fixture_random(2) ? 1 : -1;
		victim_run(&s, 1, a, -1);
		scene_settle(&s, 1);
		if (clean == 1) {
			/* whether or not it gets to the end of that */
			victim_run(&s, 2, b, 1);
			scene_clean(&s, 1);
			scene_check_gone(&s, 1);
		} else
			victim_run(&s, 2, b, -1);
		scene_settle(&s, 2);
		scene_check(&s);
		if (clean != 1)
			recover(&s, 1, a);
		recover(&s, 2, b);
		scene_exhaust(&s);
		scene_free(&s);
	}
}

/* Dies at any moment, between the points too. */
static void
test_any_moment(void **state)
{
	struct scene s;
	uint32_t k;
	pid_t pid;
	int status;

	for (k = 0; k < fixture_rounds(100); k++) {
		scene_new(&s);
		pid = fork();
		if (pid == 0) {
			victim_signals();
			fixture_seed = seed + k;
			scene_become(&s, 1);
			for (;;)
				scene_act(&s, ACTS);
		}
		usleep(fixture_random(6000));
		kill(pid, SIGKILL);
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_int_equal(status, SIGKILL);
		scene_settle(&s, 1);
		scene_check(&s);
		recover(&s, 1, k);
		scene_exhaust(&s);
		scene_free(&s);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_every_point),
	    cmocka_unit_test(test_pairs),
	    cmocka_unit_test(test_any_moment),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
