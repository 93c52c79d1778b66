#include "process/reader_child.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "codec/message.h"
#include "hub/line.h"
#include "hub/reader.h"
#include "net/link.h"
#include "process/child.h"

void
reader_child_init(
    struct reader_child *c, struct child_start *start, struct reader *reader)
{
	*c = (struct reader_child){.start = start, .reader = reader};
	for (int k = 0; k < SHM_WORKERS; k++)
		c->link[k] = -1;
	reader_child_blocked(c, false);
}

/* Gives up the link to a worker, if there is one. */
static void
reader_link_close(struct reader_child *c, int worker)
{
	if (c->link[worker] != -1)
		close(c->link[worker]);
	c->link[worker] = -1;
}

/* What the master says to it besides what it says to all: links. */
static void
reader_link_take(void *arg, int type, const void *payload, size_t len, int fd)
{
	struct reader_child *c = arg;
	struct message_link link;

	if (type == MSG_LINK) {
		memcpy(&link, payload, sizeof(link));
		if (link.peer < SHM_WORKERS) {
			reader_link_close(c, (int)link.peer);
			c->link[link.peer] = fd;
			/* what was said before it had the link */
			c->wake |= 1ull << link.peer;
			return;
		}
	}
	if (fd != -1)
		close(fd);
	else if (c->other != NULL)
		c->other(c->other_arg, type, payload, len);
}

void
reader_child_wake(struct reader_child *c, uint64_t mask)
{
	c->wake |= mask;
}

void
reader_child_flush(struct reader_child *c)
{
	const struct relay_record rec = {.position = 0};
	int k;

	for (; c->wake != 0; c->wake &= c->wake - 1) {
		k = __builtin_ctzll(c->wake);
		if (c->link[k] != -1 &&
		    link_send(c->link[k], MSG_RELAY, &rec, sizeof(rec), -1) ==
			-1 &&
		    errno != EAGAIN) /* full: it will look by itself */
			reader_link_close(c, k);
	}
}

bool
reader_child_turn(struct reader_child *c, int ms)
{
	child_tick(c->start);
	reader_child_flush(c);
	log_more();
	/* what it cannot read yet is no reason not to wait */
	if (ms > 0 && c->blocked)
		(void)poll(NULL, 0, ms);
	else if (ms > 0)
		reader_wait(c->reader, ms);
	KILL_POINT();
	return !child_read(c->start, reader_link_take, c);
}

void
reader_child_blocked(struct reader_child *c, bool blocked)
{
	c->blocked = blocked;
	SHM_TELL(c->start->line->hand, blocked ? HAND_BLOCKED : HAND_NOTHING);
}
