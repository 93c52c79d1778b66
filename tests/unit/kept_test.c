/* kept: channels of readers of the journal as connections meet them: cold ones
 * are asked for, and what happens to connections is told once. */
#include "chat_fixture.h"

#include "hub/event.h"
#include "hub/journal.h"
#include "hub/line.h"
#include "hub/lock.h"
#include "room/event.h"
#include "room/kept.h"

enum {
	SLOTS = 64,
	STORE = 1 << READER_STORE,
	HOOKS = 1 << READER_HOOKS,
	REQUIRED = STORE | STORE << PRESENCE_REQUIRED
};

static const struct adopt_fault no_fault;
static uint8_t rule = REQUIRED; /* what flags_cb says */

/* For struct hub: channels that begin with "kept". */
static uint8_t
flags_cb(void *arg, const char *name, size_t len)
{
	const bool user = presence_name_is_user(name, len);

	return len >= 4u + user && memcmp(name + user, "kept", 4) == 0 ? rule
								       : 0;
}

/* A hub with readers. */
static void
hub_begin(struct hub *h, uint8_t readers, uint8_t events)
{
	fixture_hub_readers(
	    h, SLOTS, 100, 1 << 20, 4 << 20, 1 << 20, readers, events);
	rule = REQUIRED;
}

/* A worker with rules. */
static struct node *
node_with_rules(const struct hub *h, int worker)
{
	struct node *n = node_new(h, worker);

	assert_non_null(n->h.flags_of);
	n->h.flags_of = flags_cb;
	return n;
}

/* How many entries of a format the journal has; *p is the newest. */
static int
entries(const struct hub *h, uint8_t format, struct publication *p)
{
	static char buf[1 << 17];
	struct publication e;
	uint64_t at;
	int n = 0;

	for (at = journal_oldest(h); at <= journal_tail(h); at++) {
		assert_int_equal(
		    journal_read(h, at, buf, sizeof(buf), &e), JOURNAL_OK);
		if (e.format != format)
			continue;
		n++;
		if (p != NULL)
			*p = e;
		assert_true(format < FORMAT_RESULT || e.position == at);
	}
	/* the texts are those of the last one read */
	if (n > 0 && p != NULL)
		assert_int_equal(
		    journal_read(h, p->position, buf, sizeof(buf), p),
		    JOURNAL_OK);
	return n;
}

/* A reader says where a channel stands. */
static void
opened(struct hub *h, uint32_t e, uint64_t stream, uint64_t offset)
{
	h->stream[e] = stream;
	h->entry[e].offset = offset;
	h->entry[e].flags &= (1 << PRESENCE_WARMTH) - 1;
}

/* A subscriber to a channel that is not open is told to come again, and has
 * nothing then: no record, no place in the channel. */
static void
test_subscribe(void **state)
{
	static const struct subscription terms = {
	    .flags = SUBSCRIPTION_PRESENT};
	struct channel_position at, found;
	uint32_t i, sub;
	struct node *n;
	struct hub h;
	int client;

	hub_begin(&h, STORE, 0);
	n = node_with_rules(&h, 0);
	i = node_open(n, "alice", &client);
	for (int k = 0; k < 2; k++) {
		assert_int_equal(
		    channel_subscribe(&n->ch, i, "kept", 4, &terms, &at, &sub),
		    CHANNEL_COLD);
		assert_int_equal(sub, SHM_NONE);
		assert_int_equal(subscription_count(&n->h, i), 0);
		assert_true(presence_mask(&h, at.channel) == 0);
		assert_int_equal(n->ch.rooms->members[at.channel], 0);
		assert_int_equal(entries(&h, FORMAT_OPEN, NULL), 1);
	}
	assert_int_equal(
	    channel_find(&n->ch, "kept", 4, true, &found), CHANNEL_COLD);
	assert_int_equal(found.channel, at.channel);
	assert_int_equal(found.epoch, h.entry[at.channel].epoch);
	opened(&h, at.channel, 0xabcdef0123456789, 41);
	assert_int_equal(
	    channel_subscribe(&n->ch, i, "kept", 4, &terms, &at, &sub),
	    CHANNEL_OK);
	assert_true(at.stream == 0xabcdef0123456789);
	assert_true(at.offset == 41);
	assert_int_equal(at.epoch, found.epoch);
	assert_int_equal(h.subscription[sub].epoch, found.epoch);
	assert_true(presence_mask(&h, at.channel) == 1);
	at.stream = 0;
	assert_int_equal(
	    channel_subscribe(&n->ch, i, "kept", 4, &terms, &at, &sub),
	    CHANNEL_ALREADY);
	assert_true(at.stream == 0xabcdef0123456789);
	assert_int_equal(entries(&h, FORMAT_OPEN, NULL), 1);
	close(client);
	hub_destroy(&h);
}

/* A channel that is not there may be a reader's. */
static void
test_find(void **state)
{
	struct channel_position at;
	struct node *n;
	struct hub h;

	hub_begin(&h, STORE, 0);
	n = node_with_rules(&h, 0);
	assert_int_equal(
	    channel_find(&n->ch, "room", 4, false, &at), CHANNEL_ABSENT);
	assert_int_equal(
	    channel_find(&n->ch, "kept", 4, false, &at), CHANNEL_COLD);
	assert_int_equal(presence_flags(&h, at.channel),
	    REQUIRED | PRESENCE_OPENING << PRESENCE_WARMTH);
	assert_int_equal(
	    channel_find(&n->ch, "room", 4, true, &at), CHANNEL_OK);
	assert_true(at.stream == at.epoch);
	/* who has no subscription asks nobody */
	assert_int_equal(channel_subscription(&n->ch, 0, "kept1", 5), SHM_NONE);
	assert_int_equal(entries(&h, FORMAT_OPEN, NULL), 1);
	hub_destroy(&h);
}

/* A user's own channel opens behind the connection. */
static void
test_user(void **state)
{
	struct publication p;
	struct node *n;
	struct hub h;
	int client[2];

	hub_begin(&h, STORE, 0);
	n = node_with_rules(&h, 0);
	node_open(n, "alice", &client[0]);
	assert_int_equal(entries(&h, FORMAT_OPEN, NULL), 0);
	node_open(n, "kept", &client[0]);
	node_open(n, "kept", &client[1]);
	assert_int_equal(entries(&h, FORMAT_OPEN, &p), 1);
	assert_int_equal(p.data_len, 5);
	assert_memory_equal(p.data, "#kept", 5);
	assert_true(presence_mask(&h, p.channel) == 1);
	close(client[0]);
	close(client[1]);
	hub_destroy(&h);
}

/* New rules reach all entries, in steps; the first before anybody comes. */
static void
test_redo(void **state)
{
	struct channel_position at, other;
	struct node *n;
	struct hub h;

	hub_begin(&h, STORE, 0);
	n = node_new(&h, 0);
	channel_find(&n->ch, "kept", 4, true, &at);
	channel_find(&n->ch, "room", 4, true, &other);
	n->h.flags_of = flags_cb;
	kept_sweep(&n->ch);
	assert_int_equal(presence_flags(&h, at.channel), 0);
	kept_redo(&n->ch);
	kept_sweep(&n->ch);
	assert_int_equal(presence_flags(&h, at.channel),
	    REQUIRED | PRESENCE_COLD << PRESENCE_WARMTH);
	assert_int_equal(presence_flags(&h, other.channel), 0);
	rule = STORE;
	chat_reconfigure(&n->ch, &n->ch.live);
	chat_sweep(&n->ch);
	assert_int_equal(presence_flags(&h, at.channel),
	    STORE | PRESENCE_COLD << PRESENCE_WARMTH);
	/* another process has written there: within a minute */
	kept_sweep(&n->ch);
	h.entry[at.channel].flags = 0;
	kept_sweep(&n->ch);
	assert_int_equal(presence_flags(&h, at.channel), 0);
	n->ch.now_ms += 60 * 1000;
	kept_sweep(&n->ch);
	assert_int_equal(presence_flags(&h, at.channel),
	    STORE | PRESENCE_COLD << PRESENCE_WARMTH);
	/* as of an upgrade: by the next worker's rules, which say nothing here
	 */
	node_new(&h, 1);
	assert_int_equal(presence_flags(&h, at.channel), 0);
	hub_destroy(&h);
}

/* What the configuration says of the store, as flags and as what a publication
 * waits for. */
static void
test_rules(void **state)
{
	static const struct {
		const char *name;
		uint8_t flags, settle;
	} want[] = {{"told", STORE, 0}, {"ack", REQUIRED, PUBLICATION_WAITS},
	    {"strict", REQUIRED, PUBLICATION_WAITS | PUBLICATION_PROPOSED},
	    {"#alice", STORE, 0}, {"no", 0, 0}, {"none", 0, 0}};
	struct node *n;
	struct hub h;

	for (int with = 0; with < 3; with++) {
		const uint8_t readers = with == 0 ? 0 : STORE;

		hub_begin(&h, readers, 0);
		n = node_new(&h, 0);
		n->ch.live.n_channels = 0;
		n->ch.live.store_full = with == 2 ? CONF_STORE_FULL_REFUSE
						  : CONF_STORE_FULL_CONTINUE;
		rule_add(&n->ch.live, "told")->store = CONF_STORE_YES;
		rule_add(&n->ch.live, "#*")->store = CONF_STORE_YES;
		rule_add(&n->ch.live, "ack*")->store = CONF_STORE_ACK;
		rule_add(&n->ch.live, "strict*")->store = CONF_STORE_STRICT;
		rule_add(&n->ch.live, "no")->store = CONF_STORE_NO;
		kept_redo(&n->ch);
		for (size_t k = 0; k < sizeof(want) / sizeof(want[0]); k++) {
			const char *name = want[k].name;
			uint8_t flags =
			    want[k].flags & readers ? want[k].flags : 0;

			if (with == 2 && flags != 0)
				flags = REQUIRED;
			assert_int_equal(
			    n->h.flags_of(n->h.flags_arg, name, strlen(name)),
			    flags);
			assert_int_equal(
			    kept_settle(&n->ch, name, strlen(name)),
			    with != 0 ? want[k].settle : 0);
		}
		hub_destroy(&h);
	}
}

/* What an event says of a connection. */
static void
event_is(const struct publication *p, uint64_t sender, uint16_t code,
    enum reason reason)
{
	struct event_end e;

	assert_true(p->sender == sender);
	assert_int_equal(p->user_len, 5);
	assert_memory_equal(p->user, "alice", 5);
	assert_int_equal(p->data_len, sizeof(e) + 6);
	memcpy(&e, p->data, sizeof(e));
	assert_int_equal(e.code, code);
	assert_int_equal(e.reason, reason);
	assert_int_equal(e.family, 4);
	assert_int_equal(e.peer[0], 127);
	assert_int_not_equal(e.port, 0);
	assert_int_equal(e.door, plain_door.id);
	assert_memory_equal(p->data + sizeof(e), "tablet", 6);
	assert_int_equal(p->required, 0);
}

/* alice at her tablet. */
static uint32_t
tablet_comes(struct node *n, int *client)
{
	const uint32_t i = client_comes(&n->ch, client);

	assert_int_equal(conn_open(&n->ch, i, &plain_door, "alice", 5, "tablet",
			     6, "101", 3, 0),
	    0);
	return i;
}

/* Begin and end of a connection, with its close code. */
static void
test_connection(void **state)
{
	struct publication p;
	uint64_t id, committed;
	struct node *n;
	struct hub h;
	int client, other;
	uint32_t i;

	hub_begin(&h, STORE | HOOKS, HOOKS);
	n = node_with_rules(&h, 0);
	i = tablet_comes(n, &client);
	id = slot_id(&h, i);
	committed = h.slot[i].committed;
	assert_int_equal(entries(&h, FORMAT_CONNECT, &p), 1);
	event_is(&p, id, 0, REASON_NONE);
	assert_int_equal(journal_readers(&h, p.position), HOOKS);
	assert_int_equal(p.channel, h.slot[i].user);
	assert_true(h.slot[i].flags & SLOT_TOLD);
	assert_true(h.slot[i].committed == committed);
	channel_tell_connect(&n->ch, i);
	assert_int_equal(entries(&h, FORMAT_CONNECT, NULL), 1);
	/* of who has no name nothing is told */
	node_open(n, "", &other);
	assert_int_equal(entries(&h, FORMAT_CONNECT, NULL), 1);
	assert_int_equal(entries(&h, FORMAT_DISCONNECT, NULL), 0);
	conn_end(&n->ch, i, CLOSE_KICKED, REASON_KICKED);
	assert_int_equal(entries(&h, FORMAT_DISCONNECT, &p), 1);
	event_is(&p, id, CLOSE_KICKED, REASON_KICKED);
	assert_false(h.slot[i].flags & SLOT_TOLD);
	assert_int_equal(entries(&h, FORMAT_ONLINE, NULL), 1);
	assert_int_equal(entries(&h, FORMAT_OFFLINE, NULL), 1);
	conn_drop(&n->ch, i, NULL);
	assert_int_equal(entries(&h, FORMAT_DISCONNECT, NULL), 1);
	close(client);
	close(other);
	hub_destroy(&h);
}

/* Without readers that want events nothing is told. */
static void
test_no_events(void **state)
{
	struct node *n;
	struct hub h;
	int client;
	uint32_t i;

	hub_begin(&h, STORE, 0);
	n = node_with_rules(&h, 0);
	i = tablet_comes(n, &client);
	conn_drop(&n->ch, i, NULL);
	assert_int_equal(entries(&h, FORMAT_CONNECT, NULL), 0);
	assert_int_equal(entries(&h, FORMAT_DISCONNECT, NULL), 0);
	assert_int_equal(entries(&h, FORMAT_ONLINE, NULL), 0);
	close(client);
	hub_destroy(&h);
}

/* With a worker that is cleaned up after. */
static void
test_gone(void **state)
{
	struct publication p;
	struct node *n, *next;
	struct hub h;
	int client, other;
	uint32_t i;

	hub_begin(&h, HOOKS, HOOKS);
	n = node_with_rules(&h, 0);
	next = node_with_rules(&h, 1);
	i = tablet_comes(n, &client);
	h.slot[i].flags |= SLOT_PROVED; /* CONNECT alone tells that */
	/* memory that says so of one without a name */
	h.slot[node_open(n, "", &other)].flags |= SLOT_TOLD;
	chat_clean(&next->h, 0);
	assert_int_equal(entries(&h, FORMAT_CONNECT, NULL), 1);
	assert_int_equal(entries(&h, FORMAT_DISCONNECT, &p), 1);
	event_is(&p, p.sender, 0, REASON_NONE);
	assert_int_equal((uint32_t)p.sender, i);
	assert_int_equal(entries(&h, FORMAT_OFFLINE, NULL), 1);
	assert_int_equal(entries(&h, FORMAT_VACATED, NULL), 1); /* lobby */
	close(client);
	close(other);
	hub_destroy(&h);
}

/* With a takeover: nothing is told again; what its worker did not get to is. */
static void
test_taken_over(void **state)
{
	struct adopt_result result;
	struct node *n;
	struct hub h;
	int client, fd[SLOTS] = {0};
	uint32_t i;

	for (int told = 0; told < 2; told++) {
		hub_begin(&h, HOOKS, HOOKS);
		n = node_with_rules(&h, 0);
		i = tablet_comes(n, &client);
		if (!told)
			h.slot[i].flags &= ~SLOT_TOLD;
		fd[i] = node_fd(n, i) + 1;
		n = node_with_rules(&h, 0);
		node_adopt(n, fd, &no_fault, &result);
		assert_int_equal(result.adopted, 1);
		assert_int_equal(
		    entries(&h, FORMAT_CONNECT, NULL), told ? 1 : 2);
		assert_int_equal(entries(&h, FORMAT_ONLINE, NULL), 1);
		conn_drop(&n->ch, i, NULL);
		assert_int_equal(entries(&h, FORMAT_DISCONNECT, NULL), 1);
		close(client);
		hub_destroy(&h);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_subscribe),
	    cmocka_unit_test(test_find),
	    cmocka_unit_test(test_user),
	    cmocka_unit_test(test_redo),
	    cmocka_unit_test(test_rules),
	    cmocka_unit_test(test_connection),
	    cmocka_unit_test(test_no_events),
	    cmocka_unit_test(test_gone),
	    cmocka_unit_test(test_taken_over),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
