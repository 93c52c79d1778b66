/* answer: a worker dies when a subscription is made and not answered: the next
 * worker answers first, then come the channel's messages. */
#include "chat_fixture.h"

#include "../../src/door/centrifugo/centrifugo.h"
#include "hub/journal.h"
#include "hub/stats.h"

enum { SLOTS = 64 };

static const struct adopt_fault no_fault;

/* A connection of worker 0, of which others say something. */
struct scene {
	struct hub h;
	struct node *old, *other, *next;
	uint32_t i;
	int client;
};

/* A worker where names need no token. */
static struct node *
open_node(struct scene *s, int worker)
{
	struct node *n = node_new(&s->h, worker);

	n->ch.live.insecure = 1;
	n->ch.live.connect_ms = 15000;
	return n;
}

static void
scene_begin(struct scene *s, const struct door *door)
{
	fixture_hub(&s->h, SLOTS, 100, 1 << 20, 4 << 20, 1 << 20);
	s->old = open_node(s, 0);
	s->other = open_node(s, 1);
	s->i = node_open_at(
	    s->old, door, door == &plain_door ? "alice" : "", &s->client);
	if (door == &plain_door)
		return;
	assert_true(centrifugo_door.keep_name(&s->old->ch, s->i, "alice", 5));
}

/* It is known who it is. */
static void
connect_answered(struct scene *s)
{
	node_read(s->old, s->i, s->client, "{\"id\":1,\"connect\":{}}");
	chat_turn(&s->old->ch);
}

static void
scene_end(struct scene *s)
{
	close(s->client);
	hub_destroy(&s->h);
}

/* The worker reads a text, does what it says, and dies before the answer (or,
 * `answered`, right after it). */
static void
dies(struct scene *s, const char *text, bool answered)
{
	struct slot *slot = &s->h.slot[s->i];
	uint64_t committed = slot->committed, appended = slot->appended;
	uint64_t before = slot->answered;
	bool connecting =
	    slot->door == centrifugo_door.id && !(slot->flags & C_CONNECTED);

	node_read(s->old, s->i, s->client, text);
	slot->committed = committed;
	if (connecting)
		slot->flags =
		    (slot->flags & ~(uint32_t)C_CONNECTED) | SLOT_ENTERING;
	if (answered)
		return;
	assert_int_equal(slot->appended, appended + 1);
	slot->appended = appended;
	slot->answered = before;
}

/* A third worker goes on with it. */
static void
adopted(struct scene *s)
{
	uint64_t id = slot_id(&s->h, s->i);
	int fd = node_fd(s->old, s->i);

	s->next = open_node(s, 2);
	slot_recall(&s->next->h, 0);
	move_redo(&s->next->h, 0);
	subscription_rechain(&s->next->h, 0);
	assert_int_equal(
	    move_take(&s->next->ch, 0, &id, &fd, 1, &no_fault, NULL), 1);
	chat_clean(&s->next->h, 0);
	chat_turn(&s->next->ch);
}

/* The next of its own worker goes on, to which it had just moved and which had
 * delivered to others what there was. */
static void
replaced(struct scene *s)
{
	static int fd[SLOTS];
	struct adopt_result r;

	memset(fd, 0, sizeof(fd));
	s->h.slot[s->i].flags |= SLOT_MOVED;
	s->h.line[0].cursor = journal_tail(&s->h);
	fd[s->i] = node_fd(s->old, s->i) + 1;
	s->next = open_node(s, 0);
	node_adopt(s->next, fd, &no_fault, &r);
	assert_int_equal(r.adopted, 1);
	assert_int_equal(r.replayed, 1);
	chat_turn(&s->next->ch);
}

/* What is said then is heard; what was said before the answer is not heard
 * before it. */
static void
answer_first(struct scene *s, const char *channel, const char *answer)
{
	const char *all, *a, *early;
	size_t len;

	node_say(s->other, channel, "what is later");
	chat_turn(&s->next->ch);
	all = client_all(s->client, "what is later", &len);
	a = memmem(all, len, answer, strlen(answer));
	early = memmem(all, len, "what is early", 13);
	assert_non_null(a);
	assert_true(early == NULL || early > a);
	assert_null(
	    memmem(a + 1, len - (size_t)(a + 1 - all), answer, strlen(answer)));
}

static void
test_join_adopted(void **state)
{
	struct scene s;

	scene_begin(&s, &plain_door);
	dies(&s, "/join room", false);
	node_say(s.other, "room", "what is early");
	adopted(&s);
	answer_first(&s, "room", "joined room");
	scene_end(&s);
}

static void
test_join_replaced(void **state)
{
	struct scene s;

	scene_begin(&s, &plain_door);
	dies(&s, "/join room", false);
	node_say(s.other, "room", "what is early");
	replaced(&s);
	answer_first(&s, "room", "joined room");
	scene_end(&s);
}

static void
test_subscribe_adopted(void **state)
{
	struct scene s;

	scene_begin(&s, &centrifugo_door);
	connect_answered(&s);
	dies(&s, "{\"id\":2,\"subscribe\":{\"channel\":\"room\"}}", false);
	node_say(s.other, "room", "what is early");
	adopted(&s);
	answer_first(&s, "room", "\"subscribe\":");
	scene_end(&s);
}

/* Messages to the user's own channel wait for the answer to connect. */
static void
test_connect_adopted(void **state)
{
	struct scene s;

	scene_begin(&s, &centrifugo_door);
	dies(&s, "{\"id\":1,\"connect\":{}}", false);
	node_say(s.other, "#alice", "what is early");
	adopted(&s);
	answer_first(&s, "#alice", "\"connect\":");
	scene_end(&s);
}

static void
test_connect_replaced(void **state)
{
	struct scene s;

	scene_begin(&s, &centrifugo_door);
	dies(&s, "{\"id\":1,\"connect\":{}}", false);
	node_say(s.other, "#alice", "what is early");
	replaced(&s);
	answer_first(&s, "#alice", "\"connect\":");
	scene_end(&s);
}

/* An answer that stands in the output is not waited for: nothing is missed,
 * though a line before it took no answer. */
static void
test_answered(void **state)
{
	struct scene s;

	for (int k = 0; k < 2; k++) {
		scene_begin(&s, &centrifugo_door);
		connect_answered(&s);
		s.h.slot[s.i].flags |= C_PINGED;
		dies(&s, "{}\n{\"id\":2,\"subscribe\":{\"channel\":\"room\"}}",
		    true);
		node_say(s.other, "room", "what is early");
		if (k == 0)
			adopted(&s);
		else
			replaced(&s);
		node_say(s.other, "room", "what is later");
		chat_turn(&s.next->ch);
		assert_int_equal(
		    client_got(s.client, "what is early", "what is later"), 1);
		scene_end(&s);
	}
}

/* A worker dies over a connect: its user gets all private messages, once. */
static void
test_connect_answered(void **state)
{
	struct scene s;

	scene_begin(&s, &centrifugo_door);
	dies(&s, "{\"id\":1,\"connect\":{}}", true);
	node_say(s.other, "#alice", "what is early");
	replaced(&s);
	assert_int_equal(s.h.slot[s.i].flags & SLOT_ENTERING, 0);
	node_say(s.other, "#alice", "what is later");
	chat_turn(&s.next->ch);
	assert_int_equal(
	    client_got(s.client, "what is early", "what is later"), 1);
	scene_end(&s);
}

/* Counts joins less leaves in a room, of all time. */
static int
joins(const struct scene *s)
{
	struct publication p;
	uint64_t at;
	int n = 0;

	for (at = 1; at <= journal_tail(&s->h); at++)
		if (journal_peek(&s->h, at, &p) == JOURNAL_OK &&
		    p.channel != PRESENCE_LOBBY)
			n += p.format == FORMAT_JOIN
			    ? 1
			    : -(p.format == FORMAT_LEAVE);
	return n;
}

/* Done again, the command is refused: nothing of the subscription stays, and
 * who has seen a join sees a leave. */
static void
refused(const char *request, uint8_t subscribe, uint32_t history)
{
	struct conf_channel rule = {.pattern = "room",
	    .len = 4,
	    .subscribe = CONF_SUBSCRIBE_ALL,
	    .recovery = 1,
	    .history = 10,
	    .presence = 1,
	    .join_leave = 1};
	struct scene s;
	size_t len;

	scene_begin(&s, &centrifugo_door);
	s.old->ch.live.channel[0] = rule;
	s.old->ch.live.n_channels = 1;
	connect_answered(&s);
	node_say(s.other, "room", "one");
	node_say(s.other, "room", "two");
	dies(&s, request, false);
	assert_int_equal(joins(&s), 1);
	rule.subscribe = subscribe;
	rule.history = history;
	s.next = open_node(&s, 0);
	s.next->ch.live.channel[0] = rule;
	s.next->ch.live.n_channels = 1;
	{
		static int fd[SLOTS];
		struct adopt_result r;

		memset(fd, 0, sizeof(fd));
		fd[s.i] = node_fd(s.old, s.i) + 1;
		node_adopt(s.next, fd, &no_fault, &r);
	}
	chat_turn(&s.next->ch);
	(void)client_all(s.client, "\"error\":", &len);
	assert_int_equal(s.next->ch.conn[s.i].phase, CONN_OPEN);
	assert_int_equal(subscription_count(&s.h, s.i), 0);
	assert_int_equal(joins(&s), 0);
	scene_end(&s);
}

static void
test_not_allowed_any_more(void **state)
{
	refused("{\"id\":2,\"subscribe\":{\"channel\":\"room\"}}",
	    CONF_SUBSCRIBE_NONE, 10);
}

static void
test_unrecoverable_by_now(void **state)
{
	refused("{\"id\":2,\"subscribe\":{\"channel\":\"room\",\"flag\":2,"
		"\"recover\":true,\"offset\":1}}",
	    CONF_SUBSCRIBE_ALL, 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_join_adopted),
	    cmocka_unit_test(test_join_replaced),
	    cmocka_unit_test(test_subscribe_adopted),
	    cmocka_unit_test(test_connect_adopted),
	    cmocka_unit_test(test_connect_replaced),
	    cmocka_unit_test(test_answered),
	    cmocka_unit_test(test_connect_answered),
	    cmocka_unit_test(test_not_allowed_any_more),
	    cmocka_unit_test(test_unrecoverable_by_now),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
