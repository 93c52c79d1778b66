/* log: a message that comes too often is counted, and told as a number. */
#include "log_fixture.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "base/clock.h"

enum { BURST = 64 }; /* src/base/log.c */

/* Reads a record from the log process's end; -1: there is none. Returns the
 * length of its text. */
static ssize_t
record_take(int fd, struct log_record *r)
{
	ssize_t n = recv(fd, r, sizeof(*r), MSG_DONTWAIT);

	return n == -1 ? -1 : n - (ssize_t)offsetof(struct log_record, text);
}

/* How many lines of a log have that text. */
static int
lines_with(const char *log, const char *text)
{
	int n = 0;

	while ((log = strstr(log, text)) != NULL) {
		n++;
		log++;
	}
	return n;
}

/* Sum of the numbers that are told of lines held back. */
static unsigned
lines_more(const char *log)
{
	unsigned n = 0;

	while ((log = strstr(log, ": and ")) != NULL) {
		log += strlen(": and ");
		n += (unsigned)strtoul(log, NULL, 10);
	}
	return n;
}

/* A message that comes too often is told as a number; others are not concerned.
 */
static void
test_rate(void **state)
{
	enum { LINES = 5000 };
	char last[64];
	const char *log;

	unlink(path);
	assert_int_equal(log_open(LOG_TO_FILE, path), 0);
	for (int i = 0; i < LINES; i++) {
		errno = ENOENT;
		log_warn("visitor %d", i);
		assert_int_equal(errno, ENOENT);
	}
	log_warn("another message");
	log = contents(path);
	assert_in_range(lines_with(log, "visitor "), BURST, BURST + 20);
	assert_int_equal(lines_with(log, "another message"), 1);
	/* nothing follows; all the same it is told, and what it was like */
	log_flush();
	log = contents(path);
	assert_int_equal(lines_with(log, ": visitor ") -
		lines_with(log, "like: visitor ") + (int)lines_more(log),
	    LINES);
	snprintf(last, sizeof(last), "like: visitor %d\n",
	    lines_with(log, ": visitor ") - lines_with(log, "like: ") - 1);
	assert_non_null(strstr(log, last));
	assert_non_null(strstr(log, "worker 2: warning: and "));
	log_flush();
	assert_string_equal(contents(path), log);
}

/* It is told within a second or two by the loop, without another line. */
static void
test_rate_told(void **state)
{
	const uint64_t begun = clock_ms();

	unlink(path);
	assert_int_equal(log_open(LOG_TO_FILE, path), 0);
	for (int i = 0; i < 1000; i++)
		log_info("guest %d", i);
	log_more();
	assert_int_equal(lines_more(contents(path)), 0);
	while (lines_more(contents(path)) == 0) {
		assert_true(clock_ms() - begun < 5000);
		poll(NULL, 0, 10);
		log_more();
	}
	assert_true(clock_ms() - begun >= 1000);
	assert_int_equal(lines_with(contents(path), ": guest ") - 1 +
		(int)lines_more(contents(path)),
	    1000);
}

/* What cannot be told of now is told later; a child does not tell of its
 * parent's lines; the last word is always said. */
static void
test_rate_kept(void **state)
{
	char big[512];
	struct log_record r;
	int fd[2], status, n = 0;
	ssize_t len;
	pid_t pid;

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, fd), 0);
	log_send_to(fd[1]);
	for (int i = 0; i < 100; i++)
		log_info("crowd %d", i);
	memset(big, 'x', sizeof(big));
	while (send(fd[1], big, sizeof(big), MSG_DONTWAIT) != -1)
		;
	log_flush();
	while (record_take(fd[0], &r) != -1)
		n += memcmp(r.text, "and ", 4) == 0;
	assert_int_equal(n, 0);
	if ((pid = fork()) == 0) {
		log_set_name("child");
		for (int i = 0; i < 100; i++)
			log_error("the end %d", i);
		log_fatal("the end %d", 100);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	while ((len = record_take(fd[0], &r)) != -1) {
		r.text[len] = '\0';
		n += memcmp(r.text, "and ", 4) == 0;
		assert_null(strstr(r.text, "crowd"));
	}
	assert_int_equal(n, 1);
	assert_string_equal(r.text, "the end 100");
	log_flush();
	len = record_take(fd[0], &r);
	assert_true(len > 0);
	r.text[len] = '\0';
	assert_non_null(strstr(r.text, "and 36 more in "));
	assert_non_null(strstr(r.text, " like: crowd 63"));
	log_send_to(-1);
	close(fd[0]);
	close(fd[1]);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_rate),
	    cmocka_unit_test(test_rate_told),
	    cmocka_unit_test(test_rate_kept),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
