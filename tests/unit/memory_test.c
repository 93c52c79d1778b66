/* memory: output memory that is full, while functions are in the middle of
 * their loops over the connections that it is taken from. */
#include "chat_fixture.h"

#include "room/user.h"
#include "hub/lock.h"
#include "hub/stats.h"
#include "hub/subscription.h"

enum { LINE = 60000, SLOTS = 64 };

static char line[4 << 20];

/* A worker with the smallest output memory and queues that are larger. */
static struct node *
small_node(struct hub *h, int worker)
{
	struct node *n = node_new(h, worker);

	n->ch.live.queue_bytes = 64 << 20;
	n->ch.live.message_size = sizeof(line);
	memset(line, 'x', sizeof(line));
	return n;
}

/* A connection whose socket takes little. */
static uint32_t
slow_open(struct node *n, const char *user, int *client)
{
	uint32_t i = node_open(n, user, client);
	int small = 4096;

	setsockopt(*client, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small));
	setsockopt(
	    n->ch.conn[i].fd, SOL_SOCKET, SO_SNDBUF, &small, sizeof(small));
	return i;
}

/* Answers one connection with a line. */
static void
slow_answer(struct node *n, uint32_t i)
{
	conn_answer(&n->ch, i, FRAMING_TEXT, &(struct iovec){line, LINE}, 1, 0);
}

/* Says len bytes that begin with a text. */
static void
say(struct node *n, const char *channel, const char *text, size_t len)
{
	memcpy(line, text, strlen(text));
	line[len] = '\0';
	node_say(n, channel, line);
	line[len] = 'x';
}

/* Reads what there is; counts a text in it. Texts at the border of two reads
 * are not looked for: each is at the beginning of a line. */
static int
client_count(int client, const char *text)
{
	static char all[1 << 20];
	size_t have = 0, len = strlen(text);
	ssize_t r;
	int n = 0;

	while ((r = recv(client, all + have, sizeof(all) - have,
		    MSG_DONTWAIT)) > 0) {
		have += (size_t)r;
		n += text_count(all, have, text);
		/* the last bytes may be a beginning */
		if (have >= len) {
			memmove(all, all + have - len + 1, len - 1);
			have = len - 1;
		}
	}
	return n;
}

/* Writes to a client until it has got a text so often, which it must; returns
 * how often. */
static int
client_reads(struct node *n, uint32_t i, int client, const char *text, int want)
{
	struct pollfd p = {client, POLLIN, 0};
	int got = client_count(client, text), k;

	for (k = 0; k < 2000 && got < want; k++) {
		n->ch.conn[i].blocked = false;
		conn_dirty(&n->ch, i);
		chat_turn(&n->ch);
		poll(&p, 1, 20);
		got += client_count(client, text);
	}
	assert_int_equal(got, want);
	return got;
}

/* The slowest reader is the one that is rendered for: making room drops it in
 * the midst of the delivery to it. */
static void
test_reader_of_the_frame(void **state)
{
	int slow, witness, k, got = 0;
	struct node *n;
	struct hub h;
	uint32_t i, w;

	fixture_hub(&h, SLOTS, 100, 32 << 20, 4 << 20, 1 << 20);
	n = small_node(&h, 0);
	i = slow_open(n, "slow", &slow);
	w = node_open(n, "witness", &witness);
	assert_true(i < w);
	for (k = 0; k < 120; k++) {
		say(n, "lobby", "LINE", LINE);
		chat_turn(&n->ch);
		got += client_reads(n, w, witness, "LINE", 1);
	}
	assert_int_equal(n->ch.conn[i].phase, CONN_NONE);
	assert_int_equal(n->ch.conn[w].phase, CONN_OPEN);
	assert_int_equal(got, 120);
	assert_int_equal(n->ch.n_open, 1);
	hub_destroy(&h);
}

/* A user has five connections; making room for a message to them drops the
 * next one and the one after it: the others get it all the same. What a third
 * slow reader holds makes both necessary, however well the rest is compacted.
 */
static void
test_rest_of_the_list(void **state)
{
	int client[5], other;
	uint32_t i[5], eve, k, n_lines = 0;
	struct node *n;
	struct hub h;

	fixture_hub(&h, SLOTS, 100, 32 << 20, 4 << 20, 1 << 20);
	n = small_node(&h, 0);
	eve = slow_open(n, "eve", &other);
	for (k = 0; k < 5; k++)
		i[k] = k == 2 || k == 3 ? slow_open(n, "bob", &client[k])
					: node_open(n, "bob", &client[k]);
	/* the first of the list is the last that came: 4, 3, 2, 1, 0 */
	assert_int_equal(user_list_first(&n->ch, h.slot[i[0]].user), i[4]);
	memcpy(line, "OLD", 3);
	for (; n->ch.conn[i[3]].phase == CONN_OPEN &&
	     output_pending(&n->ch.conn[i[3]].out) < 900000;
	     n_lines++) {
		slow_answer(n, i[3]);
		slow_answer(n, i[2]);
		if (n_lines >= 2)
			slow_answer(n, eve); /* she has least */
	}
	slow_answer(n, i[3]); /* this one has most: the first to go */
	chat_turn(&n->ch);
	/* neither alone makes enough room for this one */
	say(n, "#bob", "NEW", 1800000);
	chat_turn(&n->ch);
	assert_int_equal(n->ch.conn[i[3]].phase, CONN_NONE);
	assert_int_equal(n->ch.conn[i[2]].phase, CONN_NONE);
	for (k = 0; k < 5; k++)
		if (k < 2 || k == 4)
			client_reads(n, i[k], client[k], "NEW", 1);
	hub_destroy(&h);
}

/* A text that is longer than any frame drops no connection; those who were to
 * get it are told, and get what comes after it. */
static void
test_too_long(void **state)
{
	int slow, reader, k;
	struct node *n;
	struct hub h;
	uint32_t i, r;

	fixture_hub(&h, SLOTS, 100, 64 << 20, 4 << 20, 1 << 20);
	n = small_node(&h, 0);
	i = slow_open(n, "slow", &slow);
	r = node_open(n, "reader", &reader);
	for (k = 0; !n->ch.conn[i].blocked; k++) {
		say(n, "#slow", "OLD", 20000);
		chat_turn(&n->ch);
	}
	assert_true(output_pending(&n->ch.conn[i].out) > 0);
	say(n, "lobby", "HUGE", 3 << 20);
	chat_turn(&n->ch);
	assert_int_equal(n->ch.conn[i].phase, CONN_OPEN);
	assert_int_equal(n->ch.conn[r].phase, CONN_OPEN);
	assert_int_equal(h.slot[r].skipped, 1);
	chat_sweep(&n->ch); /* nothing was to be written to it */
	chat_turn(&n->ch);
	say(n, "lobby", "NEXT", 100);
	chat_turn(&n->ch);
	assert_int_equal(
	    client_got(reader, "1 message was skipped", "NEXT"), 1);
	client_reads(n, i, slow, "OLD", k);
	/* an answer is not dropped silently, but said to be too long */
	conn_answer(
	    &n->ch, r, FRAMING_TEXT, &(struct iovec){line, 3 << 20}, 1, 0);
	assert_int_equal(n->ch.conn[r].phase, CONN_ENDING);
	assert_int_equal(h.slot[r].close_code, CLOSE_TOO_BIG);
	assert_int_equal(n->ch.conn[i].phase, CONN_OPEN);
	hub_destroy(&h);
}

/* Other workers have everything, what is set apart too: what cannot be rendered
 * is told to those who were to get it, when there is memory again. */
static void
test_no_room_is_told(void **state)
{
	struct node *n;
	struct hub h;
	uint32_t i, s;
	int client;

	fixture_hub(&h, SLOTS, 100, 32 << 20, 4 << 20, 1 << 20);
	n = small_node(&h, 0);
	i = node_open(n, "alice", &client);
	for (s = 0; s < h.n_segments; s++)
		if (h.segment_owner[s] == 0)
			h.segment_owner[s] = 64;
	n->ch.output.reserve = SHM_NONE;
	n->ch.output.n_spare = 0;
	say(n, "lobby", "LOST", 3 * OUTPUT_SEGMENT);
	chat_turn(&n->ch);
	assert_int_equal(n->ch.conn[i].phase, CONN_OPEN);
	assert_int_equal(h.slot[i].skipped, 1);
	output_clear(&n->h, 63);
	chat_sweep(&n->ch);
	chat_turn(&n->ch);
	say(n, "lobby", "NEXT", 100);
	chat_turn(&n->ch);
	assert_int_equal(
	    client_got(client, "1 message was skipped", "NEXT"), 1);
	hub_destroy(&h);
}

/* Who has come to an end by what was said before, in the same message, is no
 * more in any room: nor does a command that follows put it into one, for the
 * next connection with its number would hear that room. */
static void
test_no_command_after_the_end(void **state)
{
	int client, other;
	struct node *n;
	struct hub h;
	uint32_t i, room;

	fixture_hub(&h, SLOTS, 100, 32 << 20, 4 << 20, 1 << 20);
	n = small_node(&h, 0);
	i = slow_open(n, "alice", &client);
	n->ch.live.queue_bytes = 1 << 20;
	while (!n->ch.conn[i].blocked) {
		say(n, "#alice", "OLD", LINE);
		chat_turn(&n->ch);
	}
	n->ch.live.queue_bytes = output_pending(&n->ch.conn[i].out) + LINE / 2;
	say(n, "#alice", "NEW", LINE);
	n->ch.door[plain_door.id]->message(
	    &n->ch, i, FRAMING_TEXT, "/join secret", 12, 100);
	assert_int_not_equal(n->ch.conn[i].phase, CONN_OPEN);
	chat_turn(&n->ch);
	hub_lock(&n->h);
	room = presence_find(&n->h, "secret", 6);
	hub_unlock(&n->h);
	if (room != SHM_NONE)
		assert_int_equal(subscription_first(&n->h, 0, room), SHM_NONE);
	conn_drop(&n->ch, i, NULL);
	assert_int_equal(slow_open(n, "mallory", &other), i);
	assert_int_equal(subscription_count(&n->h, i), 0);
	assert_int_equal(n->ch.rooms->subscriptions.n_used, 0);
	hub_destroy(&h);
}

/* A worker dies when it has marked a connection and not dropped it yet: its
 * successor closes that one and goes on with the others. */
static void
test_death_before_the_end(void **state)
{
	static const struct adopt_fault no_fault;
	static const struct subscription terms;
	static int fd[SLOTS];
	struct channel_position at;
	struct adopt_result r;
	struct node *n, *next;
	struct hub h;
	uint32_t i, k, sub;
	int slow, bob;

	fixture_hub(&h, SLOTS, 100, 32 << 20, 4 << 20, 1 << 20);
	n = small_node(&h, 0);
	i = slow_open(n, "slow", &slow);
	k = node_open(n, "bob", &bob);
	assert_int_equal(
	    channel_subscribe(&n->ch, i, "room", 4, &terms, &at, &sub),
	    CHANNEL_OK);
	say(n, "#slow", "OLD", LINE * 10);
	deliver(&n->ch);
	conn_drop_later(&n->ch, i, NULL);
	assert_int_equal(n->ch.conn[i].phase, CONN_DROPPED);
	/* nothing more is done with it */
	conn_tell(&n->ch, i, 0, "more");
	conn_dirty(&n->ch, i);
	conn_end(&n->ch, i, CLOSE_NORMAL, REASON_NONE);
	conn_drop_later(&n->ch, i, NULL);
	assert_int_equal(n->ch.n_dropped, 1);
	conn_tell(&n->ch, k, 0, "for bob");
	fd[i] = node_fd(n, i) + 1;
	fd[k] = node_fd(n, k) + 1;
	next = node_new(&h, 0);
	node_adopt(next, fd, &no_fault, &r);
	assert_int_equal(r.adopted, 1);
	assert_int_equal(r.corrupted, 0);
	assert_int_equal(slot_state(&next->h, i), SLOT_FREE);
	assert_int_equal(subscription_first(&next->h, 0, at.channel), SHM_NONE);
	assert_int_equal(presence_mask(&next->h, at.channel), 0);
	chat_turn(&next->ch);
	say(next, "lobby", "the end", 100);
	chat_turn(&next->ch);
	assert_int_equal(client_got(bob, "for bob", "the end"), 1);
	hub_destroy(&h);
}

/* One worker's slow readers have nearly everything: that worker drops them, the
 * other none of its own, and all of its clients get what is said. */
static void
test_who_holds_most(void **state)
{
	enum { RECEIVERS = 3 };
	int slow[8], client[RECEIVERS], got[RECEIVERS] = {0}, k, j;
	struct node *greedy, *other;
	uint32_t s[8], i[RECEIVERS], held;
	struct hub h;

	fixture_hub(&h, SLOTS, 100, 32 << 20, 4 << 20, 1 << 20);
	h.line[0].state = h.line[1].state = WORKER_RUNNING;
	greedy = small_node(&h, 0);
	other = small_node(&h, 1);
	for (k = 0; k < 8; k++)
		s[k] = slow_open(greedy, "slow", &slow[k]);
	for (k = 0; k < RECEIVERS; k++)
		i[k] = node_open(other, "reader", &client[k]);
	chat_sweep(&greedy->ch);
	chat_sweep(&other->ch);
	for (k = 0; k < 100; k++) {
		memcpy(line, "OLD", 3);
		for (j = 0; j < 8 && greedy->ch.n_open > 5; j++)
			conn_answer(&greedy->ch, s[j], FRAMING_TEXT,
			    &(struct iovec){line, LINE}, 1, 0);
		chat_turn(&greedy->ch);
		/* a whole turn's worth before any of it is written */
		for (j = 0; j < 4; j++)
			say(other, "#reader", "NEW", LINE);
		chat_turn(&other->ch);
		for (j = 0; j < RECEIVERS; j++)
			got[j] +=
			    client_reads(other, i[j], client[j], "NEW", 4);
		assert_int_equal(other->ch.n_open, RECEIVERS);
	}
	for (j = 0; j < RECEIVERS; j++) {
		assert_int_equal(other->ch.conn[i[j]].phase, CONN_OPEN);
		assert_int_equal(got[j], 400);
	}
	held = greedy->ch.output.segments.owned;
	assert_true(held > greedy->ch.output.segments.fair);
	/* others take what was left to them: the greedy one gives way */
	for (k = 0; (uint32_t)k < h.n_segments - OUTPUT_APART * SHM_WORKERS;
	     k++)
		if (h.segment_owner[k] == 0)
			h.segment_owner[k] = 3;
	chat_sweep(&greedy->ch);
	chat_sweep(&other->ch);
	assert_true(greedy->ch.output.segments.owned < held);
	assert_int_equal(other->ch.n_open, RECEIVERS);
	hub_destroy(&h);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_reader_of_the_frame),
	    cmocka_unit_test(test_rest_of_the_list),
	    cmocka_unit_test(test_too_long),
	    cmocka_unit_test(test_no_room_is_told),
	    cmocka_unit_test(test_no_command_after_the_end),
	    cmocka_unit_test(test_death_before_the_end),
	    cmocka_unit_test(test_who_holds_most),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
