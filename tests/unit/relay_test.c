/* relay: each worker gets the same bytes of a publication, whichever links end
 * meanwhile; a worker without a link, and the sender, get none. */
#include "hub_fixture.h"

#include <sys/uio.h>

#include "codec/message.h"
#include "room/relay.h"
#include "room/rooms.h"

enum { WORKERS = 4, SENDER = 0, LINE = 100, MANY = 40 };

static struct hub hub[WORKERS];
static struct chat chat[WORKERS];
static int datagrams[WORKERS]; /* sent to each */
static int ending;	       /* its link ends when it is sent one, -1: none */
static char text[2 * RELAY_DATA_MAX];

/* A link: what it carries is taken at once. */
static int
send_cb(struct chat *ch, int to, const struct iovec *relay)
{
	const size_t head = sizeof(struct message_head);

	if (to == ending) {
		relay_end(ch, to);
		return -1;
	}
	datagrams[to]++;
	assert_true(relay_take(
	    &chat[to], (char *)relay->iov_base + head, relay->iov_len - head));
	return 1;
}

/* Four workers. */
static int
setup(void **state)
{
	int k;

	fixture_fill(text, sizeof(text));
	fixture_hub(&hub[0], 16, 16, 1 << 20, 1 << 20, 1 << 20);
	for (k = 0; k < WORKERS; k++) {
		hub[k] = hub[0];
		hub_become(&hub[k], k);
		chat[k].hub = &hub[k];
		chat[k].relay_send = send_cb;
		assert_int_equal(rooms_init(&chat[k]), 0);
	}
	return 0;
}

static int
teardown(void **state)
{
	hub_destroy(&hub[0]);
	return 0;
}

/* The sender has links to the workers in the mask. */
static void
scene_begin(unsigned links)
{
	memset(datagrams, 0, sizeof(datagrams));
	ending = -1;
	for (int k = 0; k < WORKERS; k++)
		if (links & 1u << k)
			assert_true(relay_begin(&chat[SENDER], k));
}

static void
scene_end(void)
{
	for (int k = 0; k < WORKERS; k++) {
		relay_end(&chat[SENDER], k);
		relay_reset(&chat[k]);
	}
}

/* Queues a publication for all workers. */
static void
queue(uint64_t position, size_t len)
{
	const struct publication p = {.position = position,
	    .offset = position + 1,
	    .order = position + 2,
	    .user = "hub",
	    .user_len = 3,
	    .tags = "{}",
	    .tags_len = 2,
	    .data = text + position,
	    .data_len = (uint32_t)len};

	relay_queue(&chat[SENDER], &p, (1u << WORKERS) - 1);
}

/* Whether a worker has got that publication, and then as it was. */
static bool
has(int worker, uint64_t position, size_t len)
{
	struct publication p;

	if (!relay_find(&chat[worker], position, &p))
		return false;
	assert_true(p.offset == position + 1 && p.order == position + 2);
	assert_true(p.user_len == 3 && memcmp(p.user, "hub", 3) == 0);
	assert_true(p.tags_len == 2 && memcmp(p.tags, "{}", 2) == 0);
	assert_int_equal(p.data_len, len);
	assert_memory_equal(p.data, text + position, len);
	return true;
}

/* Those that have a link; one that is too long goes by its position alone. */
static void
test_each(void **state)
{
	uint64_t k;
	int w;

	scene_begin(1u << 1 | 1u << 3);
	for (k = 1; k <= 3; k++)
		queue(k, k == 2 ? RELAY_DATA_MAX : LINE);
	assert_false(has(1, 1, LINE));
	relay_flush(&chat[SENDER]);
	for (w = 0; w < WORKERS; w++) {
		assert_int_equal(datagrams[w], w == 1 || w == 3);
		for (k = 1; k <= 3; k++)
			assert_true(
			    has(w, k, LINE) == ((w == 1 || w == 3) && k != 2));
	}
	relay_flush(&chat[SENDER]);
	assert_int_equal(datagrams[1], 1);
	relay_reset(&chat[1]);
	assert_false(has(1, 1, LINE));
	scene_end();
}

/* More than a datagram holds; one link ends when the first is sent. */
static void
test_end(void **state)
{
	uint64_t k;
	int w;

	for (int end = 1; end < WORKERS; end++) {
		scene_begin(1u << 1 | 1u << 2 | 1u << 3);
		ending = end;
		for (k = 1; k <= MANY; k++)
			queue(k, RELAY_DATA_MAX / 2);
		relay_flush(&chat[SENDER]);
		for (w = 1; w < WORKERS; w++) {
			assert_int_equal(datagrams[w], w == end ? 0 : 2);
			for (k = 1; k <= MANY; k++)
				assert_true(has(w, k, RELAY_DATA_MAX / 2) ==
				    (w != end));
		}
		scene_end();
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_each),
	    cmocka_unit_test(test_end),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
