/* child: what the master does with a child of any kind. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "codec/message.h"
#include "net/link.h"
#include "process/child.h"
#include "process/executable.h"

static const struct child_kind one = {
    .name = "one", .n = 1, .executable = "nowhere"};
static const struct child_kind two = {
    .name = "two", .n = 2, .backoff_max_ms = 1500};
static const struct child_kind each = {.name = "each", .n = CHILD_EACH_WORKER};
static const struct child_role role;
static const struct child_row kinds[] = {
    {&each, &role}, {&one, NULL}, {&two, NULL}, {NULL, NULL}};

/* Kinds are found by name, by how many there are, and one after the other. */
static void
test_kinds(void **state)
{
	child_kinds_use(kinds);
	assert_ptr_equal(child_row_counted(0)->kind, &one);
	assert_ptr_equal(child_row_counted(1)->kind, &two);
	assert_null(child_row_counted(2));
	assert_ptr_equal(child_row_of(CHILD_EACH_WORKER), &kinds[0]);
	assert_null(child_row_of(CHILD_CONFIGURED));
	assert_ptr_equal(child_row_named("two")->kind, &two);
	assert_null(child_row_named("three"));
}

/* Which readers of the journal there are follows from what is wanted of the
 * kinds. */
static bool wanted;
static bool
wanted_cb(const struct conf *c)
{
	return wanted;
}

static void
test_readers(void **state)
{
	static const struct child_kind first = {.name = "first",
	    .n = 1,
	    .reader = 1,
	    .reader_events = true,
	    .wanted = wanted_cb};
	static const struct child_kind third = {
	    .name = "third", .n = 1, .reader = 3};
	static const struct child_row readers[] = {
	    {&one, NULL}, {&first, NULL}, {&third, NULL}, {NULL, NULL}};

	child_kinds_use(kinds);
	assert_int_equal(child_readers(NULL), 0);
	child_kinds_use(readers);
	wanted = false;
	assert_int_equal(child_readers(NULL), 4);
	assert_int_equal(child_readers_of_events(NULL), 0);
	wanted = true;
	assert_int_equal(child_readers(NULL), 5);
	assert_int_equal(child_readers_of_events(NULL), 1);
}

/* What the master says besides what it says to all goes to who asks for it. */
static struct heard {
	int n, type, fd;
	size_t len;
} heard;
static void
heard_cb(void *arg, int type, const void *payload, size_t len, int fd)
{
	assert_ptr_equal(arg, &heard);
	heard = (struct heard){heard.n + 1, type, fd, len};
}

static void
test_read(void **state)
{
	struct conf *conf = conf_new();
	struct conf_live live = conf->live;
	struct child_start start = {.live = &conf->live};
	const struct message_link link = {3, 4};
	static char text[CONF_LIVE_MAX];
	int fd[2];

	assert_int_equal(link_pair(fd), 0);
	start.link = fd[0];
	assert_false(child_read(&start, heard_cb, &heard));
	assert_int_equal(
	    link_send(fd[1], MSG_LINK, &link, sizeof(link), STDIN_FILENO), 0);
	assert_int_equal(link_send(fd[1], MSG_LINK, &link, 1, -1), 0);
	live.message_size = 4321;
	assert_int_equal(
	    link_send(fd[1], MSG_CONF, text, conf_live_write(&live, text), -1),
	    0);
	assert_int_not_equal(start.live->message_size, 4321);
	assert_false(child_read(&start, heard_cb, &heard));
	assert_int_equal(heard.n, 1);
	assert_int_equal(heard.type, MSG_LINK);
	assert_int_equal(heard.len, sizeof(link));
	assert_int_equal(fcntl(heard.fd, F_GETFD), FD_CLOEXEC);
	close(heard.fd);
	assert_int_equal(start.live->message_size, 4321);
	/* nobody asks: the descriptor is closed */
	assert_int_equal(
	    link_send(fd[1], MSG_LINK, &link, sizeof(link), STDIN_FILENO), 0);
	assert_false(child_must_leave(&start));
	assert_int_equal(fcntl(heard.fd, F_GETFD), -1);
	assert_int_equal(link_send(fd[1], MSG_STOP, NULL, 0, -1), 0);
	assert_true(child_read(&start, heard_cb, &heard));
	assert_int_equal(heard.n, 1);
	close(fd[1]);
	assert_true(child_must_leave(&start));
	close(fd[0]);
	conf_free(conf);
}

/* The only one of a kind has no number. */
static void
test_name(void **state)
{
	struct child c;

	child_init(&c, &kinds[1], 0, 64);
	assert_string_equal(child_name(&c), "one");
	child_init(&c, &kinds[2], 1, 65);
	assert_string_equal(child_name(&c), "two 1");
}

/* What one program leaves, the next one has. */
static void
test_save(void **state)
{
	struct child c, d = {.link = 0};
	char text[256] = "";
	FILE *f = fmemopen(text, sizeof(text), "w");

	assert_non_null(f);
	child_init(&c, &kinds[2], 1, 70);
	c.pid = 1234;
	c.link = 17;
	c.generation = 9;
	c.ready = c.killed = true;
	c.started_ms = 1ull << 40;
	c.respawn_ms = 5;
	c.leave_ms = 6;
	c.policy.faults = 2;
	c.policy.unready = 1;
	child_save(&c, f);
	fclose(f);
	assert_true(child_load(&d, text));
	d.kind = c.kind;
	assert_memory_equal(&c, &d, sizeof(c));
	assert_false(child_load(&d, "two 70 1 1234 17"));
}

/* One that dies of its own fault is waited for, not longer than its kind wants;
 * one that is killed, or has left because it was told to, is not. */
static void
test_back_off(void **state)
{
	struct child_end end = {.status = SIGSEGV};
	uint64_t now = 1000;
	struct child c;

	child_init(&c, &kinds[2], 0, 64);
	for (int i = 0; i < 8; i++) {
		c.pid = 1;
		c.started_ms = now;
		child_died(&c, &end, now);
		assert_true(end.fault);
		assert_int_equal(c.pid, 0);
		assert_in_range(end.wait_ms, 1000, 1500);
		assert_int_equal(c.respawn_ms, now + end.wait_ms);
		now += end.wait_ms;
	}
	assert_int_equal(end.wait_ms, 1500);
	child_init(&c, &kinds[2], 0, 64);
	c.pid = 1;
	c.ready = c.killed = true;
	end.status = SIGKILL;
	child_died(&c, &end, now);
	assert_int_equal(end.wait_ms, 0);
	assert_int_equal(c.respawn_ms, 0);
	assert_false(end.fault);
	c.pid = 1;
	c.leave_ms = now;
	end.status = 0;
	child_died(&c, &end, now);
	assert_int_equal(end.wait_ms, 0);
	assert_false(end.fault);
	assert_int_equal(c.leave_ms, 0);
}

/* Life signs give it time, but not for ever. */
static void
test_late(void **state)
{
	struct child c;
	uint64_t most = 50 + CHILD_HELLO_MAX * CHILD_HELLO_MS;

	child_init(&c, &kinds[1], 0, 64);
	c.started_ms = 50;
	assert_false(child_is_late(&c, CHILD_HELLO_MS, 100)); /* no process */
	c.pid = 1;
	assert_false(child_is_late(&c, CHILD_HELLO_MS - 1, 100));
	assert_true(child_is_late(&c, CHILD_HELLO_MS, 100));
	assert_false(child_is_late(&c, 0, most - 1));
	assert_true(child_is_late(&c, 0, most));
	c.ready = true;
	assert_false(child_is_late(&c, CHILD_HELLO_MS, most));
}

/* One that may be still for longer, since it waits for a disk, has more time.
 */
static void
test_late_slowly(void **state)
{
	const struct child_kind slow = {
	    .name = "slow", .still_ms = 3 * CHILD_HELLO_MS};
	const struct child_row row = {.kind = &slow};
	uint64_t most = 50 + CHILD_HELLO_MAX * slow.still_ms;
	struct child c;

	child_init(&c, &row, 0, 64);
	c.started_ms = 50;
	c.pid = 1;
	assert_false(child_is_late(&c, slow.still_ms - 1, most - 1));
	assert_true(child_is_late(&c, slow.still_ms, 100));
	assert_true(child_is_late(&c, 0, most));
}

/* Makes FOLDER/libexec/chatd/nowhere, which is no program. */
static void
make_nowhere(const char *folder)
{
	static const char *const parts[] = {"libexec", "libexec/chatd"};
	char path[PATH_MAX];
	int fd;

	for (size_t i = 0; i < 2; i++) {
		snprintf(path, sizeof(path), "%s/%s", folder, parts[i]);
		assert_int_equal(mkdir(path, 0755), 0);
	}
	snprintf(path, sizeof(path), "%s/%s/nowhere", folder, parts[1]);
	fd = open(path, O_CREAT | O_WRONLY, 0644);
	assert_true(fd != -1);
	close(fd);
}

/* Removes it. */
static void
remove_nowhere(const char *folder)
{
	static const char *const parts[] = {
	    "/libexec/chatd/nowhere", "/libexec/chatd", "/libexec", ""};
	char path[PATH_MAX];

	for (size_t i = 0; i < 4; i++) {
		snprintf(path, sizeof(path), "%s%s", folder, parts[i]);
		assert_int_equal(remove(path), 0);
	}
}

/* One beside the binary that cannot be executed is named, not passed over. */
static void
test_executable_beside(void **state)
{
	char path[PATH_MAX], error[512], folder[] = "/tmp/child-test-XXXXXX";
	char binary[sizeof(folder) + 8];

	assert_non_null(mkdtemp(folder));
	make_nowhere(folder);
	snprintf(binary, sizeof(binary), "%s/chatd", folder);
	assert_int_equal(
	    executable_find("nowhere", binary, path, error, sizeof(error)), -1);
	assert_non_null(strstr(error, folder));
	assert_non_null(strstr(error, "Permission denied"));
	remove_nowhere(folder);
}

/* A program that is not there is named. */
static void
test_executable(void **state)
{
	char path[PATH_MAX], error[512];

	assert_int_equal(executable_find("nowhere", "/nonexistent/sbin/chatd",
			     path, error, sizeof(error)),
	    -1);
	assert_non_null(strstr(error, "chatd/nowhere cannot be executed"));
	assert_int_equal(
	    executable_find("nowhere", NULL, path, error, sizeof(error)), -1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_kinds),
	    cmocka_unit_test(test_readers),
	    cmocka_unit_test(test_read),
	    cmocka_unit_test(test_name),
	    cmocka_unit_test(test_save),
	    cmocka_unit_test(test_back_off),
	    cmocka_unit_test(test_late),
	    cmocka_unit_test(test_late_slowly),
	    cmocka_unit_test(test_executable_beside),
	    cmocka_unit_test(test_executable),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
