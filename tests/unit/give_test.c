/* give: connections that another worker gives to this one over the link, whose
 * answers are owed whatever becomes of them. */
#include "chat_fixture.h"

#include <sys/resource.h>

#include "codec/message.h"
#include "hub/stats.h"
#include "net/link.h"
#include "net/peer.h"
#include "takeover/handover.h"

/* Handles what has come to a worker. */
static void
node_events(struct node *n)
{
	assert_int_equal(event_base_loop(n->ch.base, EVLOOP_NONBLOCK), 0);
}

/* Whether something is still to be read at an end of a link. */
static bool
link_is_unread(int fd)
{
	struct pollfd p = {fd, POLLIN, 0};

	return poll(&p, 1, 0) == 1;
}

/* The lowest number that a descriptor could have. */
static int
fd_next(int any)
{
	int fd = dup(any);

	close(fd);
	return fd;
}

/* No descriptor is free for a connection, and the link to its giver is full:
 * the giver hears of it nevertheless, or nobody would ever serve it. */
static void
test_lost_and_full(void **state)
{
	struct node *giver, *taker;
	struct rlimit old, few;
	const uint64_t nothing = 0;
	uint64_t id;
	struct hub h;
	int client, pair[2];
	bool can;
	uint32_t i;

	fixture_hub(&h, 64, 100, 1 << 20, 4 << 20, 1 << 20);
	giver = node_new(&h, 0);
	taker = node_new(&h, 1);
	assert_int_equal(link_pair(pair), 0);
	chat_link(&giver->ch, 1, 1, pair[0]);
	chat_link(&taker->ch, 0, 1, pair[1]);
	i = node_open(giver, "alice", &client);
	id = slot_id(&h, i);
	assert_int_equal(give_freeze(&giver->ch, 1), i);
	assert_true(peers_message(giver->ch.peers, 1, MSG_GIVE, &id, sizeof(id),
	    giver->ch.conn[i].fd));
	while (peers_message(
	    taker->ch.peers, 0, MSG_TAKEN, &nothing, sizeof(nothing), -1))
		;
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
	few = old;
	few.rlim_cur = (rlim_t)fd_next(client);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
	can = dup(client) != -1;
	if (!can)
		node_events(taker);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
	if (can)
		skip();
	assert_int_equal(giver->ch.n_moving, 1);
	while (link_is_unread(pair[0]))
		node_events(giver);
	assert_int_equal(handover_turn(&taker->ch), -1);
	node_events(giver);
	assert_int_equal(giver->ch.n_moving, 0);
	assert_int_equal(slot_state(&h, i), SLOT_OPEN);
	node_say(giver, "lobby", "the end");
	chat_turn(&giver->ch);
	assert_int_equal(client_got(client, "the end", "the end"), 1);
	close(client);
	hub_destroy(&h);
}

/* A worker dies with a connection on its way to it, and its keepers have its
 * end of the link: that it is no more says its line. */
static void
test_taker_gone(void **state)
{
	struct node *giver;
	struct hub h;
	int client, pair[2], way;
	uint32_t i;

	for (way = 0; way < 2; way++) {
		fixture_hub(&h, 64, 100, 1 << 20, 4 << 20, 1 << 20);
		giver = node_new(&h, 0);
		assert_int_equal(link_pair(pair), 0);
		SHM_STORE(h.line[1].generation, 5);
		SHM_STORE(h.line[1].thread, 1);
		chat_link(&giver->ch, 1, 5, pair[0]);
		i = node_open(giver, "alice", &client);
		assert_int_equal(give_freeze(&giver->ch, 1), i);
		chat_sweep(&giver->ch);
		chat_turn(&giver->ch);
		assert_int_equal(giver->ch.n_moving, 1);
		if (way == 0) /* replaced, or only reaped */
			SHM_STORE(h.line[1].generation, 6);
		else
			SHM_STORE(h.line[1].thread, 0);
		chat_sweep(&giver->ch);
		chat_turn(&giver->ch);
		assert_int_equal(giver->ch.n_moving, 0);
		assert_int_equal(slot_state(&h, i), SLOT_OPEN);
		assert_int_equal(slot_holder(&h, i), 0);
		/* another process may have written that */
		assert_true(peers_is_linked(giver->ch.peers, 1));
		node_say(giver, "lobby", "the end");
		chat_turn(&giver->ch);
		assert_int_equal(client_got(client, "the end", "the end"), 1);
		close(client);
		close(pair[1]);
		hub_destroy(&h);
	}
}

/* A worker gives what it does not have, and reads no answer: what it is owed
 * then has an end, and so has the link. */
static void
test_no_answer_read(void **state)
{
	enum { SLOTS = 64 };
	const uint64_t nothing = 0;
	struct node *taker;
	struct hub h;
	int pair[2], k;

	fixture_hub(&h, SLOTS, 100, 1 << 20, 4 << 20, 1 << 20);
	taker = node_new(&h, 1);
	assert_int_equal(link_pair(pair), 0);
	chat_link(&taker->ch, 0, 1, pair[1]);
	while (peers_message(
	    taker->ch.peers, 0, MSG_TAKEN, &nothing, sizeof(nothing), -1))
		;
	for (k = 0; k < SLOTS; k++)
		handover_take(&taker->ch, 0, 1ull << 32 | 1, -1);
	assert_true(peers_is_linked(taker->ch.peers, 0));
	assert_int_equal(handover_turn(&taker->ch), 1);
	handover_take(&taker->ch, 0, 1ull << 32 | 1, -1);
	assert_false(peers_is_linked(taker->ch.peers, 0));
	assert_int_equal(handover_turn(&taker->ch), -1);
	assert_true(handover_is_idle(&taker->ch));
	close(pair[0]);
	hub_destroy(&h);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_lost_and_full),
	    cmocka_unit_test(test_taker_gone),
	    cmocka_unit_test(test_no_answer_read),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
