/* kill_read: a worker that reads several clients by one system call dies at
 * each kill point on the way, and so does its successor. What each has said is
 * carried out once, in order; one says more than a part of the stage holds. */
#include "../unit/chat_fixture.h"
#include "kill_points.h"

#include "conn/io.h"
#include "hub/journal.h"
#include "hub/stage.h"

enum { CLIENTS = 5, SAYS = 2, TURNS = 20, LEAST = 150 };
_Static_assert((int)CLIENTS <= (int)BATCH_READS, "all are read at once");

static struct hub h;
static struct node *first;
static int client[CLIENTS];
static uint32_t conn[CLIENTS];

/* A client's messages: "0 ...", "1 ...". */
static void
client_says(int k)
{
	static uint8_t frame[2 * STAGE_PART];
	static char text[2 * STAGE_PART - CLIENT_FRAME_HEAD];
	size_t len = k == 0 ? STAGE_PART + 1000 : 20;

	memset(text, 'x', len);
	for (int s = 0; s < SAYS; s++) {
		text[0] = (char)('0' + s);
		len = client_frame(frame, 0x81, text, len);
		assert_int_equal(send(client[k], frame, len, 0), len);
		len = 20;
	}
}

/* A worker with some clients, of whom all have said something. */
static void
scene_begin(void)
{
	char user[] = "u0";
	int k;

	fixture_hub(&h, 64, 100, 1 << 20, 4 << 20, 1 << 20);
	first = node_new(&h, 0);
	for (k = 0; k < CLIENTS; k++, user[1]++)
		conn[k] = node_open(first, user, &client[k]);
	for (k = 0; k < CLIENTS; k++)
		client_says(k);
}

/* The worker that comes after a dead one. Nobody is lost by that. */
static struct node *
goes_on(void)
{
	struct adopt_result r;
	struct node *n = node_next(&h, &r);

	assert_int_equal(r.adopted, CLIENTS);
	assert_int_equal(r.closed + r.corrupted, 0);
	return n;
}

/* A process that reads what there is and dies at kill point n: true. */
static bool
killed(bool next, uint64_t n)
{
	struct node *node = first;
	pid_t pid = fork();
	int t, k;

	assert_true(pid >= 0);
	if (pid != 0)
		return child_was_killed(pid);
	child_signals();
	hub_become(&h, 0); /* its own thread, for the lock */
	hub_become(&node->h, 0);
	kill_point_arm(n, SIGKILL);
	if (next)
		node = goes_on();
	node->ch.batch = batch_new(true); /* a ring is its process's */
	for (t = 0; t < TURNS; t++) {
		for (k = 0; k < CLIENTS; k++)
			if (conn_unread(&node->ch, conn[k]))
				conn_ready(&node->ch, conn[k], READY_READ);
		conn_read_all(&node->ch);
		chat_turn(&node->ch);
	}
	_exit(0);
}

/* All that was said is in the journal. */
static void
all_is_said(const struct hub *all)
{
	static char buf[1 << 16];
	int said[CLIENTS] = {0}, k;
	struct publication p;
	uint64_t position;

	for (position = 1; position <= journal_tail(all); position++) {
		assert_int_equal(
		    journal_read(all, position, buf, sizeof(buf), &p),
		    JOURNAL_OK);
		k = p.user[1] - '0';
		assert_in_range(k, 0, CLIENTS - 1);
		assert_int_equal(p.data[0] - '0', said[k]);
		said[k]++;
	}
	for (k = 0; k < CLIENTS; k++)
		assert_int_equal(said[k], SAYS);
}

/* For apart(): workers die; then all is said. 0: there are not so many points.
 */
static int
deaths_cb(void *arg)
{
	const struct deaths *d = arg;
	bool died;

	scene_begin();
	died = killed(false, d->n);
	if (died && d->again != 0)
		(void)killed(true, d->again);
	if (died)
		assert_false(killed(true, 0));
	all_is_said(&goes_on()->h);
	return died;
}

static void
test_once(void **state)
{
	deaths_each_point(deaths_cb, false, 1, LEAST);
}

static void
test_twice(void **state)
{
	deaths_each_point(deaths_cb, true, 3, LEAST);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_once),
	    cmocka_unit_test(test_twice),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
