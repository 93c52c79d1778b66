/* apart: a piece of a test in a process of its own. What workers leave there
 * (descriptors, event loops, memory) ends with it. */
#ifndef CHATD_TESTS_APART_H
#define CHATD_TESTS_APART_H

#include <stdbool.h>
#include <sys/wait.h>
#include <unistd.h>

/* The child's exit status is this and what the piece returned. Any other one is
 * a failure: cmocka, which goes on in the child after a failed assertion, exits
 * with the number of tests that failed. */
enum { APART_DONE = 70, APART_MAX = 9 };

static bool apart_is_child;

/* Runs the piece, which returns 0 to APART_MAX; returns that. A failure in the
 * child is one here, too. */
static inline int
apart(int (*piece)(void *arg), void *arg)
{
	int status;
	pid_t pid;

	if (apart_is_child) /* an earlier test has failed in this process */
		_exit(1);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		apart_is_child = true;
		_exit(APART_DONE + piece(arg));
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_in_range(
	    WEXITSTATUS(status), APART_DONE, APART_DONE + APART_MAX);
	return WEXITSTATUS(status) - APART_DONE;
}

#endif
