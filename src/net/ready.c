#include "net/ready.h"

#include <event2/event_struct.h>
#include <event2/event.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "base/sparse.h"

struct ready {
	int set;
	const struct ready_host *host;
	void *arg;
	struct event_base *base;
	struct event event; /* this set, in the loop, */
	struct event again; /* and the end of a wait */
	int loop;	    /* the loop's own set, in this one; -1: the
			     * other way round */
	uint64_t loop_key;
	bool loop_ready;	  /* it may have something */
	bool loop_waits;	  /* the sockets have the next turn alone */
	struct epoll_event *told; /* [READY_MAX] */
	int n_told, at;		  /* those from `at` on are not handled yet */
};

/* Whether it is the loop that the kernel tells of. */
static bool
ready_is_loop(const struct ready *r, const struct epoll_event *e)
{
	return r->loop >= 0 && e->data.u64 == r->loop_key;
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
		if (ready_is_loop(r, e))
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
		if (ready_is_loop(r, &r->told[k]))
			r->loop_ready = true;
		else if (r->host->seen != NULL)
			r->host->seen(r->arg, r->told[k].data.u64);
	return n < 0 && errno != EINTR ? -1 : 0;
}

/* Some are ready. Each is handled once: what more there is comes in the next
 * turn, when the others have had theirs. */
static void
ready_cb(int fd, short what, void *arg)
{
	struct ready *r = arg;

	if (!ready_handle(r))
		return;
	(void)ready_ask(r, 0);
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
	struct epoll_event e = {.events = EPOLLIN, .data.u64 = r->loop_key};

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

/* With a new set. */
static int
ready_make(struct ready *r)
{
	int set = epoll_create1(0);

	if (set < 0)
		return -1;
	if (ready_begin(r, set) == 0)
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
	/* random, as a former process may have left something in the set that
	 * is always ready */
	r->loop_key = (uint64_t)arc4random() << 32 | UINT32_MAX;
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

/* What is ready in the loop is done, until the turn is over: then the sockets
 * have the next one alone. */
static int
ready_run_loop(struct ready *r)
{
	if (event_base_loop(r->base, EVLOOP_ONCE | EVLOOP_NONBLOCK) < 0)
		return -1;
	r->loop_waits = event_base_got_break(r->base) != 0;
	r->loop_ready =
	    event_base_get_num_events(r->base, EVENT_BASE_COUNT_ACTIVE) > 0;
	return 0;
}

int
ready_turn(struct ready *r, int ms)
{
	const bool waits = r->loop_waits;

	if (r->loop < 0)
		return ready_turn_loop(r, ms);
	if (r->at < r->n_told)
		r->loop_ready = true; /* not asked, but it has its turn */
	else if (ready_ask(r, r->loop_ready ? 0 : ms) < 0)
		return -1;
	r->loop_waits = false;
	if (r->loop_ready && !waits && ready_run_loop(r) < 0)
		return -1;
	if (!r->loop_waits)
		(void)ready_handle(r);
	return 0;
}
