/* watched: what the kernel says that is in a worker's epoll set. */
#ifndef CHATD_TESTS_WATCHED_H
#define CHATD_TESTS_WATCHED_H

#include "chat_fixture.h"

#include <stdio.h>
#include <sys/epoll.h>

#include "hub/stats.h"

/* The set that the next worker may keep; -1: none. */
static inline int
watched_set(const struct node *n)
{
	return table_fd(&n->h, SHM_LOAD(n->h.me->watch));
}

/* How many sockets are in a set; *what: what one of them is watched for, 0: it
 * is not in it, and *key: by what it is told of. */
static inline int
watched_in(int set, int fd, unsigned *what, uint64_t *key)
{
	char path[64], line[256];
	unsigned long long data;
	unsigned events;
	int n = 0, tfd;
	FILE *f;

	*what = 0;
	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", set);
	assert_non_null(f = fopen(path, "r"));
	while (fgets(line, sizeof(line), f) != NULL) {
		if (sscanf(line, "tfd: %d events: %x data: %llx", &tfd, &events,
			&data) != 3)
			continue;
		n++;
		if (tfd != fd)
			continue;
		*key = data;
		*what = (events & EPOLLIN ? READY_READ : 0) |
		    (events & EPOLLOUT ? READY_WRITE : 0);
	}
	fclose(f);
	return n;
}

/* Each connection of a worker is watched for what its state asks for, in the
 * set that its line names, and nothing else is in that; what slots say is so.
 */
static inline void
watched_look(struct node *n)
{
	const int set = watched_set(n);
	uint32_t i = SHM_NONE;
	uint64_t key = 0;
	unsigned what;
	int in = 0, all = 0;

	assert_true(set >= 0);
	while (conn_next(&n->ch, &i)) {
		const struct conn *c = &n->ch.conn[i];

		all = watched_in(set, c->fd, &what, &key);
		assert_int_equal(what, c->watched);
		assert_int_equal(what,
		    (c->paused || c->waits ? 0 : READY_READ) |
			(c->blocked ? READY_WRITE : 0));
		if (what != 0)
			assert_int_equal(key, slot_id(&n->h, i));
		assert_int_equal(
		    SHM_LOAD(n->h.slot[i].watched), what == READY_READ);
		in += what != 0;
	}
	assert_int_equal(in, all);
}

/* The worker that comes after a dead one, with its table. */
static inline struct node *
watched_next(const struct hub *h)
{
	struct adopt_result r;

	return node_next(h, &r);
}

#endif
