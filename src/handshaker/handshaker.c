/*
 * The process accepts at the endpoints whose transport begins with a handshake,
 * as many connections as workers have room for, and hands each to one of them
 * when its handshake is over. It has certificates and private keys in memory,
 * no client of the chat, no file system and no shared memory; its death costs
 * the handshakes in progress.
 */
#include <errno.h>
#include <event2/event.h>
#include <event2/event_struct.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "codec/message.h"
#include "contexts.h"
#include "handed.h"
#include "handshake.h"
#include "handshaker/handshaker.h"
#include "handshaker/kinds.h"
#include "net/counters.h"
#include "net/loop.h"
#include "net/transport.h"

enum {
	/* Handshakes in progress. Larger: clients that never end theirs cost
	 * more memory (20 KiB each); smaller: they keep others out sooner. */
	SHAKES_MAX = 1000,
	ACCEPT_MAX = 64, /* connections a turn and listener */
	TICK_MS = 100,
	/* A machine that is out of descriptors or memory. */
	PAUSE_MS = 100,
	TELL_MS = 60 * 1000 /* between two lines on that nobody is taken */
};

/* One handshake. */
struct shake {
	TAILQ_ENTRY(shake) link; /* by age */
	struct handshaker *all;
	struct handshake *h;
	enum handshake_state state;
	struct event event;
	short watched;
	int fd;
	uint32_t endpoint;
	uint64_t deadline_ms;
};

struct handshaker {
	struct child_start *start;
	struct event_base *base;
	struct contexts *contexts;
	struct event *tick, *master;
	struct event *listener[ENDPOINTS_MAX]; /* NULL: workers accept there */
	struct event *worker[SHM_WORKERS];
	struct handed handed;
	TAILQ_HEAD(, shake) shakes;
	uint32_t n;
	bool listening, leaving;
	uint64_t now_ms, paused_ms, told_ms, leave_ms;
};

/* Ends a handshake; fd stays with who has it. */
static void
shake_free(struct shake *s)
{
	event_del(&s->event);
	handshake_free(s->h);
	TAILQ_REMOVE(&s->all->shakes, s, link);
	s->all->n--;
	free(s);
}

static void
shake_drop(struct shake *s, const char *why)
{
	log_debug("a handshake has failed: %s", why);
	close(s->fd);
	shake_free(s);
}

/* Its handshake is over: a worker goes on. */
static void
shake_give(struct shake *s)
{
	struct handshaker *all = s->all;
	struct counters k;
	struct tls_birth birth = *handshake_birth(s->h);
	const struct handed_what what = {
	    .fd = s->fd, .endpoint = s->endpoint, .birth = &birth};

	if (counters_read(s->fd, true, &k) == -1 || k.closed) {
		shake_drop(s, "its client has gone");
		return;
	}
	birth.read = k.read;
	birth.written = k.written;
	if (handed_give(&all->handed, &what, all->now_ms) == -1)
		log_warn("a connection was closed: %s", strerror(ENOMEM));
	explicit_bzero(&birth, sizeof(birth));
	shake_free(s);
}

/* Sends what there is. Returns 1: all of it, 0: not now, or -1. */
static int
shake_send(struct shake *s)
{
	const uint8_t *bytes;
	size_t len;
	ssize_t n;

	while ((bytes = handshake_output(s->h, &len)) != NULL) {
		n = send(s->fd, bytes, len, MSG_DONTWAIT | MSG_NOSIGNAL);
		if (n == -1)
			return errno == EAGAIN || errno == EINTR ? 0 : -1;
		handshake_sent(s->h, (size_t)n);
	}
	return 1;
}

/* Reads as much as the handshake wants. Returns as shake_send(). */
static int
shake_read(struct shake *s)
{
	static uint8_t bytes[TLS_RECORD_MAX];
	size_t n = handshake_wants(s->h);
	ssize_t r;

	if (n > sizeof(bytes))
		n = sizeof(bytes);
	r = recv(s->fd, bytes, n, MSG_DONTWAIT);
	if (r == -1)
		return errno == EAGAIN || errno == EINTR ? 0 : -1;
	if (r == 0)
		return -1;
	s->state = handshake_take(s->h, bytes, (size_t)r);
	return 1;
}

/* Waits until the socket can be read or written. */
static void shake_cb(int fd, short what, void *arg);
static void
shake_watch(struct shake *s, short what)
{
	if (s->watched == what)
		return;
	if (s->watched != 0)
		event_del(&s->event);
	s->watched = what;
	event_assign(&s->event, s->all->base, s->fd, (short)(what | EV_PERSIST),
	    shake_cb, s);
	if (event_add(&s->event, NULL) == -1)
		s->deadline_ms = 0;
}

/* Goes on with a handshake. */
static void
shake_go(struct shake *s)
{
	int r;

	for (;;) {
		if ((r = shake_send(s)) != 1)
			break;
		if (s->state == HANDSHAKE_DONE) {
			shake_give(s);
			return;
		}
		if (s->state == HANDSHAKE_FAILED) {
			shutdown(s->fd, SHUT_WR);
			shake_drop(s, handshake_why(s->h));
			return;
		}
		if ((r = shake_read(s)) != 1) {
			if (r == 0)
				shake_watch(s, EV_READ);
			break;
		}
	}
	if (r == -1)
		shake_drop(s, "its client has gone");
	else if (handshake_output(s->h, &(size_t){0}) != NULL)
		shake_watch(s, EV_WRITE);
}

static void
shake_cb(int fd, short what, void *arg)
{
	shake_go(arg);
}

/* Begins with a connection. */
static void
shake_begin(struct handshaker *all, int fd, uint32_t endpoint)
{
	struct shake *s = calloc(1, sizeof(*s));

	if (s == NULL || (s->h = handshake_new(all->contexts)) == NULL) {
		log_warn("a connection was closed: %s", strerror(ENOMEM));
		free(s);
		close(fd);
		return;
	}
	s->all = all;
	s->fd = fd;
	s->endpoint = endpoint;
	s->deadline_ms = all->now_ms + all->start->live->handshake_ms;
	event_assign(&s->event, all->base, fd, EV_READ, shake_cb, s);
	TAILQ_INSERT_TAIL(&all->shakes, s, link);
	all->n++;
	shake_go(s);
}

/* How many more connections are accepted now: workers have room for them. */
static uint32_t
handshaker_room(const struct handshaker *all)
{
	const uint32_t room = handed_room(&all->handed);

	if (all->leaving || all->now_ms < all->paused_ms ||
	    all->n >= SHAKES_MAX || room <= all->n)
		return 0;
	return room - all->n < SHAKES_MAX - all->n ? room - all->n
						   : SHAKES_MAX - all->n;
}

/* Watches the listeners while there is room. */
static void
handshaker_listen(struct handshaker *all)
{
	const bool on = handshaker_room(all) > 0;

	for (int k = 0; k < ENDPOINTS_MAX && on != all->listening; k++) {
		if (all->listener[k] == NULL)
			continue;
		if (on)
			event_add(all->listener[k], NULL);
		else
			event_del(all->listener[k]);
	}
	all->listening = on;
}

/* There may be new connections. */
static void
listener_cb(int listener, short what, void *arg)
{
	struct handshaker *all = arg;
	const struct endpoints *e = all->start->endpoints;
	uint32_t left, endpoint = 0;
	int fd;

	all->now_ms = clock_ms();
	while (e->at[endpoint].fd != listener)
		endpoint++;
	for (left = ACCEPT_MAX; left > 0 && handshaker_room(all) > 0; left--) {
		fd =
		    accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (fd >= 0) {
			shake_begin(all, fd, endpoint);
			continue;
		}
		if (errno != EAGAIN && errno != EINTR &&
		    errno != ECONNABORTED && errno != EPROTO) {
			log_warn("accept: %s", strerror(errno));
			all->paused_ms = all->now_ms + PAUSE_MS;
		}
		break;
	}
	handshaker_listen(all);
}

/* A worker says something. */
static void
worker_cb(int fd, short what, void *arg)
{
	struct handshaker *all = arg;
	int k = 0;

	all->now_ms = clock_ms();
	while (k < SHM_WORKERS && all->handed.worker[k].link != fd)
		k++;
	if (k == SHM_WORKERS)
		return;
	if (!handed_read(&all->handed, k, all->now_ms)) {
		event_free(all->worker[k]);
		all->worker[k] = NULL;
		handed_unlink(&all->handed, k);
	}
	handshaker_listen(all);
}

/* The link to a worker. */
static void
handshaker_link(struct handshaker *all, const void *payload, int fd)
{
	struct message_link link;

	memcpy(&link, payload, sizeof(link));
	if (fd == -1 || link.peer >= SHM_WORKERS) {
		if (fd != -1)
			close(fd);
		return;
	}
	if (all->worker[link.peer] != NULL)
		event_free(all->worker[link.peer]);
	handed_link(&all->handed, (int)link.peer, link.generation, fd);
	all->worker[link.peer] =
	    event_new(all->base, fd, EV_READ | EV_PERSIST, worker_cb, all);
	if (all->worker[link.peer] == NULL ||
	    event_add(all->worker[link.peer], NULL) == -1)
		log_fatal("link to worker %u: %s", link.peer, strerror(ENOMEM));
}

/* What the master says besides settings. */
static void
master_other_cb(void *arg, int type, const void *payload, size_t len, int fd)
{
	if (type == MSG_LINK)
		handshaker_link(arg, payload, fd);
	else if (fd != -1)
		close(fd);
}

/* Accepts no more; it ends with its last handshake. */
static void
handshaker_leave(struct handshaker *all)
{
	if (all->leaving)
		return;
	all->leaving = true;
	all->leave_ms =
	    all->now_ms + all->start->live->handshake_ms + HANDED_MS;
	event_del(all->master);
	handshaker_listen(all);
}

static void
master_cb(int fd, short what, void *arg)
{
	struct handshaker *all = arg;

	all->now_ms = clock_ms();
	if (child_read(all->start, master_other_cb, all))
		handshaker_leave(all);
}

/* Says, now and then, that nobody gets in. */
static void
handshaker_tell(struct handshaker *all)
{
	if (all->listening || all->leaving ||
	    all->now_ms < all->told_ms + TELL_MS)
		return;
	all->told_ms = all->now_ms;
	log_warn("accepts nobody now: %s",
	    all->n >= SHAKES_MAX ? "too many handshakes are in progress"
				 : "no worker has room");
}

/* Life sign and deadlines. */
static void
tick_cb(int fd, short what, void *arg)
{
	struct handshaker *all = arg;
	struct shake *s;

	child_tick(all->start);
	all->now_ms = clock_ms();
	while ((s = TAILQ_FIRST(&all->shakes)) != NULL &&
	    all->now_ms >= s->deadline_ms)
		shake_drop(s, "it took too long");
	handed_time(&all->handed, all->now_ms);
	handshaker_listen(all);
	handshaker_tell(all);
	log_more();
	if (all->leaving &&
	    ((all->n == 0 && all->handed.n == 0) ||
		all->now_ms >= all->leave_ms))
		event_base_loopbreak(all->base);
}

static void
handshaker_warn(const char *line)
{
	log_warn("%s", line);
}

/* Reads certificates and keys, which nobody has in a file here. */
static void
handshaker_files(struct handshaker *all, const struct birth_handshaker *b)
{
	const struct tls_tickets *ring = NULL;
	struct tls_files f = {.bytes = NULL};
	char error[1024] = "no memory";
	struct stat st;

	if (fstat(b->files, &st) == -1 ||
	    (f.bytes = malloc((size_t)st.st_size + 1)) == NULL ||
	    pread(b->files, f.bytes, (size_t)st.st_size, 0) != st.st_size)
		log_fatal("certificates: %s", strerror(errno));
	f.len = f.size = (size_t)st.st_size;
	close(b->files);
	if (b->tickets != -1) {
		ring = mmap(
		    NULL, sizeof(*ring), PROT_READ, MAP_SHARED, b->tickets, 0);
		if (ring == MAP_FAILED)
			log_fatal("session tickets: %s", strerror(errno));
		close(b->tickets);
	}
	all->contexts =
	    contexts_new(b, &f, ring, handshaker_warn, error, sizeof(error));
	tls_files_free(&f);
	if (all->contexts == NULL)
		log_fatal("%s", error);
}

/* Makes the loop. */
static void
handshaker_events(struct handshaker *all)
{
	const struct timeval period = {.tv_usec = TICK_MS * 1000};
	const struct endpoints *e = all->start->endpoints;

	all->base = loop_new();
	if (all->base == NULL)
		log_fatal("event loop: %s", strerror(ENOMEM));
	all->tick = event_new(all->base, -1, EV_PERSIST, tick_cb, all);
	all->master = event_new(
	    all->base, all->start->link, EV_READ | EV_PERSIST, master_cb, all);
	if (all->tick == NULL || all->master == NULL ||
	    event_add(all->tick, &period) == -1 ||
	    event_add(all->master, NULL) == -1)
		log_fatal("event loop: %s", strerror(ENOMEM));
	for (int k = 0; k < e->n; k++) {
		if (transports[e->at[k].transport]->begin == NULL) {
			close(e->at[k].fd);
			continue;
		}
		all->listener[k] = event_new(all->base, e->at[k].fd,
		    EV_READ | EV_PERSIST, listener_cb, all);
		if (all->listener[k] == NULL)
			log_fatal("event loop: %s", strerror(ENOMEM));
	}
}

/* Frees all, for who looks for leaks. */
static void
handshaker_free(struct handshaker *all)
{
	struct shake *s;

	while ((s = TAILQ_FIRST(&all->shakes)) != NULL)
		shake_drop(s, "the process ends");
	for (int k = 0; k < SHM_WORKERS; k++)
		if (all->worker[k] != NULL)
			event_free(all->worker[k]);
	for (int k = 0; k < ENDPOINTS_MAX; k++)
		if (all->listener[k] != NULL)
			event_free(all->listener[k]);
	event_free(all->tick);
	event_free(all->master);
	handed_deinit(&all->handed);
	contexts_free(all->contexts);
	event_base_free(all->base);
}

void
handshaker_main(struct child_start *start)
{
	static struct handshaker all;
	uint64_t sender;

#ifndef CHATD_SANITIZED
	(void)prctl(PR_SET_DUMPABLE, 0);
#endif
	arc4random_buf(&sender, sizeof(sender));
	all.start = start;
	all.now_ms = clock_ms();
	all.told_ms = all.now_ms;
	TAILQ_INIT(&all.shakes);
	handed_init(&all.handed, sender);
	if (tls_init() == -1)
		log_fatal("libcrypto: %s", strerror(ENOMEM));
	handshaker_files(&all, start->birth);
	handshaker_events(&all);
	child_confine(start);
	child_tick(start);
	child_hello(start);
	event_base_dispatch(all.base);
	handshaker_free(&all);
	child_leave();
}
