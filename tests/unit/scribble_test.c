/* scribble: what another worker may have written into the records of this
 * one's connections: they may be wrong then, but nobody else's are, no walk
 * goes on for ever, and nothing is read or written beyond its table. */
#include "scribble_fixture.h"
#include "room/event.h"

#include "../../src/hub/bucket.h"
#include "../../src/hub/heads.h"
#include "room/user.h"
#include "hub/presence.h"
#include "hub/stats.h"

static const struct adopt_fault no_fault;

/* All that walks a connection's chain. */
static void
walk_all(struct scene *s)
{
	struct chat *ch = &s->n->ch;

	assert_true(subscription_count(&s->h, s->alice) <= SUBSCRIPTIONS_MAX);
	assert_int_equal(
	    channel_subscription(ch, s->alice, "lobby", 5), SHM_NONE);
	channel_tell_leaves(ch, s->alice);
	plain_door.message(ch, s->alice, FRAMING_TEXT, "/rooms", 6, 1);
	plain_door.drained(ch, s->alice);
	centrifugo_door.drained(ch, s->alice);
	(void)channel_unsubscribe(ch, s->alice, "room1", 5);
	channel_unsubscribe_all(ch, s->alice);
	chat_turn(ch);
}

/* A connection's chain goes round. */
static void
test_chain_round(void **state)
{
	struct scene s;
	int k;

	for (k = 0; k < ROOMS; k++) {
		scene_begin(&s);
		/* the newest comes first */
		s.h.subscription[s.sub[0]].slot_next = s.sub[k] + 1;
		walk_all(&s);
		say(s.n, "room0", "to bob");
		bob_got(&s, "to bob");
		conn_drop(&s.n->ch, s.alice, NULL);
		scene_end(&s);
	}
}

/* It goes round before it comes to the one that is taken away. */
static void
test_chain_round_before(void **state)
{
	struct scene s;

	scene_begin(&s);
	s.h.subscription[s.sub[1]].slot_next = s.sub[ROOMS - 1] + 1;
	subscription_remove(&s.h, &s.n->ch.rooms->subscriptions, s.sub[0]);
	assert_int_equal(s.h.subscription[s.sub[0]].channel, 0);
	walk_all(&s);
	scene_end(&s);
}

/* It leads to somebody else's subscriptions: they stay. */
static void
test_chain_to_others(void **state)
{
	struct node *other;
	struct scene s;
	uint32_t carol, carols;
	int client;

	scene_begin(&s);
	other = node_new(&s.h, 1);
	carol = node_open(other, "carol", &client);
	carols = join(other, carol, "room1");
	s.h.subscription[s.sub[0]].slot_next = s.bobs + 1;
	walk_all(&s);
	say(s.n, "room0", "to bob");
	bob_got(&s, "to bob");
	/* a record of another worker that names bob's connection */
	s.h.slot[s.bob].subscriptions = carols + 1;
	s.h.subscription[carols].slot = s.bob;
	conn_drop(&s.n->ch, s.bob, NULL);
	assert_int_not_equal(s.h.subscription[carols].channel, 0);
	s.h.slot[s.alice].subscriptions = UINT32_MAX;
	walk_all(&s);
	close(client);
	scene_end(&s);
}

/* A subscription says that it is nobody's, when its connection goes. */
static void
test_chain_of_strangers(void **state)
{
	struct scene s;

	scene_begin(&s);
	s.h.subscription[s.sub[1]].channel = UINT32_MAX;
	assert_int_equal(subscription_count(&s.h, s.alice), ROOMS - 2);
	s.h.subscription[s.sub[1]].channel = 0;
	assert_int_equal(subscription_count(&s.h, s.alice), ROOMS - 2);
	s.h.subscription[s.sub[ROOMS - 1]].slot = UINT32_MAX;
	assert_int_equal(subscription_count(&s.h, s.alice), 0);
	walk_all(&s);
	conn_drop(&s.n->ch, s.alice, NULL);
	say(s.n, "room0", "to bob");
	bob_got(&s, "to bob");
	scene_end(&s);
}

/* What a dead worker left goes round: who moves from there. */
static void
test_chain_moves(void **state)
{
	struct node *next;
	struct scene s;
	uint64_t id;
	uint32_t k;
	int fd;

	for (k = 0; k < ROOMS; k++) {
		scene_begin(&s);
		s.h.subscription[s.sub[0]].slot_next = s.sub[k] + 1;
		id = slot_id(&s.h, s.alice);
		fd = node_fd(s.n, s.alice);
		next = node_new(&s.h, 1);
		assert_int_equal(
		    move_take(&next->ch, 0, &id, &fd, 1, &no_fault, NULL), 1);
		chat_clean(&next->h, 0);
		conn_drop(&next->ch, s.alice, NULL);
		assert_int_equal(next->ch.rooms->subscriptions.n_used, 0);
		scene_end(&s);
	}
}

/* The chain of a connection that was given away is corrupted: its giver forgets
 * it. */
static void
test_chain_given(void **state)
{
	struct node *next;
	struct scene s;
	uint64_t id;
	int fd;

	scene_begin(&s);
	id = slot_id(&s.h, s.alice);
	fd = node_fd(s.n, s.alice);
	next = node_new(&s.h, 1);
	assert_int_equal(give_freeze(&s.n->ch, 1), s.alice);
	assert_int_equal(move_take(&next->ch, 0, &id, &fd, 1, NULL, NULL), 1);
	s.h.subscription[s.sub[0]].slot_next = s.sub[ROOMS - 1] + 1;
	give_done(&s.n->ch, 1, id);
	assert_int_equal(s.n->ch.rooms->subscriptions.n_used, 1);
	say(s.n, "room0", "to bob");
	bob_got(&s, "to bob");
	scene_end(&s);
}

static bool
count_cb(const struct channel_member *m, void *arg)
{
	++*(uint32_t *)arg;
	return true;
}

/* A channel's chain goes round, leads away, or says that somebody is in it who
 * is none. */
static void
test_channel_round(void **state)
{
	struct scene s;
	struct subscription *sub;
	struct channel_position at;
	uint32_t n = 0;

	scene_begin(&s);
	sub = s.h.subscription;
	assert_int_equal(
	    channel_find(&s.n->ch, "room0", 5, false, &at), CHANNEL_OK);
	sub[s.sub[0]].next = s.bobs + 1;
	say(s.n, "room0", "to both");
	bob_got(&s, "to both");
	(void)channel_members(&s.n->ch, &at, UINT32_MAX, count_cb, &n);
	assert_in_range(n, 2, 8);
	sub[s.sub[0]].next = s.sub[1] + 1;
	sub[s.sub[0]].slot = UINT32_MAX;
	say(s.n, "room0", "still");
	bob_got(&s, "still");
	scene_end(&s);
}

/* A slot says that it is of a door that there is not. */
static void
test_door(void **state)
{
	static const uint8_t frame[] = "\x81\x85\0\0\0\0hello";
	struct scene s;

	scene_begin(&s);
	s.h.slot[s.alice].door = 200;
	say(s.n, "room0", "to both");
	bob_got(&s, "to both");
	conn_input(&s.n->ch, s.alice, 0, frame, sizeof(frame) - 1);
	chat_turn(&s.n->ch);
	bob_got(&s, "alice says: hello");
	assert_int_equal(client_got(s.client[0], "to both", "hello"), 1);
	chat_sweep(&s.n->ch);
	conn_end(&s.n->ch, s.alice, CLOSE_NORMAL, REASON_NONE);
	chat_turn(&s.n->ch);
	assert_int_equal(s.n->ch.rooms->members[PRESENCE_LOBBY], 1);
	scene_end(&s);
}

/* A slot says that it is another user's. */
static void
test_user(void **state)
{
	struct scene s;
	uint32_t second, alice;
	int client;

	scene_begin(&s);
	alice = s.h.slot[s.alice].user;
	second = node_open(s.n, "bob", &client);
	s.h.slot[second].user = s.h.slot[s.alice].user;
	conn_drop(&s.n->ch, second, NULL);
	s.h.slot[s.alice].user = UINT32_MAX - 1;
	conn_drop(&s.n->ch, s.alice, NULL);
	assert_int_equal(presence_mask(&s.h, alice), 0);
	say(s.n, "#bob", "to bob again");
	bob_got(&s, "to bob again");
	close(client);
	scene_end(&s);
}

/* A room says that it is a user's own channel: what this worker counts there
 * is no list of connections. */
static void
test_room_as_user(void **state)
{
	struct scene s;
	uint32_t room;
	int client;

	scene_begin(&s);
	node_open(s.n, "carol", &client);
	room = s.h.subscription[s.bobs].channel - 1;
	s.n->ch.rooms->members[room] =
	    3; /* as if three had it: that is carol + 1 */
	s.h.entry[room].name[0] = '#';
	hub_lock(&s.n->h);
	journal_append(&s.n->h,
	    &(struct publication){.channel = room,
		.format = FORMAT_TEXT,
		.user = "x",
		.user_len = 1,
		.data = "not for carol",
		.data_len = 13});
	hub_unlock(&s.n->h);
	chat_turn(&s.n->ch);
	node_say(s.n, "lobby", "the end");
	chat_turn(&s.n->ch);
	assert_int_equal(client_got(client, "not for", "the end"), 0);
	close(client);
	scene_end(&s);
}

/* The records of a connection's output say nonsense: it alone goes, though
 * another has much to be written. */
static void
test_output(void **state)
{
	struct scene s;
	int k;

	for (k = 0; k < 2; k++) {
		scene_begin(&s);
		conn_tell(&s.n->ch, s.bob, 0, "for bob");
		if (k == 0)
			conn_tell(&s.n->ch, s.alice, 0, "before");
		if (k == 0)
			s.h.chunk[s.n->ch.conn[s.alice].out.newest].base += 9;
		else
			s.h.slot[s.alice].appended += 100;
		conn_tell(&s.n->ch, s.alice, 0, "for alice");
		assert_int_equal(s.n->ch.conn[s.alice].phase, CONN_DROPPED);
		chat_turn(&s.n->ch);
		assert_int_equal(s.n->ch.conn[s.alice].phase, CONN_NONE);
		bob_got(&s, "for bob");
		scene_end(&s);
	}
}

/* A given connection's output goes round. */
static void
test_output_given(void **state)
{
	struct node *next;
	struct scene s;
	struct chunk *c;
	uint64_t id;
	int fd, k;

	scene_begin(&s);
	for (k = 0; k < 10; k++)
		conn_tell(&s.n->ch, s.alice, 0, "line %d", k);
	id = slot_id(&s.h, s.alice);
	fd = node_fd(s.n, s.alice);
	next = node_new(&s.h, 1);
	assert_int_equal(give_freeze(&s.n->ch, 1), s.alice);
	assert_int_equal(move_take(&next->ch, 0, &id, &fd, 1, NULL, NULL), 1);
	c = &s.h.chunk[s.n->ch.conn[s.alice].out.chunk];
	c->next = s.n->ch.conn[s.alice].out.chunk;
	give_done(&s.n->ch, 1, id);
	assert_int_equal(s.n->ch.n_conns, 1);
	scene_end(&s);
}

/* The table of names is full, and each entry's hash says that it would rather
 * be in the next line: what fills a hole leaves the next one, round and round.
 */
static void
test_buckets_round(void **state)
{
	struct hub h;
	uint32_t line, k;

	alarm(SECONDS);
	fixture_hub(&h, SLOTS, 100, 1 << 20, 4 << 20, 1 << 20);
	for (line = 0; line < h.n_user_lines; line++) {
		h.entry[line].epoch = 1;
		h.entry[line].hash =
		    (uint32_t)(((uint64_t)((line + 1) % h.n_user_lines) << 32) /
			h.n_user_lines) +
		    1000;
		for (k = 0; k < 16; k++)
			h.bucket[line * 16 + k] = line + 1;
	}
	bucket_remove(&h, 3);
	bucket_remove(&h, h.n_user_lines - 1);
	alarm(0);
	hub_destroy(&h);
}

/* A slot that is in use here says that it is free. */
static void
test_slot_free(void **state)
{
	struct scene s;
	uint32_t i;
	int client;

	scene_begin(&s);
	for (i = 0; i < SLOTS - 2; i++)
		assert_int_not_equal(
		    slot_take(&s.n->h, &s.n->ch.slots), SHM_NONE);
	s.h.slot[s.alice].life = 7ull << 16 | SLOT_FREE;
	assert_int_not_equal(s.alice, s.bob);
	i = s.n->ch.conn[s.alice].fd;
	client = socket(AF_INET, SOCK_STREAM, 0);
	(void)conn_accept(
	    &s.n->ch, 0, client, (void *)&(struct sockaddr_in){0});
	assert_int_equal(s.n->ch.conn[s.alice].fd, i);
	assert_int_equal(s.n->ch.conn[s.alice].phase, CONN_OPEN);
	scene_end(&s);
}

/* One is dropped whose slot says that it is free: no list has it any more. */
static void
test_slot_free_drop(void **state)
{
	struct scene s;
	uint32_t alice, bob;

	scene_begin(&s);
	alice = s.n->ch.conn[s.alice].user.entry;
	bob = s.n->ch.conn[s.bob].user.entry;
	s.h.slot[s.alice].life = 7ull << 16 | SLOT_FREE;
	conn_drop(&s.n->ch, s.alice, NULL);
	assert_int_equal(user_list_first(&s.n->ch, alice), SHM_NONE);
	assert_int_equal(user_list_first(&s.n->ch, bob), s.bob);
	assert_int_equal(s.n->ch.rooms->users.n, 1);
	scene_end(&s);
}

/* More is said to be appended than there is, where all is written. */
static void
test_output_more(void **state)
{
	const struct output *o;
	struct iovec iov[4];
	struct scene s;
	size_t asked;

	scene_begin(&s);
	o = &s.n->ch.conn[s.alice].out;
	assert_int_equal(o->chunk, SHM_NONE);
	s.h.slot[s.alice].appended += 5;
	assert_int_equal(
	    output_gather(&s.n->ch.output, o, s.alice, iov, 4, &asked), 0);
	(void)output_newest_tag(&s.n->ch.output, o, s.alice);
	conn_dirty(&s.n->ch, s.alice);
	chat_turn(&s.n->ch);
	scene_end(&s);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_chain_round),
	    cmocka_unit_test(test_chain_round_before),
	    cmocka_unit_test(test_chain_to_others),
	    cmocka_unit_test(test_chain_of_strangers),
	    cmocka_unit_test(test_chain_moves),
	    cmocka_unit_test(test_chain_given),
	    cmocka_unit_test(test_channel_round),
	    cmocka_unit_test(test_door),
	    cmocka_unit_test(test_user),
	    cmocka_unit_test(test_room_as_user),
	    cmocka_unit_test(test_output),
	    cmocka_unit_test(test_output_given),
	    cmocka_unit_test(test_buckets_round),
	    cmocka_unit_test(test_slot_free),
	    cmocka_unit_test(test_slot_free_drop),
	    cmocka_unit_test(test_output_more),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
