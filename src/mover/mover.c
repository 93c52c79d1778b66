#include "mover/mover.h"

#include <errno.h>
#include <poll.h>
#include <seccomp.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/sparse.h"
#include "codec/message.h"
#include "hub/slot.h"
#include "hub/stats.h"
#include "net/custody.h"
#include "net/link.h"
#include "process/family.h"
#include "takeover/table.h"

enum {
	TICK_MS = 100, /* between life signs, and looks at all sockets */
	RETRY_MS = 1   /* the link is full: again after */
};

/* A socket of the place. The slot is another connection's some day, so what it
 * said at first is kept here. */
struct held {
	uint64_t id; /* of the connection */
	int fd;	     /* -1: closed */
};

struct mover {
	struct child_start *start;
	struct held *held;
	uint32_t n;
	uint32_t unused; /* claims whose descriptor is no client's socket */
	int link;	 /* to who goes on with them; -1: none asks */
	struct custody_giver giver;
	uint32_t looked; /* of those given: looked at since */
	uint64_t looked_ms;
};

/* Whether a life word is that of a connection of this place. */
static bool
life_is_ours(const struct hub *h, uint64_t life)
{
	const enum slot_state state = life & 7;
	const uint64_t holder =
	    (state == SLOT_MOVING ? life >> 48 : life >> 8) & 0xff;

	return state != SLOT_FREE && state != SLOT_TAKEN &&
	    holder == (uint64_t)h->self;
}

/* The life word of a connection's slot; 0, which is none of a connection, if
 * that is another one's by now. */
static uint64_t
held_life(const struct hub *h, const struct held *held)
{
	const uint32_t i = (uint32_t)held->id;
	const uint64_t life = SHM_LOAD(h->slot[i].life);

	return (life >> 16 << 32 | i) == held->id ? life : 0;
}

/* Whether a descriptor is a socket that clients may have. Those that this
 * process has besides are none. */
static bool
socket_is_client(int fd)
{
	int domain = AF_UNSPEC;
	socklen_t len = sizeof(domain);

	return getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &len) == 0 &&
	    (domain == AF_INET || domain == AF_INET6);
}

/* Notes the socket that a slot claims, if it is one that no other slot has
 * claimed: seen[fd]. */
static void
mover_note(struct mover *m, uint32_t i, bool *seen)
{
	const struct hub *h = m->start->hub;
	const uint64_t life = SHM_LOAD(h->slot[i].life);
	int fd;

	if (!life_is_ours(h, life))
		return;
	fd = table_fd(h, slot_socket(h, i));
	if (fd < 0 || seen[fd] || !socket_is_client(fd)) {
		m->unused++;
		return;
	}
	seen[fd] = true;
	m->held[m->n++] = (struct held){life >> 16 << 32 | i, fd};
}

/* Closes the set in which the worker watched its clients: sockets that go on
 * elsewhere could not be taken out of it once they are closed here. The word
 * may be any number. */
static void
mover_unwatch(struct mover *m)
{
	struct hub *h = m->start->hub;
	const int set = table_fd(h, SHM_LOAD(h->me->watch));

	SHM_STORE(h->me->watch, 0);
	if (set != -1 && set != m->start->link)
		close(set);
	KILL_POINT();
}

/* Notes the place's sockets. */
static void
mover_collect(struct mover *m)
{
	struct hub *h = m->start->hub;
	bool *seen = sparse_new(TABLE_END, sizeof(*seen));
	uint32_t i;

	m->held = sparse_new(h->n_slots, sizeof(*m->held));
	if (seen == NULL || m->held == NULL)
		log_fatal("mover: %s", strerror(errno));
	for (i = slot_ever(h, 0); i < h->n_slots; i = slot_ever(h, i + 1)) {
		mover_note(m, i, seen);
		if (i % SHM_BLOCK == 0)
			child_tick(m->start);
	}
	sparse_free(seen, TABLE_END, sizeof(*seen));
	m->giver = (struct custody_giver){.next = m->n + 1, .n = m->n};
	if (m->unused > 0)
		log_warn("%u connections of worker %d have no socket here",
		    m->unused, m->start->number);
	log_info("holds %u connections of worker %d for others", m->n,
	    m->start->number);
}

/* Closes those that go on elsewhere, or have ended: who has them has
 * descriptors of its own, and a FIN leaves with the last one alone. */
static void
mover_look(struct mover *m, uint32_t from, uint32_t to)
{
	const struct hub *h = m->start->hub;

	for (; from < to && from < m->n; from++) {
		struct held *held = &m->held[from];

		if (held->fd == -1 || life_is_ours(h, held_life(h, held)))
			continue;
		close(held->fd);
		KILL_POINT();
		held->fd = -1;
	}
}

/* For custody_serve(): those that another worker may take. */
static bool
mover_at(void *arg, uint32_t k, uint64_t *id, int *fd)
{
	const struct mover *m = arg;
	const struct held *held = &m->held[k];
	const uint64_t life = held_life(m->start->hub, held);

	*id = held->id;
	*fd = held->fd;
	return held->fd != -1 && life_is_ours(m->start->hub, life) &&
	    ((life & 7) == SLOT_OPEN || (life & 7) == SLOT_ENDING ||
		(life & 7) == SLOT_MOVING);
}

/* Another process asks from now on, for all that is left. */
static void
mover_link(struct mover *m, int link)
{
	if (m->link != -1)
		close(m->link);
	m->link = link;
	m->giver.next = m->looked = 0;
	m->giver.room = 0;
	KILL_POINT();
}

/* Takes up the master's word. Returns whether it is to leave: then, and when
 * the master is gone. */
static bool
mover_control(struct mover *m)
{
	struct link_datagram d[LINK_BATCH];
	const void *payload;
	const char *why;
	size_t len;
	int n = link_receive(m->start->link, d), type;
	bool leave = n == -1;

	for (int k = 0; k < n; k++) {
		type = message_check(d[k].bytes, d[k].len, d[k].n_fds,
		    PARTY_MASTER, &payload, &len, &why);
		if (type == MSG_GIVE_BACK)
			mover_link(m, d[k].fd);
		else if (d[k].fd != -1)
			close(d[k].fd);
		leave = leave || type == MSG_STOP;
	}
	return leave;
}

/* Gives what is asked for. Who asks again has taken what it had been given.
 * True: the link is full. */
static bool
mover_serve(struct mover *m, bool asked)
{
	const uint64_t now = clock_ms();
	bool full;

	if (now - m->looked_ms >= TICK_MS) {
		m->looked_ms = now;
		mover_look(m, 0, m->n);
	} else if (asked)
		mover_look(m, m->looked, m->giver.next);
	if (asked)
		m->looked = m->giver.next;
	full = custody_serve(&m->giver, &m->link, mover_at, m);
	KILL_POINT();
	return full;
}

/* Serves until it is told to leave. What it has not given stays in the table,
 * for the next process. */
static void __attribute__((noreturn)) mover_begin(struct child_start *start)
{
	struct mover m = {.start = start, .link = -1};
	struct pollfd p[2];
	bool full = false;

	/* the number is needed for the link, in a table that is full */
	close(FAMILY_RESERVE);
	mover_unwatch(&m);
	mover_collect(&m);
	child_hello(start);
	child_confine(start);
	do {
		p[0] = (struct pollfd){start->link, POLLIN, 0};
		p[1] = (struct pollfd){m.link, POLLIN, 0};
		if (poll(p, 2, full ? RETRY_MS : TICK_MS) < 0) {
			if (errno != EINTR)
				log_fatal("mover: %s", strerror(errno));
			p[0].revents = p[1].revents = 0;
		}
		child_tick(start);
		log_more();
		full = mover_serve(&m, p[1].revents != 0);
	} while (p[0].revents == 0 || !mover_control(&m));
	child_leave();
}

/* All that a mover calls once it serves. */
static const int mover_calls[] = {SCMP_SYS(recvmsg), SCMP_SYS(recvmmsg),
    SCMP_SYS(sendmsg), SCMP_SYS(sendto), SCMP_SYS(write), SCMP_SYS(poll),
    SCMP_SYS(ppoll), SCMP_SYS(close), SCMP_SYS(clock_gettime),
    SCMP_SYS(exit_group), SCMP_SYS(rt_sigreturn), SCMP_SYS(restart_syscall),
    -1};

const struct child_kind mover_kind = {.name = "mover",
    .n = CHILD_EACH_WORKER,
    .gets = CHILD_HUB,
    .calls = mover_calls,
    .settle = table_settle,
    .main = mover_begin};
