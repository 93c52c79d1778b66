/* The process: its listeners, its links, its end. */
#include "handshaker/handshaker.h"

#include <errno.h>
#include <event2/event.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/shared.h"
#include "codec/message.h"
#include "codec/tls_files.h"
#include "contexts.h"
#include "handed.h"
#include "net/link.h"
#include "net/loop.h"
#include "net/transport.h"
#include "process/child.h"
#include "shaking.h"

enum {
	/* Connections a turn and listener. Larger: one process has many to
	 * shake hands with while another one has none. */
	ACCEPT_MAX = 16,
	TICK_MS = 50,
	SAY_MS = 60 * 1000, /* what goes on is told once in that time */
	/* How soon memory of handshakes that are over is given back. Larger: a
	 * burst of clients costs memory for longer; smaller: pages come and go
	 * between one client and the next. */
	TRIM_MS = 1000
};

static struct handshaker {
	struct child_start *start;
	struct event_base *base;
	int set; /* its epoll set; -1: not known */
	struct contexts *contexts;
	struct shaking shaking;
	struct handed handed;
	struct event *listener[ENDPOINTS_MAX], *link[SHM_WORKERS];
	bool listening, leaving;
	uint64_t leave_ms; /* at the latest */
	uint64_t said_ms, full_ms, trim_ms;
	uint64_t trimmed; /* handshakes that were over by then */
} self;

static void
handshaker_tick(void *arg)
{
	child_tick(self.start);
}

/* Connections there are of those endpoints whose transports begin elsewhere
 * than in workers. */
static bool
handshaker_serves(const struct endpoint *e)
{
	const struct transport *t = transport_of(e->transport);

	return t != NULL && t->begin != NULL;
}

/* Watches a listener so that a connection wakes one of those that wait for
 * it, not all: a flag that libevent does not set, of what it has put into its
 * epoll set. It takes it out as it does others. */
static int
handshaker_listen_add(struct event *listener)
{
	const int fd = event_get_fd(listener);
	struct epoll_event e = {
	    .events = EPOLLIN | EPOLLEXCLUSIVE, .data.fd = fd};

	if (event_add(listener, NULL) == -1)
		return -1;
	if (self.set != -1 &&
	    (epoll_ctl(self.set, EPOLL_CTL_DEL, fd, NULL) == -1 ||
		epoll_ctl(self.set, EPOLL_CTL_ADD, fd, &e) == -1))
		log_error("a listener: %s", strerror(errno));
	return 0;
}

/* Watches the listeners, or does not. */
static void
handshaker_listen(bool on)
{
	if (on == self.listening)
		return;
	self.listening = on;
	for (int k = 0; k < ENDPOINTS_MAX; k++)
		if (self.listener[k] != NULL &&
		    (on ? handshaker_listen_add(self.listener[k])
			: event_del(self.listener[k])) == -1)
			log_error("a listener cannot be watched");
}

/* Listens if workers have room, and it has itself. */
static void
handshaker_balance(uint64_t now)
{
	const bool room = handed_room(&self.handed) > 0;

	if (!self.leaving && !room && now >= self.full_ms) {
		log_debug("no worker has room: no connection is accepted");
		self.full_ms = now + SAY_MS;
	}
	handshaker_listen(
	    !self.leaving && room && shaking_spare(&self.shaking, now));
}

/* A handshake is over. */
static void
handshaker_done(void *arg, const struct handed_what *what)
{
	const uint64_t now = clock_ms();

	if (handed_give(&self.handed, what, now) == -1)
		log_warn("a connection was closed: no memory");
	if (handed_room(&self.handed) == 0)
		handshaker_balance(now);
}

static void
handshaker_accept_cb(evutil_socket_t fd, short events, void *arg)
{
	const uint32_t endpoint = (uint32_t)(uintptr_t)arg;
	const uint64_t now = clock_ms();
	int one;

	for (int k = 0; k < ACCEPT_MAX && self.listening; k++) {
		if (!shaking_spare(&self.shaking, now))
			break;
		one = accept4(fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (one == -1) {
			if (errno == EMFILE || errno == ENFILE ||
			    errno == ENOMEM || errno == ENOBUFS) {
				log_warn("accept: %s", strerror(errno));
				handshaker_listen(false); /* until a tick */
			}
			break;
		}
		KILL_POINT();
		if (shaking_begin(&self.shaking, one, endpoint, now) == -1)
			log_warn("a connection was closed: no memory");
	}
	if (self.listening)
		handshaker_balance(now);
}

/* Looks at the listeners: a connection that has woken a process which died, or
 * stopped listening, then wakes no other. */
static void
handshaker_look(void)
{
	for (int k = 0; k < ENDPOINTS_MAX && self.listening; k++)
		if (self.listener[k] != NULL)
			handshaker_accept_cb(event_get_fd(self.listener[k]), 0,
			    (void *)(uintptr_t)k);
}

static void
handshaker_link_cb(evutil_socket_t fd, short events, void *arg)
{
	const int worker = (int)(uintptr_t)arg;
	const uint64_t now = clock_ms();

	child_tick(self.start);
	if (!handed_read(&self.handed, worker, now)) {
		event_free(self.link[worker]);
		self.link[worker] = NULL;
		handed_unlink(&self.handed, worker);
	}
	handshaker_balance(now);
}

/* What the master says besides what it says to all: links. */
static void
handshaker_other(void *arg, int type, const void *payload, size_t len, int fd)
{
	struct message_link link;

	if (type == MSG_LINK && fd != -1) {
		memcpy(&link, payload, sizeof(link));
		if (link.peer < SHM_WORKERS) {
			if (self.link[link.peer] != NULL)
				event_free(self.link[link.peer]);
			handed_link(&self.handed, (int)link.peer, fd);
			self.link[link.peer] = event_new(self.base, fd,
			    EV_READ | EV_PERSIST, handshaker_link_cb,
			    (void *)(uintptr_t)link.peer);
			if (self.link[link.peer] == NULL ||
			    event_add(self.link[link.peer], NULL) == -1)
				log_fatal("no memory");
			return;
		}
	}
	if (fd != -1)
		close(fd);
}

/* Accepts no more, and ends with its last connection. */
static void
handshaker_leave(uint64_t now)
{
	self.leaving = true;
	self.leave_ms = now + self.start->live->handshake_ms + HANDED_MS;
	handshaker_listen(false);
	for (int k = 0; k < ENDPOINTS_MAX; k++)
		if (self.listener[k] != NULL) {
			event_free(self.listener[k]);
			close(self.start->endpoints->at[k].fd);
			self.listener[k] = NULL;
		}
}

static void
handshaker_master_cb(evutil_socket_t fd, short events, void *arg)
{
	struct event *master = arg;

	if (!child_read(self.start, handshaker_other, NULL))
		return;
	/* One that leaves still needs to hear of workers: what one of them has
	 * not answered is its successor's. The second time the link has ended.
	 */
	if (self.leaving)
		event_free(master);
	else
		handshaker_leave(clock_ms());
}

/* Gives memory back when no handshake is under way: several hundred at once
 * have taken 20 KiB each. */
static void
handshaker_trim(uint64_t now)
{
	const struct shaking *s = &self.shaking;
	const uint64_t over =
	    s->n_done + s->n_failed + s->n_left + s->n_late + s->n_spared;

	if (s->n > 0 || over == self.trimmed || now < self.trim_ms)
		return;
	self.trimmed = over;
	self.trim_ms = now + TRIM_MS;
	(void)malloc_trim(0);
}

/* Says how handshakes have ended, and what became of connections. */
static void
handshaker_say(void)
{
	const struct shaking *s = &self.shaking;

	log_debug(
	    "handshakes: %llu done, %llu failed, %llu whose clients left, "
	    "%llu too late, %llu given up for others; connections: %llu "
	    "taken, %llu closed",
	    (unsigned long long)s->n_done, (unsigned long long)s->n_failed,
	    (unsigned long long)s->n_left, (unsigned long long)s->n_late,
	    (unsigned long long)s->n_spared,
	    (unsigned long long)self.handed.n_taken,
	    (unsigned long long)self.handed.n_closed);
}

static void
handshaker_time_cb(evutil_socket_t fd, short events, void *arg)
{
	const uint64_t now = clock_ms();

	child_tick(self.start);
	log_more();
	shaking_time(&self.shaking, now, self.start->live->handshake_ms);
	handed_time(&self.handed, now);
	handshaker_balance(now);
	handshaker_look();
	handshaker_trim(now);
	if (now >= self.said_ms) {
		self.said_ms = now + SAY_MS;
		handshaker_say();
	}
	if (self.leaving &&
	    ((self.shaking.n == 0 && self.handed.n == 0) ||
		now >= self.leave_ms))
		(void)event_base_loopbreak(self.base);
}

/* Reads the files out of the memory file, which a successor gets, too. */
static void
handshaker_files(int fd, struct tls_files *f)
{
	struct stat st;

	if (fstat(fd, &st) == -1 || st.st_size <= 0 ||
	    (f->bytes = malloc((size_t)st.st_size)) == NULL ||
	    pread(fd, f->bytes, (size_t)st.st_size, 0) != st.st_size)
		log_fatal("certificates: %s", strerror(errno));
	f->len = f->size = (size_t)st.st_size;
	close(fd);
}

/* Maps the keys of tickets; NULL: there are none. */
static const struct tls_tickets *
handshaker_tickets(int fd)
{
	void *p;

	if (fd == -1)
		return NULL;
	p = mmap(NULL, TLS_TICKETS_BYTES, PROT_READ, MAP_SHARED, fd, 0);
	close(fd);
	if (p == MAP_FAILED)
		log_fatal("keys of tickets: %s", strerror(errno));
	return p;
}

/* What is to be warned of, the master does, once for all of them. */
static void
handshaker_warn(const char *line)
{
	log_debug("%s", line);
}

/* Tells the master until when files are good. */
static void
handshaker_tell(const struct child_start *start)
{
	struct message_until until;

	contexts_until(self.contexts, &until);
	if (link_send(start->link, MSG_UNTIL, &until, sizeof(until), -1) == -1)
		log_fatal("master: %s", strerror(errno));
}

/* Reads what it is told, while it may. */
static void
handshaker_prepare(const struct child_start *start)
{
	const struct birth_handshaker *b = start->birth;
	struct tls_files f = {.bytes = NULL};
	char error[2048];

	handshaker_files(b->files, &f);
	self.contexts = contexts_new(b, &f, handshaker_tickets(b->tickets),
	    handshaker_warn, error, sizeof(error));
	tls_files_free(&f);
	if (self.contexts == NULL)
		log_fatal("%s", error);
}

/* Makes the events that it waits for. */
static void
handshaker_loop(struct child_start *start)
{
	const struct timeval tick = {0, TICK_MS * 1000};
	struct event *e;

	self.base = loop_new_set(&self.set);
	if (self.base == NULL ||
	    (e = event_new(self.base, start->link, EV_READ | EV_PERSIST,
		 handshaker_master_cb, event_self_cbarg())) == NULL ||
	    event_add(e, NULL) == -1 ||
	    (e = event_new(self.base, -1, EV_PERSIST, handshaker_time_cb,
		 NULL)) == NULL ||
	    event_add(e, &tick) == -1)
		log_fatal("no memory");
	for (int k = 0; k < start->endpoints->n; k++)
		if (!handshaker_serves(&start->endpoints->at[k]))
			close(start->endpoints->at[k].fd);
		else if ((self.listener[k] = event_new(self.base,
			      start->endpoints->at[k].fd, EV_READ | EV_PERSIST,
			      handshaker_accept_cb, (void *)(uintptr_t)k)) ==
		    NULL)
			log_fatal("no memory");
	self.shaking = (struct shaking){.base = self.base,
	    .contexts = self.contexts,
	    .tick = handshaker_tick,
	    .done = handshaker_done};
}

void
handshaker_main(struct child_start *start)
{
#ifndef CHATD_SANITIZED
	if (prctl(PR_SET_DUMPABLE, 0) == -1)
		log_fatal("it can be dumped: %s", strerror(errno));
#endif
	if (start->birth == NULL || start->endpoints == NULL)
		log_fatal("it was not told what it needs");
	self.start = start;
	handshaker_prepare(start);
	handshaker_loop(start);
	handed_init(&self.handed);
	child_confine(start);
	child_hello(start);
	handshaker_tell(start);
	(void)event_base_dispatch(self.base);
	handshaker_say();
	shaking_deinit(&self.shaking);
	handed_deinit(&self.handed);
	child_leave();
}
