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
	struct event event;
	struct epoll_event *told; /* [READY_MAX] */
	int n_told, at;		  /* those from `at` on are not handled yet */
};

/* Handles those that were told of. False: the turn is over. */
static bool
ready_handle(struct ready *r)
{
	const uint32_t broken = EPOLLERR | EPOLLHUP;
	const struct epoll_event *e;
	unsigned what;

	while (r->at < r->n_told) {
		e = &r->told[r->at++];
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

/* Asks the kernel. */
static void
ready_ask(struct ready *r)
{
	int k;

	r->at = 0;
	r->n_told = epoll_wait(r->set, r->told, READY_MAX, 0);
	if (r->host->seen != NULL)
		for (k = 0; k < r->n_told; k++)
			r->host->seen(r->arg, r->told[k].data.u64);
}

/* Some are ready. Each is handled once: what more there is comes in the next
 * turn, when the others have had theirs. */
static void
ready_cb(int fd, short what, void *arg)
{
	struct ready *r = arg;

	if (!ready_handle(r))
		return;
	ready_ask(r);
	(void)ready_handle(r);
}

/* Has the loop watch a set. */
static int
ready_begin(struct ready *r, int set)
{
	event_assign(
	    &r->event, r->base, set, EV_READ | EV_PERSIST, ready_cb, r);
	if (event_add(&r->event, NULL) < 0)
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

	event_del(&r->event);
	if (ready_make(r) == 0)
		return old;
	error = errno;
	(void)ready_begin(r, old);
	errno = error;
	return -1;
}
