#include "visitor.h"

#include <errno.h>
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"

enum visitor_state {
	VISITOR_ASKS,  /* its head is read */
	VISITOR_WAITS, /* for a file */
	VISITOR_HEARS, /* its answer is written */
	VISITOR_LEAVES /* it has it all, and is to close */
};

struct visitor {
	struct visitors *all;
	struct visitor *next, *before;
	struct event *event; /* NULL while it waits for a file */
	enum visitor_state state;
	int fd;
	uint64_t since_ms; /* of its state; of its begin until it is answered */
	uint32_t number;   /* of its question */
	bool bare;	   /* the head of a file is asked for alone */
	size_t scanned, len, sent;
	/* what has come of its head, then its answer */
	char bytes[REDIRECT_ANSWER_MAX];
};

_Static_assert((int)REDIRECT_HEAD_MAX <= (int)REDIRECT_ANSWER_MAX,
    "a head has room where its answer has");

/* Takes one out, and closes it. */
static void
visitor_end(struct visitor *o)
{
	struct visitors *v = o->all;

	if (o->before != NULL)
		o->before->next = o->next;
	else
		v->first = o->next;
	if (o->next != NULL)
		o->next->before = o->before;
	else
		v->last = o->before;
	v->n--;
	if (o->event != NULL)
		event_free(o->event);
	close(o->fd);
	free(o);
}

static void visitor_cb(evutil_socket_t fd, short events, void *arg);

/* Has the loop tell when its socket can be read, or written to; 0: neither. */
static bool
visitor_watch(struct visitor *o, short what)
{
	if (o->event != NULL)
		event_free(o->event);
	o->event = NULL;
	if (what == 0)
		return true;
	o->event = event_new(
	    o->all->base, o->fd, (short)(what | EV_PERSIST), visitor_cb, o);
	return o->event != NULL && event_add(o->event, NULL) == 0;
}

/* Changes its state, and what is waited for; false: it has ended. */
static bool
visitor_become(struct visitor *o, enum visitor_state state, short what)
{
	o->state = state;
	if (visitor_watch(o, what))
		return true;
	log_warn("a connection was closed: no memory");
	visitor_end(o);
	return false;
}

/* All is written. A socket that is closed before its client has read, while
 * more of what it sends comes in, would take the answer back. */
static void
visitor_leave(struct visitor *o)
{
	shutdown(o->fd, SHUT_WR);
	o->since_ms = clock_ms();
	(void)visitor_become(o, VISITOR_LEAVES, EV_READ);
}

/* Writes what is left of its answer. */
static void
visitor_write(struct visitor *o)
{
	const ssize_t n = send(o->fd, o->bytes + o->sent, o->len - o->sent,
	    MSG_DONTWAIT | MSG_NOSIGNAL);

	if (n == -1 && errno != EAGAIN && errno != EINTR) {
		visitor_end(o);
		return;
	}
	o->sent += n > 0 ? (size_t)n : 0;
	if (o->sent == o->len)
		visitor_leave(o);
	else if (o->state != VISITOR_HEARS)
		(void)visitor_become(o, VISITOR_HEARS, EV_WRITE);
}

/* Gives it an answer of so many bytes, which lie at `answer`. */
static void
visitor_answer(struct visitor *o, const char *answer, size_t len)
{
	memcpy(o->bytes, answer, len);
	o->len = len;
	o->sent = 0;
	visitor_write(o);
}

/* It asks for a file, which is read elsewhere. */
static void
visitor_ask(struct visitor *o, const char *token)
{
	static char answer[REDIRECT_ANSWER_MAX];
	struct visitors *v = o->all;
	struct challenge_ask ask = {.number = ++v->number};

	strlcpy(ask.token, token, sizeof(ask.token));
	o->number = ask.number;
	o->since_ms = clock_ms();
	if (v->unanswered < VISITORS_FILES && challenge_ask(v->files, &ask)) {
		v->unanswered++;
		(void)visitor_become(o, VISITOR_WAITS, 0);
		return;
	}
	log_warn("acme-challenge: its folder does not answer");
	v->n_late++;
	visitor_answer(o, answer, redirect_file(503, NULL, 0, o->bare, answer));
}

/* Its head is whole, or cannot be one. */
static void
visitor_judge(struct visitor *o, size_t head, const struct http_request *bad)
{
	static char answer[REDIRECT_ANSWER_MAX];
	char token[CHALLENGE_TOKEN];
	struct visitors *v = o->all;
	size_t n;

	if (head == 0)
		n = redirect_refuse(bad, answer);
	else
		n = redirect_answer(
		    &v->rule, o->bytes, head, token, &o->bare, answer);
	if (n == 0) {
		visitor_ask(o, token);
		return;
	}
	if (strncmp(answer, "HTTP/1.1 3", 10) == 0)
		v->n_redirected++;
	else
		v->n_refused++;
	visitor_answer(o, answer, n);
}

/* Reads more of its head. */
static void
visitor_read(struct visitor *o)
{
	const ssize_t n = recv(
	    o->fd, o->bytes + o->len, REDIRECT_HEAD_MAX - o->len, MSG_DONTWAIT);
	struct http_request bad = {
	    .status = 431, .reason = "request head is too long"};
	int head;

	if (n == -1 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		visitor_end(o);
		return;
	}
	o->len += (size_t)n;
	head = http_head_end(o->bytes, o->len, &o->scanned, &bad);
	if (head > 0)
		visitor_judge(o, (size_t)head, NULL);
	else if (head < 0 || o->len == REDIRECT_HEAD_MAX)
		visitor_judge(o, 0, &bad);
}

/* Throws away what it still sends, until it closes. */
static void
visitor_drain(struct visitor *o)
{
	char gone[4096];
	const ssize_t n = recv(o->fd, gone, sizeof(gone), MSG_DONTWAIT);

	if (n == 0 || (n == -1 && errno != EAGAIN && errno != EINTR))
		visitor_end(o);
}

static void
visitor_cb(evutil_socket_t fd, short events, void *arg)
{
	struct visitor *o = arg;

	switch (o->state) {
	case VISITOR_ASKS:
		visitor_read(o);
		break;
	case VISITOR_HEARS:
		visitor_write(o);
		break;
	case VISITOR_LEAVES:
		visitor_drain(o);
		break;
	case VISITOR_WAITS:
		break;
	}
}

void
visitors_begin(struct visitors *v, int fd, uint64_t now_ms)
{
	struct visitor *o;

	if (v->n >= VISITORS_MAX) {
		v->n_late++;
		visitor_end(v->first);
	}
	/* its bytes have memory as they come */
	if ((o = malloc(sizeof(*o))) == NULL) {
		log_warn("a connection was closed: no memory");
		close(fd);
		return;
	}
	memset(o, 0, offsetof(struct visitor, bytes));
	o->all = v;
	o->fd = fd;
	o->since_ms = now_ms;
	o->before = v->last;
	if (v->last != NULL)
		v->last->next = o;
	else
		v->first = o;
	v->last = o;
	v->n++;
	if (visitor_become(o, VISITOR_ASKS, EV_READ))
		visitor_read(o); /* its request is often there already */
}

/* Who waits for that answer; NULL: nobody does any more. */
static struct visitor *
visitors_find(struct visitors *v, uint32_t number)
{
	struct visitor *o = v->first;

	while (o != NULL && (o->state != VISITOR_WAITS || o->number != number))
		o = o->next;
	return o;
}

/* The status of an answer with that error. */
static int
visitor_status(int error)
{
	switch (error) {
	case 0:
		return 200;
	case ENOENT:
	case ENOTDIR:
		return 404;
	default:
		log_warn("acme-challenge: a file is not served: %s",
		    error == EINVAL	 ? "it is no regular file"
			: error == EXDEV ? "a link leads out of the folder"
					 : strerror(error));
		return 404;
	}
}

bool
visitors_files(struct visitors *v, uint64_t now_ms)
{
	static char answer[REDIRECT_ANSWER_MAX];
	struct challenge_answer file;
	struct visitor *o;
	int r, status;
	size_t n;

	while ((r = challenge_read(v->files, &file)) == 1) {
		v->unanswered -= v->unanswered > 0;
		if ((o = visitors_find(v, file.number)) == NULL)
			continue;
		status = visitor_status(file.error);
		v->n_files += status == 200;
		v->n_refused += status != 200;
		n = redirect_file(status, status == 200 ? file.bytes : NULL,
		    file.len, o->bare, answer);
		visitor_answer(o, answer, n);
	}
	return r == 0;
}

/* Whether one takes too long; one whose file does not come is answered so. */
static void
visitor_time(struct visitor *o, uint64_t now_ms, uint64_t most_ms)
{
	static char answer[REDIRECT_ANSWER_MAX];
	const uint64_t age = now_ms - o->since_ms;

	if (o->state == VISITOR_LEAVES) {
		if (age >= VISITORS_LAST_MS)
			visitor_end(o);
	} else if (o->state == VISITOR_WAITS) {
		if (age < VISITORS_FILE_MS)
			return;
		log_warn("acme-challenge: its folder does not answer");
		o->all->n_late++;
		visitor_answer(
		    o, answer, redirect_file(503, NULL, 0, o->bare, answer));
	} else if (age >= most_ms) {
		o->all->n_late++;
		visitor_end(o);
	}
}

void
visitors_time(struct visitors *v, uint64_t now_ms, uint64_t most_ms)
{
	struct visitor *o = v->first, *next;

	for (; o != NULL; o = next) {
		next = o->next;
		visitor_time(o, now_ms, most_ms);
	}
}

void
visitors_deinit(struct visitors *v)
{
	while (v->first != NULL)
		visitor_end(v->first);
}
