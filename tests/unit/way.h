/* way: a connection that is on its way from one worker to another. */
#ifndef CHATD_TESTS_WAY_H
#define CHATD_TESTS_WAY_H

#include "chat_fixture.h"

enum { SLOTS = 64 };

static const struct adopt_fault no_fault __attribute__((unused));

/* Workers 0 and 1 and a connection of alice that is on its way from the first
 * to the second. */
struct way {
	struct hub h;
	struct node *giver, *taker;
	uint32_t i;
	uint64_t id;
	int client, fd; /* fd: for another process */
};

/* Before it begins. */
static inline void
way_open(struct way *w, uint32_t slots)
{
	fixture_hub(&w->h, slots, 100, 1 << 20, 4 << 20, 1 << 20);
	w->giver = node_new(&w->h, 0);
	w->taker = node_new(&w->h, 1);
	w->i = node_open(w->giver, "alice", &w->client);
	w->id = slot_id(&w->h, w->i);
	w->fd = node_fd(w->giver, w->i);
}

/* The giver gives. */
static inline void
way_freeze(struct way *w)
{
	assert_int_equal(give_freeze(&w->giver->ch, 1), w->i);
	assert_int_equal(slot_state(&w->h, w->i), SLOT_MOVING);
	assert_int_equal(slot_giver(&w->h, w->i), 0);
}

static inline void
way_begin(struct way *w, uint32_t slots)
{
	way_open(w, slots);
	way_freeze(w);
}

static inline void
way_end(struct way *w)
{
	close(w->client);
	hub_destroy(&w->h);
}

/* The connection is here and gets what is said, once. */
static inline void
goes_on(struct way *w, struct node *n)
{
	assert_int_equal(slot_find(&w->h, w->id), w->i);
	assert_int_equal(slot_worker(&w->h, w->i), n->h.self);
	assert_int_equal(slot_state(&w->h, w->i), SLOT_OPEN);
	assert_int_equal(n->ch.conn[w->i].phase, CONN_OPEN);
	node_say(n, "lobby", "the end");
	chat_turn(&n->ch);
	assert_int_equal(client_got(w->client, "the end", "the end"), 1);
}

#endif
