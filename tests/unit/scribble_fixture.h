/* scribble_fixture: two users in rooms at one worker, whose records are then
 * written over. */
#ifndef CHATD_TESTS_SCRIBBLE_FIXTURE_H
#define CHATD_TESTS_SCRIBBLE_FIXTURE_H

#include "chat_fixture.h"

#include "hub/stats.h"

enum { SLOTS = 64, ROOMS = 4, SECONDS = 20 };

/* Alice in some rooms, bob in the first of them, at worker 0. */
struct scene {
	struct hub h;
	struct node *n;
	uint32_t alice, bob, sub[ROOMS], bobs;
	int client[2];
};

static inline uint32_t
join(struct node *n, uint32_t conn, const char *room)
{
	const struct subscription terms = {.flags = SUBSCRIPTION_PRESENT};
	struct channel_position at;
	uint32_t sub;

	assert_int_equal(channel_subscribe(&n->ch, conn, room, strlen(room),
			     &terms, &at, &sub),
	    CHANNEL_OK);
	return sub;
}

static inline void
scene_begin(struct scene *s)
{
	char room[] = "room0";
	int k;

	alarm(SECONDS); /* a loop without end ends the test */
	fixture_hub(&s->h, SLOTS, 100, 1 << 20, 4 << 20, 1 << 20);
	s->n = node_new(&s->h, 0);
	s->alice = node_open(s->n, "alice", &s->client[0]);
	s->bob = node_open(s->n, "bob", &s->client[1]);
	for (k = 0; k < ROOMS; k++, room[4]++)
		s->sub[k] = join(s->n, s->alice, room);
	s->bobs = join(s->n, s->bob, "room0");
}

static inline void
scene_end(struct scene *s)
{
	alarm(0);
	close(s->client[0]);
	close(s->client[1]);
	hub_destroy(&s->h);
}

/* Says something in a channel, and it is delivered. */
static inline void
say(struct node *n, const char *channel, const char *text)
{
	node_say(n, channel, text);
	chat_turn(&n->ch);
}

/* Bob has got a text, once. */
static inline void
bob_got(struct scene *s, const char *text)
{
	node_say(s->n, "lobby", "the end");
	chat_turn(&s->n->ch);
	assert_int_equal(client_got(s->client[1], text, "the end"), 1);
}

#endif
