#include "client.h"

#include <errno.h>
#include <event2/buffer.h>
#include <event2/event.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"
#include "master/control.h"
#include "master/report.h"
#include "member.h"
#include "order.h"
#include "own_user.h"
#include "private.h"

enum { READ_BYTES = 16 * 1024 };

struct client {
	struct clients *all;
	TAILQ_ENTRY(client) link;
	int fd;
	uid_t uid;
	struct event *event; /* readable, then writable */
	struct event *deadline;
	struct evbuffer *in, *out;
	bool answered;		   /* status and text are in out */
	bool broken;		   /* no memory for the answer */
	struct report *report;	   /* parts of it are still to come */
	struct order *order;	   /* the answer comes when that is done */
	struct control_wait *wait; /* it comes by control_finish() */
};

/* Stays until control_finish(), even if the client has left. */
struct control_wait {
	struct client *client; /* NULL: it has gone, so there is no answer */
};

/* Has the client wait for nothing any more. */
static void
client_wait_end(struct client *cl)
{
	if (cl->order != NULL)
		order_await(cl->order, NULL, NULL);
	cl->order = NULL;
	if (cl->wait != NULL)
		cl->wait->client = NULL;
	cl->wait = NULL;
}

/* Lets a client go. */
static void
client_free(struct client *cl)
{
	client_wait_end(cl);
	if (cl->event != NULL)
		event_free(cl->event);
	if (cl->deadline != NULL)
		event_free(cl->deadline);
	if (cl->in != NULL)
		evbuffer_free(cl->in);
	if (cl->out != NULL)
		evbuffer_free(cl->out);
	report_free(cl->report);
	close(cl->fd);
	TAILQ_REMOVE(&cl->all->list, cl, link);
	cl->all->n--;
	free(cl);
}

/* Starts the client's time limit anew. Returns 0, or -1. */
static int
client_limit(struct client *cl, int ms)
{
	const struct timeval limit = {
	    .tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000};

	return event_add(cl->deadline, &limit);
}

/* Puts the next part of an answer into out, or its end mark. false: no memory,
 * the answer stays without that mark. */
static bool
client_next(struct client *cl)
{
	const char end = CONTROL_END;
	int more = report_more(cl->report, cl->out);

	if (more == -1)
		return false;
	if (more == 0) {
		report_free(cl->report);
		cl->report = NULL;
		return evbuffer_add(cl->out, &end, 1) == 0;
	}
	return true;
}

/* Writes what the socket takes; true: all is written, or no more can be. */
static bool
client_flush(struct client *cl)
{
	bool wrote = false, over = false;
	int n;

	while (evbuffer_get_length(cl->out) > 0 && !over) {
		n = evbuffer_write(cl->out, cl->fd);
		wrote = wrote || n > 0;
		if (n == -1 && errno == EAGAIN)
			break;
		over = n == -1 && errno != EINTR;
	}
	/* What counts is that the client reads, not how long all of it takes.
	 */
	if (wrote && client_limit(cl, cl->all->limit_ms) == -1)
		return true;
	if (over || evbuffer_get_length(cl->out) > 0)
		return over;
	/* Others want the master, too: one part in a turn. */
	return cl->report == NULL || !client_next(cl);
}

/* The socket takes more. */
static void
client_write_cb(int fd, short what, void *arg)
{
	struct client *cl = arg;

	if (cl->broken || client_flush(cl))
		client_free(cl);
}

/*
 * Puts an answer on its way. Nothing is written and no client is freed before
 * the loop's next turn, so that this can be called from anywhere.
 */
static void
client_answer(struct client *cl, bool refused, struct evbuffer *text,
    struct report *report)
{
	const char status = refused ? CONTROL_REFUSED : CONTROL_DONE;
	const char end = CONTROL_END;

	client_wait_end(cl);
	cl->report = report;
	cl->answered = true;
	cl->broken = evbuffer_add(cl->out, &status, 1) == -1 || text == NULL ||
	    evbuffer_add_buffer(cl->out, text) == -1 ||
	    (report == NULL && evbuffer_add(cl->out, &end, 1) == -1) ||
	    client_limit(cl, cl->all->limit_ms) == -1;
	event_del(cl->event);
	event_assign(cl->event, cl->all->master->base, cl->fd,
	    EV_WRITE | EV_PERSIST, client_write_cb, cl);
	if (event_add(cl->event, NULL) == -1)
		cl->broken = true;
	event_active(cl->event, EV_WRITE, 1);
}

/* Answers with a text. */
static void
client_say(struct client *cl, bool refused, const char *text)
{
	struct evbuffer *buffer = evbuffer_new();

	if (buffer != NULL && evbuffer_add(buffer, text, strlen(text)) == -1) {
		evbuffer_free(buffer);
		buffer = NULL;
	}
	client_answer(cl, refused, buffer, NULL);
	if (buffer != NULL)
		evbuffer_free(buffer);
}

/* A worker has done what the client asked for. */
static void
client_order_cb(void *arg, enum message_result result)
{
	struct client *cl = arg;

	cl->order = NULL;
	client_say(cl, result != RESULT_DONE,
	    result == RESULT_ABSENT	? "not connected any more"
		: result == RESULT_FULL ? "larger than the journal takes"
		: result == RESULT_BUSY
		? "not possible now: a reader of the journal is behind, or "
		  "has not opened the channel yet; try again"
		: "");
}

int
client_fd(const struct client *cl)
{
	return cl->fd;
}

struct control_wait *
control_later(struct client *cl)
{
	struct control_wait *w = calloc(1, sizeof(*w));

	if (w == NULL)
		return NULL;
	w->client = cl;
	cl->wait = w;
	return w;
}

void
control_forget(struct control_wait *w)
{
	free(w);
}

void
control_finish(struct control_wait *w, bool done, const char *fmt, ...)
{
	char text[4096] = ""; /* ten complaints of the configuration */
	va_list ap;

	if (w == NULL)
		return;
	if (w->client != NULL && fmt != NULL) {
		va_start(ap, fmt);
		vsnprintf(text, sizeof(text), fmt, ap);
		va_end(ap);
	}
	if (w->client != NULL)
		client_say(w->client, !done, text);
	free(w);
}

/* A time limit has passed: for the client to ask or to read, or for what it
 * asked for to be done. */
static void
client_deadline_cb(int fd, short what, void *arg)
{
	struct client *cl = arg;
	char text[128];

	if (cl->order != NULL) {
		client_say(cl, true,
		    "no worker has done it yet; it is done when one can");
	} else if (cl->wait != NULL) {
		snprintf(text, sizeof(text),
		    "not done within %d s; chatd goes on with it",
		    cl->all->later_ms / 1000);
		client_say(cl, true, text);
	} else if (cl->answered) {
		log_warn("control client of user %u dropped: it has read "
			 "nothing of its answer for %d s",
		    (unsigned)cl->uid, cl->all->limit_ms / 1000);
		client_free(cl);
	} else {
		log_warn("control client of user %u dropped: no whole request "
			 "within %d s",
		    (unsigned)cl->uid, cl->all->limit_ms / 1000);
		client_free(cl);
	}
}

/* One that waits for its answer has nothing more to say: it is leaving. */
static void
client_wait_cb(int fd, short what, void *arg)
{
	client_free(arg);
}

/* Has the client wait until what it asked for is done. */
static void
client_await(struct client *cl, struct order *order)
{
	int ms = order != NULL ? cl->all->limit_ms : cl->all->later_ms;

	if (order != NULL) {
		cl->order = order;
		order_await(order, client_order_cb, cl);
	}
	event_del(cl->event);
	event_assign(cl->event, cl->all->master->base, cl->fd,
	    EV_READ | EV_PERSIST, client_wait_cb, cl);
	if (event_add(cl->event, NULL) == -1 || client_limit(cl, ms) == -1)
		client_free(cl);
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
	struct answer a = {.client = cl, .text = evbuffer_new()};
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
		cl->all->run(
		    cl->all->master, json, argc - 1, argv + 1, cl->uid, &a);
	}
	/* An answer that was announced for later may have been given by now. */
	if (a.handed) {
		client_free(cl);
	} else if (!cl->answered) {
		if (a.order != NULL || cl->wait != NULL)
			client_await(cl, a.order);
		else
			client_answer(cl, a.refused, a.text, a.report);
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

/* Whether this peer may give orders: file modes have let it in, but children
 * may share the socket's group, and what runs amok there stays there. */
static bool
peer_is_trusted(const struct master *m, uid_t uid)
{
	return !m->identity.drop ||
	    (uid != m->identity.uid && !own_users_have(m, uid));
}

/* Turns a connection away with a reason. */
static void
client_refuse(int fd, const char *why)
{
	char text[128];
	int len = snprintf(
	    text, sizeof(text), "%c%s%c", CONTROL_REFUSED, why, CONTROL_END);

	if (send(fd, text, (size_t)len, MSG_DONTWAIT | MSG_NOSIGNAL) == -1)
		log_debug("control client gone: %s", strerror(errno));
	close(fd);
}

void
client_new(struct clients *all, int fd)
{
	struct client *cl;
	uid_t uid;
	gid_t gid;

	if (getpeereid(fd, &uid, &gid) == -1 ||
	    !peer_is_trusted(all->master, uid)) {
		client_refuse(fd, "workers do not give orders");
		return;
	}
	if (all->n >= CONTROL_CLIENTS) {
		client_refuse(fd, "too many requests at once");
		return;
	}
	if ((cl = calloc(1, sizeof(*cl))) == NULL) {
		close(fd);
		return;
	}
	cl->all = all;
	cl->fd = fd;
	cl->uid = uid;
	TAILQ_INSERT_TAIL(&all->list, cl, link);
	all->n++;
	cl->in = evbuffer_new();
	cl->out = evbuffer_new();
	cl->event = event_new(
	    all->master->base, fd, EV_READ | EV_PERSIST, client_read_cb, cl);
	cl->deadline =
	    event_new(all->master->base, -1, 0, client_deadline_cb, cl);
	if (cl->in == NULL || cl->out == NULL || cl->event == NULL ||
	    cl->deadline == NULL || event_add(cl->event, NULL) == -1 ||
	    client_limit(cl, all->limit_ms) == -1)
		client_free(cl);
}

void
clients_init(struct clients *all, struct master *m, control_run run)
{
	*all = (struct clients){.master = m,
	    .run = run,
	    .limit_ms = CONTROL_CLIENT_MS,
	    .later_ms = CONTROL_LATER_MS};
	TAILQ_INIT(&all->list);
}

bool
clients_are_idle(const struct clients *all)
{
	const struct client *cl;

	TAILQ_FOREACH (cl, &all->list, link)
		if (cl->wait == NULL)
			return false;
	return true;
}

void
clients_settle(struct clients *all, const char *why)
{
	struct client *cl;

	TAILQ_FOREACH (cl, &all->list, link)
		if (cl->wait != NULL || cl->order != NULL)
			client_say(cl, true, why);
	clients_flush(all);
}

void
clients_flush(struct clients *all)
{
	struct client *cl;

	TAILQ_FOREACH (cl, &all->list, link)
		client_flush(cl);
}

void
clients_drop(struct clients *all)
{
	struct client *cl, *next;

	TAILQ_FOREACH_SAFE (cl, &all->list, link, next)
		client_free(cl);
}
