/* log: lines in a file, levels, escaping, rotation. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/clock.h"
#include "base/log.h"

static char dir[] = "/tmp/chatd-log-XXXXXX";
static char path[64], moved[64];

/* Makes a directory for the log. */
static int
setup(void **state)
{
	if (mkdtemp(dir) == NULL)
		return -1;
	snprintf(path, sizeof(path), "%s/log", dir);
	snprintf(moved, sizeof(moved), "%s/log.1", dir);
	return 0;
}

/* Removes it. */
static int
teardown(void **state)
{
	log_open(LOG_TO_STDERR, NULL);
	unlink(path);
	unlink(moved);
	return rmdir(dir);
}

/* The whole of a file in a static buffer. */
static const char *
contents(const char *file)
{
	static char buf[65536];
	FILE *f = fopen(file, "r");
	size_t n;

	assert_non_null(f);
	n = fread(buf, 1, sizeof(buf) - 1, f);
	buf[n] = '\0';
	fclose(f);
	return buf;
}

/* A line has time, process and name; errno and %m survive. */
static void
test_line(void **state)
{
	int year, month, day, hour, minute, second, ms, pid, end = 0;

	log_set_name("worker 2");
	assert_int_equal(log_open(LOG_TO_FILE, path), 0);
	errno = ENOENT;
	log_info("hello %d %m", 42);
	assert_int_equal(errno, ENOENT);
	sscanf(contents(path),
	    "%4d-%2d-%2dT%2d:%2d:%2d.%3dZ chatd[%d] worker 2: "
	    "hello 42 No such file or directory%n",
	    &year, &month, &day, &hour, &minute, &second, &ms, &pid, &end);
	assert_int_equal(pid, getpid());
	assert_int_not_equal(end, 0);
	assert_string_equal(contents(path) + end, "\n");
}

/* Levels are told, debug lines come with verbose only. */
static void
test_levels(void **state)
{
	assert_int_equal(log_open(LOG_TO_FILE, path), 0);
	log_debug("unseen");
	assert_null(strstr(contents(path), "unseen"));
	log_set_verbose(true);
	assert_true(log_is_verbose());
	log_debug("seen");
	log_error("bad");
	log_warn("odd");
	log_set_verbose(false);
	assert_non_null(strstr(contents(path), "worker 2: debug: seen\n"));
	assert_non_null(strstr(contents(path), "worker 2: error: bad\n"));
	assert_non_null(strstr(contents(path), "worker 2: warning: odd\n"));
}

/* One event is one line, whatever is in it and however long it is. */
static void
test_one_line(void **state)
{
	char *big = malloc(20000);
	const char *p;
	int lines = 0;

	memset(big, 'x', 19999);
	big[19999] = '\0';
	unlink(path);
	assert_int_equal(log_open(LOG_TO_FILE, path), 0);
	log_info("one\ntwo\r\x1b\n");
	log_info("%s", big);
	free(big);
	for (p = contents(path); *p != '\0'; p++)
		lines += *p == '\n';
	assert_int_equal(lines, 2);
	assert_non_null(strstr(contents(path), "one two"));
	assert_null(strchr(contents(path), '\x1b'));
}

/* Client text is made harmless, cut, and four of them live at once. */
static void
test_text(void **state)
{
	const char *a, *b, *c, *d;
	char big[1000], *all = big;
	size_t i;

	a = log_text("a\nb", 3);
	b = log_text("\x1b[31m\0", 6);
	c = log_text("back\\slash\ttab", 14);
	d = log_text("", 0);
	assert_string_equal(a, "a\\nb");
	assert_null(strchr(b, '\x1b'));
	assert_string_equal(c, "back\\\\slash\\ttab");
	assert_string_equal(d, "");
	for (i = 0; i < sizeof(big); i++)
		all[i] = (char)i;
	errno = EPERM;
	a = log_text(big, sizeof(big));
	assert_int_equal(errno, EPERM);
	assert_true(strlen(a) <= 1024 && strlen(a) >= 256);
	for (; *a != '\0'; a++)
		assert_true(*a >= ' ' && *a < 0x7f);
}

/* After rotation lines go to the new file; a bad file changes nothing. */
static void
test_reopen(void **state)
{
	assert_int_equal(log_open(LOG_TO_FILE, path), 0);
	assert_int_equal(rename(path, moved), 0);
	log_info("before");
	assert_int_equal(log_reopen(), 0);
	log_info("after");
	assert_non_null(strstr(contents(moved), "before\n"));
	assert_null(strstr(contents(moved), "after\n"));
	assert_non_null(strstr(contents(path), "after\n"));
	assert_int_equal(log_open(LOG_TO_FILE, "/nonexistent/log"), -1);
	assert_int_equal(errno, ENOENT);
	log_info("still here");
	assert_non_null(strstr(contents(path), "still here\n"));
}

/* No link is followed, neither to what is there nor to what is not yet. */
static void
test_link(void **state)
{
	char link[80], there[80];

	snprintf(link, sizeof(link), "%s/link", dir);
	snprintf(there, sizeof(there), "%s/nothing-here", dir);
	assert_int_equal(symlink(there, link), 0);
	assert_int_equal(log_open(LOG_TO_FILE, link), -1);
	assert_int_equal(errno, ELOOP);
	assert_int_equal(access(there, F_OK), -1);
	assert_int_equal(unlink(link), 0);
	assert_int_equal(log_open(LOG_TO_FILE, path), 0);
	assert_int_equal(symlink(path, link), 0);
	assert_int_equal(log_open(LOG_TO_FILE, link), -1);
	assert_int_equal(unlink(link), 0);
}

/* The last word of a process is logged and its status 1. */
static void
test_fatal(void **state)
{
	int status;
	pid_t pid;

	assert_int_equal(log_open(LOG_TO_FILE, path), 0);
	if ((pid = fork()) == 0)
		log_fatal("the end");
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 1);
	assert_non_null(strstr(contents(path), "error: the end\n"));
}

/* Logs to a pipe or socket at standard error that nobody reads, then reads it:
 * nobody waits for long, and what is lost is told. */
static void
judge_unread(const int fd[2])
{
	enum { LINES = 4000 };
	static char got[4 * 1024 * 1024];
	int saved = dup(STDERR_FILENO), k, lines = 0;
	unsigned lost = 0;
	size_t n = 0;
	ssize_t r;
	uint64_t begun, ms;
	char *p;

	assert_int_equal(dup2(fd[1], STDERR_FILENO), STDERR_FILENO);
	assert_int_equal(log_open(LOG_TO_STDERR, NULL), 0);
	alarm(10);
	begun = clock_ms();
	for (k = 0; k < LINES; k++)
		log_info("line %d, and what makes it longer", k);
	ms = clock_ms() - begun;
	assert_int_equal(fcntl(fd[0], F_SETFL, O_NONBLOCK), 0);
	while ((r = read(fd[0], got + n, sizeof(got) - 1 - n)) > 0)
		n += (size_t)r;
	log_info("heard again");
	while ((r = read(fd[0], got + n, sizeof(got) - 1 - n)) > 0)
		n += (size_t)r;
	alarm(0);
	/* others who have it may wait as before */
	assert_int_equal(fcntl(fd[1], F_GETFL) & O_NONBLOCK, 0);
	dup2(saved, STDERR_FILENO);
	assert_int_equal(log_open(LOG_TO_STDERR, NULL), 0);
	close(saved);
	close(fd[0]);
	close(fd[1]);
	got[n] = '\0';
	for (p = got; (p = strstr(p, "line ")) != NULL; p++)
		lines++;
	p = strstr(got, " lines are lost");
	assert_non_null(p);
	while (p[-1] >= '0' && p[-1] <= '9')
		p--;
	lost = (unsigned)strtoul(p, NULL, 10);
	assert_int_equal(lines + (int)lost, LINES);
	assert_non_null(strstr(p, "heard again\n"));
	assert_true(ms < 2000);
}

static void
test_unread(void **state)
{
	int fd[2];

	assert_int_equal(pipe(fd), 0);
	judge_unread(fd);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fd), 0);
	judge_unread(fd);
}

/* The journal is told the level and not the time, but only if it is the
 * journal. */
static void
test_journal(void **state)
{
	int fd[2], saved = dup(STDERR_FILENO);
	char text[256];
	struct stat s;
	ssize_t n;

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fd), 0);
	assert_int_equal(fstat(fd[1], &s), 0);
	dup2(fd[1], STDERR_FILENO);
	for (int other = 0; other <= 1; other++) {
		snprintf(text, sizeof(text), "%llu:%llu",
		    (unsigned long long)s.st_dev,
		    (unsigned long long)s.st_ino + (unsigned)other);
		setenv("JOURNAL_STREAM", text, 1);
		assert_int_equal(log_open(LOG_TO_STDERR, NULL), 0);
		log_warn("beware");
		n = recv(fd[0], text, sizeof(text) - 1, MSG_DONTWAIT);
		text[n > 0 ? n : 0] = '\0';
		if (other)
			assert_non_null(strstr(text, "Z chatd["));
		else
			assert_string_equal(
			    text, "<4>worker 2: warning: beware\n");
	}
	unsetenv("JOURNAL_STREAM");
	dup2(saved, STDERR_FILENO);
	close(saved);
	close(fd[0]);
	close(fd[1]);
	assert_int_equal(log_open(LOG_TO_STDERR, NULL), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_line),
	    cmocka_unit_test(test_levels),
	    cmocka_unit_test(test_one_line),
	    cmocka_unit_test(test_text),
	    cmocka_unit_test(test_reopen),
	    cmocka_unit_test(test_link),
	    cmocka_unit_test(test_fatal),
	    cmocka_unit_test(test_unread),
	    cmocka_unit_test(test_journal),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
