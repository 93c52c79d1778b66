/* kill_open: a worker reads a request for a WebSocket with the client's first
 * message behind it, and dies at each kill point. The next worker goes on with
 * a connection that has all of its answer and whose message is done once, or
 * ends it before anything was said to it. */
#include "../unit/chat_fixture.h"
#include "../unit/apart.h"
#include "kill_child.h"

#include "hub/journal.h"
#include "hub/lock.h"
#include "hub/stats.h"
#include "net/ready.h"

enum { SLOTS = 64, LIMIT_MS = 5000 };

static const struct adopt_fault no_fault;
static const char request[] = REQUEST "\x81\x85\0\0\0\0hello";

struct scene {
	struct hub h;
	struct node *old, *next;
	int client;
	uint32_t i;
};

/* All has come, and nothing is read. */
static void
scene_begin(struct scene *s)
{
	struct pollfd p = {.events = POLLIN};

	fixture_hub(&s->h, SLOTS, 100, 1 << 20, 4 << 20, 1 << 20);
	s->old = node_judging(&s->h, 0);
	s->i = client_comes(&s->old->ch, &s->client);
	assert_int_equal(send(s->client, request, sizeof(request) - 1, 0),
	    sizeof(request) - 1);
	p.fd = s->old->ch.conn[s->i].fd;
	assert_int_equal(poll(&p, 1, LIMIT_MS), 1);
}

/* In a child that dies at kill point n, if it gets there: true. */
static bool
read_killed(struct scene *s, uint64_t n)
{
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		child_signals();
		kill_point_arm(n, SIGKILL);
		conn_ready(&s->old->ch, s->i, READY_READ);
		chat_turn(&s->old->ch);
		kill_point_arm(0, 0);
		_exit(0);
	}
	return child_was_killed(pid);
}

/* All that the client gets, until nothing comes any more. */
static size_t
client_reads(struct scene *s, char *out, size_t len, bool *end)
{
	struct pollfd p = {s->client, POLLIN, 0};
	size_t have = 0;
	ssize_t r = 1;

	while (r > 0 && poll(&p, 1, 20) == 1) {
		r = recv(s->client, out + have, len - 1 - have, 0);
		have += r > 0 ? (size_t)r : 0;
	}
	out[have] = '\0';
	*end = r <= 0;
	return have;
}

struct run {
	uint64_t at;
};

static int
run(void *arg)
{
	const struct run *r = arg;
	struct adopt_result result;
	static char all[65536];
	struct scene s;
	bool killed, open, end, known;
	size_t len;

	alarm(60);
	scene_begin(&s);
	killed = read_killed(&s, r->at);
	open = slot_state(&s.h, s.i) == SLOT_OPEN;
	s.next = node_judging(&s.h, 0);
	hub_lock(&s.next->h);
	hub_unlock(&s.next->h);
	adopt_all(&s.next->ch, &no_fault, &result);
	assert_int_equal(result.lost + result.corrupted, 0);
	while (chat_turn(&s.next->ch) == 0)
		;
	/* nothing was read: it is read now */
	known = s.next->ch.conn[s.i].phase == CONN_REQUEST;
	if (known) {
		conn_ready(&s.next->ch, s.i, READY_READ);
		while (chat_turn(&s.next->ch) == 0)
			;
	}
	len = client_reads(&s, all, sizeof(all), &end);
	if (open || known || !killed) {
		assert_false(end);
		assert_int_equal(text_count(all, len, "HTTP/1.1 101"), 1);
		assert_int_equal(text_count(all, len, "alice says: hello"), 1);
	} else {
		assert_true(end);
		assert_int_equal(len, 0);
	}
	return killed;
}

static void
test_each(void **state)
{
	struct run r;

	for (r.at = 1; apart(run, &r) == 1; r.at++)
		;
	printf("%d kill points\n", (int)r.at - 1);
	assert_in_range(r.at, 20, 1000);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_each)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
