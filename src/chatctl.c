/* chatctl: asks a running chatd to show or do something. */
#include <err.h>
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "master/control.h"
#include "master/place.h"

enum {
	STATUS_REFUSED = 1,
	STATUS_USAGE = 2,
	STATUS_NO_DAEMON = 3,
	PATIENCE_S = 15, /* chatd answers within 10 s; it may be stopped */
	UPGRADE_ASK_MS = 50,
	UPGRADE_STILL_MS = 30 * 1000 /* nothing more has been replaced */
};

/* Says how to call it, and leaves. */
static void __attribute__((noreturn)) usage(void)
{
	fprintf(stderr,
	    "usage: chatctl [-j] [-s socket] command\n"
	    "       show workers|users|connections|stats|upgrade\n"
	    "       kick user [device]\n"
	    "       say text\n"
	    "       log verbose|brief\n"
	    "       reload\n"
	    "       restart-worker slot\n"
	    "       upgrade [path]\n"
	    "       drain [rate | off]\n"
	    "       rebalance\n"
	    "       stop\n");
	exit(STATUS_USAGE);
}

/* Whether text is one of a list that NULL ends. */
static bool
is_one_of(const char *text, const char *const *list)
{
	while (*list != NULL)
		if (strcmp(text, *list++) == 0)
			return true;
	return false;
}

/* Whether these words are a command. */
static bool
command_is_known(int argc, char **argv)
{
	static const char *const shown[] = {
	    "workers", "users", "connections", "stats", "upgrade", NULL};
	static const char *const levels[] = {"verbose", "brief", NULL};
	static const char *const alone[] = {
	    "reload", "rebalance", "stop", NULL};

	if (argc == 0)
		return false;
	if (strcmp(argv[0], "show") == 0)
		return argc == 2 && is_one_of(argv[1], shown);
	if (strcmp(argv[0], "log") == 0)
		return argc == 2 && is_one_of(argv[1], levels);
	if (strcmp(argv[0], "kick") == 0)
		return argc == 2 || argc == 3;
	if (strcmp(argv[0], "say") == 0 ||
	    strcmp(argv[0], "restart-worker") == 0)
		return argc == 2;
	if (strcmp(argv[0], "drain") == 0 || strcmp(argv[0], "upgrade") == 0)
		return argc == 1 || argc == 2;
	return argc == 1 && is_one_of(argv[0], alone);
}

/* Connects to the daemon, or leaves. */
static int
daemon_connect(const char *path)
{
	const struct timeval patience = {.tv_sec = PATIENCE_S};
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
	/* A daemon that turned us away has said why, and closed. */
	if (bytes_send(fd, request, len) == -1 && errno != EPIPE &&
	    errno != ECONNRESET)
		err(STATUS_NO_DAEMON, "chatd does not listen");
}

/* Passes the reply on; returns the exit status. */
static int
reply_print(int fd)
{
	static char buffer[64 * 1024];
	FILE *to = NULL;
	ssize_t n;
	char last = '\n';
	int status = STATUS_NO_DAEMON;

	while ((n = read(fd, buffer, sizeof(buffer))) != 0) {
		const char *text = buffer;

		if (n == -1 && errno == EINTR)
			continue;
		if (n == -1)
			break;
		if (to == NULL) {
			status = *text == CONTROL_DONE ? 0 : STATUS_REFUSED;
			to = status == 0 ? stdout : stderr;
			if (status != 0)
				fputs("chatctl: ", to);
			text++;
			n--;
		}
		if (n > 0 && fwrite(text, 1, (size_t)n, to) != (size_t)n)
			err(STATUS_REFUSED, "output");
		if (n > 0)
			last = text[n - 1];
	}
	if (to == NULL)
		errx(STATUS_NO_DAEMON, "no answer from chatd: %s",
		    n == -1 ? strerror(errno) : "it went away");
	/* One that turned us away need not have read the request. */
	if (n == -1 && (errno != ECONNRESET || status == 0))
		err(STATUS_NO_DAEMON, "the answer is not complete");
	if (status != 0 && last != '\n')
		fputc('\n', to);
	if (fflush(to) != 0)
		err(STATUS_REFUSED, "output");
	return status;
}

/* The path as the daemon, which is elsewhere, finds it. */
static char *
path_absolute(char *path)
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

/* Asks how an upgrade goes on; false: no answer, since the daemon is just
 * being replaced. */
static bool
upgrade_ask(const char *socket_path, char *text, size_t size)
{
	static char show[] = "show", upgrade[] = "upgrade";
	static char *question[] = {show, upgrade, NULL};
	int fd = daemon_connect(socket_path);
	size_t len = 0;
	ssize_t n;

	request_send(fd, false, 2, question);
	while (
	    len < size - 1 && (n = read(fd, text + len, size - 1 - len)) != 0) {
		if (n == -1 && errno != EINTR)
			break;
		if (n > 0)
			len += (size_t)n;
	}
	close(fd);
	text[len] = '\0';
	return len > 0 && text[0] == CONTROL_DONE;
}

/* Waits for the end of an upgrade; returns the exit status. */
static int
upgrade_wait(const char *socket_path)
{
	char text[1024], state[32], rest[sizeof(text)];
	int left, last = -1, still_ms = 0;

	for (; still_ms < UPGRADE_STILL_MS; still_ms += UPGRADE_ASK_MS) {
		usleep(UPGRADE_ASK_MS * 1000);
		if (!upgrade_ask(socket_path, text, sizeof(text)) ||
		    sscanf(text + 1, "%31s %d %1023[^\n]", state, &left,
			rest) != 3)
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
			still_ms = 0;
		last = left;
	}
	warnx("the upgrade does not get on: %s", text + 1);
	return STATUS_REFUSED;
}

int
main(int argc, char **argv)
{
	char path[PATH_MAX], error[PATH_MAX + 128];
	const char *socket_path = NULL;
	bool json = false;
	int ch, fd, status;

	while ((ch = getopt(argc, argv, "+js:")) != -1) {
		switch (ch) {
		case 'j':
			json = true;
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
	if (!command_is_known(argc, argv))
		usage();
	if (socket_path == NULL) {
		place_control(path);
		socket_path = path;
		if (place_prepare(path, false, error, sizeof(error)) == -1)
			errx(STATUS_NO_DAEMON, "no chatd: %s", error);
	}
	if (strcmp(argv[0], "upgrade") == 0 && argc == 2)
		argv[1] = path_absolute(argv[1]);
	fd = daemon_connect(socket_path);
	request_send(fd, json, argc, argv);
	status = reply_print(fd);
	if (status == 0 && strcmp(argv[0], "upgrade") == 0)
		status = upgrade_wait(socket_path);
	return status;
}
