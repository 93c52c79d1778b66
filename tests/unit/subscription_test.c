/* subscription: a record is one connection's, by its id: never that of the
 * connection that has the slot's number next, wherever workers died. */
#include "chat_fixture.h"
#include "room/event.h"

#include "hub/subscription.h"

enum { SLOTS = 64 };

static const struct adopt_fault no_fault;

/* Workers 0 and 1; alice and bob are in a room at the first. */
struct scene {
	struct hub h;
	struct node *first, *second;
	uint32_t alice, bob, sub;
	int client[2];
};

/* A connection is in a channel; its record. */
static uint32_t
join(struct node *n, uint32_t conn, const char *room)
{
	const struct subscription terms = {
	    .flags = SUBSCRIPTION_PRESENT | SUBSCRIPTION_JOIN_LEAVE};
	struct channel_position at;
	uint32_t sub;

	assert_int_equal(channel_subscribe(&n->ch, conn, room, strlen(room),
			     &terms, &at, &sub),
	    CHANNEL_OK);
	channel_tell_join(&n->ch, sub);
	return sub;
}

static void
scene_begin(struct scene *s)
{
	fixture_hub(&s->h, SLOTS, 100, 1 << 20, 4 << 20, 1 << 20);
	s->first = node_new(&s->h, 0);
	s->second = node_new(&s->h, 1);
	s->alice = node_open(s->first, "alice", &s->client[0]);
	s->bob = node_open(s->first, "bob", &s->client[1]);
	s->sub = join(s->first, s->alice, "secret");
	join(s->first, s->bob, "secret");
	chat_turn(&s->first->ch);
}

static void
scene_end(struct scene *s)
{
	close(s->client[0]);
	close(s->client[1]);
	hub_destroy(&s->h);
}

/* Carol comes, to the slot that alice had, and is in no room. */
static int
carol_comes(struct scene *s)
{
	int client;

	assert_int_equal(node_open(s->first, "carol", &client), s->alice);
	return client;
}

/* How often carol hears what is said in the room; and bob does. */
static int
carol_hears(struct scene *s, int carol)
{
	node_say(s->first, "secret", "not for carol");
	node_say(s->first, "lobby", "the end");
	chat_turn(&s->first->ch);
	assert_int_equal(
	    client_got(s->client[1], "not for carol", "the end"), 1);
	return client_got(carol, "not for carol", "the end");
}

/* Whom she was to go to has copied her subscriptions, and dies. */
static void
taker_dies(struct scene *s)
{
	struct subscription copy = s->h.subscription[s->sub];

	assert_int_equal(give_freeze(&s->first->ch, 1), s->alice);
	assert_int_not_equal(subscription_prepare(&s->second->h,
				 &s->second->ch.rooms->subscriptions, &copy, 0),
	    SHM_NONE);
}

/* Alice is in the room still, at the first worker, and leaves it when she
 * goes: nothing is left of her. */
static void
alice_is_whole(struct scene *s)
{
	int carol;

	give_back(&s->first->ch, 1);
	assert_int_equal(
	    channel_subscription(&s->first->ch, s->alice, "secret", 6), s->sub);
	conn_drop(&s->first->ch, s->alice, NULL);
	assert_int_equal(s->first->ch.rooms->subscriptions.n_used, 1);
	carol = carol_comes(s);
	assert_int_equal(carol_hears(s, carol), 0);
	close(carol);
}

/* The replacement of a taker that died before it took her leaves her chain
 * alone: she is her giver's. */
static void
test_taker_is_replaced(void **state)
{
	static int none[SLOTS];
	struct adopt_result r;
	struct node *next;
	struct scene s;

	scene_begin(&s);
	taker_dies(&s);
	next = node_new(&s.h, 1);
	node_adopt(next, none, &no_fault, &r);
	assert_int_equal(r.adopted + r.lost, 0);
	assert_int_equal(next->ch.rooms->subscriptions.n_used, 0);
	alice_is_whole(&s);
	scene_end(&s);
}

/* So does who adopts from it. */
static void
test_taker_is_adopted(void **state)
{
	struct node *third;
	struct scene s;

	scene_begin(&s);
	taker_dies(&s);
	third = node_new(&s.h, 2);
	slot_recall(&third->h, 1);
	subscription_rechain(&third->h, 1);
	chat_clean(&third->h, 1);
	alice_is_whole(&s);
	scene_end(&s);
}

/* Loses alice's chain, and alice; her record stays. */
static void
record_stays(struct scene *s)
{
	s->h.slot[s->alice].subscriptions = 0;
	conn_drop(&s->first->ch, s->alice, NULL);
	assert_int_not_equal(s->h.subscription[s->sub].channel, 0);
}

static bool
count_cb(const struct channel_member *m, void *arg)
{
	++*(uint32_t *)arg;
	return true;
}

/* A record that outlives its connection is not that of the next one there: it
 * is not delivered to, not shown, not told of, not found, not ended. */
static void
test_record_of_another(void **state)
{
	struct subscription_walk w;
	struct channel_position at;
	uint32_t n = 0, left;
	struct scene s;
	int carol;

	scene_begin(&s);
	record_stays(&s);
	carol = carol_comes(&s);
	assert_int_equal(carol_hears(&s, carol), 0);
	channel_find(&s.first->ch, "secret", 6, false, &at);
	channel_members(&s.first->ch, &at, 100, count_cb, &n);
	assert_int_equal(n, 1);
	left = (uint32_t)journal_tail(&s.h);
	channel_tell_leave(&s.first->ch, s.sub);
	assert_int_equal(journal_tail(&s.h), left);
	/* a chain that leads there */
	s.h.slot[s.alice].subscriptions = s.sub + 1;
	w = subscription_walk(&s.h, s.alice);
	assert_int_equal(subscription_walk_next(&s.h, &w), SHM_NONE);
	assert_int_equal(subscription_count(&s.h, s.alice), 0);
	assert_int_equal(
	    channel_subscription(&s.first->ch, s.alice, "secret", 6), SHM_NONE);
	close(carol);
	scene_end(&s);
}

/* The worker is replaced with such a record there: carol stays out of the room,
 * and bob in it. */
static void
test_record_is_not_adopted(void **state)
{
	static int fd[SLOTS];
	struct adopt_result r;
	struct scene s;
	int carol;

	scene_begin(&s);
	record_stays(&s);
	carol = carol_comes(&s);
	fd[s.alice] = s.first->ch.conn[s.alice].fd + 1;
	fd[s.bob] = s.first->ch.conn[s.bob].fd + 1;
	s.first = node_new(&s.h, 0);
	node_adopt(s.first, fd, &no_fault, &r);
	assert_int_equal(r.adopted, 2);
	assert_int_equal(s.first->ch.rooms->subscriptions.n_used, 1);
	assert_int_equal(subscription_count(&s.h, s.alice), 0);
	assert_int_equal(carol_hears(&s, carol), 0);
	close(carol);
	scene_end(&s);
}

/* Whose worker is cleaned up after: the room is not told that carol has left
 * it. */
static void
test_record_is_not_told(void **state)
{
	struct publication p;
	struct scene s;
	uint64_t at;
	int carol;

	scene_begin(&s);
	record_stays(&s);
	carol = carol_comes(&s);
	at = journal_tail(&s.h);
	channel_tell_gone(&s.second->h, 0, 0);
	while (++at <= journal_tail(&s.h))
		if (journal_peek(&s.h, at, &p) == JOURNAL_OK &&
		    p.channel == s.h.subscription[s.sub].channel - 1)
			assert_true(p.sender == slot_id(&s.h, s.bob));
	close(carol);
	scene_end(&s);
}

/* Sweeps until all has been looked at. */
static void
sweep_all(struct node *n)
{
	uint32_t at = 0;

	do {
		at = n->ch.rooms->record_at;
		chat_sweep(&n->ch);
	} while (n->ch.rooms->record_at > at);
}

/* What a connection does not know of is found, and mended or gone. */
static void
test_sweep(void **state)
{
	struct scene s;
	uint32_t hall, channel, k;

	scene_begin(&s);
	channel = s.h.subscription[s.sub].channel - 1;
	hall = join(s.first, s.alice, "hall");
	for (k = 0; k < 3; k++) {
		s.h.slot[s.alice].subscriptions = 0;
		sweep_all(s.first);
		assert_int_equal(subscription_count(&s.h, s.alice), 2);
		assert_int_equal(s.first->ch.rooms->subscriptions.n_used, 3);
	}
	assert_int_equal(
	    channel_subscription(&s.first->ch, s.alice, "secret", 6), s.sub);
	assert_int_equal(
	    channel_subscription(&s.first->ch, s.alice, "hall", 4), hall);
	s.h.slot[s.alice].subscriptions = 0;
	conn_drop(&s.first->ch, s.alice, NULL);
	sweep_all(s.first);
	assert_int_equal(s.first->ch.rooms->subscriptions.n_used, 1);
	/* bob is there, and nobody in the hall any more */
	assert_int_equal(s.first->ch.rooms->members[channel], 1);
	assert_int_equal(
	    presence_mask(&s.h, presence_find(&s.h, "hall", 4)), 0);
	assert_int_equal(
	    presence_mask(&s.h, presence_find(&s.h, "secret", 6)), 1);
	scene_end(&s);
}

/* What is on its way to another worker is not gone. */
static void
test_sweep_moving(void **state)
{
	struct scene s;
	uint64_t id;
	int fd;

	scene_begin(&s);
	id = slot_id(&s.h, s.alice);
	fd = node_fd(s.first, s.alice);
	assert_int_equal(give_freeze(&s.first->ch, 1), s.alice);
	sweep_all(s.first);
	assert_int_equal(s.first->ch.rooms->subscriptions.n_used, 2);
	assert_int_equal(
	    move_take(&s.second->ch, 0, &id, &fd, 1, NULL, NULL), 1);
	sweep_all(s.first);
	sweep_all(s.second);
	assert_int_equal(s.first->ch.rooms->subscriptions.n_used, 1);
	assert_int_equal(s.second->ch.rooms->subscriptions.n_used, 1);
	assert_int_equal(subscription_count(&s.h, s.alice), 1);
	scene_end(&s);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_taker_is_replaced),
	    cmocka_unit_test(test_taker_is_adopted),
	    cmocka_unit_test(test_record_of_another),
	    cmocka_unit_test(test_record_is_not_adopted),
	    cmocka_unit_test(test_record_is_not_told),
	    cmocka_unit_test(test_sweep),
	    cmocka_unit_test(test_sweep_moving),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
