/* transport: connections over transports that are not TCP's go through the same
 * reading, writing and takeover: one takes and gives a byte at a time, one
 * takes nothing ever, one breaks, one has much to say before and at the end. */
#include "net/transport.h"

#define CHATD_TRANSPORTS_MORE ROW(drip) ROW(stuck) ROW(broken) ROW(shy)
#include "../../src/net/transport.c"

#define FIXTURE_NODES 128
#include "chat_fixture.h"

#include "conn/begin.h"

#include <errno.h>

enum { DRIP = 3, STUCK = 4, BROKEN = 5, SHY = 6, SLOTS = 64 };

static const struct adopt_fault no_fault;
static int n_recv, n_send, n_positions, n_stop, n_reset;
static uint32_t last_conn;
static uint64_t next_at;

static ssize_t
drip_recv(const struct transport_socket *s, void *out, size_t len)
{
	n_recv++;
	last_conn = s->conn;
	assert_true(len > 0);
	return recv(s->fd, out, 1, MSG_DONTWAIT);
}

/* A byte at a time, each at the position where the one before it ended; then
 * nothing until it is asked again. */
static ssize_t
drip_seal(const struct transport_socket *s, const uint8_t *plain, size_t len,
    uint8_t *out)
{
	static bool full;

	assert_true(len > 0);
	assert_true(next_at == 0 || s->at == next_at);
	full = !full;
	if (!full)
		return 0;
	n_send++;
	last_conn = s->conn;
	out[0] = plain[0];
	return 1;
}

static ssize_t
drip_sent(const struct transport_socket *s, size_t taken)
{
	assert_int_equal(taken, 1);
	next_at = s->at + 1;
	return 1;
}

static bool
drip_unread(const struct transport_socket *s)
{
	return false;
}

static int
drip_positions(
    const struct transport_socket *s, bool read, struct counters *out)
{
	n_positions++;
	last_conn = s->conn;
	return counters_read(s->fd, read, out);
}

static enum transport_wait
drip_stop(const struct transport_socket *s)
{
	n_stop++;
	shutdown(s->fd, SHUT_WR);
	return TRANSPORT_READY;
}

static void
drip_reset(const struct transport_socket *s)
{
	n_reset++;
}

const struct transport drip_transport = {.name = "drip",
    .state_bytes = 1,
    .recv = drip_recv,
    .seal = drip_seal,
    .sent = drip_sent,
    .unread = drip_unread,
    .positions = drip_positions,
    .stop = drip_stop,
    .reset = drip_reset};

static ssize_t
stuck_recv(const struct transport_socket *s, void *out, size_t len)
{
	n_recv++;
	errno = EAGAIN;
	return -1;
}

static ssize_t
stuck_seal(const struct transport_socket *s, const uint8_t *plain, size_t len,
    uint8_t *out)
{
	n_send++;
	return 0;
}

const struct transport stuck_transport = {.name = "stuck",
    .recv = stuck_recv,
    .seal = stuck_seal,
    .unread = drip_unread,
    .positions = drip_positions,
    .stop = drip_stop,
    .reset = drip_reset};

static ssize_t
broken_seal(const struct transport_socket *s, const uint8_t *plain, size_t len,
    uint8_t *out)
{
	errno = EPIPE;
	return -1;
}

const struct transport broken_transport = {.name = "broken",
    .recv = stuck_recv,
    .seal = broken_seal,
    .unread = drip_unread,
    .positions = drip_positions,
    .stop = drip_stop,
    .reset = drip_reset};

/* One that waits for this and that before it begins and when it ends. */
static enum transport_wait shy_waits;
static uint8_t *shy_state;

static enum transport_wait
shy_start(const struct transport_socket *s)
{
	uint8_t *state = s->state;

	if (shy_state == NULL) /* the one before has left nothing */
		assert_int_equal(state[0], 0);
	shy_state = state;
	state[0] = 1;
	errno = EPROTO;
	return shy_waits;
}

/* A part of what it waits for, which stays there. */
static bool
shy_unread(const struct transport_socket *s)
{
	return true;
}

static enum transport_wait
shy_stop(const struct transport_socket *s)
{
	n_stop++;
	if (shy_waits == TRANSPORT_READY)
		shutdown(s->fd, SHUT_WR);
	return shy_waits;
}

const struct transport shy_transport = {.name = "shy",
    .state_bytes = 1,
    .start = shy_start,
    .recv = stuck_recv,
    .unread = shy_unread,
    .positions = drip_positions,
    .stop = shy_stop,
    .reset = drip_reset};

static struct hub h;
static struct node *n;
static uint32_t i, witness;
static int client, witness_client;

/* A connection over that transport, and a witness over TCP. */
static void
world(uint8_t transport)
{
	size_t len;

	fixture_hub(&h, SLOTS, 100, 1 << 20, 4 << 20, 1 << 20);
	fixture_wire(&h);
	n = node_new(&h, 0);
	i = node_open(n, "alice", &client);
	witness = node_open(n, "bob", &witness_client);
	assert_int_equal(h.slot[i].transport, TRANSPORT_USUAL);
	client_all(client, "101", &len);
	n->ch.conn[i].transport = h.slot[i].transport = transport;
	n_recv = n_send = n_positions = n_stop = n_reset = 0;
	next_at = 0;
}

static void
world_end(void)
{
	close(client);
	close(witness_client);
	hub_destroy(&h);
}

/* Turns of a worker, in each of which the socket takes more, until all that a
 * connection is to get is written. Returns how many. */
static uint32_t
write_all(struct node *at, uint32_t conn)
{
	uint32_t turns = 0;

	do {
		at->ch.conn[conn].blocked = false;
		conn_dirty(&at->ch, conn);
		chat_turn(&at->ch);
		turns++;
		assert_true(turns < 10000);
	} while (output_pending(&at->ch.conn[conn].out) > 0);
	return turns;
}

/* A byte at a time: everything comes once, in order, and beside others who get
 * theirs in a batch. */
static void
test_drip_writes(void **state)
{
	int k;

	world(DRIP);
	for (k = 0; k < 20; k++)
		node_say(n, "lobby", "text of many bytes");
	node_say(n, "lobby", "END");
	chat_turn(&n->ch);
	assert_true(n->ch.conn[i].blocked);
	assert_int_equal(n_send, 1);
	assert_int_equal(
	    client_got(witness_client, "text of many bytes", "END"), 20);
	assert_true(write_all(n, i) > 20 * 18);
	assert_int_equal(client_got(client, "text of many bytes", "END"), 20);
	assert_int_equal(last_conn, i);
	world_end();
}

/* A byte at a time comes in: the message is whole at its last byte. */
static void
test_drip_reads(void **state)
{
	static const uint8_t frame[] = "\x81\x85\0\0\0\0hello";
	const size_t len = sizeof(frame) - 1;
	struct pollfd p = {.events = POLLIN};
	size_t k;

	world(DRIP);
	p.fd = n->ch.conn[i].fd;
	assert_int_equal(send(client, frame, len, 0), len);
	for (k = 0; k < len; k++) {
		assert_int_equal(journal_tail(&h), 0);
		assert_int_equal(poll(&p, 1, 5000), 1);
		conn_read(&n->ch, i);
	}
	assert_int_equal(n_recv, len);
	assert_int_equal(journal_tail(&h), 1);
	chat_turn(&n->ch);
	assert_int_equal(
	    client_got(witness_client, "alice says: hello", "hello"), 1);
	world_end();
}

/* The next worker goes on with it over the same transport, at the byte where
 * its positions say. */
static void
test_drip_takeover(void **state)
{
	static int fd[SLOTS];
	struct adopt_result r;
	struct node *next;
	int k;

	world(DRIP);
	for (k = 0; k < 10; k++)
		node_say(n, "lobby", "text");
	node_say(n, "lobby", "END");
	chat_turn(&n->ch);
	for (k = 0; k < 40; k++) { /* a part of it */
		n->ch.conn[i].blocked = false;
		conn_dirty(&n->ch, i);
		chat_turn(&n->ch);
	}
	memset(fd, 0, sizeof(fd));
	fd[i] = node_fd(n, i) + 1;
	fd[witness] = node_fd(n, witness) + 1;
	next = node_new(&h, 0);
	node_adopt(next, fd, &no_fault, &r);
	assert_int_equal(r.adopted, 2);
	assert_int_equal(r.corrupted, 0);
	assert_true(n_positions >= 1);
	assert_int_equal(next->ch.conn[i].transport, DRIP);
	write_all(next, i);
	assert_int_equal(client_got(client, "text", "END"), 10);
	assert_int_equal(client_got(witness_client, "text", "END"), 10);
	world_end();
}

/* What another process may write into a slot: stations that are not there. */
static void
stations_spoil(uint32_t which)
{
	static const struct {
		uint8_t transport, door, framing;
	} wrong[] = {{7, 1, 1}, {0, 1, 1}, {UINT8_MAX, 1, 1}, {DRIP, 0, 1},
	    {DRIP, 6, 1}, {DRIP, DOOR_IDS, 1}, {DRIP, UINT8_MAX, 1},
	    {DRIP, 1, 0}, {DRIP, 1, 7}, {DRIP, 1, UINT8_MAX}};
	enum { WRONG = sizeof(wrong) / sizeof(wrong[0]) };

	h.slot[i].transport = wrong[which % WRONG].transport;
	h.slot[i].door = wrong[which % WRONG].door;
	h.slot[i].framing = wrong[which % WRONG].framing;
}

/* A slot of which another process says that it has stations which are not there
 * does not go on, and nobody else is hurt: of a worker's own, */
static void
test_corrupted(void **state)
{
	static int fd[SLOTS];
	struct adopt_result r;
	struct node *next;

	for (uint32_t k = 0; k < 10; k++) {
		world(DRIP);
		memset(fd, 0, sizeof(fd));
		fd[i] = node_fd(n, i) + 1;
		fd[witness] = node_fd(n, witness) + 1;
		stations_spoil(k);
		next = node_new(&h, 0);
		node_adopt(next, fd, &no_fault, &r);
		assert_int_equal(r.corrupted, 1);
		assert_int_equal(r.adopted, 1);
		assert_int_equal(n_positions, 0);
		assert_int_equal(next->ch.conn[i].phase, CONN_NONE);
		node_say(next, "lobby", "END");
		chat_turn(&next->ch);
		assert_int_equal(client_got(witness_client, "END", "END"), 1);
		world_end();
	}
}

/* and of another's, dead or alive: who gives it has it still. */
static void
test_corrupted_moves(void **state)
{
	struct node *taker;
	uint32_t left;
	uint64_t id;
	bool given;
	int fd;

	for (uint32_t k = 0; k < 20; k++) {
		given = k >= 10;
		world(DRIP);
		id = slot_id(&h, i);
		taker = node_new(&h, 1);
		fd = node_fd(n, i);
		if (given)
			assert_int_equal(give_freeze(&n->ch, 1), i);
		stations_spoil(k);
		assert_int_equal(move_take(&taker->ch, 0, &id, &fd, 1,
				     given ? NULL : &no_fault, &left),
		    0);
		assert_int_equal(n_positions, 0);
		assert_int_equal(taker->ch.n_conns, 0);
		assert_int_equal(slot_find(&h, id), given ? i : SHM_NONE);
		world_end();
	}
}

/* One that never takes a byte costs what a slow reader costs: its queue, and
 * then it is ended; it is not written to in vain. */
static void
test_stuck(void **state)
{
	static char text[10001];
	int k;

	world(STUCK);
	memset(text, 'x', sizeof(text) - 1);
	for (k = 0; k < 50; k++) {
		node_say(n, "lobby", text);
		chat_turn(&n->ch);
	}
	assert_int_equal(n_send, 1);
	assert_true(n->ch.conn[i].blocked);
	assert_int_equal(n->ch.conn[i].phase, CONN_OPEN);
	for (; k < 200 && n->ch.conn[i].phase == CONN_OPEN; k++) {
		node_say(n, "lobby", text);
		chat_turn(&n->ch);
	}
	assert_int_equal(n->ch.conn[i].phase, CONN_ENDING);
	assert_int_equal(h.slot[i].close_reason, REASON_SLOW);
	conn_read(&n->ch, i); /* nothing comes: that is no end */
	assert_int_equal(n->ch.conn[i].phase, CONN_ENDING);
	assert_int_equal(n->ch.conn[witness].phase, CONN_OPEN);
	world_end();
}

/* One whose write fails is dropped, when nobody has its number in hand. */
static void
test_broken(void **state)
{
	world(BROKEN);
	node_say(n, "lobby", "END");
	chat_turn(&n->ch);
	assert_int_equal(n->ch.conn[i].phase, CONN_DROPPED);
	chat_turn(&n->ch);
	assert_int_equal(n->ch.conn[i].phase, CONN_NONE);
	assert_int_equal(n_reset, 1);
	assert_int_equal(client_got(witness_client, "END", "END"), 1);
	world_end();
}

/* What a connection waits for. */
static void
shy_watched(unsigned what)
{
	assert_int_equal(n->ch.conn[i].watched, what);
}

/* A connection that comes over that transport; its peer is in `client`. In
 * shared memory lies what connections of a dead worker have left. */
static void
come(uint8_t transport)
{
	static struct endpoints over;
	struct sockaddr_in a = {.sin_family = AF_INET};
	int pair[2];

	fixture_hub(&h, SLOTS, 100, 1 << 20, 4 << 20, 1 << 20);
	fixture_wire(&h);
	for (size_t k = 0; k < SLOTS; k++)
		h.wire[k * SHM_WIRE] = 1;
	n = node_new(&h, 0);
	over = endpoints_usual;
	over.at[0].transport = transport;
	n->ch.endpoints = &over;
	assert_int_equal(
	    socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair), 0);
	client = pair[1];
	i = conn_accept(&n->ch, 0, pair[0], (void *)&a);
}

/* One that comes over the shy one. */
static void
shy_come(enum transport_wait wait)
{
	n_stop = 0;
	shy_state = NULL;
	shy_waits = wait;
	come(SHY);
	assert_int_equal(n->ch.conn[i].phase, CONN_START);
	conn_start(&n->ch, i);
}

/* A transport without a handshake, too, begins with a state of zero. */
static void
test_state(void **state)
{
	come(DRIP);
	assert_int_equal(n->ch.conn[i].phase, CONN_REQUEST);
	assert_int_equal(h.wire[(size_t)i * SHM_WIRE], 0);
	conn_drop(&n->ch, i, NULL);
	close(client);
	hub_destroy(&h);
}

/* It begins when its transport has: each step waits for what it says, and the
 * state lies in shared memory, by the connection's number. */
static void
test_start(void **state)
{
	static const unsigned what[] = {[TRANSPORT_READS] = READY_READ,
	    [TRANSPORT_WRITES] = READY_WRITE,
	    [TRANSPORT_WAITS] = 0};
	enum transport_wait wait;

	shy_come(TRANSPORT_READS);
	for (wait = TRANSPORT_READS; wait <= TRANSPORT_WAITS; wait++) {
		shy_waits = wait;
		conn_ready(&n->ch, i, READY_READ);
		assert_int_equal(n->ch.conn[i].phase, CONN_START);
		shy_watched(what[wait]);
	}
	assert_int_equal(n->ch.n_pending, 1);
	assert_ptr_equal(shy_state, h.wire + (size_t)i * SHM_WIRE);
	shy_waits = TRANSPORT_READY;
	conn_start(&n->ch, i);
	assert_int_equal(n->ch.conn[i].phase, CONN_REQUEST);
	shy_watched(READY_READ);
	/* the end: not before it has said what it has to say */
	shy_waits = TRANSPORT_WRITES;
	conn_end(&n->ch, i, CLOSE_GOING_AWAY, REASON_NONE);
	assert_int_equal(n->ch.conn[i].phase, CONN_LINGER);
	shy_watched(READY_READ | READY_WRITE);
	shy_waits = TRANSPORT_READY;
	conn_ready(&n->ch, i, READY_WRITE);
	assert_int_equal(n_stop, 2);
	shy_watched(READY_READ);
	conn_drop(&n->ch, i, NULL);
	assert_int_equal(n->ch.n_pending, 0);
	assert_int_equal(shy_state[0], 0); /* no key is left behind */
	close(client);
	hub_destroy(&h);
}

/* A connection died with its worker before it opened: no key is left in its
 * slot by the next worker, or by chat_clean() if none follows. */
static void
test_start_dies(void **state)
{
	static int fd[SLOTS];
	struct adopt_result r;

	for (int cleans = 0; cleans < 2; cleans++) {
		shy_come(TRANSPORT_READS);
		assert_ptr_equal(shy_state, h.wire + (size_t)i * SHM_WIRE);
		assert_int_not_equal(shy_state[0], 0);
		if (cleans)
			chat_clean(&h, 0);
		else
			node_adopt(node_new(&h, 0), fd, &no_fault, &r);
		assert_int_equal(slot_state(&h, i), SLOT_FREE);
		assert_int_equal(shy_state[0], 0);
		close(client);
		hub_destroy(&h);
	}
}

/* A handshake that fails, and one that takes too long. */
static void
test_start_fails(void **state)
{
	shy_come(TRANSPORT_FAILED);
	assert_int_equal(n->ch.conn[i].phase, CONN_NONE);
	assert_int_equal(n->ch.n_pending, 0);
	close(client);
	hub_destroy(&h);
	shy_come(TRANSPORT_READS);
	conn_sweep(&n->ch);
	assert_int_equal(n->ch.conn[i].phase, CONN_START);
	n->ch.now_ms += n->ch.live.handshake_ms;
	conn_sweep(&n->ch);
	assert_int_equal(n->ch.conn[i].phase, CONN_NONE);
	assert_int_equal(n->ch.n_pending, 0);
	close(client);
	hub_destroy(&h);
}

/* The table, and what only it has. */
static void
test_table(void **state)
{
	assert_int_equal(transport_find("tcp"), TRANSPORT_USUAL);
	assert_int_equal(transport_find("stuck"), STUCK);
	assert_int_equal(transport_find("smoke"), 0);
	assert_null(transport_of(0));
	assert_null(transport_of(TRANSPORTS_MAX));
	assert_null(transport_of(UINT8_MAX));
	for (uint8_t k = 1; k < TRANSPORTS_MAX; k++)
		if (transports[k] != NULL) {
			assert_true(
			    transports[k]->state_bytes <= TRANSPORT_STATE_MAX);
			assert_non_null(transports[k]->positions);
			assert_non_null(transports[k]->stop);
		}
	assert_null(transports[TRANSPORT_USUAL]->seal);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_drip_writes),
	    cmocka_unit_test(test_drip_reads),
	    cmocka_unit_test(test_drip_takeover),
	    cmocka_unit_test(test_corrupted),
	    cmocka_unit_test(test_corrupted_moves),
	    cmocka_unit_test(test_stuck), cmocka_unit_test(test_broken),
	    cmocka_unit_test(test_state), cmocka_unit_test(test_start),
	    cmocka_unit_test(test_start_dies),
	    cmocka_unit_test(test_start_fails), cmocka_unit_test(test_table)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
