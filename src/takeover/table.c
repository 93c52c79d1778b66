#include "takeover/table.h"

#include <fcntl.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "hub/slot.h"
#include "hub/stats.h"
#include "net/counters.h"
#include "takeover/move.h"

enum {
	WORD = 64, /* descriptors in a word of a set */
	/* Numbers behind the highest claim that are looked at one by one.
	 * Smaller: an orphan there is closed; larger: a takeover takes
	 * longer, by 0.1 us each. */
	PROBE = 128,
	/* Unclaimed numbers that are looked at in all; further ones are closed
	 * unseen. An orphan had the lowest free number when it was accepted, so
	 * it is among the first, unless thousands of connections ended in the
	 * same turn. Larger: a table of few high numbers costs more time. */
	PROBES_MAX = 16 * 1024,
	ORPHANS_MAX = 256
};

/* All zero at first. Its pages are those of numbers that are used. */
static struct {
	uint64_t claimed[TABLE_END / WORD];
	uint64_t twice[TABLE_END / WORD];
	int top;   /* highest number that is claimed */
	int watch; /* epoll set of clients; -1: none */
	int orphan[ORPHANS_MAX];
	int n_orphans;
	struct table_found found;
} table;

static inline bool
set_has(const uint64_t *set, int fd)
{
	return (set[fd / WORD] >> fd % WORD & 1) != 0;
}

static inline void
set_add(uint64_t *set, int fd)
{
	set[fd / WORD] |= 1ull << fd % WORD;
}

static inline void
set_drop(uint64_t *set, int fd)
{
	set[fd / WORD] &= ~(1ull << fd % WORD);
}

/* Notes that a number is claimed. */
static void
table_claim(int fd)
{
	set_add(table.claimed, fd);
	if (fd > table.top)
		table.top = fd;
}

/* One slot of this worker: its claim stands if the descriptor is open. */
static void
table_claim_slot(struct hub *h, uint32_t i)
{
	int fd = slot_fd(h, i);

	if (fd < 0)
		return;
	if (fcntl(fd, F_GETFD) < 0) {
		table.found.missing++;
		SHM_STORE(h->socket[i], 0);
	} else if (set_has(table.claimed, fd)) {
		table.found.doubled++;
		set_add(table.twice, fd);
	} else {
		table.found.claimed++;
		table_claim(fd);
	}
}

/* The epoll set of clients stays; if it is not open, or a slot names it as its
 * socket, there is none. */
static void
table_claim_watch(struct hub *h)
{
	table.watch = table_fd(h, SHM_LOAD(h->me->watch));
	if (table.watch >= 0 && !set_has(table.claimed, table.watch) &&
	    fcntl(table.watch, F_GETFD) >= 0) {
		table_claim(table.watch);
		return;
	}
	table.watch = -1;
	SHM_STORE(h->me->watch, 0);
}

/* Of what more than one slot claims none has it. */
static void
table_unclaim_twice(struct hub *h)
{
	uint32_t i;
	int fd;

	for (i = slot_ever(h, 0); i < h->n_slots; i = slot_ever(h, i + 1)) {
		fd = slot_holder(h, i) == h->self ? slot_fd(h, i) : -1;
		if (fd < 0 || !set_has(table.twice, fd))
			continue;
		set_drop(table.claimed, fd);
		SHM_STORE(h->socket[i], 0);
	}
}

/* Collects what slots claim. No connection of this worker can become another
 * one's meanwhile: those on their way were recalled. */
static void
table_claims(struct hub *h)
{
	uint32_t i;

	for (i = slot_ever(h, 0); i < h->n_slots; i = slot_ever(h, i + 1))
		if (slot_holder(h, i) == h->self)
			table_claim_slot(h, i);
	table_claim_watch(h);
	if (table.found.doubled > 0)
		table_unclaim_twice(h);
}

/* Closes what nobody claims. The epoll set forgets a socket by itself only when
 * nobody else has it, and a keeper that is about to leave still may. */
static void
table_close(int fd)
{
	if (table.watch >= 0)
		(void)epoll_ctl(table.watch, EPOLL_CTL_DEL, fd, NULL);
	if (close(fd) == 0)
		table.found.closed++;
	KILL_POINT();
}

/* Behind the last number that is looked at by itself. A process of this place
 * may have opened higher ones than any slot can name. */
static int
table_end(void)
{
	return table.top + PROBE < TABLE_END ? table.top + PROBE : TABLE_END;
}

/* A number that nobody claims, open or not. */
static void
table_sweep_one(int fd)
{
	if (fcntl(fd, F_GETFD) < 0)
		return;
	/* one that came from another table may be another worker's by now */
	if (table.n_orphans < ORPHANS_MAX && !counters_has_come(fd) &&
	    counters_untouched(fd)) {
		table.orphan[table.n_orphans++] = fd;
		set_add(table.claimed, fd);
	} else
		table_close(fd);
}

/* Looks at all numbers that nobody claims. */
static void
table_sweep(void)
{
	int fd, end = table_end(), left = PROBES_MAX, from;

	for (fd = TABLE_FIRST; fd < end && left > 0; fd++) {
		if (fd % WORD == 0 && table.claimed[fd / WORD] == UINT64_MAX) {
			fd += WORD - 1;
			continue;
		}
		if (set_has(table.claimed, fd))
			continue;
		table_sweep_one(fd);
		left--;
	}
	/* the rest: what lies between two claims at once */
	for (from = fd; fd <= table.top; fd++)
		if (set_has(table.claimed, fd)) {
			if (from < fd)
				close_range(
				    (unsigned)from, (unsigned)fd - 1, 0);
			from = fd + 1;
		}
	close_range((unsigned)from, ~0u, 0);
	KILL_POINT();
}

void
table_settle(struct hub *h)
{
	if (table.top != 0)
		memset(&table, 0, sizeof(table));
	table.top = TABLE_FIRST - 1;
	/* in this order: what the dead worker had taken names its descriptor
	 * here, then what it had given is its own again */
	move_redo(h, h->self);
	slot_recall(h, h->self);
	table_claims(h);
	table_sweep();
}

int
table_orphan(void)
{
	return table.n_orphans > 0 ? table.orphan[--table.n_orphans] : -1;
}

uint32_t
table_own(void)
{
	int fd, end = table_end(), left = PROBES_MAX;
	uint32_t n = 0;

	for (fd = 0; fd < end && left > 0; fd++) {
		if (set_has(table.claimed, fd))
			continue;
		n += fcntl(fd, F_GETFD) >= 0;
		left--;
	}
	return n;
}

const struct table_found *
table_found(void)
{
	return &table.found;
}
