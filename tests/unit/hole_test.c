/* hole: which connections are told that the ring has overwritten something of
 * theirs: those whose channel's newest publication is lost, and that have not
 * got it. */
#include "chat_fixture.h"

#include "../../src/room/hole.h"

enum { FROM = 10, TO = 20 };

static const struct hole hole = {.from = FROM, .to = TO};
static struct hub hub;
static struct node *node;
static uint32_t alice, room, sub;
static int client;

/* Alice at the plain door, in a room. */
static int
setup(void **state)
{
	static const struct subscription terms = {
	    .flags = SUBSCRIPTION_PRESENT};
	struct channel_position at;

	fixture_hub(&hub, 64, 16, 65536, 1 << 20, 1 << 20);
	node = node_new(&hub, 0);
	alice = node_open(node, "alice", &client);
	assert_int_equal(
	    channel_subscribe(&node->ch, alice, "room", 4, &terms, &at, &sub),
	    CHANNEL_OK);
	room = at.channel;
	return 0;
}

static int
teardown(void **state)
{
	close(client);
	hub_destroy(&hub);
	return 0;
}

/* A channel's newest publication. */
static void
newest(uint32_t channel, uint64_t position, uint64_t offset)
{
	SHM_STORE(hub.entry[channel].newest, position);
	SHM_STORE(hub.entry[channel].offset, offset);
}

/* Whether alice is told of a gap in what is hers, and in the room. */
static void
marked(bool hers, bool rooms)
{
	struct slot *s = &hub.slot[alice];
	struct subscription *r = &hub.subscription[sub];

	hole_mark(&node->ch, alice, &hole);
	assert_int_equal((s->flags & SLOT_GAP) != 0, hers);
	assert_int_equal((r->flags & SUBSCRIPTION_GAP) != 0, rooms);
	assert_int_equal(s->skipped, hers || rooms ? SLOT_SKIPPED_MORE : 0);
	s->flags &= ~SLOT_GAP;
	r->flags &= ~(uint32_t)SUBSCRIPTION_GAP;
	s->skipped = 0;
}

/* The hole is what lies between its ends. */
static void
test_ends(void **state)
{
	struct publication p = {.position = 30};
	struct hole h = {.from = FROM, .to = TO, .until = 30};

	for (uint64_t k = FROM - 1; k <= TO + 1; k++) {
		p.previous = k;
		assert_int_equal(hole_has(&h, k), k > FROM && k < TO);
		assert_int_equal(hole_is_before(&h, &p), k > FROM && k < TO);
		newest(room, k, 1);
		marked(false, k > FROM && k < TO);
	}
	p.previous = FROM + 1;
	p.position = 31; /* it was seen to when the hole was marked */
	assert_false(hole_is_before(&h, &p));
}

/* In a room: what lies above the offset up to which nothing is delivered. */
static void
test_room(void **state)
{
	marked(false, false);
	newest(room, FROM + 1, 5);
	SHM_STORE(hub.subscription[sub].offset, 4);
	marked(false, true);
	SHM_STORE(hub.subscription[sub].offset, 5);
	marked(false, false);
	SHM_STORE(hub.subscription[sub].offset, SUBSCRIPTION_HELD);
	marked(false, false);
}

/* In the user's own channel, and in the lobby. */
static void
test_own(void **state)
{
	const uint32_t own = node->ch.conn[alice].user.entry;
	struct slot *s = &hub.slot[alice];

	s->offset = 4;
	newest(own, FROM + 1, 5);
	marked(true, false);
	s->offset = 5;
	marked(false, false);
	newest(own, TO, 6);
	marked(false, false);
	newest(PRESENCE_LOBBY, TO - 1, 1);
	marked(true, false);
	newest(PRESENCE_LOBBY, FROM, 1);
	marked(false, false);
	newest(room, FROM + 1, 5);
	newest(PRESENCE_LOBBY, FROM + 1, 1);
	marked(true, true);
}

/* Who is not open is told nothing; nor is who has no presence, but of rooms. */
static void
test_absent(void **state)
{
	struct conn *c = &node->ch.conn[alice];
	const uint32_t own = c->user.entry;

	newest(room, FROM + 1, 5);
	newest(PRESENCE_LOBBY, FROM + 1, 1);
	c->phase = CONN_ENDING;
	marked(false, false);
	c->phase = CONN_OPEN;
	c->present = false;
	marked(false, true);
	c->present = true;
	marked(true, true);
	/* one of no user */
	newest(PRESENCE_LOBBY, FROM, 1);
	c->user.entry = SHM_NONE;
	marked(false, true);
	c->user.entry = own;
}

/* The channel's next publication shows by the name of the one before it who has
 * missed that: not who has begun with it, however far their offsets are
 * apart. */
static void
test_next(void **state)
{
	struct node *other = node_new(&hub, 1);
	static const struct subscription terms = {
	    .flags = SUBSCRIPTION_PRESENT};
	static char big[4000];
	struct channel_position at;
	uint32_t bob, k, bobs;
	int bobs_client;

	bob = node_open(node, "bob", &bobs_client);
	SHM_STORE(hub.entry[room].offset, 7);
	node_say(other, "room", "what is lost");
	assert_int_equal(
	    channel_subscribe(&node->ch, bob, "room", 4, &terms, &at, &bobs),
	    CHANNEL_OK);
	assert_int_equal(at.offset, 8);
	SHM_STORE(hub.subscription[sub].offset, 7);
	memset(big, 'x', sizeof(big) - 1);
	for (k = 0; k < 20; k++)
		node_say(other, "hall", big);
	node_say(other, "room", "what is next");
	for (k = 0; k < 5; k++)
		chat_turn(&node->ch);
	node_say(other, "lobby", "the end");
	for (k = 0; k < 5; k++)
		chat_turn(&node->ch);
	assert_int_equal(client_got(client, "were skipped", "the end"), 1);
	assert_int_equal(client_got(bobs_client, "what is next", "the end"), 1);
	close(bobs_client);
}

/* A record that another process has corrupted marks nothing. */
static void
test_corrupted(void **state)
{
	newest(room, FROM + 1, 5);
	SHM_STORE(hub.subscription[sub].channel, hub.n_entries + 1);
	marked(false, false);
	SHM_STORE(hub.subscription[sub].channel, UINT32_MAX);
	marked(false, false);
}

/* Of all that are here; what is published from then on is not before it. */
static void
test_all(void **state)
{
	struct hole h = hole;
	uint32_t bob;
	int end;

	bob = node_open(node, "bob", &end);
	newest(PRESENCE_LOBBY, FROM + 1, 1);
	node_say(node, "room", "x");
	h.until = 77;
	hole_mark_all(&node->ch, &h);
	assert_true(h.until == journal_tail(&hub));
	assert_true(hub.slot[alice].flags & SLOT_GAP);
	assert_true(hub.slot[bob].flags & SLOT_GAP);
	assert_false(hub.subscription[sub].flags & SUBSCRIPTION_GAP);
	close(end);
}

int
main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {TEST(test_ends), TEST(test_room),
	    TEST(test_own), TEST(test_next), TEST(test_absent),
	    TEST(test_corrupted), TEST(test_all)};

	return cmocka_run_group_tests_name("hole", tests, NULL, NULL);
}
