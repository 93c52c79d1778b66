#include "net/ready.h"

#include <event2/event_struct.h>
#include <event2/event.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "base/sparse.h"

/* Links, as bits. */
enum { LINK_WORDS = (READY_LINKS + 63) / 64 };
struct link_set {
	uint64_t word[LINK_WORDS];
};

/* Whether a link is in a set; puts it in, or takes it out. */
static inline bool
links_have(const struct link_set *s, int k)
{
	return (s->word[k / 64] >> k % 64 & 1) != 0;
}

static inline void
links_add(struct link_set *s, int k)
{
	s->word[k / 64] |= 1ull << k % 64;
}

static inline void
links_remove(struct link_set *s, int k)
{
	s->word[k / 64] &= ~(1ull << k % 64);
}

/* The first one in a set from k on; -1: there is none. */
static inline int
links_from(const struct link_set *s, int k)
{
	uint64_t left;

	for (; k < READY_LINKS; k = (k / 64 + 1) * 64) {
		left = s->word[k / 64] >> k % 64;
		if (left != 0)
			return k + __builtin_ctzll(left);
	}
	return -1;
}

struct ready {
	int set;
	const struct ready_host *host;
	void *arg;
	struct event_base *base;
	struct event event; /* this set, in the loop, */
	struct event again; /* and the end of a wait */
	int loop;	    /* the loop's own set, in this one; -1: the
			     * other way round */
	uint32_t key;	    /* upper half of those of loop and links */
	bool loop_ready;    /* it may have something */
	bool loop_first;    /* the links had the whole of its last turn */
	bool waits;	    /* the sockets have the next turn alone */
	bool (*link_ready)(void *arg, int k);
	void *link_arg;
	struct link_set links, due; /* watched; they may have something */
	int first;		    /* whose turn it is among them */
	int link[READY_LINKS];
	void (*listener_ready)(void *arg, int k);
	void *listener_arg;
	uint32_t listeners, listeners_due; /* bits, as links and due */
	int listener[READY_LISTENERS];
	struct epoll_event *told; /* [READY_MAX] */
	int n_told, at;		  /* those from `at` on are not handled yet */
};

/* Where listeners begin among the numbers of keys. */
enum { KEY_LISTENERS = READY_LINKS + 1 };

/* The key of the loop (0), of link n - 1, or of listener n - KEY_LISTENERS. */
static uint64_t
ready_key(const struct ready *r, int n)
{
	return (uint64_t)r->key << 32 | (UINT32_MAX - (uint32_t)n);
}

/* Whether a key is that of the loop, a link or a listener: which may have
 * something then. */
static bool
ready_is_own(struct ready *r, uint64_t key)
{
	const uint32_t n = UINT32_MAX - (uint32_t)key;

	if (n >= KEY_LISTENERS + READY_LISTENERS || key >> 32 != r->key)
		return false;
	if (n == 0) {
		r->loop_ready = true;
		return r->loop >= 0;
	}
	if (n >= KEY_LISTENERS) {
		r->listeners_due |= r->listeners & 1u << (n - KEY_LISTENERS);
		return (r->listeners & 1u << (n - KEY_LISTENERS)) != 0;
	}
	if (!links_have(&r->links, (int)n - 1))
		return false;
	links_add(&r->due, (int)n - 1);
	return true;
}

/* Handles those that were told of. False: the turn is over. */
static bool
ready_handle(struct ready *r)
{
	const uint32_t broken = EPOLLERR | EPOLLHUP;
	const struct epoll_event *e;
	unsigned what;

	while (r->at < r->n_told) {
		e = &r->told[r->at++];
		if (e->events == 0)
			continue;
		what = 0;
		if (e->events & (EPOLLIN | broken))
			what |= READY_READ;
		if (e->events & (EPOLLOUT | broken))
			what |= READY_WRITE;
		if (!r->host->ready(r->arg, e->data.u64, what))
			return false;
	}
	return true;
}

/* Asks the kernel, which has ms to answer. */
static int
ready_ask(struct ready *r, int ms)
{
	const int n = epoll_wait(r->set, r->told, READY_MAX, ms);
	int k;

	r->at = 0;
	r->n_told = n > 0 ? n : 0;
	for (k = 0; k < n; k++)
		if (ready_is_own(r, r->told[k].data.u64))
			r->told[k].events = 0; /* no socket's */
		else if (r->host->seen != NULL)
			r->host->seen(r->arg, r->told[k].data.u64);
	return n < 0 && errno != EINTR ? -1 : 0;
}

/* Before a turn: asks the kernel, unless some that it told of are left over.
 * Then the loop, all links and listeners have their turn unasked. */
static int
ready_look(struct ready *r, int ms)
{
	if (r->at == r->n_told)
		return ready_ask(r, ms);
	r->loop_ready = true;
	r->due = r->links;
	r->listeners_due = r->listeners;
	return 0;
}

/* Each listener that may have a connection has its turn. */
static void
ready_run_listeners(struct ready *r)
{
	uint32_t due = r->listeners_due;
	int k;

	r->listeners_due = 0;
	for (k = 0; due != 0; k++, due >>= 1)
		if ((due & r->listeners >> k & 1) != 0)
			r->listener_ready(r->listener_arg, k);
}

/* Each link that has something is handled once, in turn. False: the turn is
 * over. */
static bool
ready_run_links(struct ready *r)
{
	int k;

	for (;;) {
		k = links_from(&r->due, r->first);
		if (k == -1 && (k = links_from(&r->due, 0)) == -1)
			return true;
		r->first = (k + 1) % READY_LINKS;
		links_remove(&r->due, k);
		if (!r->link_ready(r->link_arg, k))
			return false;
	}
}

/* Some are ready. Each is handled once: what more there is comes in the next
 * turn, when the others have had theirs. */
static void
ready_cb(int fd, short what, void *arg)
{
	struct ready *r = arg;
	const bool waits = r->waits;

	(void)ready_look(r, 0);
	r->waits = !waits && !ready_run_links(r);
	if (!waits)
		ready_run_listeners(r);
	if (!r->waits)
		(void)ready_handle(r);
}

/* Does nothing but end the wait for events. */
static void
ready_again_cb(int fd, short what, void *arg)
{
}

/* Has the loop watch a set, or a set the loop. */
static int
ready_join(struct ready *r, int set)
{
	struct epoll_event e = {.events = EPOLLIN, .data.u64 = ready_key(r, 0)};

	if (r->loop >= 0)
		return epoll_ctl(set, EPOLL_CTL_ADD, r->loop, &e);
	event_assign(
	    &r->event, r->base, set, EV_READ | EV_PERSIST, ready_cb, r);
	return event_add(&r->event, NULL);
}

/* Begins with a set. */
static int
ready_begin(struct ready *r, int set)
{
	if (ready_join(r, set) < 0)
		return -1;
	r->set = set;
	r->n_told = r->at = 0;
	return 0;
}

/* Whether a descriptor is that of an epoll set. */
static bool
ready_is_set(int fd)
{
	struct epoll_event one;

	return fd >= 0 && epoll_wait(fd, &one, 1, 0) >= 0;
}

/* Adds a link to a set. */
static int
ready_add_link(const struct ready *r, int set, int k)
{
	struct epoll_event e = {
	    .events = EPOLLIN, .data.u64 = ready_key(r, k + 1)};

	return epoll_ctl(set, EPOLL_CTL_ADD, r->link[k], &e);
}

/* Adds a listener to a set. */
static int
ready_add_listener(const struct ready *r, int set, int k)
{
	struct epoll_event e = {.events = EPOLLIN | EPOLLEXCLUSIVE,
	    .data.u64 = ready_key(r, KEY_LISTENERS + k)};

	return epoll_ctl(set, EPOLL_CTL_ADD, r->listener[k], &e);
}

/* Adds all links and listeners to a set. */
static int
ready_add_all(const struct ready *r, int set)
{
	int k = -1;

	while ((k = links_from(&r->links, k + 1)) != -1)
		if (ready_add_link(r, set, k) < 0)
			return -1;
	for (k = 0; k < READY_LISTENERS; k++)
		if ((r->listeners >> k & 1) != 0 &&
		    ready_add_listener(r, set, k) < 0)
			return -1;
	return 0;
}

/* With a new set. */
static int
ready_make(struct ready *r)
{
	int set = epoll_create1(0);

	if (set < 0)
		return -1;
	if (ready_add_all(r, set) == 0 && ready_begin(r, set) == 0)
		return 0;
	close(set);
	return -1;
}

struct ready *
ready_new(struct event_base *base, int set, bool *kept,
    const struct ready_host *host, void *arg)
{
	struct ready *r = calloc(1, sizeof(*r));

	if (r == NULL)
		return NULL;
	r->base = base;
	r->loop = -1;
	/* random, as a former process may have left something in the set that
	 * is always ready */
	r->key = arc4random();
	event_assign(&r->again, base, -1, 0, ready_again_cb, r);
	r->host = host;
	r->arg = arg;
	r->told = sparse_new(READY_MAX, sizeof(*r->told));
	if (r->told != NULL) {
		*kept = ready_is_set(set) && ready_begin(r, set) == 0;
		if (*kept || ready_make(r) == 0)
			return r;
		sparse_free(r->told, READY_MAX, sizeof(*r->told));
	}
	free(r);
	return NULL;
}

int
ready_lead(struct ready *r, int loop)
{
	/* at no time is each in the other */
	event_del(&r->event);
	r->loop = loop;
	if (loop >= 0 && ready_join(r, r->set) == 0)
		return 0;
	r->loop = -1;
	return ready_join(r, r->set);
}

int
ready_fd(const struct ready *r)
{
	return r->set;
}

/* One call of epoll_ctl(). */
static int
ready_control(struct ready *r, int how, int fd, uint64_t key, unsigned what)
{
	struct epoll_event e = {.data.u64 = key};

	if (what & READY_READ)
		e.events |= EPOLLIN;
	if (what & READY_WRITE)
		e.events |= EPOLLOUT;
	return epoll_ctl(r->set, how, fd, &e);
}

int
ready_watch(struct ready *r, int fd, uint64_t key, unsigned was, unsigned is)
{
	int how = is == 0 ? EPOLL_CTL_DEL
	    : was == 0	  ? EPOLL_CTL_ADD
			  : EPOLL_CTL_MOD;
	int result = ready_control(r, how, fd, key, is);

	if (result == 0)
		return 0;
	if (how == EPOLL_CTL_DEL)
		return errno == ENOENT ? 0 : -1;
	if (errno == ENOENT && how == EPOLL_CTL_MOD)
		return ready_control(r, EPOLL_CTL_ADD, fd, key, is);
	if (errno == EEXIST && how == EPOLL_CTL_ADD)
		return ready_control(r, EPOLL_CTL_MOD, fd, key, is);
	return -1;
}

void
ready_set_links(
    struct ready *r, bool (*link_ready)(void *arg, int k), void *arg)
{
	r->link_ready = link_ready;
	r->link_arg = arg;
}

int
ready_link(struct ready *r, int k, int fd)
{
	r->link[k] = fd;
	if (ready_add_link(r, r->set, k) < 0)
		return -1;
	links_add(&r->links, k);
	return 0;
}

void
ready_unlink(struct ready *r, int k)
{
	if (!links_have(&r->links, k))
		return;
	(void)epoll_ctl(r->set, EPOLL_CTL_DEL, r->link[k], NULL);
	links_remove(&r->links, k);
	links_remove(&r->due, k);
}

void
ready_set_listeners(
    struct ready *r, void (*listener)(void *arg, int k), void *arg)
{
	r->listener_ready = listener;
	r->listener_arg = arg;
}

int
ready_listen(struct ready *r, int k, int fd)
{
	r->listener[k] = fd;
	if (ready_add_listener(r, r->set, k) < 0)
		return -1;
	r->listeners |= 1u << k;
	return 0;
}

void
ready_unlisten(struct ready *r, int k, int fd)
{
	(void)epoll_ctl(r->set, EPOLL_CTL_DEL, fd, NULL);
	r->listeners &= ~(1u << k);
}

void
ready_look_listeners(struct ready *r)
{
	r->listeners_due = r->listeners;
}

int
ready_renew(struct ready *r)
{
	const int old = r->set;
	int error;

	if (r->loop < 0)
		event_del(&r->event);
	if (ready_make(r) == 0)
		return old;
	error = errno;
	if (r->loop < 0)
		(void)ready_begin(r, old);
	errno = error;
	return -1;
}

/* A turn in which the loop waits. */
static int
ready_turn_loop(struct ready *r, int ms)
{
	const struct timeval t = {ms / 1000, ms % 1000 * 1000};

	if (ms > 0 && event_add(&r->again, &t) < 0)
		return -1;
	return event_base_loop(
		   r->base, EVLOOP_ONCE | (ms == 0 ? EVLOOP_NONBLOCK : 0)) < 0
	    ? -1
	    : 0;
}

/* What is ready in the loop is done, until the turn is over. */
static int
ready_run_loop(struct ready *r)
{
	if (event_base_loop(r->base, EVLOOP_ONCE | EVLOOP_NONBLOCK) < 0)
		return -1;
	r->waits = event_base_got_break(r->base) != 0;
	r->loop_ready =
	    event_base_get_num_events(r->base, EVENT_BASE_COUNT_ACTIVE) > 0;
	return 0;
}

/* The links and the loop have their turn; if they take the whole of it, the
 * sockets have the next one alone. After the links it is the loop that begins.
 */
static int
ready_run(struct ready *r)
{
	const bool loop_first = r->loop_first;

	r->loop_first = false;
	if (!loop_first && !ready_run_links(r)) {
		r->waits = r->loop_first = true;
		return 0;
	}
	if (r->loop_ready && ready_run_loop(r) < 0)
		return -1;
	if (r->listeners_due != 0)
		ready_run_listeners(r);
	if (loop_first && !r->waits)
		r->waits = !ready_run_links(r);
	return 0;
}

/* Whether something may be left of the turn before. */
static bool
ready_has_more(const struct ready *r)
{
	return r->loop_ready || r->listeners_due != 0 ||
	    links_from(&r->due, 0) != -1;
}

int
ready_turn(struct ready *r, int ms)
{
	const bool waits = r->waits;

	if (r->loop < 0)
		return ready_turn_loop(r, ms);
	if (ready_look(r, ready_has_more(r) ? 0 : ms) < 0)
		return -1;
	r->waits = false;
	if (!waits && ready_run(r) < 0)
		return -1;
	if (!r->waits)
		(void)ready_handle(r);
	return 0;
}
