#include "master/control.h"

#include <errno.h>
#include <event2/buffer.h>
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/log.h"
#include "command.h"
#include "master/report.h"
#include "process.h"

enum {
	BACKLOG = 16,
	READ_BYTES = 16 * 1024,
	PAUSE_MS = 500 /* of accepting, when descriptors run short */
};

struct control {
	struct master *master;
	const char *path;
	int fd;
	struct event *event, *pause;
	TAILQ_HEAD(, client) clients;
	int n_clients;
};

struct client {
	struct control *control;
	TAILQ_ENTRY(client) link;
	int fd;
	uid_t uid;
	struct event *event; /* readable, then writable */
	struct event *deadline;
	struct evbuffer *in, *out;
	struct report *report; /* parts of it are still to come */
	struct order *order;   /* it is answered when that is done */
};

/* Lets a client go. */
static void
client_free(struct client *cl)
{
	if (cl->event != NULL)
		event_free(cl->event);
	if (cl->deadline != NULL)
		event_free(cl->deadline);
	if (cl->in != NULL)
		evbuffer_free(cl->in);
	if (cl->out != NULL)
		evbuffer_free(cl->out);
	report_free(cl->report);
	if (cl->order != NULL)
		order_await(cl->order, NULL, NULL);
	close(cl->fd);
	TAILQ_REMOVE(&cl->control->clients, cl, link);
	cl->control->n_clients--;
	free(cl);
}

/* Writes what the socket takes; true: all is out, or nothing more will go. */
static bool
client_flush(struct client *cl)
{
	for (;;) {
		if (evbuffer_get_length(cl->out) == 0) {
			if (cl->report == NULL)
				return true;
			switch (report_more(cl->report, cl->out)) {
			case -1:
				return true;
			case 0:
				report_free(cl->report);
				cl->report = NULL;
			}
			/* Others want the master too: one part a turn. */
			return false;
		}
		if (evbuffer_write(cl->out, cl->fd) == -1)
			return errno != EAGAIN && errno != EINTR;
	}
}

/* The socket takes more. */
static void
client_write_cb(int fd, short what, void *arg)
{
	struct client *cl = arg;

	if (client_flush(cl))
		client_free(cl);
}

/* Puts an answer on its way. */
static void
client_answer(struct client *cl, struct answer *a)
{
	const char status = a->refused ? CONTROL_REFUSED : CONTROL_DONE;

	cl->report = a->report;
	if (evbuffer_add(cl->out, &status, 1) == -1 ||
	    evbuffer_add_buffer(cl->out, a->text) == -1 ||
	    event_del(cl->event) == -1 ||
	    event_assign(cl->event, cl->control->master->base, cl->fd,
		EV_WRITE | EV_PERSIST, client_write_cb, cl) == -1 ||
	    event_add(cl->event, NULL) == -1 || client_flush(cl))
		client_free(cl);
}

/* Answers with a text. */
static void
client_say(struct client *cl, bool refused, const char *text)
{
	struct answer a = {.refused = refused, .text = evbuffer_new()};

	if (a.text == NULL || evbuffer_add(a.text, text, strlen(text)) == -1)
		client_free(cl);
	else
		client_answer(cl, &a);
	if (a.text != NULL)
		evbuffer_free(a.text);
}

/* A worker has done what the client asked for. */
static void
client_done(void *arg, enum message_result result)
{
	struct client *cl = arg;

	cl->order = NULL;
	client_say(cl, result != RESULT_DONE,
	    result == RESULT_ABSENT	? "not connected any more"
		: result == RESULT_FULL ? "larger than the journal takes"
					: "");
}

/* A client has taken too long, or the workers have. */
static void
client_deadline_cb(int fd, short what, void *arg)
{
	const struct timeval limit = {.tv_sec = CONTROL_CLIENT_MS / 1000};
	struct client *cl = arg;

	if (cl->order == NULL || event_add(cl->deadline, &limit) == -1) {
		log_warn("control client dropped: too slow");
		client_free(cl);
		return;
	}
	order_await(cl->order, NULL, NULL);
	cl->order = NULL;
	client_say(
	    cl, true, "no worker has done it yet; it is done when one can");
}

/* Cuts a whole request into arguments; their number, or -1. */
static int
request_cut(char *bytes, size_t len, char *argv[CONTROL_ARGS_MAX])
{
	int argc = 0;
	char *end;

	if (len == 0 || bytes[len - 1] != '\0')
		return -1;
	for (end = bytes + len; bytes < end; bytes += strlen(bytes) + 1) {
		if (argc == CONTROL_ARGS_MAX)
			return -1;
		argv[argc++] = bytes;
	}
	return argc;
}

/* A whole request is there: does it and answers. */
static void
client_serve(struct client *cl, char *bytes, size_t len)
{
	struct answer a = {.text = evbuffer_new()};
	char *argv[CONTROL_ARGS_MAX];
	int argc = request_cut(bytes, len, argv);
	bool json;

	if (a.text == NULL) {
		client_free(cl);
		return;
	}
	if (argc < 2) {
		a.refused = true;
		evbuffer_add_printf(a.text, "malformed request");
	} else {
		json = strcmp(argv[0], CONTROL_JSON) == 0;
		command_run(
		    cl->control->master, json, argc - 1, argv + 1, cl->uid, &a);
	}
	if (a.order == NULL)
		client_answer(cl, &a);
	else if (event_del(cl->event) == -1)
		client_free(cl);
	else {
		cl->order = a.order;
		order_await(a.order, client_done, cl);
	}
	evbuffer_free(a.text);
}

/* A part of a request came. */
static void
client_read_cb(int fd, short what, void *arg)
{
	struct client *cl = arg;
	uint32_t want;
	char *bytes;
	int n = evbuffer_read(cl->in, fd, READ_BYTES);

	if (n == -1 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0)
		goto drop;
	if (evbuffer_copyout(cl->in, &want, sizeof(want)) < (int)sizeof(want))
		return;
	if (want > CONTROL_REQUEST_MAX)
		goto drop;
	if (evbuffer_get_length(cl->in) < sizeof(want) + want)
		return;
	if ((bytes = (char *)evbuffer_pullup(
		 cl->in, (ssize_t)(sizeof(want) + want))) == NULL)
		goto drop;
	client_serve(cl, bytes + sizeof(want), want);
	return;
drop:
	client_free(cl);
}

/* Whether this peer may give orders: file modes have let it in, but workers
 * may share the socket's group, and what runs amok there stays there. */
static bool
peer_is_trusted(const struct master *m, uid_t uid)
{
	return !m->identity.drop || uid != m->identity.uid;
}

/* Turns a connection away with a reason. */
static void
client_refuse(int fd, const char *why)
{
	char text[128];
	int len = snprintf(text, sizeof(text), "%c%s", CONTROL_REFUSED, why);

	if (send(fd, text, (size_t)len, MSG_DONTWAIT | MSG_NOSIGNAL) == -1)
		log_debug("control client gone: %s", strerror(errno));
	close(fd);
}

/* Takes a connection in. */
static void
client_new(struct control *c, int fd)
{
	const struct timeval limit = {.tv_sec = CONTROL_CLIENT_MS / 1000};
	struct client *cl;
	uid_t uid;
	gid_t gid;

	if (getpeereid(fd, &uid, &gid) == -1 ||
	    !peer_is_trusted(c->master, uid)) {
		client_refuse(fd, "workers do not give orders");
		return;
	}
	if (c->n_clients >= CONTROL_CLIENTS) {
		client_refuse(fd, "too many requests at once");
		return;
	}
	if ((cl = calloc(1, sizeof(*cl))) == NULL) {
		close(fd);
		return;
	}
	cl->control = c;
	cl->fd = fd;
	cl->uid = uid;
	TAILQ_INSERT_TAIL(&c->clients, cl, link);
	c->n_clients++;
	cl->in = evbuffer_new();
	cl->out = evbuffer_new();
	cl->event = event_new(
	    c->master->base, fd, EV_READ | EV_PERSIST, client_read_cb, cl);
	cl->deadline =
	    event_new(c->master->base, -1, 0, client_deadline_cb, cl);
	if (cl->in == NULL || cl->out == NULL || cl->event == NULL ||
	    cl->deadline == NULL || event_add(cl->event, NULL) == -1 ||
	    event_add(cl->deadline, &limit) == -1)
		client_free(cl);
}

/* Somebody connects. */
static void
control_accept_cb(int fd, short what, void *arg)
{
	const struct timeval pause = {.tv_usec = PAUSE_MS * 1000};
	struct control *c = arg;
	int client = accept4(fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

	if (client != -1) {
		client_new(c, client);
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

/* Whether somebody serves this socket; says who. */
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
	mask = umask(0177); /* nobody gets in before its mode is right */
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
control_open(struct master *m, const char *path, char *error, size_t error_len)
{
	struct control *c = calloc(1, sizeof(*c));

	if (c == NULL) {
		snprintf(error, error_len, "no memory");
		return NULL;
	}
	c->master = m;
	c->path = path;
	TAILQ_INIT(&c->clients);
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
control_adopt(struct master *m, const char *path, int fd)
{
	struct control *c = calloc(1, sizeof(*c));

	if (c == NULL)
		return NULL;
	c->master = m;
	c->path = path;
	c->fd = fd;
	TAILQ_INIT(&c->clients);
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
	return c->n_clients == 0;
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
	struct client *cl, *next;

	TAILQ_FOREACH_SAFE (cl, &c->clients, link, next)
		client_free(cl);
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
	struct client *cl;

	TAILQ_FOREACH (cl, &c->clients, link)
		client_flush(cl);
	unlink(c->path);
	control_drop(c);
}
