/* sizes: what the configuration does not name shrinks until all fits, what it
 * names is told with figures, and nothing changes where there is room. */
#include "net/transport.h"

#define CHATD_TRANSPORTS_MORE ROW(hoard)
#include "../../src/net/transport.c"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "hub/journal.h"
#include "master/sizes.h"
#include "process/child.h"

/* A transport that keeps something of each connection. */
const struct transport hoard_transport = {.name = "hoard", .state_bytes = 1};

#define K 1024ull
#define M (1024 * K)
#define G (1024 * M)

static char error[1024];
static char path[64];

/* A configuration of that text. */
static struct conf *
load(const char *text, int workers)
{
	struct conf *c;
	FILE *f;

	snprintf(path, sizeof(path), "/tmp/chatd-sizes-%d.conf", (int)getpid());
	f = fopen(path, "w");
	assert_non_null(f);
	assert_true(fputs(text, f) >= 0);
	assert_int_equal(fclose(f), 0);
	c = conf_load(path, error, sizeof(error));
	unlink(path);
	if (c == NULL)
		fail_msg("%s", error);
	c->workers = workers;
	return c;
}

/* A machine whose groups have that limit; 0: none. */
static struct machine
machine(uint64_t limit, uint64_t total)
{
	struct machine m = {.memory.value = limit != 0 ? limit : MACHINE_NONE,
	    .total = total,
	    .tasks.value = MACHINE_NONE};

	strlcpy(m.memory.from, "/cg/memory.max", sizeof(m.memory.from));
	strlcpy(m.tasks.from, "/cg/pids.max", sizeof(m.tasks.from));
	return m;
}

/* What shared memory takes when all is in use, besides what processes, sockets
 * and connections take outside of it. */
static uint64_t
shared(const struct conf *c)
{
	const struct hub_limits l = sizes_limits(c);
	struct hub_bytes b;

	hub_measure(&b, &l, (uint32_t)c->workers);
	return b.connections + b.users + b.channels + b.subscriptions +
	    b.journal + b.output + b.input + b.workers;
}

/* The values that may shrink are as valid as if a file had them. */
static void
check_valid(const struct conf *c)
{
	const uint64_t entry =
	    journal_entry_bytes(UINT8_MAX, c->live.message_size);

	assert_in_range(c->connections, 16, 1048576);
	assert_in_range(c->users, 16, 4194304);
	assert_in_range(c->subscriptions, 16, 67108864);
	assert_true(c->journal_bytes >= M);
	assert_int_equal(c->journal_bytes & (c->journal_bytes - 1), 0);
	assert_true(c->journal_bytes >= entry * JOURNAL_SHARE);
	assert_true(c->output_bytes >= 4 * M);
	assert_true(c->output_bytes >= c->live.queue_bytes);
	assert_true(c->output_bytes >=
	    (uint64_t)c->live.message_size * CONF_OUTPUT_MESSAGES);
	assert_true(c->input_bytes >= M);
	assert_true(c->input_bytes >= c->live.message_size);
}

static void
test_room(void **state)
{
	const struct machine many[] = {
	    machine(0, 24 * G), machine(64 * G, 256 * G), machine(0, 4 * G)};
	struct conf *c, *d;
	struct sizes s;

	for (size_t i = 0; i < sizeof(many) / sizeof(many[0]); i++) {
		c = load("", 4);
		d = load("", 4);
		sizes_fit(&s, c, &many[i], true);
		assert_string_equal(s.shrunk, "");
		assert_string_equal(s.memory, "");
		assert_string_equal(s.tasks, "");
		assert_int_equal(s.send_bytes, 0);
		assert_memory_equal(&c->journal_bytes, &d->journal_bytes,
		    3 * sizeof(c->journal_bytes));
		assert_int_equal(c->connections, 65536);
		conf_free(c);
		conf_free(d);
	}
}

/* Small groups: all fits, and enough connections are left. */
static void
test_shrinks(void **state)
{
	static const uint64_t limit[] = {
	    40 * M, 48 * M, 64 * M, 128 * M, 256 * M, 512 * M, G};
	uint64_t last = 0;

	for (size_t i = 0; i < sizeof(limit) / sizeof(limit[0]); i++) {
		const struct machine m = machine(limit[i], 24 * G);
		struct conf *c = load("", 4);
		struct sizes s;

		sizes_fit(&s, c, &m, true);
		check_valid(c);
		assert_non_null(strstr(s.shrunk, "/cg/memory.max"));
		assert_non_null(strstr(s.shrunk, "connections 65536 to "));
		assert_string_equal(s.memory, "");
		assert_true(c->connections >= 500);
		assert_true(c->connections >= last);
		last = c->connections;
		assert_true(s.send_bytes >= 8 * K);
		assert_true(shared(c) +
			c->connections / 8 * 2ull * s.send_bytes +
			c->connections * 4 * K <
		    limit[i]);
		conf_free(c);
	}
}

/* A small machine without a group shrinks them, too. */
static void
test_small_machine(void **state)
{
	const struct machine m = machine(0, 512 * M);
	struct conf *c = load("", 2);
	struct sizes s;

	sizes_fit(&s, c, &m, true);
	check_valid(c);
	assert_non_null(strstr(s.shrunk, "the machine's memory"));
	assert_true(shared(c) < 384 * M);
	assert_true(s.send_bytes > 0);
	conf_free(c);
}

/* What is named stays; the others make room for it, or it is told. */
static void
test_named(void **state)
{
	const struct machine m = machine(64 * M, 24 * G);
	struct conf *c = load("journal 16M\nconnections 1000\n", 2);
	struct sizes s;

	sizes_fit(&s, c, &m, true);
	check_valid(c);
	assert_int_equal(c->journal_bytes, 16 * M);
	assert_int_equal(c->connections, 1000);
	assert_null(strstr(s.shrunk, "journal "));
	assert_non_null(strstr(s.shrunk, "output-memory 256M to "));
	assert_string_equal(s.memory, "");
	conf_free(c);

	c = load("journal 64M\noutput-memory 256M\n", 2);
	sizes_fit(&s, c, &m, true);
	assert_int_equal(c->journal_bytes, 64 * M);
	assert_int_equal(c->output_bytes, 256 * M);
	assert_non_null(strstr(s.memory, "the limit is 64M (/cg/memory.max)"));
	assert_non_null(strstr(s.memory, ", journal 64M 72M,"));
	assert_non_null(strstr(s.memory, ", output-memory 256M 2"));
	assert_non_null(strstr(s.memory, "input-memory 1M 2M (shrunk)"));
	assert_true(s.send_bytes >= 8 * K);
	conf_free(c);
}

/* A long message needs a ring and arenas: they do not shrink below that. */
static void
test_cross_checks(void **state)
{
	const struct machine m = machine(48 * M, 24 * G);
	struct conf *c = load("message-size 1M\nqueue 6M\n", 2);
	struct sizes s;

	sizes_fit(&s, c, &m, true);
	check_valid(c);
	assert_int_equal(c->journal_bytes, 16 * M);
	conf_free(c);
}

/* Not even the smallest sizes fit. */
static void
test_too_small(void **state)
{
	const struct machine m = machine(16 * M, 24 * G);
	struct conf *c = load("", 4);
	struct sizes s;

	sizes_fit(&s, c, &m, true);
	check_valid(c);
	assert_non_null(strstr(s.shrunk, "journal 64M to 1M"));
	assert_non_null(strstr(s.memory, "the limit is 16M"));
	conf_free(c);
}

static void
test_tasks(void **state)
{
	struct machine m = machine(0, 24 * G);
	struct conf *c = load("", 8);
	struct sizes s;

	m.tasks.value = 30;
	sizes_fit(&s, c, &m, true);
	assert_string_equal(s.tasks, "");
	m.tasks.value = 29;
	sizes_fit(&s, c, &m, true);
	assert_non_null(strstr(s.tasks, "8 workers need 30"));
	assert_non_null(strstr(s.tasks, "the limit is 29 (/cg/pids.max)"));
	conf_free(c);
}

/* Whether the configuration wants the second reader. */
static bool
is_wanted(const struct conf *c)
{
	return c->channels == 1000;
}

/* The readers of the journal that the configuration wants: what is set aside
 * for them, their processes and their memory. */
static void
test_readers(void **state)
{
	static const struct child_kind one = {.name = "one",
					   .n = 1,
					   .reader = 1},
				       two = {.name = "two",
					   .n = 1,
					   .bytes = 28 * M,
					   .reader = 3,
					   .reader_events = true,
					   .wanted = is_wanted};
	static const struct child_row kinds[] = {
	    {&one, NULL}, {&two, NULL}, {NULL, NULL}};
	static const struct child_row none[] = {{NULL, NULL}};
	struct machine m = machine(0, 24 * G);
	struct conf *c = load("reader-share 8\n", 8),
		    *d = load("channels 1000\n", 8);
	struct hub_limits l;
	struct sizes s;
	uint64_t bytes;

	child_kinds_use(kinds);
	assert_int_equal(child_others(c, &bytes), 1);
	assert_int_equal(bytes, 0);
	assert_int_equal(child_others(d, &bytes), 2);
	assert_int_equal(bytes, 28 * M);
	l = sizes_limits(c);
	assert_int_equal(l.readers, 1);
	assert_int_equal(l.events, 0);
	assert_int_equal(l.reader_share, 8);
	l = sizes_limits(d);
	assert_int_equal(l.readers, 5);
	assert_int_equal(l.events, 4);
	assert_int_equal(l.reader_share, 4);
	m.tasks.value = 31;
	sizes_fit(&s, c, &m, true);
	assert_string_equal(s.tasks, "");
	sizes_fit(&s, d, &m, true);
	assert_non_null(strstr(s.tasks, "8 workers need 32"));
	child_kinds_use(none);
	conf_free(c);
	conf_free(d);
}

/* A reload leaves what has shrunk as it is, and sees what was named. */
static void
test_keep(void **state)
{
	const struct machine m = machine(64 * M, 24 * G);
	struct conf *old = load("input-memory 8M\n", 2);
	struct conf *next = load("journal 4M\n", 2);
	struct sizes s;
	char keys[256];

	sizes_fit(&s, old, &m, true);
	sizes_keep(next, old);
	assert_int_equal(next->output_bytes, old->output_bytes);
	assert_int_equal(next->connections, old->connections);
	assert_int_equal(next->journal_bytes, 4 * M);
	assert_int_equal(next->input_bytes, 64 * M); /* it was named */
	conf_differences(old, next, keys, sizeof(keys));
	assert_null(strstr(keys, "output-memory"));
	assert_non_null(strstr(keys, "input-memory"));
	conf_free(old);
	conf_free(next);
}

/* The parts of the shared memory are all of it when all workers are there, but
 * for the state of transports, which that over TCP does not touch. */
static void
test_measure(void **state)
{
	struct conf *c = load("", 64);
	struct hub_limits l = sizes_limits(c);
	struct hub_bytes b;
	struct hub h;

	uint64_t all;

	hub_measure(&b, &l, 64);
	assert_int_equal(hub_create(&h, &l), 0);
	all = b.connections + b.users + b.channels + b.subscriptions +
	    b.journal + b.output + b.input + b.workers;
	/* one region is counted without the rest of its last page */
	assert_in_range(all, h.size - 4096, h.size);
	hub_destroy(&h);
	hub_measure(&b, &l, 4);
	assert_in_range(b.output, 256 * M, 280 * M);
	assert_int_equal(b.journal, 64 * M + 8 * M); /* and the index */
	/* with readers, what is set aside for them: it counts as if it were
	 * used, since that is when memory is short */
	l.readers = 3;
	hub_measure(&b, &l, 4);
	assert_int_equal(b.journal, 64 * M + 8 * M + 40 * M);
	conf_free(c);
}

/* What the sizes take, in megabytes, on a machine that is too small. */
static uint64_t
needed(const char *text)
{
	const struct machine small = machine(64 * M, 64 * M);
	struct conf *c = load(text, 4);
	unsigned long long n = 0;
	struct sizes s;
	char *at;

	sizes_fit(&s, c, &small, false);
	at = strstr(s.memory, "needs ");
	assert_non_null(at);
	assert_int_equal(sscanf(at, "needs %lluM", &n), 1);
	conf_free(c);
	return n;
}

/* State of transports counts where one has some. */
static void
test_wire(void **state)
{
	/* and as much as one half of input-memory */
	const uint64_t input = 64;
	const uint64_t without = needed(
	    "connections 131072\ninput-memory 64M\nlisten localhost:1\n");

	assert_in_range(needed("connections 131072\ninput-memory 64M\n"
			       "listen localhost:2\n"
			       "listen localhost:1 hoard\n"),
	    without + 131072 * SHM_WIRE / M + input / 2 - 1,
	    without + 131072 * SHM_WIRE / M + input / 2 + 1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_room),
	    cmocka_unit_test(test_shrinks),
	    cmocka_unit_test(test_small_machine),
	    cmocka_unit_test(test_named),
	    cmocka_unit_test(test_cross_checks),
	    cmocka_unit_test(test_too_small),
	    cmocka_unit_test(test_tasks),
	    cmocka_unit_test(test_readers),
	    cmocka_unit_test(test_keep),
	    cmocka_unit_test(test_measure),
	    cmocka_unit_test(test_wire),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
