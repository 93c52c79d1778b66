/*
 * redirector: the process that accepts at addresses with tls-redirect. Clients
 * that come there by plain HTTP are sent to https, and files that answer ACME
 * challenges are served. It has neither shared memory nor files, and its death
 * costs the requests that are under way, of which clients try again.
 */
#include <errno.h>
#include <event2/event.h>
#include <netinet/in.h>
#include <seccomp.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "net/loop.h"
#include "net/transport.h"
#include "process/child.h"
#include "visitor.h"

enum {
	/* Connections a turn and listener. */
	REDIRECTOR_ACCEPT = 64,
	REDIRECTOR_TICK_MS = 50,
	REDIRECTOR_SAY_MS = 60 * 1000,
	/* What is under way when it is told to leave may take so long. */
	REDIRECTOR_LAST_MS = 500
};

#define REDIRECTOR_WORD "tls-redirect"

/* What it alone is told. */
struct birth_redirector {
	char directory[CHALLENGE_DIRECTORY]; /* "": no challenge is answered */
};

_Static_assert((int)CHALLENGE_DIRECTORY > (int)CONF_PATH_BYTES,
    "a path of the configuration fits");

static struct redirector {
	struct child_start *start;
	struct event_base *base;
	struct visitors visitors;
	struct event *listener[ENDPOINTS_MAX];
	bool leaving;
	uint64_t leave_ms, say_ms;
	uint16_t secure; /* port of the first address over TLS */
} self;

/* The port of a listener. */
static uint16_t
redirector_port(int fd)
{
	struct sockaddr_storage at;
	socklen_t len = sizeof(at);
	const struct sockaddr_in *four = (const void *)&at;
	const struct sockaddr_in6 *six = (const void *)&at;

	if (getsockname(fd, (struct sockaddr *)&at, &len) == -1)
		return 0;
	return ntohs(
	    at.ss_family == AF_INET6 ? six->sin6_port : four->sin_port);
}

/* Where clients are sent, as a reload may have changed it. */
static void
redirector_settle(void)
{
	const uint32_t port = self.start->live->redirect_port;

	self.visitors.rule.port = (uint16_t)(port != 0 ? port : self.secure);
}

/* Watches its listeners, or does not. */
static void
redirector_watch(bool on)
{
	for (int k = 0; k < ENDPOINTS_MAX; k++)
		if (self.listener[k] != NULL &&
		    (on ? event_add(self.listener[k], NULL)
			: event_del(self.listener[k])) == -1)
			log_error("a listener cannot be watched");
}

static void
redirector_accept_cb(evutil_socket_t fd, short events, void *arg)
{
	int one;

	child_tick(self.start);
	for (int k = 0; k < REDIRECTOR_ACCEPT; k++) {
		one = accept4(fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (one == -1) {
			if (errno == EMFILE || errno == ENFILE ||
			    errno == ENOMEM || errno == ENOBUFS) {
				log_warn("accept: %s", strerror(errno));
				redirector_watch(false); /* until a tick */
			}
			return;
		}
		visitors_begin(&self.visitors, one, clock_ms());
	}
}

static void
redirector_files_cb(evutil_socket_t fd, short events, void *arg)
{
	if (!visitors_files(&self.visitors, clock_ms()))
		log_fatal("the process that reads files has ended");
}

static void
redirector_master_cb(evutil_socket_t fd, short events, void *arg)
{
	struct event *master = arg;

	if (!child_must_leave(self.start)) {
		redirector_settle();
		return;
	}
	event_free(master);
	self.leaving = true;
	self.leave_ms = clock_ms() + REDIRECTOR_LAST_MS;
	for (int k = 0; k < ENDPOINTS_MAX; k++)
		if (self.listener[k] != NULL) {
			event_free(self.listener[k]);
			self.listener[k] = NULL;
		}
}

static void
redirector_time_cb(evutil_socket_t fd, short events, void *arg)
{
	const struct visitors *v = &self.visitors;
	const uint64_t now = clock_ms();

	child_tick(self.start);
	log_more();
	visitors_time(&self.visitors, now, self.start->live->handshake_ms);
	redirector_watch(true);
	if (now >= self.say_ms) {
		self.say_ms = now + REDIRECTOR_SAY_MS;
		log_debug("%llu redirected, %llu files, %llu refused, %llu too "
			  "late",
		    (unsigned long long)v->n_redirected,
		    (unsigned long long)v->n_files,
		    (unsigned long long)v->n_refused,
		    (unsigned long long)v->n_late);
	}
	if (self.leaving && (v->n == 0 || now >= self.leave_ms))
		(void)event_base_loopbreak(self.base);
}

/* An event that stays; fatal without memory. */
static struct event *
redirector_event(int fd, short what, event_callback_fn cb, void *arg,
    const struct timeval *every)
{
	struct event *e =
	    event_new(self.base, fd, (short)(what | EV_PERSIST), cb, arg);

	if (e == NULL || event_add(e, every) == -1)
		log_fatal("no memory");
	return e;
}

/* Listens at its addresses; others are not its own. */
static void
redirector_listen(const struct endpoints *all)
{
	const struct transport *t;

	for (int k = 0; k < all->n; k++) {
		t = transport_of(all->at[k].transport);
		if (t != NULL && t->secure && self.secure == 0)
			self.secure = redirector_port(all->at[k].fd);
		if (all->at[k].purpose != ENDPOINT_REDIRECT)
			close(all->at[k].fd);
		else
			self.listener[k] = redirector_event(all->at[k].fd,
			    EV_READ, redirector_accept_cb, NULL, NULL);
	}
	if (self.secure == 0)
		self.secure = REDIRECT_HTTPS;
}

static void
redirector_main(struct child_start *start)
{
	const struct timeval tick = {0, REDIRECTOR_TICK_MS * 1000};
	const struct birth_redirector *b = start->birth;

	if (b == NULL || start->endpoints == NULL)
		log_fatal("it was not told what it needs");
	self.start = start;
	self.visitors.files = -1;
	if (b->directory[0] != '\0') {
		self.visitors.files = challenge_begin(b->directory);
		self.visitors.rule.challenges = true;
	}
	if ((self.base = loop_new()) == NULL)
		log_fatal("no memory");
	self.visitors.base = self.base;
	redirector_listen(start->endpoints);
	redirector_settle();
	(void)redirector_event(start->link, EV_READ, redirector_master_cb,
	    event_self_cbarg(), NULL);
	(void)redirector_event(-1, 0, redirector_time_cb, NULL, &tick);
	if (self.visitors.files != -1)
		(void)redirector_event(self.visitors.files, EV_READ,
		    redirector_files_cb, NULL, NULL);
	child_confine(start);
	child_hello(start);
	(void)event_base_dispatch(self.base);
	visitors_deinit(&self.visitors);
	child_leave();
}

/* Whether there is such an address; a reload does not change that. */
static bool
redirector_is_wanted(const struct conf *c)
{
	return conf_listen_has(c, REDIRECTOR_WORD);
}

static void
redirector_birth(const struct conf *c, void *out)
{
	struct birth_redirector *b = out;

	*b = (struct birth_redirector){.directory = ""};
	if (c->tls.challenge != NULL)
		strlcpy(b->directory, c->tls.challenge, sizeof(b->directory));
}

/* Sockets, memory, time. No file, no process. */
static const int redirector_calls[] = {SCMP_SYS(accept4), SCMP_SYS(recvfrom),
    SCMP_SYS(sendto), SCMP_SYS(recvmsg), SCMP_SYS(recvmmsg), SCMP_SYS(sendmsg),
    SCMP_SYS(shutdown), SCMP_SYS(close), SCMP_SYS(write), SCMP_SYS(epoll_wait),
    SCMP_SYS(epoll_pwait), SCMP_SYS(epoll_ctl), SCMP_SYS(futex),
    SCMP_SYS(madvise), SCMP_SYS(brk), SCMP_SYS(mmap), SCMP_SYS(munmap),
    SCMP_SYS(mremap), SCMP_SYS(mprotect), SCMP_SYS(getpid), SCMP_SYS(gettid),
    SCMP_SYS(clock_gettime), SCMP_SYS(gettimeofday), SCMP_SYS(poll),
    SCMP_SYS(rt_sigprocmask), SCMP_SYS(rt_sigaction), SCMP_SYS(rt_sigreturn),
    SCMP_SYS(restart_syscall), SCMP_SYS(exit_group), -1};

const struct child_kind redirector_kind = {.name = "redirector",
    .n = 1,
    .gets = CHILD_LISTENERS,
    .calls = redirector_calls,
    .main = redirector_main,
    .birth_bytes = sizeof(struct birth_redirector),
    .birth = redirector_birth,
    .wanted = redirector_is_wanted};
