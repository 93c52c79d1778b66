#include "master/control.h"

#include <errno.h>
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/log.h"
#include "client.h"
#include "private.h"

enum {
	BACKLOG = 16,
	PAUSE_MS = 500 /* of accepting, when descriptors run short */
};

struct control {
	struct master *master;
	const char *path;
	int fd;
	struct event *event, *pause;
	struct clients clients;
};

/* A client connects. */
static void
control_accept_cb(int fd, short what, void *arg)
{
	const struct timeval pause = {.tv_usec = PAUSE_MS * 1000};
	struct control *c = arg;
	int client = accept4(fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

	if (client != -1) {
		client_new(&c->clients, client);
	} else if (errno != EAGAIN && errno != EINTR && errno != ECONNABORTED) {
		log_error("control socket: %s", strerror(errno));
		event_del(c->event);
		event_add(c->pause, &pause);
	}
}

/* Accepting goes on. */
static void
control_pause_cb(int fd, short what, void *arg)
{
	struct control *c = arg;

	event_add(c->event, NULL);
}

/* Whether a process serves this socket; names it. */
static bool
socket_is_served(const struct sockaddr_un *sun, char *error, size_t error_len)
{
	struct ucred peer = {.pid = 0};
	socklen_t len = sizeof(peer);
	bool served;
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd == -1)
		return false;
	/* EAGAIN: its backlog is full. */
	served = connect(fd, (const struct sockaddr *)sun, sizeof(*sun)) == 0 ||
	    errno == EAGAIN;
	if (served && getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) == 0)
		snprintf(error, error_len,
		    "chatd is running already: process %d serves %s",
		    (int)peer.pid, sun->sun_path);
	close(fd);
	return served;
}

/* Gives the socket its mode, and its group where a service has one. */
static int
socket_permit(const struct control *c)
{
	const struct identity *id = &c->master->identity;

	if (id->drop && !id->shared &&
	    lchown(c->path, (uid_t)-1, id->gid) == -1)
		return -1;
	return chmod(c->path, 0660);
}

/* Binds over what a dead master left; false: a message in error. */
static bool
socket_bind(struct control *c, char *error, size_t error_len)
{
	struct sockaddr_un sun = {.sun_family = AF_UNIX};
	struct stat st;
	mode_t mask;
	int r;

	if (strlcpy(sun.sun_path, c->path, sizeof(sun.sun_path)) >=
	    sizeof(sun.sun_path)) {
		snprintf(error, error_len, "control socket %s: name too long",
		    c->path);
		return false;
	}
	if (lstat(c->path, &st) == 0 && S_ISSOCK(st.st_mode)) {
		if (socket_is_served(&sun, error, error_len))
			return false;
		unlink(c->path); /* if not, bind says so */
	}
	mask =
	    umask(0177); /* no other user can connect before its mode is set */
	r = bind(c->fd, (struct sockaddr *)&sun, sizeof(sun));
	umask(mask);
	if (r == 0 && socket_permit(c) == 0 && listen(c->fd, BACKLOG) == 0)
		return true;
	snprintf(error, error_len, "control socket %s: %s", c->path,
	    strerror(errno));
	if (r == 0)
		unlink(c->path);
	return false;
}

struct control *
control_open(struct master *m, control_run run, const char *path, char *error,
    size_t error_len)
{
	struct control *c = calloc(1, sizeof(*c));

	if (c == NULL) {
		snprintf(error, error_len, "no memory");
		return NULL;
	}
	c->master = m;
	c->path = path;
	clients_init(&c->clients, m, run);
	c->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (c->fd == -1)
		snprintf(
		    error, error_len, "control socket: %s", strerror(errno));
	else if (socket_bind(c, error, error_len))
		return c;
	control_drop(c);
	return NULL;
}

struct control *
control_adopt(struct master *m, control_run run, const char *path, int fd)
{
	struct control *c = calloc(1, sizeof(*c));

	if (c == NULL)
		return NULL;
	c->master = m;
	c->path = path;
	c->fd = fd;
	clients_init(&c->clients, m, run);
	return c;
}

int
control_fd(const struct control *c)
{
	return c->fd;
}

const char *
control_path(const struct control *c)
{
	return c->path;
}

bool
control_is_idle(const struct control *c)
{
	return clients_are_idle(&c->clients);
}

void
control_settle(struct control *c, const char *why)
{
	clients_settle(&c->clients, why);
}

void
control_set_limits(struct control *c, int client_ms, int later_ms)
{
	c->clients.limit_ms = client_ms;
	c->clients.later_ms = later_ms;
}

int
control_start(struct control *c)
{
	c->event = event_new(
	    c->master->base, c->fd, EV_READ | EV_PERSIST, control_accept_cb, c);
	c->pause = event_new(c->master->base, -1, 0, control_pause_cb, c);
	/* Once more, so that the next start is told the daemon's pid. */
	if (c->event == NULL || c->pause == NULL ||
	    listen(c->fd, BACKLOG) == -1)
		return -1;
	return event_add(c->event, NULL);
}

void
control_drop(struct control *c)
{
	clients_drop(&c->clients);
	if (c->event != NULL)
		event_free(c->event);
	if (c->pause != NULL)
		event_free(c->pause);
	if (c->fd != -1)
		close(c->fd);
	free(c);
}

void
control_close(struct control *c)
{
	clients_flush(&c->clients);
	unlink(c->path);
	control_drop(c);
}
