/* rest: records that have not come whole are bounded, and their memory is given
 * back. */
#include "net/transport.h"

#define CHATD_TRANSPORTS_MORE ROW(hoard)
#include "../../src/net/transport.c"

#define FIXTURE_NODES 8
#include "chat_fixture.h"

#include "conn/begin.h"
#include "conn/rest.h"
#include "conn/socket.h"
#include "hub/line.h"

#include <errno.h>

enum { HOARD = 3, SLOTS = 64 };

static const struct adopt_fault no_fault;
static struct hub h;
static struct node *n;

static bool
hoard_unread(const struct transport_socket *s)
{
	return false;
}

static int
hoard_positions(
    const struct transport_socket *s, bool read, struct counters *out)
{
	return counters_read(s->fd, read, out);
}

static enum transport_wait
hoard_stop(const struct transport_socket *s)
{
	return TRANSPORT_READY;
}

static void
hoard_reset(const struct transport_socket *s)
{
}

/* One of which a record does not come whole, or does. */
static bool hoard_whole;

static ssize_t
hoard_recv(const struct transport_socket *s, void *out, size_t len)
{
	uint8_t *state = s->state;

	memset(s->rest, 'r', SHM_REST);
	state[0] = 1;
	memcpy(out, "x", 1);
	errno = EAGAIN;
	return hoard_whole ? 1 : -1;
}

static size_t
hoard_rested(const struct transport_socket *s)
{
	const uint8_t *state = s->state;

	return state[0] ? SHM_REST : 0;
}

const struct transport hoard_transport = {.name = "hoard",
    .state_bytes = 1,
    .recv = hoard_recv,
    .rested = hoard_rested,
    .unread = hoard_unread,
    .positions = hoard_positions,
    .stop = hoard_stop,
    .reset = hoard_reset};

/* So many connections over the transport that hoards; each reads. */
static void
hoard(struct node *at, uint32_t conn[], int other[], uint32_t count)
{
	char name[16];

	for (uint32_t k = 0; k < count; k++) {
		snprintf(name, sizeof(name), "u%u", k);
		conn[k] = node_open(at, name, &other[k]);
		at->ch.conn[conn[k]].transport = h.slot[conn[k]].transport =
		    HOARD;
		conn_read(&at->ch, conn[k]);
	}
}

/* Records that do not come whole have half of input-memory: who has gone on
 * least recently makes room, and its pages are given back. */
static void
test_rest(void **state)
{
	enum { FIT = (1 << 20) / 2 / SHM_REST };
	uint32_t conn[FIT + 2];
	int other[FIT + 2];
	struct node *taker;

	hoard_whole = false;
	fixture_hub(&h, SLOTS, 100, 1 << 20, 4 << 20, 1 << 20);
	fixture_wire(&h);
	n = node_new(&h, 0);
	h.line[0].state = WORKER_RUNNING;
	hoard(n, conn, other, FIT);
	conn_sweep(&n->ch);
	chat_turn(&n->ch);
	assert_int_equal(n->ch.n_open, FIT);
	hoard_whole = true; /* the first one goes on */
	(void)conn_recv(&n->ch, conn[0], (char[8]){0}, 8);
	hoard_whole = false;
	hoard(n, conn + FIT, other + FIT, 1);
	chat_turn(&n->ch);
	assert_int_equal(n->ch.n_open, FIT);
	assert_int_equal(n->ch.conn[conn[0]].phase, CONN_OPEN);
	assert_int_equal(n->ch.conn[conn[1]].phase, CONN_NONE);
	assert_int_equal(h.rest[(size_t)conn[1] * SHM_REST], 0);
	assert_int_equal(h.rest[(size_t)conn[2] * SHM_REST], 'r');
	/* one that ends by itself, and one that is given away, make room */
	conn_drop(&n->ch, conn[2], NULL);
	assert_int_equal(h.rest[(size_t)conn[2] * SHM_REST], 0);
	hoard(n, conn + FIT + 1, other + FIT + 1, 1);
	assert_int_equal(give_freeze(&n->ch, 1), conn[0]);
	hoard(n, conn + 2, other + 2, 1);
	chat_turn(&n->ch);
	assert_int_equal(n->ch.n_open, FIT);
	/* it counts again where it goes on */
	give_back(&n->ch, 1);
	chat_turn(&n->ch);
	assert_int_equal(n->ch.n_open, FIT);
	/* the next worker counts what it takes over */
	taker = node_new(&h, 0);
	{
		static int fd[SLOTS];
		struct adopt_result r;

		memset(fd, 0, sizeof(fd));
		for (uint32_t k = 0; k < SLOTS; k++)
			if (n->ch.conn[k].phase == CONN_OPEN)
				fd[k] = node_fd(n, k) + 1;
		node_adopt(taker, fd, &no_fault, &r);
		assert_int_equal(r.adopted, FIT);
		hoard(taker, conn, other, 1);
		chat_turn(&taker->ch);
		assert_int_equal(taker->ch.n_open, FIT);
	}
	hub_destroy(&h);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_rest)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
