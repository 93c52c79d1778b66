/* chatctl: asks a running chatd to show or do something. */
#include <err.h>
#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/nearest.h"
#include "base/streams.h"
#include "codec/command.h"
#include "master/control.h"
#include "master/place.h"
#include "show/memory.h"

enum {
	STATUS_REFUSED = 1,
	STATUS_USAGE = 2,
	STATUS_NO_DAEMON = 3, /* or its answer is not complete */
	MARGIN_S = 5,	      /* chatd answers within its limit, if it runs */
	UPGRADE_ASK_MS = 50,
	/* Without one more worker or keeper replaced. Larger: an upgrade that
	 * hangs is told later; smaller: a slow machine looks like one. */
	UPGRADE_STILL_MS = 60 * 1000,
	REPLY_BYTES = 64 * 1024, /* first size of a reply's buffer */
	HELP_COLUMNS = 76
};

/* What has come of a reply so far. */
struct reply {
	char *bytes;
	size_t len, size;
};

/* Prints how a command is called: rows that share a name and the words behind
 * it in one line. Returns the number of the next row. */
static int
usage_print(FILE *to, int row)
{
	const struct command *c = &commands[row];
	int next = row;

	fprintf(to, "%s", c->name);
	do {
		if (commands[next].second[0] != '\0')
			fprintf(to, "%c%s", next == row ? ' ' : '|',
			    commands[next].second);
		next++;
	} while (next < COMMANDS && strcmp(commands[next].name, c->name) == 0 &&
	    strcmp(commands[next].usage, c->usage) == 0);
	fprintf(to, "%s%s\n", c->usage[0] != '\0' ? " " : "", c->usage);
	return next;
}

/* Prints how to call chatctl, and exits. */
static void __attribute__((noreturn)) usage(void)
{
	fprintf(
	    stderr, "usage: chatctl [-j] [-s socket | -m memory] command\n");
	for (int row = 0; row < COMMANDS;) {
		fprintf(stderr, "       ");
		row = usage_print(stderr, row);
	}
	exit(STATUS_USAGE);
}

/* Prints a sentence in indented lines of at most HELP_COLUMNS bytes, and a stop
 * behind it. */
static void
sentence_print(const char *text)
{
	enum { INDENT = 4 };
	int column = 0, len;

	for (; *text != '\0'; text += len + (text[len] == ' ')) {
		len = (int)strcspn(text, " ");
		if (column + 1 + len > HELP_COLUMNS) {
			putchar('\n');
			column = 0;
		}
		column +=
		    printf("%*s%.*s", column == 0 ? INDENT : 1, "", len, text);
	}
	puts(".");
}

/* Prints what one command does, or all of them. */
static void
help_print(const char *name)
{
	const struct command *c;

	for (c = commands; c < commands + COMMANDS; c++) {
		if (name != NULL && strcmp(c->name, name) != 0)
			continue;
		printf("%s%s%s%s%s\n", c->name, c->second[0] != '\0' ? " " : "",
		    c->second, c->usage[0] != '\0' ? " " : "", c->usage);
		sentence_print(c->help);
	}
}

/* Reports an unknown word with the nearest known one, and exits. */
static void __attribute__((noreturn))
word_unknown(const char *what, const struct nearest *n)
{
	if (n->best != NULL)
		warnx("%s \"%s\"; did you mean %s?", what, n->word, n->best);
	else
		warnx("%s \"%s\"", what, n->word);
	usage();
}

/* Reports an unknown command, and exits. */
static void __attribute__((noreturn)) command_unknown(const char *name)
{
	struct nearest n = {.word = name};

	for (int i = 0; i < COMMANDS; i++)
		nearest_offer(&n, commands[i].name);
	word_unknown("there is no command", &n);
}

/* Reports a second word that the command does not take, and exits. */
static void __attribute__((noreturn))
second_unknown(const char *name, const char *word)
{
	static char copy[COMMANDS * 2][32];
	struct nearest n = {.word = word};
	char what[64];
	const char *list, *one;
	size_t len, used = 0;

	for (int i = 0; i < COMMANDS; i++) {
		if (strcmp(commands[i].name, name) != 0)
			continue;
		list = commands[i].second;
		while (used < sizeof(copy) / sizeof(copy[0]) &&
		    (one = command_word(&list, &len)) != NULL) {
			snprintf(
			    copy[used], sizeof(copy[0]), "%.*s", (int)len, one);
			nearest_offer(&n, copy[used++]);
		}
	}
	snprintf(what, sizeof(what), "%s: there is nothing called", name);
	word_unknown(what, &n);
}

/* Finds the row for these words, or exits if they are no command. */
static const struct command *
chatctl_command_find(int argc, char **argv)
{
	enum command_fault fault;
	int row, words;

	if (argc == 0)
		usage();
	row = command_judge(argc, argv, &fault, &words);
	switch (fault) {
	case COMMAND_RIGHT:
		return &commands[row];
	case COMMAND_UNKNOWN:
		command_unknown(argv[0]);
	case COMMAND_SECOND:
		second_unknown(argv[0], argv[1]);
	case COMMAND_SHORT:
		warnx("%s: a word is missing behind it", argv[0]);
		break;
	case COMMAND_LONG:
		warnx("%s: \"%s\" is one word too many; a text with blanks "
		      "stands in quotes",
		    argv[0], argv[words]);
	}
	usage();
}

/* Prints what the commands do, or exits if the one named is unknown. */
static void
command_help(const char *name)
{
	bool known = name == NULL;

	for (int i = 0; i < COMMANDS && !known; i++)
		known = strcmp(commands[i].name, name) == 0;
	if (!known)
		command_unknown(name);
	help_print(name);
	if (fflush(stdout) != 0)
		err(STATUS_REFUSED, "output");
}

/* How long chatd may be silent, seconds (0: for ever): what replaces processes
 * is answered when that has begun or is done. */
static int
command_patience_s(const struct command *c)
{
	int ms;

	if (c == &commands[COMMAND_BACKUP] || c == &commands[COMMAND_EXPORT])
		return 0; /* as long as a large database takes */
	ms = c->later ? CONTROL_LATER_MS : CONTROL_CLIENT_MS;
	return ms / 1000 + MARGIN_S;
}

/* Connects to the daemon, or exits. */
static int
daemon_connect(const char *path, int patience_s)
{
	const struct timeval patience = {.tv_sec = patience_s};
	struct sockaddr_un sun = {.sun_family = AF_UNIX};
	int fd;

	if (strlcpy(sun.sun_path, path, sizeof(sun.sun_path)) >=
	    sizeof(sun.sun_path))
		errx(STATUS_USAGE, "%s: name too long", path);
	if ((fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)) == -1)
		err(STATUS_REFUSED, "socket");
	if (setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience,
		sizeof(patience)) == -1 ||
	    setsockopt(
		fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)) == -1)
		err(STATUS_REFUSED, "socket");
	if (connect(fd, (struct sockaddr *)&sun, sizeof(sun)) == 0)
		return fd;
	if (errno == EACCES || errno == EPERM)
		err(STATUS_REFUSED, "%s", path);
	errx(STATUS_NO_DAEMON, "no chatd at %s: %s", path, strerror(errno));
}

/* Sends all of it. Returns 0, or -1 and errno. */
static int
bytes_send(int fd, const char *bytes, size_t len)
{
	ssize_t n;

	while (len > 0) {
		n = send(fd, bytes, len, MSG_NOSIGNAL);
		if (n == -1 && errno != EINTR)
			return -1;
		if (n > 0) {
			bytes += n;
			len -= (size_t)n;
		}
	}
	return 0;
}

/* Sends the request. */
static void
request_send(int fd, bool json, int argc, char **argv)
{
	static char request[sizeof(uint32_t) + CONTROL_REQUEST_MAX];
	size_t len = sizeof(uint32_t), n;
	const char *word = json ? CONTROL_JSON : CONTROL_TEXT;
	uint32_t bytes;

	for (int i = 0; i <= argc; i++) {
		n = strlen(word) + 1;
		if (n > sizeof(request) - len)
			errx(STATUS_REFUSED, "the request is too long");
		memcpy(request + len, word, n);
		len += n;
		word = argv[i]; /* argv[argc] is NULL and not looked at */
	}
	bytes = (uint32_t)(len - sizeof(uint32_t));
	memcpy(request, &bytes, sizeof(bytes));
	/* EPIPE, ECONNRESET: the daemon has refused before it read all; the
	 * reason is in its reply. */
	if (bytes_send(fd, request, len) == -1 && errno != EPIPE &&
	    errno != ECONNRESET)
		err(STATUS_NO_DAEMON, "chatd does not listen");
}

/* Makes room in a reply, or exits. */
static void
reply_grow(struct reply *r)
{
	if (r->len < r->size)
		return;
	r->size = r->size != 0 ? 2 * r->size : REPLY_BYTES;
	if ((r->bytes = realloc(r->bytes, r->size)) == NULL)
		err(STATUS_NO_DAEMON, "the answer");
}

/* Reads all that comes before anything is printed: chatd must not wait for a
 * pager that reads chatctl's output. Returns 0 at the reply's end, or errno. */
static int
reply_read(int fd, struct reply *r)
{
	ssize_t n;

	for (;;) {
		reply_grow(r);
		n = read(fd, r->bytes + r->len, r->size - r->len);
		if (n == 0)
			return 0;
		if (n > 0)
			r->len += (size_t)n;
		else if (errno != EINTR)
			return errno;
	}
}

/* Whether a reply ends with the end mark. */
static bool
reply_is_whole(const struct reply *r)
{
	return r->len >= 2 && r->bytes[r->len - 1] == CONTROL_END;
}

/* Why a reply ended before its end mark. */
static const char *
reply_error(int error, int patience_s)
{
	static char text[64];

	if (error == 0)
		return "chatd closed the connection";
	if (error != EAGAIN)
		return strerror(error);
	snprintf(text, sizeof(text), "nothing came for %d s", patience_s);
	return text;
}

/* Prints a reply without its status and end mark. */
static void
reply_print(const struct reply *r, FILE *to)
{
	size_t len = r->len - 1 - reply_is_whole(r);

	if (to == stderr)
		fputs("chatctl: ", to);
	if (fwrite(r->bytes + 1, 1, len, to) != len)
		err(STATUS_REFUSED, "output");
	if (to == stderr && r->bytes[len] != '\n')
		fputc('\n', to);
	if (fflush(to) != 0)
		err(STATUS_REFUSED, "output");
}

/* Sends a command and prints the reply; returns the exit status. */
static int
command_do(const struct command *c, const char *socket_path, bool json,
    int argc, char **argv)
{
	const int patience_s = command_patience_s(c);
	int fd = daemon_connect(socket_path, patience_s), error;
	struct reply r = {0};
	bool done;

	request_send(fd, json, argc, argv);
	error = reply_read(fd, &r);
	close(fd);
	if (r.len == 0)
		errx(STATUS_NO_DAEMON, "no answer from chatd: %s",
		    reply_error(error, patience_s));
	done = r.bytes[0] == CONTROL_DONE;
	reply_print(&r, done ? stdout : stderr);
	/* The daemon may be replaced in the middle of its reply to `upgrade`:
	 * upgrade_wait() asks how that goes on. */
	if (!reply_is_whole(&r) && !(done && c == &commands[COMMAND_UPGRADE]))
		errx(STATUS_NO_DAEMON, "the answer is not complete: %s",
		    reply_error(error, patience_s));
	free(r.bytes);
	return done ? 0 : STATUS_REFUSED;
}

/* The path as the daemon, which is elsewhere, finds it. */
static char *
chatctl_path_absolute(char *path)
{
	char *here, *whole;

	if (path[0] == '/')
		return path;
	if ((here = getcwd(NULL, 0)) == NULL ||
	    asprintf(&whole, "%s/%s", here, path) == -1)
		err(STATUS_REFUSED, "%s", path);
	free(here);
	return whole;
}

/* Asks how an upgrade goes on; false: the answer is not complete, as the daemon
 * is being replaced at this moment. */
static bool
upgrade_ask(const char *socket_path, char *text, size_t size)
{
	static char show[] = "show", upgrade[] = "upgrade";
	static char *question[] = {show, upgrade, NULL};
	int fd = daemon_connect(
	    socket_path, command_patience_s(&commands[COMMAND_SHOW_UPGRADE]));
	struct reply r = {0};
	char *end;

	request_send(fd, false, 2, question);
	reply_read(fd, &r);
	close(fd);
	end = memchr(r.bytes, '\n', r.len);
	if (end != NULL && r.bytes[0] == CONTROL_DONE) {
		*end = '\0';
		strlcpy(text, r.bytes + 1, size);
	}
	free(r.bytes);
	return end != NULL;
}

/* Waits for the end of an upgrade; returns the exit status. */
static int
upgrade_wait(const char *socket_path)
{
	char text[1024] = "no answer", state[32], rest[sizeof(text)];
	uint64_t limit_ms = clock_ms() + UPGRADE_STILL_MS;
	int left, last = -1;

	while (clock_ms() < limit_ms) {
		usleep(UPGRADE_ASK_MS * 1000);
		if (!upgrade_ask(socket_path, text, sizeof(text)) ||
		    sscanf(text, "%31s %d %1023[^\n]", state, &left, rest) != 3)
			continue;
		if (strcmp(state, "failed") == 0) {
			warnx("not upgraded: %s", rest);
			return STATUS_REFUSED;
		}
		if (strcmp(state, "done") == 0) {
			printf("upgraded to chatd %s\n", rest);
			return 0;
		}
		if (left != last)
			limit_ms = clock_ms() + UPGRADE_STILL_MS;
		last = left;
	}
	warnx("the upgrade has not gone on for %d s (%s); "
	      "`chatctl show upgrade` tells how it ends",
	    UPGRADE_STILL_MS / 1000, text);
	return STATUS_REFUSED;
}

/* SIGBUS: the mapped file was truncated while it was read. */
static void __attribute__((noreturn)) memory_gone(int sig)
{
	static const char text[] =
	    "chatctl: the memory was cut off while it was read\n";

	(void)!write(STDERR_FILENO, text, sizeof(text) - 1);
	_exit(STATUS_REFUSED);
}

/* Prints a subject of `show` from memory, without the daemon; returns the exit
 * status. */
static int
memory_show(const char *what, bool json, int argc, char **argv)
{
	const struct show_subject *subject =
	    strcmp(argv[0], "show") == 0 ? show_subject_find(argv[1]) : NULL;
	struct show_from from;
	struct memory memory;
	struct show *s;
	char error[512];
	int more;

	if (subject == NULL)
		errx(STATUS_USAGE, "%s%s%s: not without the daemon", argv[0],
		    argc > 1 ? " " : "", argc > 1 ? argv[1] : "");
	signal(SIGBUS, memory_gone);
	if (memory_open(&memory, what, error, sizeof(error)) == -1)
		errx(STATUS_REFUSED, "%s: %s", what, error);
	memory_from(&memory, &from);
	if ((s = show_new(&from, subject, json)) == NULL)
		err(STATUS_REFUSED, "show");
	if (show_ask(s, argc - 2, argv + 2, error, sizeof(error)) == -1)
		errx(STATUS_REFUSED, "%s", error);
	while ((more = show_more(s, stdout)) == 1)
		continue;
	show_free(s);
	memory_close(&memory);
	if (more == -1 || fflush(stdout) != 0)
		err(STATUS_REFUSED, "output");
	return 0;
}

int
main(int argc, char **argv)
{
	char path[PATH_MAX], error[PATH_MAX + 128];
	const char *socket_path = NULL, *memory = NULL;
	const struct command *c;
	bool json = false;
	int ch, status;

	if (streams_hold() == -1)
		err(STATUS_REFUSED, "descriptors 0 to 2: /dev/null");
	while ((ch = getopt(argc, argv, "+jm:s:")) != -1) {
		switch (ch) {
		case 'j':
			json = true;
			break;
		case 'm':
			memory = optarg;
			break;
		case 's':
			socket_path = optarg;
			break;
		default:
			usage();
		}
	}
	argc -= optind;
	argv += optind;
	c = chatctl_command_find(argc, argv);
	if (c == &commands[COMMAND_HELP]) {
		command_help(argv[1]);
		return 0;
	}
	if (memory != NULL && socket_path != NULL)
		usage();
	if (memory != NULL)
		return memory_show(memory, json, argc, argv);
	if (socket_path == NULL) {
		place_control(path);
		socket_path = path;
		if (place_prepare(path, false, error, sizeof(error)) == -1)
			errx(STATUS_NO_DAEMON, "no chatd: %s", error);
	}
	if (c == &commands[COMMAND_UPGRADE] && argc == 2)
		argv[1] = chatctl_path_absolute(argv[1]);
	status = command_do(c, socket_path, json, argc, argv);
	if (status == 0 && c == &commands[COMMAND_UPGRADE])
		status = upgrade_wait(socket_path);
	return status;
}
