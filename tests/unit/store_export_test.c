/* export: all of one moment, and no end behind a hole. */
#include "store_rows_fixture.h"

#include <poll.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/wait.h>

#include "../../src/store/task.h"
#include "codec/command.h"

enum { ROWS = 2000, WAIT_MS = 100 };

/* Exports to a reader that does not read for so long once there is something;
 * returns the answer's length. */
static size_t export(int late_ms, char *out, size_t cap)
{
	static struct birth_store birth;
	struct task t = {.birth = &birth, .argc = 2, .argv = {"export", "bob"}};
	const struct timeval limit = {.tv_usec = WAIT_MS * 1000};
	const int small = 4096;
	size_t len = 0;
	ssize_t n;
	int end[2];
	pid_t pid;

	store_close(rows_store);
	rows_store = NULL;
	strcpy(birth.path, rows_path);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, end), 0);
	setsockopt(end[1], SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
	setsockopt(end[1], SOL_SOCKET, SO_SNDBUF, &small, sizeof(small));
	if ((pid = fork()) == 0) {
		close(end[0]);
		t.fd = end[1];
		t.out = fdopen(end[1], "w");
		task_export(&t);
		_exit(0);
	}
	close(end[1]);
	assert_int_equal(poll(&(struct pollfd){end[0], POLLIN, 0}, 1, -1), 1);
	(void)poll(NULL, 0, late_ms);
	while ((n = read(end[0], out + len, cap - len)) > 0)
		len += (size_t)n;
	close(end[0]);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	return len;
}

static void
test_export(void **state)
{
	static char out[ROWS * 300];
	size_t len, lines = 0;

	for (int k = 0; k < ROWS; k++)
		rows_say("talk", "bob", FORMAT_TEXT, k == 0 ? "" : "a text");
	assert_int_equal(database_exec(rows_store,
			     "INSERT INTO user VALUES('bob', 1, 2, 77, 1);"
			     "INSERT INTO event(time, kind, user)"
			     " VALUES(1, 'online', 'bob')",
			     "a test"),
	    STORE_OK);
	rows_commit();
	len = export(0, out, sizeof(out));
	assert_int_equal(out[len - 1], CONTROL_END);
	for (size_t k = 0; k < len; k++)
		lines += out[k] == '\n';
	assert_int_equal(lines, ROWS + 2);
	assert_non_null(memmem(out, len, "\"delivered\":77", 14));
	assert_non_null(memmem(out, len, "\"text\":\"\"", 9));
	len = export(5 * WAIT_MS / 2, out, sizeof(out));
	assert_true(len > 0);
	assert_int_not_equal(out[len - 1], CONTROL_END);
}

int
main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, rows_begin, rows_end)
	const struct CMUnitTest tests[] = {TEST(test_export)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
