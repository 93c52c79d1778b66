/* move_race: a connection that is taken up while its giver takes it back, and
 * what others say of it that is not so. */
#include "chat_fixture.h"

#include "hub/presence.h"
#include "hub/stats.h"
#include "hub/subscription.h"

enum { SLOTS = 64 };

static const struct adopt_fault no_fault;

/* Workers 0 and 1, with alice at the first and bob at the second, both in
 * "room". */
struct scene {
	struct hub h;
	struct node *giver, *taker;
	uint32_t alice, bob, room;
	uint64_t id; /* alice's */
	int client, fd, bobs;
};
static struct scene s;

/* Subscribes a connection; returns the channel's entry. */
static uint32_t
subscribe(struct node *n, uint32_t i, const char *name)
{
	static const struct subscription terms = {
	    .flags = SUBSCRIPTION_PRESENT};
	struct channel_position at;
	uint32_t sub;

	assert_int_equal(
	    channel_subscribe(&n->ch, i, name, strlen(name), &terms, &at, &sub),
	    CHANNEL_OK);
	return at.channel;
}

static int
setup(void **state)
{
	fixture_hub(&s.h, SLOTS, 100, 1 << 20, 4 << 20, 1 << 20);
	s.giver = node_new(&s.h, 0);
	s.taker = node_new(&s.h, 1);
	s.alice = node_open(s.giver, "alice", &s.client);
	s.bob = node_open(s.taker, "bob", &s.bobs);
	s.room = subscribe(s.giver, s.alice, "room");
	assert_int_equal(subscribe(s.taker, s.bob, "room"), s.room);
	s.id = slot_id(&s.h, s.alice);
	s.fd = node_fd(s.giver, s.alice);
	return 0;
}

static int
teardown(void **state)
{
	close(s.client);
	close(s.bobs);
	hub_destroy(&s.h);
	return 0;
}

/* What happens while the taker delivers what it had not delivered, between its
 * copies and its store. */
static void (*meanwhile)(void);

static int
render_meanwhile(
    struct chat *ch, const struct publication *p, struct iovec *parts)
{
	void (*what)(void) = meanwhile;

	meanwhile = NULL;
	if (what != NULL && ch == &s.taker->ch)
		what();
	return plain_door.render(ch, p, parts);
}

/* Alice is given to the taker, which is late; returns how many it took. */
static uint32_t
give(void (*what)(void))
{
	static struct door door;

	door = plain_door;
	door.render = render_meanwhile;
	s.taker->ch.door[plain_door.id] = &door;
	assert_int_equal(give_freeze(&s.giver->ch, 1), s.alice);
	node_say(s.giver, "lobby", "first");
	chat_turn(&s.giver->ch);
	meanwhile = what;
	return move_take(&s.taker->ch, 0, &s.id, &s.fd, 1, NULL, NULL);
}

/* Alice is the giver's, and gets everything once. */
static void
stays(void)
{
	assert_int_equal(slot_holder(&s.h, s.alice), 0);
	give_done(&s.giver->ch, 1, s.id);
	assert_int_equal(slot_state(&s.h, s.alice), SLOT_OPEN);
	assert_int_equal(s.taker->ch.rooms->members[s.room], 1);
	chat_turn(&s.giver->ch);
	node_say(s.giver, "lobby", "the end");
	chat_turn(&s.giver->ch);
}

static void
back_and_again(void)
{
	give_back(&s.giver->ch, 1);
	node_say(s.giver, "lobby", "between");
	chat_turn(&s.giver->ch);
	assert_int_equal(give_freeze(&s.giver->ch, 1), s.alice);
}

/* The giver takes it back, goes on with it, and gives it again: what was copied
 * before is of no use any more. */
static void
test_given_again(void **state)
{
	assert_int_equal(give(back_and_again), 0);
	stays();
	assert_int_equal(client_got(s.client, "between", "the end"), 1);
}

static void
back_and_leave(void)
{
	give_back(&s.giver->ch, 1);
	assert_int_equal(
	    channel_unsubscribe(&s.giver->ch, s.alice, "room", 4), CHANNEL_OK);
	(void)subscribe(s.giver, s.alice, "den");
}

/* The giver takes it back, and it leaves a room and joins another: the taker
 * counts what is its own, no more and no less. */
static void
test_leaves_meanwhile(void **state)
{
	uint32_t den = subscribe(s.taker, s.bob, "den");

	assert_int_equal(give(back_and_leave), 0);
	stays();
	assert_int_equal(s.taker->ch.rooms->members[den], 1);
	assert_int_equal(s.taker->ch.rooms->subscriptions.n_used, 2);
}

static void
back(void)
{
	give_back(&s.giver->ch, 1);
}

/* What the taker reads while the giver writes may be anything: nothing of it
 * comes into a slot that is not the taker's. */
static void
test_slot_is_not_written(void **state)
{
	struct slot *slot = &s.h.slot[s.alice];
	uint64_t answered = slot->answered;
	struct chunk *c;
	uint32_t at;

	conn_tell(&s.giver->ch, s.alice, 0, "not written yet");
	c = &s.h.chunk[s.giver->ch.conn[s.alice].out.newest];
	at = (uint32_t)slot->appended - 1 - c->base;
	assert_true(at < OUTPUT_REFS);
	c->ref[at].tag = OUTPUT_ANSWER | KEY(1000, 1);
	assert_int_equal(give(back), 0);
	assert_true(slot->answered == answered);
	stays();
}

static bool
count_cb(const struct channel_member *m, void *arg)
{
	++*(uint32_t *)arg;
	return true;
}

/* Members of the room, as anybody sees them. */
static uint32_t
members(struct node *n)
{
	struct channel_position at;
	uint32_t count = 0;

	assert_int_equal(
	    channel_find(&n->ch, "room", 4, false, &at), CHANNEL_OK);
	assert_true(channel_members(&n->ch, &at, 10, count_cb, &count));
	return count;
}

/* While both have records of it, it is one member of its room. */
static void
test_is_one_member(void **state)
{
	assert_int_equal(members(s.taker), 2);
	assert_int_equal(give_freeze(&s.giver->ch, 1), s.alice);
	assert_int_equal(members(s.taker), 2);
	assert_int_equal(
	    move_take(&s.taker->ch, 0, &s.id, &s.fd, 1, NULL, NULL), 1);
	assert_int_equal(members(s.giver), 2);
	give_done(&s.giver->ch, 1, s.id);
	assert_int_equal(members(s.taker), 2);
}

/* Another goes on for the giver, which is dead. */
static uint32_t
adopt(const uint64_t *id, const int *fd, uint32_t n)
{
	slot_recall(&s.taker->h, 0);
	move_redo(&s.taker->h, 0);
	subscription_rechain(&s.taker->h, 0);
	return move_take(&s.taker->ch, 0, id, fd, n, &no_fault, NULL);
}

/* Whether anything comes but what is expected. */
static void
gets_only(int client, const char *bytes, size_t len)
{
	char got[256];
	struct pollfd p = {client, POLLIN, 0};
	size_t have = 0;
	ssize_t r;

	do {
		assert_int_equal(poll(&p, 1, 5000), 1);
		r = recv(client, got + have, sizeof(got) - have, 0);
		assert_true(r >= 0);
		have += (size_t)r;
	} while (r > 0);
	assert_int_equal(have, len);
	assert_memory_equal(got, bytes, len);
}

/* A connection reads what has come. */
static void
reads(struct chat *ch, uint32_t i)
{
	struct pollfd p = {ch->conn[i].fd, POLLIN, 0};

	assert_int_equal(poll(&p, 1, 5000), 1);
	conn_ready(ch, i, READY_READ);
}

/* A client answers the close frame that it has got, behind other data. */
static void
answers_close(struct chat *ch, uint32_t i, int client)
{
	static const uint8_t frames[] = {0x81, 0x81, 0, 0, 0, 0, 0x88, 0x88,
	    0x82, 1, 2, 3, 4, 0x03 ^ 1, 0xe9 ^ 2};

	assert_int_equal(
	    send(client, frames, sizeof(frames), 0), sizeof(frames));
	reads(ch, i);
}

/* It was ending, and its close frame has gone out: it is not told twice, nor
 * when the second worker is replaced, too. */
static void
test_close_is_told_once(void **state)
{
	static int fds[SLOTS];
	struct adopt_result r;
	struct node *next;
	static const uint8_t frame[] = {'1', '0', '1', 0x88, 2, 0x03, 0xe9};
	struct conn *c = &s.giver->ch.conn[s.alice];
	size_t asked;
	struct iovec iov[4];

	conn_end(&s.giver->ch, s.alice, CLOSE_GOING_AWAY, REASON_NONE);
	assert_int_equal(output_gather(&s.giver->ch.output, &c->out, s.alice,
			     iov, 4, &asked),
	    1);
	assert_int_equal(send(c->fd, iov[0].iov_base, iov[0].iov_len, 0), 4);
	close(c->fd);
	assert_int_equal(adopt(&s.id, &s.fd, 1), 1);
	next = node_new(&s.h, 1);
	fds[s.alice] = s.taker->ch.conn[s.alice].fd + 1;
	fds[s.bob] = s.taker->ch.conn[s.bob].fd + 1;
	node_adopt(next, fds, &no_fault, &r);
	assert_int_equal(r.adopted, 2);
	assert_int_equal(r.corrupted, 0);
	chat_turn(&next->ch);
	assert_int_equal(next->ch.conn[s.alice].phase, CONN_CLOSING);
	/* its client's close frame, and then our FIN */
	answers_close(&next->ch, s.alice, s.client);
	assert_int_equal(next->ch.conn[s.alice].phase, CONN_LINGER);
	gets_only(s.client, (const char *)frame, sizeof(frame));
}

/* The client's close frame had come before its worker died: the next one sends
 * its FIN at once. */
static void
test_close_was_heard(void **state)
{
	static const uint8_t frame[] = {0x88, 0x82, 0, 0, 0, 0, 0x03, 0xe8};
	struct conn *c = &s.giver->ch.conn[s.alice];
	struct pollfd p = {c->fd, POLLIN, 0};

	assert_int_equal(
	    send(s.client, frame, sizeof(frame), 0), sizeof(frame));
	assert_int_equal(poll(&p, 1, 5000), 1);
	conn_read(&s.giver->ch, s.alice);
	assert_int_equal(c->phase, CONN_ENDING);
	close(c->fd);
	assert_int_equal(adopt(&s.id, &s.fd, 1), 1);
	chat_turn(&s.taker->ch);
	assert_int_equal(s.taker->ch.conn[s.alice].phase, CONN_LINGER);
}

/* What a client has sent before its close frame is passed over; one that sends
 * no close frame is waited for CHAT_CLOSE_MS. */
static void
test_close_is_waited_for(void **state)
{
	static const uint8_t data[] = {0x82, 0x83, 0, 0, 0, 0, 'a', 'b', 'c'};
	struct chat *ch = &s.giver->ch;
	struct conn *c = &ch->conn[s.alice];

	conn_end(ch, s.alice, CLOSE_KICKED, REASON_KICKED);
	chat_turn(ch);
	assert_int_equal(c->phase, CONN_CLOSING);
	assert_int_equal(send(s.client, data, sizeof(data), 0), sizeof(data));
	reads(ch, s.alice);
	assert_int_equal(c->phase, CONN_CLOSING);
	/* the clock may have gone on since that began */
	ch->now_ms += c->due_ms - (uint32_t)ch->now_ms - 1;
	chat_sweep(ch);
	assert_int_equal(c->phase, CONN_CLOSING);
	ch->now_ms++;
	chat_sweep(ch);
	assert_int_equal(c->phase, CONN_LINGER);
}

/* It has been sent all, our FIN too: it is read from for the rest of a moment,
 * so that the end is not a reset. */
static void
test_lingers_on(void **state)
{
	conn_end(&s.giver->ch, s.alice, CLOSE_GOING_AWAY, REASON_NONE);
	chat_turn(&s.giver->ch);
	answers_close(&s.giver->ch, s.alice, s.client);
	assert_int_equal(s.giver->ch.conn[s.alice].phase, CONN_LINGER);
	close(s.giver->ch.conn[s.alice].fd);
	assert_int_equal(adopt(&s.id, &s.fd, 1), 1);
	assert_int_equal(s.taker->ch.conn[s.alice].phase, CONN_LINGER);
	chat_turn(&s.taker->ch);
	chat_turn(&s.taker->ch);
	assert_int_equal(s.taker->ch.conn[s.alice].phase, CONN_LINGER);
}

/* Who gives a dead worker's sockets back gives one twice. */
static void
test_given_twice(void **state)
{
	const uint64_t id[2] = {s.id, s.id};
	const int fd[2] = {s.fd, dup(s.fd)};

	close(s.giver->ch.conn[s.alice].fd);
	assert_int_equal(adopt(id, fd, 2), 1);
	assert_int_equal(s.taker->ch.conn[s.alice].phase, CONN_OPEN);
	assert_true(s.taker->ch.conn[s.alice].present);
	assert_int_equal(user_list_next(&s.taker->ch, s.alice), SHM_NONE);
	assert_int_equal(s.taker->ch.rooms->members[s.room], 2);
	assert_int_equal(s.taker->ch.rooms->members[PRESENCE_LOBBY], 2);
	node_say(s.taker, "lobby", "the end");
	chat_turn(&s.taker->ch);
	assert_int_equal(client_got(s.client, "the end", "the end"), 1);
}

/* A dead worker had written nonsense: a room for its connection's user, and a
 * user for its room. Others' connections are had as before. */
static void
test_wrong_entries(void **state)
{
	uint32_t sub = channel_subscription(&s.giver->ch, s.alice, "room", 4);
	uint32_t bob = s.h.slot[s.bob].user;

	close(s.giver->ch.conn[s.alice].fd);
	s.h.slot[s.alice].user = s.room;
	s.h.subscription[sub].channel = bob + 1;
	(void)adopt(&s.id, &s.fd, 1);
	assert_int_equal(s.taker->ch.rooms->members[s.room], 1);
	assert_int_equal(user_list_first(&s.taker->ch, bob), s.bob);
	if (s.taker->ch.conn[s.alice].phase == CONN_OPEN)
		conn_drop(&s.taker->ch, s.alice, NULL);
	assert_int_equal(s.taker->ch.rooms->members[s.room], 1);
	assert_true(presence_mask(&s.h, s.room) & 2);
	assert_int_equal(user_list_first(&s.taker->ch, bob), s.bob);
}

#define RACE_TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    RACE_TEST(test_given_again),
	    RACE_TEST(test_leaves_meanwhile),
	    RACE_TEST(test_slot_is_not_written),
	    RACE_TEST(test_is_one_member),
	    RACE_TEST(test_close_is_told_once),
	    RACE_TEST(test_close_was_heard),
	    RACE_TEST(test_close_is_waited_for),
	    RACE_TEST(test_lingers_on),
	    RACE_TEST(test_given_twice),
	    RACE_TEST(test_wrong_entries),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
