/* move: connections that go on at another worker, and every worker that may
 * die, be late or be wrong while they are on their way. */
#include "way.h"

#include "hub/lock.h"
#include "hub/presence.h"
#include "hub/stats.h"
#include "hub/subscription.h"
#include "net/link.h"

/* It moves, and nobody dies. */
static void
test_moves(void **state)
{
	struct way w;

	way_begin(&w, SLOTS);
	assert_int_equal(
	    move_take(&w.taker->ch, 0, &w.id, &w.fd, 1, NULL, NULL), 1);
	give_done(&w.giver->ch, 1, w.id);
	assert_int_equal(w.giver->ch.n_conns, 0);
	assert_int_equal(w.giver->ch.slots.n_used, 0);
	assert_int_equal(presence_mask(&w.h, w.h.slot[w.i].user), 2);
	goes_on(&w, w.taker);
	way_end(&w);
}

/* Another connection of its user comes meanwhile: it is told of that wherever
 * it goes on, as its user's own channel tells of joins. */
static void
test_own_join(void **state)
{
	const struct conf_channel rule = {
	    .pattern = "#", .len = 1, .prefix = 1, .join_leave = 1};
	struct way w;
	uint32_t other;
	int client;

	for (int back = 0; back < 2; back++) {
		fixture_hub(&w.h, SLOTS, 100, 1 << 20, 4 << 20, 1 << 20);
		w.giver = node_new(&w.h, 0);
		w.taker = node_new(&w.h, 1);
		for (int k = 0; k < 2; k++) {
			struct chat *ch = k ? &w.taker->ch : &w.giver->ch;

			ch->live.channel[ch->live.n_channels++] = rule;
			ch->live.insecure = true;
		}
		w.i =
		    node_open_at(w.giver, &centrifugo_door, "alice", &w.client);
		w.id = slot_id(&w.h, w.i);
		w.fd = node_fd(w.giver, w.i);
		(void)client_got(w.client, "\"join\"", "\"join\"");
		way_freeze(&w);
		other = node_open(w.giver, "alice", &client);
		chat_turn(&w.giver->ch);
		if (back)
			give_back(&w.giver->ch, 1);
		else {
			assert_int_equal(move_take(&w.taker->ch, 0, &w.id,
					     &w.fd, 1, NULL, NULL),
			    1);
			give_done(&w.giver->ch, 1, w.id);
		}
		chat_turn(back ? &w.giver->ch : &w.taker->ch);
		assert_int_equal(
		    client_got(w.client, "\"join\"", "\"join\""), 1);
		conn_drop(&w.giver->ch, other, NULL);
		close(client);
		way_end(&w);
	}
}

/* Whom it was to go to dies, and is cleaned up after before its giver knows:
 * it is still the giver's. */
static void
test_taker_is_cleaned(void **state)
{
	struct node *third;
	struct way w;

	way_begin(&w, SLOTS);
	third = node_new(&w.h, 2);
	chat_clean(&third->h, 1);
	assert_int_equal(slot_state(&w.h, w.i), SLOT_MOVING);
	give_back(&w.giver->ch, 1);
	goes_on(&w, w.giver);
	way_end(&w);
}

/* The end of the link to it is noticed by sending. */
static void
test_link_breaks(void **state)
{
	struct way w;
	int fd[2];

	way_begin(&w, SLOTS);
	assert_int_equal(link_pair(fd), 0);
	chat_link(&w.giver->ch, 1, 1, fd[0]);
	close(fd[1]);
	hub_lock(&w.taker->h);
	presence_set(&w.taker->h, PRESENCE_LOBBY);
	hub_unlock(&w.taker->h);
	node_say(w.giver, "lobby", "for both");
	chat_turn(&w.giver->ch);
	assert_int_equal(w.giver->ch.n_moving, 0);
	goes_on(&w, w.giver);
	way_end(&w);
}

/* Its giver delivers to others, dies and has a replacement: it gets what they
 * got, and who was to take it comes too late. */
static void
test_giver_is_replaced(void **state)
{
	static int fd[SLOTS];
	struct adopt_result r;
	struct node *next;
	struct way w;
	int late;

	way_begin(&w, SLOTS);
	node_say(w.giver, "lobby", "meanwhile");
	chat_turn(&w.giver->ch);
	late = dup(w.fd);
	close(w.giver->ch.conn[w.i].fd);
	next = node_new(&w.h, 0);
	slot_recall(&next->h, 0);
	move_redo(&next->h, 0);
	fd[w.i] = w.fd + 1;
	node_adopt(next, fd, &no_fault, &r);
	assert_int_equal(r.adopted, 1);
	assert_int_equal(
	    move_take(&w.taker->ch, 0, &w.id, &late, 1, NULL, NULL), 0);
	assert_int_equal(slot_worker(&w.h, w.i), 0);
	chat_turn(&next->ch);
	node_say(next, "lobby", "then");
	chat_turn(&next->ch);
	assert_int_equal(client_got(w.client, "meanwhile", "then"), 1);
	goes_on(&w, next);
	way_end(&w);
}

/* Its giver dies, and a third one goes on for it. */
static void
test_giver_is_adopted(void **state)
{
	struct node *third;
	struct way w;

	way_begin(&w, SLOTS);
	node_say(w.giver, "lobby", "meanwhile");
	chat_turn(&w.giver->ch);
	close(w.giver->ch.conn[w.i].fd);
	third = node_new(&w.h, 2);
	slot_recall(&third->h, 0);
	move_redo(&third->h, 0);
	assert_int_equal(
	    move_take(&third->ch, 0, &w.id, &w.fd, 1, &no_fault, NULL), 1);
	chat_clean(&third->h, 0);
	node_say(third, "lobby", "then");
	chat_turn(&third->ch);
	assert_int_equal(client_got(w.client, "meanwhile", "then"), 1);
	goes_on(&w, third);
	way_end(&w);
}

/* Nobody has it: with its giver cleaned up after, it has gone. */
static void
test_giver_is_cleaned(void **state)
{
	struct node *third;
	struct way w;

	way_begin(&w, SLOTS);
	third = node_new(&w.h, 2);
	chat_clean(&third->h, 0);
	assert_int_equal(slot_state(&w.h, w.i), SLOT_FREE);
	assert_int_equal(
	    move_take(&w.taker->ch, 0, &w.id, &w.fd, 1, NULL, NULL), 0);
	way_end(&w);
}

/* Its giver's replacement dies while it chains the subscriptions anew; a third
 * one goes on with all of them. */
static void
test_replacement_dies_chaining(void **state)
{
	static const struct subscription terms;
	static const char *const name[] = {"room", "hall", "yard"};
	struct channel_position at;
	struct node *third;
	struct way w;
	uint32_t sub;

	way_begin(&w, SLOTS);
	give_back(&w.giver->ch, 1);
	for (int k = 0; k < 3; k++)
		assert_int_equal(channel_subscribe(&w.giver->ch, w.i, name[k],
				     4, &terms, &at, &sub),
		    CHANNEL_OK);
	/* the last of them is chained already */
	w.h.subscription[sub].slot_next = 0;
	w.h.slot[w.i].subscriptions = sub + 1;
	third = node_new(&w.h, 2);
	slot_recall(&third->h, 0);
	move_redo(&third->h, 0);
	subscription_rechain(&third->h, 0);
	assert_int_equal(
	    move_take(&third->ch, 0, &w.id, &w.fd, 1, &no_fault, NULL), 1);
	for (int k = 0; k < 3; k++)
		assert_int_not_equal(
		    channel_subscription(&third->ch, w.i, name[k], 4),
		    SHM_NONE);
	goes_on(&w, third);
	way_end(&w);
}

/* A third one goes on with it, but dies before it could clean up: who replaces
 * the first leaves alone what is the third one's, though its own records speak
 * of the same connection. */
static void
test_adopter_dies_unclean(void **state)
{
	static const struct subscription terms;
	static int none[SLOTS];
	struct channel_position at;
	struct node *third, *next;
	struct adopt_result r;
	struct way w;
	uint32_t sub;

	way_begin(&w, SLOTS);
	give_back(&w.giver->ch, 1);
	assert_int_equal(
	    channel_subscribe(&w.giver->ch, w.i, "room", 4, &terms, &at, &sub),
	    CHANNEL_OK);
	third = node_new(&w.h, 2);
	slot_recall(&third->h, 0);
	move_redo(&third->h, 0);
	assert_int_equal(
	    move_take(&third->ch, 0, &w.id, &w.fd, 1, &no_fault, NULL), 1);
	sub = channel_subscription(&third->ch, w.i, "room", 4);
	assert_int_not_equal(sub, SHM_NONE);
	next = node_new(&w.h, 0);
	slot_recall(&next->h, 0);
	node_adopt(next, none, &no_fault, &r);
	assert_int_equal(r.adopted + r.lost, 0);
	assert_int_equal(channel_subscription(&third->ch, w.i, "room", 4), sub);
	goes_on(&w, third);
	way_end(&w);
}

/* Who took it dies before its fields are stored, and a third one goes on. */
static void
test_taker_dies_committed(void **state)
{
	struct node *third;
	uint32_t subscriptions;
	struct way w;
	int fd;

	way_begin(&w, SLOTS);
	fd = dup(w.fd);
	assert_int_equal(
	    move_take(&w.taker->ch, 0, &w.id, &w.fd, 1, NULL, NULL), 1);
	w.h.worker[1].move_id = w.id;
	subscriptions = w.h.slot[w.i].subscriptions;
	w.h.slot[w.i].subscriptions = 0;
	w.h.slot[w.i].chunk = 77;
	give_done(&w.giver->ch, 1, w.id);
	third = node_new(&w.h, 2);
	slot_recall(&third->h, 1);
	move_redo(&third->h, 1);
	assert_int_equal(w.h.slot[w.i].chunk, 0);
	assert_int_equal(w.h.slot[w.i].subscriptions, subscriptions);
	assert_int_equal(
	    move_take(&third->ch, 1, &w.id, &fd, 1, &no_fault, NULL), 1);
	goes_on(&w, third);
	way_end(&w);
}

/* It was taken, but that was not told: the link was full. */
static void
test_taken_is_not_told(void **state)
{
	struct way w;

	way_begin(&w, SLOTS);
	assert_int_equal(
	    move_take(&w.taker->ch, 0, &w.id, &w.fd, 1, NULL, NULL), 1);
	chat_sweep(&w.giver->ch);
	assert_int_equal(w.giver->ch.n_moving, 0);
	assert_int_equal(w.giver->ch.n_conns, 0);
	assert_int_equal(presence_mask(&w.h, w.h.slot[w.i].user), 2);
	goes_on(&w, w.taker);
	way_end(&w);
}

/* It was told that it is taken, and it is not; by others, too. */
static void
test_taken_is_not_true(void **state)
{
	struct way w;

	way_begin(&w, SLOTS);
	give_done(&w.giver->ch, 2, w.id);
	assert_int_equal(w.giver->ch.n_moving, 1);
	give_done(&w.giver->ch, 1, w.id);
	goes_on(&w, w.giver);
	close(w.fd);
	way_end(&w);
}

static uint64_t in_hand; /* at the last rendering; 0: nothing */

static int
render_watch(struct chat *ch, const struct publication *p, struct iovec *parts)
{
	const struct shm_line *mine = ch->hub->mine;

	in_hand = mine->hand == HAND_DELIVERY ? mine->hand_arg : 0;
	return plain_door.render(ch, p, parts);
}

/* What it gets on its arrival is in its new worker's hand meanwhile: that is to
 * blame if it kills. */
static void
test_missed_is_in_hand(void **state)
{
	struct door door = plain_door;
	struct way w;

	way_begin(&w, SLOTS);
	door.render = render_watch;
	w.giver->ch.door[plain_door.id] = w.taker->ch.door[plain_door.id] =
	    &door;
	node_say(w.giver, "lobby", "on the way");
	w.giver->h.mine->hand = HAND_INPUT;
	w.giver->h.mine->hand_arg = 7;
	chat_turn(&w.giver->ch);
	in_hand = 0;
	give_done(&w.giver->ch, 1, w.id); /* it stays here, after all */
	assert_int_equal(in_hand, journal_tail(&w.h));
	assert_int_equal(w.giver->h.mine->hand, HAND_INPUT);
	assert_int_equal(w.giver->h.mine->hand_arg, 7);
	goes_on(&w, w.giver);
	close(w.fd);
	way_end(&w);
}

/* What the ring has overwritten while it was on its way is told, though the
 * channel's next publication is not delivered here yet. */
static void
test_lost_on_the_way(void **state)
{
	static char big[8000];
	struct channel_position at;
	const struct subscription terms = {.flags = SUBSCRIPTION_PRESENT};
	struct node *giver, *other;
	struct hub h;
	uint32_t i, sub, k;
	int client;

	memset(big, 'x', sizeof(big) - 1);
	fixture_hub(&h, SLOTS, 100, 1 << 20, 4 << 20, 1 << 20);
	giver = node_new(&h, 0);
	other = node_new(&h, 1);
	i = node_open(giver, "alice", &client);
	assert_int_equal(
	    channel_subscribe(&giver->ch, i, "den", 3, &terms, &at, &sub),
	    CHANNEL_OK);
	assert_int_equal(give_freeze(&giver->ch, 1), i);
	node_say(other, "den", "what is lost");
	for (k = 0; k < 300; k++) {
		node_say(other, "hall", big);
		chat_turn(&giver->ch);
	}
	node_say(other, "den", "what is next");
	give_done(&giver->ch, 1, slot_id(&h, i));
	for (k = 0; k < 5; k++)
		chat_turn(&giver->ch);
	node_say(giver, "lobby", "the end");
	chat_turn(&giver->ch);
	assert_int_equal(client_got(client, "were skipped", "the end"), 1);
	close(client);
	hub_destroy(&h);
}

/* It ends at its new worker, and its slot is the next one's here before the
 * old one's end is told. */
static void
test_slot_is_reused(void **state)
{
	struct way w;
	int client;
	uint32_t i;

	way_begin(&w, 1);
	assert_int_equal(
	    move_take(&w.taker->ch, 0, &w.id, &w.fd, 1, NULL, NULL), 1);
	conn_drop(&w.taker->ch, w.i, NULL);
	i = node_open(w.giver, "bob", &client);
	assert_int_equal(i, w.i);
	give_done(&w.giver->ch, 1, w.id);
	assert_int_equal(w.giver->ch.n_conns, 1);
	node_say(w.giver, "lobby", "bob alone");
	chat_turn(&w.giver->ch);
	assert_int_equal(client_got(client, "bob alone", "bob alone"), 1);
	close(client);
	way_end(&w);
}

/* The connection that was heard last is served first, once its worker is
 * replaced. */
static void
test_order_of_settling(void **state)
{
	enum { N = 5 };
	static const uint32_t silent_ms[N] = {300, 100, 500, 0, 200};
	static const uint32_t order[N] = {3, 1, 4, 0, 2};
	static int fd[SLOTS];
	struct adopt_result r;
	struct node *old, *next;
	uint32_t i[N], k;
	int client[N];
	char name[2] = "a";
	struct hub h;

	fixture_hub(&h, SLOTS, 100, 1 << 20, 4 << 20, 1 << 20);
	old = node_new(&h, 0);
	for (k = 0; k < N; k++) {
		name[0] = (char)('a' + k);
		i[k] = node_open(old, name, &client[k]);
		h.slot[i[k]].heard_ms = (uint32_t)old->ch.now_ms - silent_ms[k];
		fd[i[k]] = old->ch.conn[i[k]].fd + 1;
	}
	next = node_new(&h, 0);
	node_adopt(next, fd, &no_fault, &r);
	assert_int_equal(r.adopted, N);
	assert_int_equal(next->ch.n_dirty, N);
	for (k = 0; k < N; k++) {
		assert_int_equal(next->ch.dirty[k], i[order[k]]);
		close(client[k]);
	}
	hub_destroy(&h);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_moves),
	    cmocka_unit_test(test_own_join),
	    cmocka_unit_test(test_taker_is_cleaned),
	    cmocka_unit_test(test_link_breaks),
	    cmocka_unit_test(test_giver_is_replaced),
	    cmocka_unit_test(test_giver_is_adopted),
	    cmocka_unit_test(test_giver_is_cleaned),
	    cmocka_unit_test(test_replacement_dies_chaining),
	    cmocka_unit_test(test_adopter_dies_unclean),
	    cmocka_unit_test(test_taker_dies_committed),
	    cmocka_unit_test(test_taken_is_not_told),
	    cmocka_unit_test(test_taken_is_not_true),
	    cmocka_unit_test(test_missed_is_in_hand),
	    cmocka_unit_test(test_lost_on_the_way),
	    cmocka_unit_test(test_slot_is_reused),
	    cmocka_unit_test(test_order_of_settling),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
