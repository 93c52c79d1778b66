/* gather: a turn that writes to many looks at input again before it writes. */
#include "chat_fixture.h"

#include "base/clock.h"
#include "hub/stats.h"
#include "room/relay.h"

enum {
	SLOTS = 64,
	MANY = 20, /* receivers, for which it gathers */
	FEW = 4	   /* and for which it does not */
};

/* A worker with clients, and another one that has one, too. */
struct scene {
	struct hub h;
	struct node *n, *other;
	int n_clients, client[MANY + 1];
};

static int relays;	/* sent */
static uint64_t so_far; /* delivered, when the last of them was */

/* In a link's place. */
static int
relay_count(struct chat *ch, int to, const struct iovec *relay)
{
	relays++;
	so_far = SHM_OWN(ch->hub->mine->cursor);
	return 1;
}

static void
scene_begin(struct scene *s, int clients)
{
	char user[8];
	int k;

	fixture_hub(&s->h, SLOTS, 100, 1 << 20, 4 << 20, 1 << 20);
	s->n = node_new(&s->h, 0);
	s->other = node_new(&s->h, 1);
	s->n_clients = clients;
	for (k = 0; k < clients; k++) {
		snprintf(user, sizeof(user), "u%d", k);
		node_open(s->n, user, &s->client[k]);
	}
	node_open(s->other, "zoe", &s->client[clients]);
	s->n->ch.relay_send = relay_count;
	assert_true(relay_begin(&s->n->ch, 1));
	while (chat_turn(&s->n->ch) == 0)
		;
	relays = 0;
}

static void
scene_end(struct scene *s)
{
	int k;

	relay_end(&s->n->ch, 1);
	for (k = 0; k <= s->n_clients; k++)
		close(s->client[k]);
	hub_destroy(&s->h);
}

/* What is read in a turn is said here. */
static void
say(struct scene *s, const char *text)
{
	s->n->ch.turn_us = clock_us();
	node_say(s->n, "lobby", text);
}

/* Whether it gathers, in a turn that has just begun: a slow machine may have
 * stood still. */
static bool
gathers(struct scene *s)
{
	s->n->ch.turn_us = clock_us();
	return chat_gathers(&s->n->ch);
}

/* A turn in which one thing is said, and no more is coming. */
static void
turn(struct scene *s)
{
	say(s, "LINE");
	while (gathers(s))
		;
	chat_turn(&s->n->ch);
}

static uint64_t
writes(const struct scene *s)
{
	return SHM_OWN(s->n->h.me->writes);
}

/* What is said while it gathers leaves in one write for each receiver. */
static void
test_one_write(void **state)
{
	struct scene s;
	uint64_t before;
	int k;

	scene_begin(&s, MANY);
	turn(&s);
	before = writes(&s);
	say(&s, "LINE");
	assert_true(gathers(&s));
	node_say(s.n, "lobby", "LINE");
	assert_true(gathers(&s));
	node_say(s.other, "lobby", "last");
	assert_true(gathers(&s));
	assert_int_equal(writes(&s), before);
	/* two looks that find nothing */
	assert_true(gathers(&s));
	assert_false(gathers(&s));
	chat_turn(&s.n->ch);
	assert_int_equal(writes(&s), before + MANY);
	for (k = 0; k < MANY; k++)
		assert_int_equal(client_got(s.client[k], "LINE", "last"), 3);
	scene_end(&s);
}

/* What was said is delivered here before another worker is sent it, which is
 * sent it before this one looks again. */
static void
test_delivered_first(void **state)
{
	struct scene s;

	scene_begin(&s, MANY);
	turn(&s);
	relays = 0;
	say(&s, "LINE");
	assert_true(gathers(&s));
	assert_int_equal(relays, 1);
	assert_int_equal(so_far, journal_tail(&s.h));
	node_say(s.n, "lobby", "LINE");
	assert_true(gathers(&s));
	assert_int_equal(relays, 2);
	assert_int_equal(so_far, journal_tail(&s.h));
	scene_end(&s);
}

/* Not for few receivers, for which looking costs more than writing. */
static void
test_few(void **state)
{
	struct scene s;
	int k;

	scene_begin(&s, FEW);
	for (k = 0; k < 2; k++) {
		say(&s, "LINE");
		assert_false(chat_gathers(&s.n->ch));
		chat_turn(&s.n->ch);
	}
	scene_end(&s);
}

/* Nor where nothing was said, or in a turn that has lasted long. */
static void
test_not(void **state)
{
	struct scene s;

	scene_begin(&s, MANY);
	turn(&s);
	assert_false(chat_gathers(&s.n->ch));
	assert_false(gathers(&s));
	say(&s, "LINE");
	s.n->ch.turn_us -= 1000000;
	assert_false(chat_gathers(&s.n->ch));
	chat_turn(&s.n->ch);
	scene_end(&s);
}

/* Not more than a turn's share, however much is said. */
static void
test_share(void **state)
{
	struct scene s;
	uint64_t most = 0;
	int k;

	scene_begin(&s, MANY);
	turn(&s);
	say(&s, "LINE");
	for (k = 0; gathers(&s); k++)
		while (most++ < 100ull * (unsigned)(k + 1))
			node_say(s.n, "lobby", "LINE");
	assert_in_range(k, 2, 3);
	assert_int_equal(chat_turn(&s.n->ch), 0);
	while (chat_turn(&s.n->ch) == 0)
		;
	assert_int_equal(SHM_OWN(s.n->h.mine->cursor), journal_tail(&s.h));
	scene_end(&s);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_one_write),
	    cmocka_unit_test(test_delivered_first),
	    cmocka_unit_test(test_few),
	    cmocka_unit_test(test_not),
	    cmocka_unit_test(test_share),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
