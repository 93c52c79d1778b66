/* channel: a presence entry that nobody has becomes another channel's. Who has
 * found it by its name before gets nothing of that one. */
#include "chat_fixture.h"

#include <stdio.h>

#include "../../src/hub/heads.h"

#include "hub/history.h"
#include "hub/journal.h"
#include "hub/stats.h"

enum { SLOTS = 64, ENTRIES = 8 };

static const struct adopt_fault no_fault;

static bool
count_cb(const struct channel_member *m, void *arg)
{
	++*(uint32_t *)arg;
	return true;
}

/* Makes channels until one has that entry, of which the journal keeps nothing
 * any more: its name. */
static void
entry_reuse(struct node *n, uint32_t entry, const char *kind, char name[32])
{
	struct channel_position at;

	n->h.entry[entry].newest = 0;
	for (int k = 0; k < 1000; k++) {
		snprintf(name, 32, "%s%d", kind, k);
		assert_int_equal(
		    channel_find(&n->ch, name, strlen(name), true, &at),
		    CHANNEL_OK);
		if (at.channel == entry)
			return;
	}
	fail();
}

/* Between the look by name and the questions a private room has the entry, with
 * a member and a secret. */
static void
test_room_reused(void **state)
{
	static const struct subscription terms = {
	    .flags = SUBSCRIPTION_PRESENT};
	static struct history found;
	struct history_query q = {.limit = 10, .keep = 10};
	struct channel_position old, at;
	struct node *n;
	struct hub h;
	uint32_t i, sub, members = 0;
	char name[32];
	int client;

	fixture_hub(&h, SLOTS, ENTRIES, 1 << 20, 4 << 20, 1 << 20);
	n = node_new(&h, 0);
	i = node_open(n, "alice", &client);
	node_say(n, "old", "harmless");
	channel_find(&n->ch, "old", 3, false, &old);
	q.channel = old.channel;
	q.epoch = old.epoch;
	assert_int_equal(history_find(&h, &q, &found), 0);
	assert_int_equal(found.n, 1);
	entry_reuse(n, old.channel, "private", name);
	assert_int_equal(
	    channel_subscribe(&n->ch, i, name, strlen(name), &terms, &at, &sub),
	    CHANNEL_OK);
	node_say(n, name, "SECRET");
	assert_int_equal(history_find(&h, &q, &found), -1);
	assert_int_equal(found.n, 0);
	assert_true(channel_members(&n->ch, &old, 10, count_cb, &members));
	assert_int_equal(members, 0);
	q.epoch = at.epoch;
	assert_int_equal(history_find(&h, &q, &found), 0);
	assert_int_equal(found.n, 1);
	assert_true(channel_members(&n->ch, &at, 10, count_cb, &members));
	assert_int_equal(members, 1);
	close(client);
	hub_destroy(&h);
}

/* Wants to be told of two. */
static bool
two_cb(const struct channel_member *m, void *arg)
{
	return ++*(uint32_t *)arg < 2;
}

/* Who has been told enough is told no more: of a room, and of the lobby. */
static void
test_members_enough(void **state)
{
	static const struct subscription terms = {
	    .flags = SUBSCRIPTION_PRESENT};
	static const char *const rooms[] = {"room", "lobby"};
	struct channel_position at;
	uint32_t i, sub, members;
	int client[5], k;
	struct node *n;
	struct hub h;

	fixture_hub(&h, SLOTS, ENTRIES, 1 << 20, 4 << 20, 1 << 20);
	n = node_new(&h, 0);
	for (k = 0; k < 5; k++) {
		i = node_open(n, k == 0 ? "a" : "b", &client[k]);
		channel_subscribe(&n->ch, i, "room", 4, &terms, &at, &sub);
	}
	for (k = 0; k < 2; k++) {
		members = 0;
		channel_find(&n->ch, rooms[k], strlen(rooms[k]), false, &at);
		assert_false(
		    channel_members(&n->ch, &at, SLOTS, two_cb, &members));
		assert_int_equal(members, 2);
	}
	for (k = 0; k < 5; k++)
		close(client[k]);
	hub_destroy(&h);
}

static struct node *thief; /* has the entry as soon as a member is told */
static uint32_t stolen;

/* Is shown one member, and meanwhile the entry becomes another channel's, whose
 * connections are no members. */
static bool
steal_cb(const struct channel_member *m, void *arg)
{
	struct presence_entry *e = &thief->h.entry[stolen];

	e->epoch++;
	++*(uint32_t *)arg;
	return true;
}

/* A room's entry becomes another's while its members are looked at. */
static void
test_room_reused_meanwhile(void **state)
{
	static const struct subscription terms = {
	    .flags = SUBSCRIPTION_PRESENT};
	struct channel_position at;
	uint32_t i[3], sub, members = 0;
	int client[3], k;
	struct hub h;

	fixture_hub(&h, SLOTS, ENTRIES, 1 << 20, 4 << 20, 1 << 20);
	thief = node_new(&h, 0);
	for (k = 0; k < 3; k++) {
		i[k] = node_open(thief, k == 0 ? "a" : "b", &client[k]);
		channel_subscribe(
		    &thief->ch, i[k], "room", 4, &terms, &at, &sub);
	}
	stolen = at.channel;
	channel_members(&thief->ch, &at, 10, steal_cb, &members);
	assert_int_equal(members, 1);
	for (k = 0; k < 3; k++)
		close(client[k]);
	hub_destroy(&h);
}

/* A connection that comes from a dead worker gets what that one had not
 * delivered: not what was said to those who had its channel's entry, or its
 * user's, before. */
static void
late(const char *before, const char *kind, enum publication_format format)
{
	static const struct subscription terms = {
	    .flags = SUBSCRIPTION_PRESENT};
	const struct publishing what = {.conn = SHM_NONE,
	    .format = (uint8_t)format,
	    .user = "",
	    .data = format == FORMAT_KICK ? "" : "SECRET",
	    .len = format == FORMAT_KICK ? 0 : 6};
	struct node *n, *third;
	struct channel_position old, at;
	struct publication p;
	struct hub h;
	uint32_t i, sub, k;
	uint64_t id, mask;
	char name[32];
	int client, fd;

	fixture_hub(&h, SLOTS, ENTRIES, 1 << 20, 4 << 20, 1 << 20);
	n = node_new(&h, 0);
	third = node_new(&h, 2);
	/* somebody had it when that was said: see the masks below */
	for (k = 0; k < 3; k++)
		assert_int_equal(publish(&third->ch, before, strlen(before),
				     PUBLISH_MAKE, &what, &p, &mask),
		    PUBLISH_OK);
	channel_find(&third->ch, before, strlen(before), false, &old);
	for (k = 1; k <= journal_tail(&h); k++)
		h.index[k].mask = 1;
	entry_reuse(n, old.channel, kind, name);
	/* what the worker has not come to yet */
	h.line[0].cursor = 0;
	i = node_open(n, name[0] == '#' ? name + 1 : "alice", &client);
	h.slot[i].last = 0;
	if (name[0] != '#')
		assert_int_equal(channel_subscribe(&n->ch, i, name,
				     strlen(name), &terms, &at, &sub),
		    CHANNEL_OK);
	h.slot[i].flags |= SLOT_MOVED;
	id = slot_id(&h, i);
	fd = node_fd(n, i);
	h.line[0].cursor = 0;
	slot_recall(&third->h, 0);
	assert_int_equal(
	    move_take(&third->ch, 0, &id, &fd, 1, &no_fault, NULL), 1);
	chat_clean(&third->h, 0);
	chat_turn(&third->ch);
	assert_int_equal(third->ch.conn[i].phase, CONN_OPEN);
	node_say(third, "lobby", "the end");
	chat_turn(&third->ch);
	assert_int_equal(client_got(client, "SECRET", "the end"), 0);
	close(client);
	hub_destroy(&h);
}

static void
test_late_publication(void **state)
{
	late("old", "new", FORMAT_TEXT);
}

static void
test_late_kick(void **state)
{
	late("#old", "#new", FORMAT_KICK);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_room_reused),
	    cmocka_unit_test(test_members_enough),
	    cmocka_unit_test(test_room_reused_meanwhile),
	    cmocka_unit_test(test_late_publication),
	    cmocka_unit_test(test_late_kick),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
