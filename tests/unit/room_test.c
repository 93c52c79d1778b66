/* room: connections for which another worker has no room stay where they are,
 * whole; and what was read of one is found after two deaths in a row. */
#include "way.h"

#include "hub/presence.h"
#include "hub/stats.h"
#include "hub/subscription.h"

/* What there may be no room for at another worker. */
struct room {
	void (*use)(struct way *w); /* has the connection have some of it */
	_Atomic uint8_t *(*owner)(const struct hub *h); /* of its blocks */
	uint32_t (*blocks)(const struct hub *h);
};

/* Output that its client does not read. */
static void
use_output(struct way *w)
{
	static char big[32 * 1024];
	const struct output *out = &w->giver->ch.conn[w->i].out;
	int k;

	memset(big, 'x', sizeof(big) - 1);
	for (k = 0; k < 500 && output_pending(out) == 0; k++) {
		node_say(w->giver, "lobby", big);
		chat_turn(&w->giver->ch);
	}
	assert_true(output_pending(out) > 0);
}

/* The beginning of a message. */
static void
use_input(struct way *w)
{
	static const uint8_t half[] = {
	    0x81, 0x80 | 100, 0, 0, 0, 0, 'h', 'a', 'l', 'f'};

	assert_int_equal(write(w->client, half, sizeof(half)), sizeof(half));
	conn_read(&w->giver->ch, w->i);
	assert_non_null(input_part(&w->h, w->i));
}

/* A room. */
static void
use_subscription(struct way *w)
{
	static const struct subscription terms = {
	    .flags = SUBSCRIPTION_PRESENT};
	struct channel_position at;
	uint32_t sub;

	assert_int_equal(channel_subscribe(
			     &w->giver->ch, w->i, "room", 4, &terms, &at, &sub),
	    CHANNEL_OK);
}

static _Atomic uint8_t *
segment_owner(const struct hub *h)
{
	return h->segment_owner;
}

static uint32_t
segment_blocks(const struct hub *h)
{
	return h->n_segments;
}

static _Atomic uint8_t *
page_owner(const struct hub *h)
{
	return h->page_owner;
}

static uint32_t
page_blocks(const struct hub *h)
{
	return claim_blocks(h->n_pages);
}

static _Atomic uint8_t *
subscription_owner(const struct hub *h)
{
	return h->subscription_owner;
}

static uint32_t
subscription_blocks(const struct hub *h)
{
	return claim_blocks(h->n_subscriptions);
}

/* Gives all blocks that nobody has to a worker, or takes them from it. */
static void
room_take(const struct hub *h, const struct room *r, bool take)
{
	const uint8_t worker = 5 + 1;
	uint32_t k;

	for (k = 0; k < r->blocks(h); k++)
		if (r->owner(h)[k] == (take ? 0 : worker))
			r->owner(h)[k] = take ? worker : 0;
}

/* Nothing of it is seen at worker 1. */
static void
is_not_taken(struct way *w, uint32_t left)
{
	assert_int_equal(left, 1);
	assert_int_equal(w->taker->ch.n_conns, 0);
	assert_int_equal(w->taker->ch.output.chunks.n_used, 0);
	assert_int_equal(w->taker->ch.input.pages.n_used, 0);
	assert_int_equal(w->taker->ch.rooms->subscriptions.n_used, 0);
	assert_int_equal(presence_mask(&w->h, w->h.slot[w->i].user), 1);
	assert_int_equal(presence_mask(&w->h, PRESENCE_LOBBY), 1);
}

/* Has all rooms that it has had. */
static void
has_rooms(struct way *w, struct node *n, uint32_t rooms)
{
	assert_int_equal(subscription_count(&w->h, w->i), rooms);
	assert_int_equal(n->ch.rooms->subscriptions.n_used, rooms);
}

/* There is no room for it at whom it is given to: it stays, whole. Then there
 * is, and it goes. */
static void
gives_without_room(const struct room *r)
{
	uint32_t left = 0, rooms;
	struct way w;

	way_open(&w, SLOTS);
	r->use(&w);
	rooms = subscription_count(&w.h, w.i);
	way_freeze(&w);
	room_take(&w.h, r, true);
	assert_int_equal(move_take(&w.taker->ch, 0, &w.id, (int[]){dup(w.fd)},
			     1, NULL, &left),
	    0);
	is_not_taken(&w, left);
	give_done(&w.giver->ch, 1, w.id);
	assert_int_equal(slot_state(&w.h, w.i), SLOT_OPEN);
	assert_int_equal(slot_worker(&w.h, w.i), 0);
	assert_int_equal(w.giver->ch.conn[w.i].phase, CONN_OPEN);
	has_rooms(&w, w.giver, rooms);
	room_take(&w.h, r, false);
	way_freeze(&w);
	assert_int_equal(
	    move_take(&w.taker->ch, 0, &w.id, &w.fd, 1, NULL, &left), 1);
	assert_int_equal(left, 0);
	give_done(&w.giver->ch, 1, w.id);
	assert_int_equal(w.giver->ch.n_conns, 0);
	has_rooms(&w, w.taker, rooms);
	way_end(&w);
}

/* Its worker is dead, and there is no room for it at the other: it waits for
 * its own one's replacement. */
static void
waits_without_room(const struct room *r)
{
	static int fd[SLOTS];
	struct adopt_result result;
	uint32_t left = 0, rooms;
	struct node *next;
	struct way w;

	way_open(&w, SLOTS);
	r->use(&w);
	rooms = subscription_count(&w.h, w.i);
	room_take(&w.h, r, true);
	assert_int_equal(move_take(&w.taker->ch, 0, &w.id, (int[]){dup(w.fd)},
			     1, &no_fault, &left),
	    0);
	is_not_taken(&w, left);
	close(w.giver->ch.conn[w.i].fd);
	next = node_new(&w.h, 0);
	slot_recall(&next->h, 0);
	move_redo(&next->h, 0);
	memset(fd, 0, sizeof(fd));
	fd[w.i] = w.fd + 1;
	node_adopt(next, fd, &no_fault, &result);
	assert_int_equal(result.adopted, 1);
	assert_int_equal(result.corrupted, 0);
	assert_int_equal(next->ch.conn[w.i].phase, CONN_OPEN);
	has_rooms(&w, next, rooms);
	way_end(&w);
}

static const struct room room_output = {use_output, segment_owner,
			     segment_blocks},
			 room_input = {use_input, page_owner, page_blocks},
			 room_subscription = {use_subscription,
			     subscription_owner, subscription_blocks};

static void
test_no_room_for_output(void **state)
{
	gives_without_room(&room_output);
	waits_without_room(&room_output);
}

static void
test_no_room_for_input(void **state)
{
	gives_without_room(&room_input);
	waits_without_room(&room_input);
}

static void
test_no_room_for_subscriptions(void **state)
{
	gives_without_room(&room_subscription);
	waits_without_room(&room_subscription);
}

static jmp_buf death;
static bool is_deadly; /* the next message is its worker's end */
static int n_heard;

static void
message_watch(struct chat *ch, uint32_t conn, int opcode, const char *data,
    size_t len, uint64_t position)
{
	if (is_deadly)
		longjmp(death, 1);
	n_heard++;
	plain_door.message(ch, conn, opcode, data, len, position);
}

/* A worker over that memory whose messages are watched. */
static struct node *
node_watched(const struct hub *h, int worker)
{
	static struct door door;
	struct node *n = node_new(h, worker);

	door = plain_door;
	door.message = message_watch;
	n->ch.door[plain_door.id] = &door;
	return n;
}

/* Its worker dies with what it has said read and not done; who goes on with it
 * dies before that is done, and its replacement does it: it finds it where the
 * first one has left it. */
static void
test_adopter_dies_before_replay(void **state)
{
	static const uint8_t frame[] = {
	    0x81, 0x80 | 5, 0, 0, 0, 0, 'h', 'e', 'l', 'l', 'o'};
	static int fd[SLOTS];
	struct adopt_result r;
	struct node *volatile taker, *next;
	struct way w;

	way_open(&w, SLOTS);
	w.h.worker[0].staged_from[0] = 0;
	w.h.worker[0].staged_conn[0] = w.id;
	assert_int_equal(write(w.client, frame, sizeof(frame)), sizeof(frame));
	assert_int_equal(read(w.fd, w.h.stage, SHM_STAGE), sizeof(frame));
	close(w.giver->ch.conn[w.i].fd);
	taker = node_watched(&w.h, 1);
	is_deadly = true;
	n_heard = 0;
	fd[w.i] = dup(w.fd) + 1;
	if (setjmp(death) == 0) {
		move_take(&taker->ch, 0, &w.id, &w.fd, 1, &no_fault, NULL);
		fail_msg("nothing was replayed");
	}
	assert_int_equal(slot_worker(&w.h, w.i), 1);
	is_deadly = false;
	next = node_watched(&w.h, 1);
	slot_recall(&next->h, 1);
	move_redo(&next->h, 1);
	node_adopt(next, fd, &no_fault, &r);
	assert_int_equal(r.adopted, 1);
	assert_int_equal(r.corrupted, 0);
	assert_int_equal(r.replayed, 1);
	assert_int_equal(n_heard, 1);
	chat_turn(&next->ch);
	chat_turn(&next->ch);
	assert_int_equal(
	    client_got(w.client, "alice says: hello", "alice says: hello"), 1);
	goes_on(&w, next);
	way_end(&w);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_no_room_for_output),
	    cmocka_unit_test(test_no_room_for_input),
	    cmocka_unit_test(test_no_room_for_subscriptions),
	    cmocka_unit_test(test_adopter_dies_before_replay),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
