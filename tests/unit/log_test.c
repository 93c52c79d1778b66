/* log: lines in a file, levels, escaping, rotation. */
#include "log_fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "base/clock.h"

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
	int evaluated = 0;

	assert_int_equal(log_open(LOG_TO_FILE, path), 0);
	log_debug("unseen %d", ++evaluated);
	assert_int_equal(evaluated, 0);
	assert_null(strstr(contents(path), "unseen"));
	log_set_verbose(true);
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
	assert_string_equal(log_text("it's ~ #5", 9), "it's ~ #5");
	assert_string_equal(log_text("a \"b\"", 5), "a \\\"b\\\"");
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
	assert_int_equal(log_open(LOG_TO_FILE, path), 0);
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
	enum { LINES = 3000 }; /* within the burst of verbose lines */
	static char got[4 * 1024 * 1024];
	int saved = dup(STDERR_FILENO), k, lines = 0;
	unsigned lost = 0;
	size_t n = 0;
	ssize_t r;
	uint64_t begun, ms;
	char *p;

	assert_int_equal(dup2(fd[1], STDERR_FILENO), STDERR_FILENO);
	assert_int_equal(log_open(LOG_TO_STDERR, NULL), 0);
	log_set_verbose(true);
	alarm(10);
	begun = clock_ms();
	for (k = 0; k < LINES; k++)
		log_debug("line %d, and what makes it longer", k);
	ms = clock_ms() - begun;
	assert_int_equal(fcntl(fd[0], F_SETFL, O_NONBLOCK), 0);
	while ((r = read(fd[0], got + n, sizeof(got) - 1 - n)) > 0)
		n += (size_t)r;
	log_info("heard again");
	while ((r = read(fd[0], got + n, sizeof(got) - 1 - n)) > 0)
		n += (size_t)r;
	alarm(0);
	log_set_verbose(false);
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
	p = strstr(got, " log lines were lost");
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

/* Reads a record from the log process's end; -1: there is none. Returns the
 * length of its text. */
static ssize_t
record_take(int fd, struct log_record *r)
{
	ssize_t n = recv(fd, r, sizeof(*r), MSG_DONTWAIT);

	return n == -1 ? -1 : n - (ssize_t)offsetof(struct log_record, text);
}

/* With a log process: one send a line, which has all that makes the line; who
 * reads slowly is not waited for, and what is lost is counted in the next. */
static void
test_socket(void **state)
{
	enum { LINES = 6000 }; /* within the burst of verbose lines */
	char big[20000], line[SINK_LINE_BYTES + 1];
	struct sink s = {.kind = LOG_TO_FILE};
	struct log_record r;
	int fd[2], heard = 0;
	uint64_t begun;
	ssize_t n;

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, fd), 0);
	log_send_to(fd[1]);
	errno = ENOENT;
	log_warn("hello %d %m\n", 42);
	assert_int_equal(errno, ENOENT);
	n = record_take(fd[0], &r);
	assert_int_equal(r.format, SINK_FORMAT);
	assert_int_equal(r.pid, getpid());
	assert_int_equal(r.lost, 0);
	assert_string_equal(r.name, "worker 2");
	line[sink_format(&s, &r, (size_t)n, line)] = '\0';
	assert_non_null(strstr(
	    line, "] worker 2: warning: hello 42 No such file or directory\n"));
	/* it is cut, not lost */
	memset(big, 'x', sizeof(big) - 1);
	big[sizeof(big) - 1] = '\0';
	log_info("%s", big);
	n = record_take(fd[0], &r);
	assert_int_equal(n, SINK_TEXT_BYTES - 1);
	alarm(10);
	begun = clock_ms();
	log_set_verbose(true);
	for (int i = 0; i < LINES; i++)
		log_debug("line %d", i);
	log_set_verbose(false);
	assert_true(clock_ms() - begun < 2000);
	while (record_take(fd[0], &r) != -1) {
		assert_int_equal(r.lost, 0);
		heard++;
	}
	assert_true(heard > 0 && heard < LINES);
	log_info("heard again");
	n = record_take(fd[0], &r);
	assert_int_equal(r.lost, LINES - heard);
	line[sink_format(&s, &r, (size_t)n, line)] = '\0';
	snprintf(big, sizeof(big),
	    ": warning: %u log lines were lost: ", (unsigned)r.lost);
	assert_non_null(strstr(line, big));
	assert_non_null(strstr(line, ": heard again\n"));
	log_info("once");
	record_take(fd[0], &r);
	assert_int_equal(r.lost, 0);
	/* nobody there: no signal, no wait */
	close(fd[0]);
	log_info("to nobody");
	alarm(0);
	log_send_to(-1);
	close(fd[1]);
	assert_int_equal(log_open(LOG_TO_FILE, path), 0);
	log_info("by itself");
	assert_non_null(strstr(contents(path), "1 log lines were lost"));
	assert_non_null(strstr(contents(path), ": by itself\n"));
}

/* What another process sends makes one line, whatever it is. */
static void
test_hostile_record(void **state)
{
	struct sink s[3] = {{.kind = LOG_TO_FILE}, {.kind = LOG_TO_SYSLOG},
	    {.kind = LOG_TO_STDERR, .is_journal = true}};
	char line[SINK_LINE_BYTES];
	struct log_record r;
	size_t n;

	for (int byte = 0; byte < 256; byte++)
		for (int k = 0; k < 3; k++) {
			memset(&r, byte, sizeof(r));
			n = sink_format(&s[k], &r, SIZE_MAX, line);
			assert_true(n > 0 && n <= sizeof(line));
			assert_int_equal(line[n - 1], '\n');
			for (size_t i = 0, feeds = 0; i < n; i++) {
				feeds += line[i] == '\n';
				assert_true(feeds <= 2);
				assert_true(line[i] == '\n' ||
				    (unsigned char)line[i] >= ' ');
			}
		}
}

/* Names that mean a standard stream, also through links. */
static void
test_stream_names(void **state)
{
	char one[80], two[80];

	snprintf(one, sizeof(one), "%s/one", dir);
	snprintf(two, sizeof(two), "%s/two", dir);
	assert_int_equal(symlink("/dev/stdout", one), 0);
	assert_int_equal(symlink("one", two), 0);
	assert_int_equal(sink_stream("/dev/stdout"), 1);
	assert_int_equal(sink_stream("/dev/stderr"), 2);
	assert_int_equal(sink_stream("/dev/fd/2"), 2);
	assert_int_equal(sink_stream("/proc/self/fd/1"), 1);
	assert_int_equal(sink_stream(one), 1);
	assert_int_equal(sink_stream(two), 1);
	assert_int_equal(sink_stream(path), -1);
	assert_int_equal(sink_stream("/dev/null"), -1);
	assert_int_equal(sink_stream("/nonexistent/log"), -1);
	assert_int_equal(unlink(two), 0);
	assert_int_equal(symlink("two", two), 0); /* to itself */
	assert_int_equal(sink_stream(two), -1);
	assert_int_equal(unlink(one), 0);
	assert_int_equal(unlink(two), 0);
}

/* A named pipe: without a reader opening does not wait; what is written once
 * there is one arrives; a full one is EAGAIN. */
static void
test_pipe(void **state)
{
	char fifo[80], big[4096] = "";
	struct sink s;
	int fd;

	snprintf(fifo, sizeof(fifo), "%s/fifo", dir);
	assert_int_equal(mkfifo(fifo, 0600), 0);
	alarm(10);
	assert_int_equal(sink_open(&s, LOG_TO_FILE, fifo), 0);
	assert_int_equal(sink_write(&s, "a\n", 2), -1);
	assert_int_equal(errno, EPIPE);
	fd = open(fifo, O_RDONLY | O_NONBLOCK);
	assert_int_equal(sink_write(&s, "b\n", 2), 2);
	assert_int_equal(read(fd, big, sizeof(big)), 2);
	assert_memory_equal(big, "b\n", 2);
	while (sink_write(&s, big, sizeof(big)) > 0)
		;
	assert_int_equal(errno, EAGAIN);
	alarm(0);
	close(fd);
	sink_close(&s);
	assert_int_equal(unlink(fifo), 0);
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
	    cmocka_unit_test(test_socket),
	    cmocka_unit_test(test_hostile_record),
	    cmocka_unit_test(test_stream_names),
	    cmocka_unit_test(test_pipe),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
