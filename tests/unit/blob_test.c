/* blob: what is read of a page is what was kept there for that connection, or
 * nothing, though the page is used again meanwhile. */
#include "chat_fixture.h"
#include "input_fixture.h"

#include <sched.h>
#include <signal.h>
#include <sys/wait.h>

#include "base/clock.h"
#include "door/door.h"
#include "hub/blob.h"

enum { SLOTS = 64, PART = 2000, READS = 20000, READ_MS = 20000 };

static const uint64_t alice = 7ull << 32 | 3, bob = 8ull << 32 | 3;

static void
pool_new(struct hub *h, struct input_pool *pool)
{
	fixture_hub(h, SLOTS, 16, 65536, 1 << 20, 1 << 16);
	assert_int_equal(input_pool_init(pool, h), 0);
}

/* It is given to whom it was kept for alone. */
static void
test_owner(void **state)
{
	char in[BLOB_MAX], out[BLOB_MAX];
	struct input_pool pool;
	struct hub h;
	uint32_t k;

	pool_new(&h, &pool);
	memset(in, 'a', sizeof(in));
	assert_int_equal(blob_put(&pool, alice, in, 0), 0);
	assert_int_equal(blob_put(&pool, alice, in, BLOB_MAX + 1), 0);
	k = blob_put(&pool, alice, in, sizeof(in));
	assert_int_not_equal(k, 0);
	assert_int_equal(blob_get(&h, k, alice, out), BLOB_MAX);
	assert_memory_equal(in, out, BLOB_MAX);
	assert_int_equal(blob_get(&h, k, bob, out), 0);
	assert_int_equal(blob_get(&h, k, 7ull << 32 | 4, out), 0);
	assert_int_equal(blob_get(&h, k, 3, out), 0);
	assert_int_equal(blob_get(&h, k + 1, alice, out), 0);
	assert_int_equal(blob_get(&h, h.n_pages + 1, alice, out), 0);
	blob_drop(&pool, k);
	assert_int_equal(blob_get(&h, k, alice, out), 0);
	blob_drop(&pool, k);
	assert_int_equal(pool.pages.n_used, 0);
	input_pool_deinit(&pool);
	hub_destroy(&h);
}

/* Bytes of a message that look like alice's blob wherever a page begins. */
static void
forge(uint32_t *bytes, uint32_t len)
{
	uint32_t k;

	for (k = 0; k < len / 4; k += 2) {
		bytes[k] = (uint32_t)alice;
		bytes[k + 1] = 100;
	}
}

/* Its page becomes what another client has sent of a message: not even that
 * client can make it look like the blob. */
static void
test_forged(void **state)
{
	static uint32_t bytes[PART / 4];
	struct framing_state framing = {{0}};
	struct input_pool pool;
	char out[BLOB_MAX];
	struct hub h;
	uint32_t first, k;

	pool_new(&h, &pool);
	forge(bytes, sizeof(bytes));
	first = blob_put(&pool, bob, "{}", 2);
	k = blob_put(&pool, alice, "{}", 2);
	claim_give(&pool.pages, first - 1); /* their worker has died */
	claim_give(&pool.pages, k - 1);
	assert_int_equal(
	    input_save(&pool, 5, &framing, PART, bytes, sizeof(bytes)), 0);
	assert_true(claim_has(&pool.pages, k - 1));
	assert_int_equal(blob_get(&h, k, alice, out), 0);
	input_pool_deinit(&pool);
	hub_destroy(&h);
}

/* Uses a page for ever, for alice and for what others send. */
static void
churn(struct hub *h, _Atomic uint32_t *at)
{
	static uint32_t bytes[PART / 4];
	struct framing_state framing = {{0}};
	struct input_pool pool;
	char in[BLOB_MAX];
	uint32_t k;

	memset(in, 'a', sizeof(in));
	forge(bytes, sizeof(bytes));
	input_pool_init(&pool, h);
	for (;;) {
		k = blob_put(&pool, alice, in, sizeof(in));
		atomic_store(at, k);
		blob_drop(&pool, k);
		input_save(&pool, 5, &framing, PART, bytes, sizeof(bytes));
		input_release(&pool, 5);
	}
}

/* What a reader copies is whole. */
static void
test_torn(void **state)
{
	uint64_t until = clock_ms() + READ_MS;
	uint32_t n = 0, k, got;
	bool torn = false;
	char out[BLOB_MAX];
	struct input_pool pool;
	struct hub h;
	pid_t pid;

	pool_new(&h, &pool);
	pid = fork();
	if (pid == 0) /* where the page is, in a word that nobody else uses */
		churn(&h, &h.slot[9].left);
	while (n < READS && !torn && clock_ms() < until) {
		got = (uint32_t)blob_get(&h, h.slot[9].left, alice, out);
		if (got == 0) {
			sched_yield(); /* the writer may need this processor */
			continue;
		}
		n++;
		assert_int_equal(got, BLOB_MAX);
		for (k = 0; k < got; k++)
			torn |= out[k] != 'a';
	}
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	assert_false(torn);
	assert_true(n > 0); /* READS, unless the machine is busy */
	input_pool_deinit(&pool);
	hub_destroy(&h);
}

static struct channel_member seen;

static bool
member_cb(const struct channel_member *m, void *arg)
{
	seen = *m;
	return true;
}

/* A member that goes before its texts were copied is not shown: neither with
 * the new contents of its page nor with the new user of its entry. */
static void
test_member_gone(void **state)
{
	static const struct subscription terms = {
	    .flags = SUBSCRIPTION_PRESENT};
	struct channel_position at;
	struct member_text text;
	struct node *n;
	struct hub h;
	uint32_t i, sub;
	uint64_t id;
	int client;

	fixture_hub(&h, SLOTS, 16, 1 << 20, 4 << 20, 1 << 20);
	n = node_new(&h, 0);
	i = node_open(n, "alice", &client);
	id = slot_id(&h, i);
	h.slot[i].info = blob_put(&n->ch.input, id, "{\"a\":1}", 7);
	assert_int_equal(
	    channel_subscribe(&n->ch, i, "room", 4, &terms, &at, &sub),
	    CHANNEL_OK);
	channel_members(&n->ch, &at, 10, member_cb, NULL);
	assert_true(seen.id == id);
	assert_true(channel_member_text(&h, &seen, &text));
	assert_int_equal(text.user_len, 5);
	assert_int_equal(text.info_len, 7);
	assert_memory_equal(text.info, "{\"a\":1}", 7);
	conn_drop(&n->ch, i, NULL);
	assert_int_not_equal(blob_put(&n->ch.input, bob, "SECRET", 6), 0);
	assert_false(channel_member_text(&h, &seen, &text));
	assert_int_equal(text.info_len, 0);
	close(client);
	hub_destroy(&h);
}

/* How a client is told of an info. */
static void
render(struct chat *ch, const char *info, const char *want)
{
	struct iovec parts[DOOR_PARTS];
	struct publication p = {.sender = alice,
	    .user = "alice",
	    .user_len = 5,
	    .info = info,
	    .info_len = (uint16_t)strlen(info),
	    .format = FORMAT_JSON,
	    .data = "1",
	    .data_len = 1};
	const char *at;

	assert_int_equal(centrifugo_door.render(ch, &p, parts), 1);
	at = memmem(parts[0].iov_base, parts[0].iov_len, "conn_info", 9);
	if (want == NULL) {
		assert_null(at);
		return;
	}
	assert_non_null(at);
	assert_memory_equal(at + 11, want, strlen(want));
}

/* What is no JSON does not go out as such. */
static void
test_no_json(void **state)
{
	struct node *n;
	struct hub h;

	fixture_hub(&h, SLOTS, 16, 1 << 20, 4 << 20, 1 << 20);
	n = node_new(&h, 0);
	render(&n->ch, "{\"a\":1}", "{\"a\":1}}");
	render(&n->ch, "{\"a\":1", NULL);
	render(&n->ch, "alice", NULL);
	render(&n->ch, "1} SECRET", NULL);
	hub_destroy(&h);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_owner),
	    cmocka_unit_test(test_forged),
	    cmocka_unit_test(test_torn),
	    cmocka_unit_test(test_member_gone),
	    cmocka_unit_test(test_no_json),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
