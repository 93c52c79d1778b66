/* head: requests that are not complete, in their share of input-memory. */
#include "chat_fixture.h"

#include "conn/head.h"
#include "door/door.h"
#include "hub/blob.h"
#include "hub/stats.h"

enum { SLOTS = 64, INPUT = 1 << 20, PAGE = 1016 };

static struct hub hub;

/* A hub with 1,024 pages: requests may have 512 of them. */
static int
setup(void **state)
{
	fixture_hub(&hub, SLOTS, 64, 1 << 20, 4 << 20, INPUT);
	return 0;
}

static int
teardown(void **state)
{
	hub_destroy(&hub);
	return 0;
}

/* A connection whose request is to come; the client's end in *client. */
static uint32_t
request_new(struct node *n, int *client)
{
	struct sockaddr_in a = {
	    .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int fd[2];
	uint32_t i;

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fd), 0);
	*client = fd[0];
	i = conn_accept(&n->ch, 0, fd[1], (void *)&a);
	assert_int_not_equal(i, SHM_NONE);
	return i;
}

/* Whether a client was answered 503 and closed. */
static bool
is_evicted(int client)
{
	char answer[256];
	ssize_t r = recv(client, answer, sizeof(answer), MSG_DONTWAIT);

	if (r < 0)
		return false;
	assert_true(r > 12);
	assert_memory_equal(answer, "HTTP/1.1 503", 12);
	assert_int_equal(recv(client, answer, 1, MSG_DONTWAIT), 0);
	return true;
}

/* Bytes that differ from connection to connection. */
static const char *
bytes_of(uint32_t i, size_t len)
{
	static char bytes[65536];

	for (size_t k = 0; k < len; k++)
		bytes[k] = (char)(i * 7 + k);
	return bytes;
}

/* When the share is used up the oldest goes first, and only as many as must. */
static void
test_oldest(void **state)
{
	struct node *n = node_new(&hub, 0);
	static char out[65536];
	uint32_t conn[40], evicted;
	int client[40], k, left;

	assert_int_equal(n->ch.head_pages_max * INPUT_PAGE, INPUT / 2);
	for (k = 0; k < 40; k++) {
		conn[k] = request_new(n, &client[k]);
		/* 16 pages each, in two pieces: 32 of them fit */
		assert_true(
		    head_keep(&n->ch, conn[k], bytes_of(conn[k], PAGE), PAGE));
		assert_true(head_keep(&n->ch, conn[k],
		    bytes_of(conn[k], 16 * PAGE) + PAGE, 15 * PAGE));
		for (int j = 0; j <= k; j++)
			if (k >= 32 && j == k - 32)
				assert_true(is_evicted(client[j]));
			else if (k < 32 || j > k - 32)
				assert_false(is_evicted(client[j]));
		assert_in_range(n->ch.head_pages, 0, 512);
	}
	evicted = (uint32_t)n->h.me->requests_evicted;
	assert_int_equal(evicted, 8);
	/* what is kept is as it came */
	for (k = 8; k < 40; k++) {
		assert_true(head_read(&n->ch, conn[k], out));
		assert_memory_equal(
		    out, bytes_of(conn[k], 16 * PAGE), 16 * PAGE);
	}
	/* one that ends by itself makes room, too, wherever it is in the list
	 */
	for (left = 32, k = 39; k >= 8; k -= 3, left--)
		conn_drop(&n->ch, conn[k], NULL);
	assert_int_equal(n->ch.head_pages, left * 16);
	for (k = 8; k < 40; k++)
		if (n->ch.conn[conn[k]].phase == CONN_REQUEST)
			conn_drop(&n->ch, conn[k], NULL);
	assert_int_equal(n->ch.head_pages, 0);
	assert_int_equal(n->ch.head_oldest, 0);
	assert_int_equal(n->ch.head_newest, 0);
	assert_int_equal(n->ch.input.pages.n_used, 0);
	for (k = 0; k < 40; k++)
		close(client[k]);
}

/* A message whose records make no sense needs no room: it costs its connection,
 * and no request. */
static void
test_spoilt_message(void **state)
{
	static const uint8_t begin[] = {0x81, 0x85, 0, 0, 0, 0, 'h', 'e'};
	struct node *n = node_new(&hub, 0);
	struct input_part *part;
	int client, waiting;
	uint32_t i, k;

	for (int how = 0; how < 3; how++) {
		k = request_new(n, &waiting);
		assert_true(head_keep(&n->ch, k, bytes_of(k, PAGE), PAGE));
		i = node_open(n, "alice", &client);
		assert_int_equal(
		    send(client, begin, sizeof(begin), 0), sizeof(begin));
		conn_read(&n->ch, i);
		part = (struct input_part *)input_part(&hub, i);
		assert_non_null(part);
		if (how == 0)
			part->whole = 1;
		else if (how == 1)
			part->tail = UINT32_MAX;
		else
			part->raw = 1;
		assert_int_equal(send(client, "l", 1, 0), 1);
		conn_read(&n->ch, i);
		assert_int_equal(n->ch.conn[k].phase, CONN_REQUEST);
		assert_false(is_evicted(waiting));
		assert_int_equal(n->ch.conn[i].phase, CONN_DROPPED);
		chat_turn(&n->ch);
		conn_drop(&n->ch, k, NULL);
		close(client);
		close(waiting);
	}
	assert_int_equal(n->ch.n_conns, 0);
}

/* Who is the oldest itself, and needs more than there is, is told so. */
static void
test_self(void **state)
{
	struct node *n = node_new(&hub, 0);
	int client[2];
	uint32_t a = request_new(n, &client[0]), b = request_new(n, &client[1]);

	assert_true(head_keep(&n->ch, a, bytes_of(a, 60000), 60000));
	assert_true(head_keep(&n->ch, b, bytes_of(b, 60000), 60000));
	n->ch.head_pages_max = n->ch.head_pages;
	assert_false(head_keep(&n->ch, a, bytes_of(a, 5000), 5000));
	assert_false(is_evicted(client[0]));
	assert_false(is_evicted(client[1]));
	assert_true(head_keep(&n->ch, b, bytes_of(b, 5000), 5000));
	assert_true(is_evicted(client[0]));
	conn_drop(&n->ch, b, NULL);
	assert_int_equal(n->ch.input.pages.n_used, 0);
	close(client[0]);
	close(client[1]);
}

/* Messages need the memory: requests make room before anybody is closed. */
static void
test_messages(void **state)
{
	struct node *n = node_new(&hub, 0);
	/* of 50,000 bytes, masked with zeros */
	static const uint8_t frame[] = {0x81, 0xfe, 0xc3, 0x50, 0, 0, 0, 0};
	static char part[40000];
	int client[8], user[24], k;
	uint32_t conn[8], open[24];
	struct pollfd p;

	for (k = 0; k < 8; k++) {
		conn[k] = request_new(n, &client[k]);
		assert_true(head_keep(
		    &n->ch, conn[k], bytes_of(conn[k], 60000), 60000));
	}
	memset(part, 'x', sizeof(part));
	memcpy(part, frame, sizeof(frame));
	for (k = 0; k < 24; k++) {
		char name[16];

		snprintf(name, sizeof(name), "u%d", k);
		open[k] = node_open(n, name, &user[k]);
		assert_int_equal(
		    send(user[k], part, sizeof(part), 0), sizeof(part));
		p = (struct pollfd){n->ch.conn[open[k]].fd, POLLIN, 0};
		while (poll(&p, 1, 0) == 1)
			conn_read(&n->ch, open[k]);
		assert_int_equal(n->ch.conn[open[k]].phase, CONN_OPEN);
	}
	assert_true(is_evicted(client[0]));
	for (k = 0; k < 8; k++)
		if (n->ch.conn[conn[k]].phase != CONN_NONE)
			conn_drop(&n->ch, conn[k], NULL);
	assert_int_equal(n->ch.head_pages, 0);
	for (k = 0; k < 24; k++) {
		conn_drop(&n->ch, open[k], NULL);
		close(user[k]);
	}
	for (k = 0; k < 8; k++)
		close(client[k]);
	assert_int_equal(n->ch.input.pages.n_used, 0);
}

/* What clients that are known have said of themselves takes the room of
 * requests, too, the oldest first; without any it is not kept, and that is
 * told. */
static void
test_blobs(void **state)
{
	static const char info[BLOB_MAX];
	struct node *n = node_new(&hub, 0);
	uint32_t heads[2], i, k, blobs;
	int client[2], bob;

	for (k = 0; k < 2; k++) {
		heads[k] = request_new(n, &client[k]);
		assert_true(
		    head_keep(&n->ch, heads[k], bytes_of(k, PAGE), PAGE));
	}
	i = request_new(n, &bob);
	for (blobs = 0;
	     blob_put(&n->ch.input, slot_id(&hub, i), info, sizeof(info)) != 0;)
		blobs++;
	assert_in_range(blobs, 1000, 1024);
	assert_int_not_equal(
	    head_blob(&n->ch, slot_id(&hub, i), info, sizeof(info)), 0);
	assert_true(is_evicted(client[0]));
	assert_false(is_evicted(client[1]));
	assert_true(centrifugo_door.keep_name(&n->ch, i, "bob", 3));
	assert_true(is_evicted(client[1]));
	conn_slot(&n->ch, i)->info = 0; /* its page stays taken */
	assert_false(centrifugo_door.keep_name(&n->ch, i, "bob", 3));
	assert_true(centrifugo_door.keep_name(&n->ch, i, NULL, 0));
	conn_drop(&n->ch, i, NULL);
	close(client[0]);
	close(client[1]);
	close(bob);
}

/* What came in time and is not read yet is looked at before the deadline. */
static void
test_late(void **state)
{
	struct node *n = node_judging(&hub, 0);
	char answer[64];
	int client;
	uint32_t i = request_new(n, &client);

	assert_true(send(client, REQUEST_HALF, 20, 0) == 20);
	n->ch.now_ms += n->ch.live.handshake_ms;
	conn_sweep(&n->ch);
	assert_int_equal(n->ch.conn[i].phase, CONN_REQUEST);
	assert_true(recv(client, answer, sizeof(answer), MSG_DONTWAIT) < 0);
	conn_ready(&n->ch, i, READY_READ);
	assert_int_equal(n->ch.conn[i].phase, CONN_REQUEST);
	conn_sweep(&n->ch);
	assert_true(recv(client, answer, sizeof(answer), MSG_DONTWAIT) > 12);
	assert_memory_equal(answer, "HTTP/1.1 408", 12);
	close(client);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(test_oldest, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_self, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_late, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_blobs, setup, teardown),
	    cmocka_unit_test_setup_teardown(
		test_spoilt_message, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_messages, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
