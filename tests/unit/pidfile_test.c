/* pidfile: one holder, who is named, and who alone removes it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "master/pidfile.h"

static char path[64];
static char error[256];

/* Names a file of this test's own. */
static int
setup(void **state)
{
	snprintf(path, sizeof(path), "/tmp/chatd-pidfile-%d", (int)getpid());
	error[0] = '\0';
	return 0;
}

/* The second one is told who the first is. */
static void
second_is_told(void **state)
{
	struct pidfile a, b;
	char pid[32];

	snprintf(pid, sizeof(pid), "process %d ", (int)getpid());
	assert_int_equal(pidfile_take(&a, path, error, sizeof(error)), 0);
	assert_int_equal(pidfile_take(&b, path, error, sizeof(error)), -1);
	assert_non_null(strstr(error, "starting")); /* no pid in it yet */
	assert_int_equal(pidfile_tell(&a), 0);
	assert_int_equal(pidfile_take(&b, path, error, sizeof(error)), -1);
	assert_non_null(strstr(error, pid));
	pidfile_leave(&a);
	assert_int_equal(access(path, F_OK), -1);
}

/* A file that a dead process left is taken over. */
static void
stale_one_is_taken(void **state)
{
	struct pidfile p;
	char text[32] = "";
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	fputs("1234567890\n", f);
	fclose(f);
	assert_int_equal(pidfile_take(&p, path, error, sizeof(error)), 0);
	assert_int_equal(pidfile_tell(&p), 0);
	f = fopen(path, "r");
	assert_non_null(f);
	assert_non_null(fgets(text, sizeof(text), f));
	fclose(f);
	assert_int_equal(atoi(text), getpid());
	pidfile_leave(&p);
}

/* A child lets go of it: the file and the lock stay the master's. */
static void
child_leaves_it_alone(void **state)
{
	struct pidfile p, other;
	int status;
	pid_t pid;

	assert_int_equal(pidfile_take(&p, path, error, sizeof(error)), 0);
	if ((pid = fork()) == 0) {
		pidfile_drop(&p);
		_exit(p.fd == -1 ? 0 : 1);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	assert_int_equal(access(path, F_OK), 0);
	assert_int_equal(pidfile_take(&other, path, error, sizeof(error)), -1);
	pidfile_leave(&p);
}

/* What cannot be made is said. */
static void
no_directory(void **state)
{
	struct pidfile p;

	assert_int_equal(
	    pidfile_take(&p, "/nonexistent/pid", error, sizeof(error)), -1);
	assert_non_null(strstr(error, "/nonexistent/pid"));
	assert_int_equal(p.fd, -1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup(second_is_told, setup),
	    cmocka_unit_test_setup(stale_one_is_taken, setup),
	    cmocka_unit_test_setup(child_leaves_it_alone, setup),
	    cmocka_unit_test(no_directory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
