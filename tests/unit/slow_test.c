/* slow: who reads too slowly is closed; that is who has been offered output and
 * not taken it, never who was offered none since a backlog began. */
#include "chat_fixture.h"

#include "hub/stats.h"

enum {
	SLOTS = 64,
	QUEUE = 4096, /* bytes: far less than the backlog */
	BACKLOG = 400,
	SECONDS = 20
};

/* A worker with a small queue, and one that others publish at. */
struct scene {
	struct hub h;
	struct node *n, *other;
	uint32_t alice;
	int client;
};

/* Alice at the plain door of worker 0. */
static void
scene_begin(struct scene *s)
{
	alarm(SECONDS); /* a loop without end ends the test */
	fixture_hub(&s->h, SLOTS, 100, 1 << 20, 4 << 20, 1 << 20);
	s->n = node_new(&s->h, 0);
	s->n->ch.live.queue_bytes = QUEUE;
	s->other = node_new(&s->h, 1);
	s->alice = node_open(s->n, "alice", &s->client);
}

static void
scene_end(struct scene *s)
{
	alarm(0);
	close(s->client);
	hub_destroy(&s->h);
}

/* Another worker's client says so many lines. */
static void
backlog(struct scene *s, int lines)
{
	while (lines-- > 0)
		node_say(s->other, "lobby", "LINE");
}

/* She goes on, and has got each line once when `last` comes. */
static void
alice_has(struct scene *s, int lines, const char *last)
{
	assert_int_equal(s->n->ch.conn[s->alice].phase, CONN_OPEN);
	while (chat_turn(&s->n->ch) == 0)
		;
	assert_int_equal(s->n->h.me->closed_slow, 0);
	assert_int_equal(s->n->h.me->skipped, 0);
	assert_int_equal(client_got(s->client, "LINE", last), lines);
}

/* She sends a command, whose answer comes behind the backlog. */
static void
test_command(void **state)
{
	struct scene s;

	scene_begin(&s);
	backlog(&s, BACKLOG);
	s.n->ch.rooms->unsettled = true;
	node_read(s.n, s.alice, s.client, "/nothing");
	alice_has(&s, BACKLOG, "unknown command");
	scene_end(&s);
}

/* A worker has hung and is replaced; what its client sent meanwhile is a
 * command. */
static void
test_takeover(void **state)
{
	static const struct adopt_fault none;
	int fd[SLOTS] = {0};
	struct adopt_result r;
	struct scene s;

	scene_begin(&s);
	backlog(&s, BACKLOG);
	fd[s.alice] = node_fd(s.n, s.alice) + 1;
	s.n = node_new(&s.h, 0);
	s.n->ch.live.queue_bytes = QUEUE;
	node_adopt(s.n, fd, &none, &r);
	assert_int_equal(r.adopted, 1);
	node_read(s.n, s.alice, s.client, "/nothing");
	alice_has(&s, BACKLOG, "unknown command");
	scene_end(&s);
}

/* The share of one turn, of lines that are shorter than their bookkeeping. */
static void
test_turn(void **state)
{
	struct scene s;
	uint64_t turns = 1;

	scene_begin(&s);
	backlog(&s, BACKLOG);
	deliver(&s.n->ch);
	assert_true(SHM_OWN(s.n->h.mine->cursor) < BACKLOG / 2);
	for (; SHM_OWN(s.n->h.mine->cursor) < journal_tail(&s.h); turns++)
		deliver(&s.n->ch);
	assert_in_range(turns, 3, BACKLOG);
	assert_in_range(
	    output_pending(&s.n->ch.conn[s.alice].out), 1, QUEUE / 2);
	node_say(s.other, "lobby", "the end");
	alice_has(&s, BACKLOG, "the end");
	scene_end(&s);
}

/* She comes back from a worker that has not taken her up, and much has been
 * said meanwhile. */
static void
test_moved(void **state)
{
	struct scene s;

	scene_begin(&s);
	assert_int_equal(give_freeze(&s.n->ch, 1), s.alice);
	backlog(&s, BACKLOG);
	node_say(s.other, "lobby", "the end");
	while (chat_turn(&s.n->ch) == 0)
		;
	give_done(&s.n->ch, 1, slot_id(&s.h, s.alice));
	alice_has(&s, BACKLOG, "the end");
	scene_end(&s);
}

/* Many commands come in one read: their answers are more than the queue. */
static void
test_answers(void **state)
{
	enum { COMMANDS = 200 };
	static uint8_t frame[COMMANDS][11];
	struct pollfd p;
	struct scene s;
	int k;

	scene_begin(&s);
	for (k = 0; k < COMMANDS; k++) {
		memcpy(frame[k], "\x81\x85\0\0\0\0/LINE", sizeof(frame[k]));
		if (k == COMMANDS - 1)
			memcpy(frame[k] + 6, "/last", 5);
	}
	assert_int_equal(
	    send(s.client, frame, sizeof(frame), 0), sizeof(frame));
	p = (struct pollfd){s.n->ch.conn[s.alice].fd, POLLIN, 0};
	assert_int_equal(poll(&p, 1, 5000), 1);
	conn_read(&s.n->ch, s.alice);
	alice_has(&s, COMMANDS - 1, "unknown command /last");
	scene_end(&s);
}

/* With `slow-policy skip` nothing is skipped of what was not offered. */
static void
test_skip(void **state)
{
	struct scene s;

	scene_begin(&s);
	s.n->ch.live.slow_policy = CONF_SLOW_SKIP;
	backlog(&s, BACKLOG);
	deliver_all(&s.n->ch);
	node_say(s.other, "lobby", "the end");
	alice_has(&s, BACKLOG, "the end");
	scene_end(&s);
}

/* One whose socket takes no more is closed, as slow. */
static void
test_slow(void **state)
{
	int small = 4096, k;
	struct scene s;

	scene_begin(&s);
	setsockopt(s.client, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small));
	setsockopt(s.n->ch.conn[s.alice].fd, SOL_SOCKET, SO_SNDBUF, &small,
	    sizeof(small));
	for (k = 0; k < 1000 && s.n->h.me->closed_slow == 0; k++) {
		backlog(&s, BACKLOG);
		deliver_all(&s.n->ch);
		chat_turn(&s.n->ch);
	}
	assert_int_equal(s.n->h.me->closed_slow, 1);
	assert_int_not_equal(s.n->ch.conn[s.alice].phase, CONN_OPEN);
	assert_int_equal(s.h.slot[s.alice].close_code, CLOSE_POLICY);
	scene_end(&s);
}

/* Fills what the kernel holds for a client that does not read. */
static void
socket_fill(int fd)
{
	static const char bytes[65536];

	while (send(fd, bytes, sizeof(bytes), MSG_DONTWAIT) > 0)
		;
}

/* Who is not known to be slow may exceed the bound by one message, whatever its
 * length, and no more. */
static void
test_one_more(void **state)
{
	char line[QUEUE];
	struct scene s;

	memset(line, 'x', sizeof(line) - 1);
	line[sizeof(line) - 1] = '\0';
	scene_begin(&s);
	socket_fill(s.n->ch.conn[s.alice].fd);
	node_say(s.other, "lobby", "LINE");
	node_say(s.other, "lobby", line);
	deliver_all(&s.n->ch);
	assert_int_equal(s.n->ch.conn[s.alice].phase, CONN_OPEN);
	assert_in_range(
	    output_pending(&s.n->ch.conn[s.alice].out), QUEUE + 1, 2 * QUEUE);
	node_say(s.other, "lobby", "LINE");
	deliver_all(&s.n->ch);
	assert_int_equal(s.n->ch.conn[s.alice].phase, CONN_ENDING);
	assert_int_equal(s.h.slot[s.alice].close_code, CLOSE_POLICY);
	scene_end(&s);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_command),
	    cmocka_unit_test(test_takeover),
	    cmocka_unit_test(test_turn),
	    cmocka_unit_test(test_moved),
	    cmocka_unit_test(test_answers),
	    cmocka_unit_test(test_skip),
	    cmocka_unit_test(test_slow),
	    cmocka_unit_test(test_one_more),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
