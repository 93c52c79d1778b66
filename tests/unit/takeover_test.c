/* takeover: connections that a dead worker had accepted and not opened. Each
 * test has a table of descriptors of its own, of which all is swept but the
 * clients' ends: they have the family's numbers. */
#include "chat_fixture.h"
#include "apart.h"

#include <errno.h>
#include <fcntl.h>

#include "conn/socket.h"
#include "hub/stats.h"
#include "net/ready.h"
#include "takeover/table.h"
#include "takeover/takeover.h"

enum { SLOTS = 64, CLIENTS = 2, FIRST = 3, LIMIT_MS = 5000 };

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
	s->old = node_judging(&s->h, 0);
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
	s->next = node_judging(&s->h, 0);
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

/* A client says that. */
static void
client_says(int k, const char *text)
{
	assert_int_equal(send(FIRST + k, text, strlen(text), 0), strlen(text));
}

/* A client has its answer. */
static void
client_is_answered(struct scene *s, int k)
{
	char answer[512];

	assert_true(client_gets(s, k, answer, sizeof(answer)) > 12);
	assert_memory_equal(answer, "HTTP/1.1 101", 12);
}

/* All ask, and are answered: they are open. */
static void
clients_open(struct scene *s)
{
	for (int k = 0; k < CLIENTS; k++) {
		client_says(k, REQUEST);
		client_is_answered(s, k);
	}
}

/* What the first client has said is read by the worker that dies. */
static void
first_is_read(struct scene *s)
{
	struct pollfd p = {s->fd[0], POLLIN, 0};

	assert_int_equal(poll(&p, 1, LIMIT_MS), 1);
	conn_ready(&s->old->ch, s->slot, READY_READ);
}

/* Of neither anything was read: both get an answer. */
static int
goes_on(void *arg)
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
	clients_open(&s);
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

/* When slots run out a worker takes those of others' blocks. */
static int
elsewhere(void *arg)
{
	struct scene s;

	scene_begin(&s);
	SHM_STORE(s.h.slot_owner[s.slot / SHM_BLOCK], 2);
	scene_goes_on(&s);
	assert_int_equal(s.next->ch.n_conns, CLIENTS);
	clients_open(&s);
	return 0;
}

/* Its greeting was appended, and it was not open yet, where nothing is read
 * before that: its output begins anew. */
static int
again(void *arg)
{
	struct scene s;

	scene_begin(&s);
	SHM_STORE(s.h.slot[s.slot].appended, 1);
	scene_goes_on(&s);
	clients_open(&s);
	return 0;
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
	client_says(1, REQUEST);
	client_is_answered(s, 1);
	return 0;
}

/* Half a request was read: nobody has that half any more. */
static int
half(void *arg)
{
	struct scene s;

	scene_begin(&s);
	client_says(0, REQUEST_HALF);
	first_is_read(&s);
	assert_int_equal(s.old->ch.conn[s.slot].phase, CONN_REQUEST);
	return ends_check(&s, 0);
}

/* Part of an answer was written. */
static int
written(void *arg)
{
	struct scene s;

	scene_begin(&s);
	assert_int_equal(
	    conn_send(&s.old->ch, s.slot, "HTTP/1.1 200 OK\r\n", 17), 17);
	return ends_check(&s, 17);
}

/* It was about to open: its answer was there, and not sent. */
static int
unopened(void *arg)
{
	struct scene s;

	scene_begin(&s);
	client_says(0, REQUEST);
	first_is_read(&s);
	/* as one that died before the store that opens it */
	assert_int_equal(slot_state(&s.h, s.slot), SLOT_OPEN);
	slot_set(&s.h, s.slot, SLOT_ACCEPTED);
	return ends_check(&s, 0);
}

/* It was opened, and nothing was sent yet: its answer comes. */
static int
opened(void *arg)
{
	struct scene s;

	scene_begin(&s);
	client_says(0, REQUEST);
	first_is_read(&s);
	scene_goes_on(&s);
	client_is_answered(&s, 0);
	assert_int_equal(slot_state(&s.h, s.slot), SLOT_OPEN);
	return 0;
}

static struct takeover_case {
	const char *name;
	int (*run)(void *arg);
} cases[] = {
    {"goes_on", goes_on},
    {"elsewhere", elsewhere},
    {"again", again},
    {"half", half},
    {"written", written},
    {"unopened", unopened},
    {"opened", opened},
};

enum { CASES = sizeof(cases) / sizeof(cases[0]) };

/* Each in a process of its own. */
static void
case_run(void **state)
{
	const struct takeover_case *c = *state;

	assert_int_equal(apart(c->run, NULL), 0);
}

int
main(void)
{
	struct CMUnitTest tests[CASES];

	for (int i = 0; i < CASES; i++)
		tests[i] = (struct CMUnitTest){.name = cases[i].name,
		    .test_func = case_run,
		    .initial_state = &cases[i]};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
