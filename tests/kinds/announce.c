/* announce: a test's kind of child that publishes without a connection: "order
 * 1", "order 2" ... to a room, each once, whenever it dies. Its line's cursor
 * is the position of the newest one that it knows of. */
#include <poll.h>
#include <stdio.h>
#include <unistd.h>

#include "announce.h"
#include "base/clock.h"
#include "base/log.h"
#include "hub/journal.h"
#include "hub/lock.h"
#include "hub/publisher.h"
#include "settings.h"

enum { PERIOD_MS = 5 };

/* Its orders are numbered from here, chatd's own from 1. */
static const uint64_t order_base = 1ull << 48;
static const char room[] = "news";

/* The newest order that was accepted, whether or not the process that published
 * it got to its next store. */
static uint64_t
announce_newest(const struct child_start *start)
{
	struct hub *h = start->hub;
	uint64_t newest = order_base, order;
	uint64_t at = SHM_OWN(start->line->cursor), oldest;
	struct publication p;

	hub_lock(h); /* derives what follows from what is committed */
	hub_unlock(h);
	oldest = journal_oldest(h);
	for (at = at > oldest ? at : oldest; at <= journal_tail(h); at++) {
		if (at == 0 || journal_peek(h, at, &p) != JOURNAL_OK)
			continue;
		order = publication_order(&p);
		if (order > newest) {
			newest = order;
			SHM_STORE(start->line->cursor, at);
		}
	}
	return newest;
}

/* Publishes the next one. */
static void
announce_next(const struct child_start *start, uint64_t order)
{
	struct publisher pub = {.hub = start->hub, .wall_ms = clock_wall_ms()};
	char text[32];
	struct publishing what = {.conn = SHM_NONE,
	    .order = order,
	    .format = FORMAT_TEXT,
	    .user = "news",
	    .user_len = 4,
	    .data = text};
	struct publication p;
	uint64_t mask;

	what.len = (size_t)snprintf(text, sizeof(text), "order %llu",
	    (unsigned long long)(order - order_base));
	if (publisher_publish(&pub, room, sizeof(room) - 1, PUBLISH_MAKE, &what,
		&p, &mask) != PUBLISH_OK)
		log_fatal("not published: %s", text);
	KILL_POINT();
	SHM_STORE(start->line->cursor, p.position);
}

void
announce_main(struct child_start *start)
{
	struct pollfd p = {start->link, POLLIN, 0};
	uint64_t order = announce_newest(start);
	struct settings settings = {0};

	child_hello(start);
	while (!child_must_leave(start)) {
		child_tick(start);
		settings_look(&settings, start);
		announce_next(start, ++order);
		log_more();
		poll(&p, 1, PERIOD_MS);
	}
	_exit(0);
}
