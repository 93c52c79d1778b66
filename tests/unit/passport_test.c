/* passport: what a process reads of it that another one has written. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "process/identity.h"
#include "process/passport.h"

static const char birth[] = "born so";

static const struct child_kind listens = {.name = "listens",
    .n = 2,
    .gets = CHILD_HUB | CHILD_LISTENERS | CHILD_SECRETS,
    .birth_bytes = sizeof(birth)};
static const struct child_kind plain = {.name = "plain", .n = 1};
static const struct child_row kinds[] = {
    {&listens, NULL}, {&plain, NULL}, {NULL, NULL}};

static struct hub hub;
static struct conf_live live;
static struct hub_limits limits = {.connections = 77};
static struct identity identity = {.drop = true};
static struct endpoints endpoints;
static struct nursery nursery = {.hub = &hub,
    .limits = &limits,
    .identity = &identity,
    .live = &live,
    .endpoints = &endpoints,
    .log = -1};

/* What the master gives its children. */
static int
setup(void **state)
{
	child_kinds_use(kinds);
	live.message_size = 12345;
	strlcpy(live.token_key, "secret", sizeof(live.token_key));
	strlcpy(live.api_key, "secret", sizeof(live.api_key));
	memset(hub.hash_key, 7, sizeof(hub.hash_key));
	endpoints.n = 2;
	endpoints.at[1].fd = 55;
	endpoints.at[1].doors = 9;
	return 0;
}

/* The passport of such a child, as its process reads it. */
static void
cross(unsigned row, int number, const void *told, struct passport_page *page)
{
	struct child c;
	int fd;

	child_init(&c, &kinds[row], number, 70);
	c.generation = 4;
	fd = passport_family(&c, &nursery, told, 11);
	assert_int_not_equal(fd, -1);
	assert_int_equal(pwrite(fd, "x", 1, 0), -1); /* sealed */
	assert_int_equal(errno, EPERM);
	assert_int_equal(fcntl(fd, F_GETFD), FD_CLOEXEC);
	memset(page, 0x55, sizeof(*page));
	passport_take(fd, "test", page);
	close(fd);
}

/* All that it says arrives, but for descriptors. */
static void
test_cross(void **state)
{
	static struct passport_page page;
	struct child_start start;

	nursery.log = -1;
	cross(0, 1, birth, &page);
	assert_string_equal(page.kind, "listens");
	assert_string_equal(page.title, "listens 1");
	assert_int_equal(page.at, 70);
	assert_int_equal(page.table, 11);
	assert_int_equal(page.parent, getpid());
	assert_true(page.drop);
	assert_int_equal(page.log, -1);
	assert_int_equal(page.fd.log, -1);
	assert_int_equal(page.limits.connections, 77);
	assert_memory_equal(page.hash_key, hub.hash_key, sizeof(hub.hash_key));
	assert_int_equal(page.endpoints.at[1].fd, -1);
	passport_start(&page, NULL, &start);
	assert_ptr_equal(start.kind, &listens);
	assert_int_equal(start.number, 1);
	assert_int_equal(start.generation, 4);
	assert_int_equal(start.live->message_size, 12345);
	assert_string_equal(start.live->token_key, "secret");
	assert_int_equal(start.endpoints->n, 2);
	assert_int_equal(start.endpoints->at[1].doors, 9);
	assert_string_equal(start.birth, birth);
	assert_null(start.hub);
	assert_null(start.line);
}

/* A kind that is given less is told less, and a log that will come is known. */
static void
test_less(void **state)
{
	static struct passport_page page;
	struct child_start start;

	nursery.log = 9;
	cross(1, 0, NULL, &page);
	assert_string_equal(page.title, "plain");
	assert_int_equal(page.log, -1); /* no number of this process's */
	assert_int_not_equal(page.fd.log, -1);
	passport_start(&page, &plain, &start);
	assert_ptr_equal(start.kind, &plain);
	assert_null(start.endpoints);
	assert_int_equal(start.live->message_size, 12345);
	assert_null(memmem(&page, sizeof(page), "secret", 6));
	assert_null(start.birth);
}

/* The status of a process that reads those bytes as a passport. */
static int
judge(const void *bytes, size_t len, bool start)
{
	static struct passport_page page;
	struct child_start s;
	int status, fd = memfd_create("passport", MFD_CLOEXEC);
	pid_t pid;

	assert_int_equal(write(fd, bytes, len), len);
	if ((pid = fork()) == 0) {
		passport_take(fd, "test", &page);
		if (start)
			passport_start(&page, NULL, &s);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	close(fd);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

/* One of another program, or none at all, ends the process. */
static void
test_refused(void **state)
{
	static struct passport_page page, other;

	cross(1, 0, NULL, &page);
	assert_int_equal(judge(&page, sizeof(page), true), 0);
	assert_int_equal(judge(&page, 0, false), 1);
	assert_int_equal(judge(&page, sizeof(page) - 1, false), 1);
	other = page;
	other.magic++;
	assert_int_equal(judge(&other, sizeof(other), false), 1);
	other = page;
	other.layout++;
	assert_int_equal(judge(&other, sizeof(other), false), 1);
	other.tried = true; /* the file said so before it was executed */
	assert_int_equal(judge(&other, sizeof(other), false), 0);
	other = page;
	other.size++;
	other.tried = true;
	assert_int_equal(judge(&other, sizeof(other), false), 1);
	other = page;
	strlcpy(other.kind, "unknown", sizeof(other.kind));
	assert_int_equal(judge(&other, sizeof(other), false), 0);
	assert_int_equal(judge(&other, sizeof(other), true), 1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_cross),
	    cmocka_unit_test(test_less), cmocka_unit_test(test_refused)};

	return cmocka_run_group_tests(tests, setup, NULL);
}
