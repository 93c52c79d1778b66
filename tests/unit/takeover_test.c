/* takeover: connections that a dead worker had accepted and not opened. Each
 * test has a table of descriptors of its own, of which all is swept but the
 * clients' ends: they have the family's numbers. */
#include "chat_fixture.h"
#include "apart.h"

#include <errno.h>
#include <fcntl.h>

#include "conn/socket.h"
#include "door/door.h"
#include "hub/stats.h"
#include "takeover/table.h"
#include "takeover/takeover.h"

enum { SLOTS = 64, CLIENTS = 2, FIRST = 3, LIMIT_MS = 5000 };

static const char half[] = "GET /ws?user=alice HTTP/1.1\r\nHost: localhost\r\n",
		  rest[] =
		      "Upgrade: websocket\r\nConnection: Upgrade\r\n"
		      "Sec-WebSocket-Version: 13\r\n"
		      "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n";

/* Two clients, of which the first has a slot at worker 0, the second not. */
struct scene {
	struct hub h;
	struct node *old, *next;
	struct endpoints endpoints; /* the next worker's */
	struct sockaddr_in at;
	int fd[CLIENTS];
	uint32_t slot;
};

/* A listener at the scene's address. */
static int
listener(struct scene *s)
{
	int fd = socket(AF_INET, SOCK_STREAM, 0), on = 1;
	socklen_t len = sizeof(s->at);

	assert_int_equal(
	    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)), 0);
	assert_int_equal(bind(fd, (void *)&s->at, sizeof(s->at)), 0);
	assert_int_equal(listen(fd, 4), 0);
	assert_int_equal(getsockname(fd, (void *)&s->at, &len), 0);
	return fd;
}

/* A worker that judges requests. */
static struct node *
worker_new(struct scene *s)
{
	struct node *n = node_new(&s->h, 0);

	n->ch.live.insecure = 1;
	n->ch.live.request_size = 8192;
	n->ch.judge = &door_judge;
	return n;
}

static void
scene_begin(struct scene *s)
{
	struct sockaddr_in a;
	socklen_t len = sizeof(a);
	int l, k, client;

	alarm(60);
	close_range(FIRST, ~0u, 0);
	*s = (struct scene){.at = {.sin_family = AF_INET,
				.sin_addr.s_addr = htonl(INADDR_LOOPBACK)}};
	for (k = 0; k < CLIENTS; k++)
		assert_int_equal(open("/dev/null", O_RDONLY), FIRST + k);
	fixture_hub(&s->h, SLOTS, 100, 1 << 20, 4 << 20, 1 << 20);
	hub_close_file(&s->h);
	l = listener(s);
	s->old = worker_new(s);
	for (k = 0; k < CLIENTS; k++) {
		client = socket(AF_INET, SOCK_STREAM, 0);
		assert_int_equal(
		    connect(client, (void *)&s->at, sizeof(s->at)), 0);
		s->fd[k] = accept4(l, (void *)&a, &len, SOCK_NONBLOCK);
		assert_true(s->fd[k] >= TABLE_FIRST);
		assert_int_equal(dup2(client, FIRST + k), FIRST + k);
		if (k == 0)
			s->slot =
			    conn_accept(&s->old->ch, 0, s->fd[0], (void *)&a);
	}
	assert_int_equal(slot_state(&s->h, s->slot), SLOT_ACCEPTED);
}

/* The worker dies; the next one goes on. */
static void
scene_goes_on(struct scene *s)
{
	const struct takeover_start start = {
	    .generation = 2, .giver = {-1, -1}};
	struct hub h = s->h;

	hub_become(&h, 0);
	h.table = 1;
	table_settle(&h);
	s->endpoints = endpoints_usual;
	s->endpoints.at[0].fd = listener(s);
	s->next = worker_new(s);
	s->next->ch.endpoints = &s->endpoints;
	takeover(&s->next->ch, &start);
}

/* Runs the worker until a client has something, or its end; how much. */
static ssize_t
client_gets(struct scene *s, int k, char *out, size_t len)
{
	struct pollfd p = {FIRST + k, POLLIN, 0};
	int left;

	for (left = LIMIT_MS; left > 0 && poll(&p, 1, 1) == 0; left--) {
		event_base_loop(s->next->ch.base, EVLOOP_NONBLOCK);
		chat_turn(&s->next->ch);
	}
	return recv(FIRST + k, out, len, MSG_DONTWAIT);
}

/* A client's request is answered: it is open. */
static void
client_opens(struct scene *s, int k)
{
	char answer[512];

	assert_int_equal(
	    send(FIRST + k, half, sizeof(half) - 1, 0), sizeof(half) - 1);
	assert_int_equal(
	    send(FIRST + k, rest, sizeof(rest) - 1, 0), sizeof(rest) - 1);
	assert_true(client_gets(s, k, answer, sizeof(answer)) > 12);
	assert_memory_equal(answer, "HTTP/1.1 101", 12);
}

static int
goes_on_run(void *arg)
{
	struct sockaddr_in a;
	socklen_t len;
	struct scene s;
	uint64_t id;
	uint32_t i;
	int k;

	scene_begin(&s);
	id = slot_id(&s.h, s.slot);
	scene_goes_on(&s);
	assert_int_equal(s.next->ch.n_pending, CLIENTS);
	assert_int_equal(s.next->ch.n_conns, CLIENTS);
	assert_true(slot_id(&s.h, s.slot) == id);
	for (k = 0; k < CLIENTS; k++)
		client_opens(&s, k);
	for (i = SHM_NONE, k = 0; conn_next(&s.next->ch, &i); k++) {
		len = sizeof(a);
		assert_int_equal(slot_state(&s.h, i), SLOT_OPEN);
		assert_int_equal(slot_fd(&s.next->h, i), s.next->ch.conn[i].fd);
		assert_int_equal(
		    getpeername(s.next->ch.conn[i].fd, (void *)&a, &len), 0);
		assert_int_equal(s.h.slot[i].peer_port, ntohs(a.sin_port));
	}
	assert_int_equal(k, CLIENTS);
	return 0;
}

/* Of neither anything was read: both get an answer. */
static void
test_goes_on(void **state)
{
	assert_int_equal(apart(goes_on_run, NULL), 0);
}

static int
elsewhere_run(void *arg)
{
	struct scene s;
	int k;

	scene_begin(&s);
	SHM_STORE(s.h.slot_owner[s.slot / SHM_BLOCK], 2);
	scene_goes_on(&s);
	assert_int_equal(s.next->ch.n_conns, CLIENTS);
	for (k = 0; k < CLIENTS; k++)
		client_opens(&s, k);
	return 0;
}

/* When slots run out a worker takes those of others' blocks. */
static void
test_elsewhere(void **state)
{
	assert_int_equal(apart(elsewhere_run, NULL), 0);
}

static int
again_run(void *arg)
{
	struct scene s;
	int k;

	scene_begin(&s);
	SHM_STORE(s.h.slot[s.slot].appended, 1);
	scene_goes_on(&s);
	for (k = 0; k < CLIENTS; k++)
		client_opens(&s, k);
	return 0;
}

/* Its greeting was appended, and it was not open yet, where nothing is read
 * before that: its output begins anew. */
static void
test_again(void **state)
{
	assert_int_equal(apart(again_run, NULL), 0);
}

/* The first one's connection ends, after so many bytes; the second one's goes
 * on. */
static int
ends_check(struct scene *s, int bytes)
{
	char byte;
	ssize_t n;

	scene_goes_on(s);
	assert_int_equal(s->next->ch.n_conns, 1);
	assert_int_equal(slot_state(&s->h, s->slot), SLOT_ACCEPTED);
	while ((n = client_gets(s, 0, &byte, 1)) > 0)
		bytes--;
	assert_int_equal(bytes, 0);
	assert_true(n == 0 || errno == ECONNRESET);
	client_opens(s, 1);
	return 0;
}

static int
half_run(void *arg)
{
	struct pollfd p = {.events = POLLIN};
	struct scene s;

	scene_begin(&s);
	assert_int_equal(
	    send(FIRST, half, sizeof(half) - 1, 0), sizeof(half) - 1);
	p.fd = s.fd[0];
	assert_int_equal(poll(&p, 1, LIMIT_MS), 1);
	conn_ready(&s.old->ch, s.slot, 1);
	assert_int_equal(s.old->ch.conn[s.slot].phase, CONN_REQUEST);
	return ends_check(&s, 0);
}

/* Half a request was read: nobody has that half any more. */
static void
test_half(void **state)
{
	assert_int_equal(apart(half_run, NULL), 0);
}

static int
written_run(void *arg)
{
	struct scene s;

	scene_begin(&s);
	assert_int_equal(
	    conn_send(&s.old->ch, s.slot, "HTTP/1.1 200 OK\r\n", 17), 17);
	return ends_check(&s, 17);
}

/* Part of an answer was written. */
static void
test_written(void **state)
{
	assert_int_equal(apart(written_run, NULL), 0);
}

static int
unopened_run(void *arg)
{
	struct pollfd p = {.events = POLLIN};
	struct scene s;

	scene_begin(&s);
	assert_int_equal(
	    send(FIRST, half, sizeof(half) - 1, 0), sizeof(half) - 1);
	assert_int_equal(
	    send(FIRST, rest, sizeof(rest) - 1, 0), sizeof(rest) - 1);
	p.fd = s.fd[0];
	assert_int_equal(poll(&p, 1, LIMIT_MS), 1);
	conn_ready(&s.old->ch, s.slot, 1);
	/* as one that died before the store that opens it */
	assert_int_equal(slot_state(&s.h, s.slot), SLOT_OPEN);
	slot_set(&s.h, s.slot, SLOT_ACCEPTED);
	return ends_check(&s, 0);
}

/* It was about to open: its answer was there, and not sent. */
static void
test_unopened(void **state)
{
	assert_int_equal(apart(unopened_run, NULL), 0);
}

static int
opened_run(void *arg)
{
	struct pollfd p = {.events = POLLIN};
	char answer[512];
	struct scene s;

	scene_begin(&s);
	assert_int_equal(
	    send(FIRST, half, sizeof(half) - 1, 0), sizeof(half) - 1);
	assert_int_equal(
	    send(FIRST, rest, sizeof(rest) - 1, 0), sizeof(rest) - 1);
	p.fd = s.fd[0];
	assert_int_equal(poll(&p, 1, LIMIT_MS), 1);
	conn_ready(&s.old->ch, s.slot, 1);
	scene_goes_on(&s);
	assert_true(client_gets(&s, 0, answer, sizeof(answer)) > 12);
	assert_memory_equal(answer, "HTTP/1.1 101", 12);
	assert_int_equal(slot_state(&s.h, s.slot), SLOT_OPEN);
	return 0;
}

/* It was opened, and nothing was sent yet: its answer comes. */
static void
test_opened(void **state)
{
	assert_int_equal(apart(opened_run, NULL), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_goes_on),
	    cmocka_unit_test(test_elsewhere),
	    cmocka_unit_test(test_again),
	    cmocka_unit_test(test_half),
	    cmocka_unit_test(test_written),
	    cmocka_unit_test(test_unopened),
	    cmocka_unit_test(test_opened),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
