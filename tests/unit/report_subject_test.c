/* report_subject: all that `chatctl show` says of each subject, byte by byte,
 * as a table and as JSON, with names that would break either. */
#include "hub_fixture.h"

#include <errno.h>
#include <event2/buffer.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include "../../src/master/member.h"
#include "../../src/master/private.h"
#include "base/clock.h"
#include "codec/json.h"
#include "door/registry.h"
#include "hub/lock.h"
#include "hub/presence.h"
#include "hub/slot.h"
#include "hub/stats.h"
#include "master/report.h"

extern const struct door plain_door;

static struct master *m;
static struct claim slots;

/* A master of two workers, the second of which is not there. */
static int
begin(void **state)
{
	m = calloc(1, sizeof(*m));
	assert_non_null(m);
	fixture_hub(&m->hub, 64, 16, 65536, 1 << 20, 1 << 20);
	assert_int_equal(claim_init(&slots, m->hub.slot_owner, 64, 0), 0);
	m->n_workers = 2;
	m->started_ms = clock_ms();
	m->member[0] = (struct member){.place = 0,
	    .child.pid = 123,
	    .child.generation = 4,
	    .family.keeper[0].pid = 124,
	    .family.keeper[1].pid = 125};
	m->member[1] = (struct member){.place = 1};
	m->member[0].child.line = &m->hub.line[0];
	m->member[1].child.line = &m->hub.line[1];
	return 0;
}

static int
end(void **state)
{
	claim_deinit(&slots);
	hub_destroy(&m->hub);
	free(m);
	return 0;
}

/* What a report says; good until the next call. */
static const char *
shown(const char *what, bool json)
{
	static char text[65536];
	struct evbuffer *out = evbuffer_new();
	struct report *r = report_new(m, what, json);
	size_t n;

	assert_non_null(r);
	while (report_more(r, out) == 1)
		;
	report_free(r);
	n = evbuffer_get_length(out);
	assert_true(n < sizeof(text));
	evbuffer_remove(out, text, n);
	text[n] = '\0';
	evbuffer_free(out);
	return text;
}

/* A user of worker 0; the entry. */
static uint32_t
user(const char *name, size_t len)
{
	uint32_t e;
	bool first;

	hub_lock(&m->hub);
	e = presence_enter(&m->hub, name, len, &first);
	hub_unlock(&m->hub);
	assert_int_not_equal(e, SHM_NONE);
	return e;
}

/* A connection of that user; its id. */
static uint64_t
connection(uint32_t entry, const char *device, size_t len)
{
	struct sockaddr_in in = {.sin_family = AF_INET,
	    .sin_port = htons(7),
	    .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	uint32_t i = slot_take(&m->hub, &slots);
	struct slot *s = &m->hub.slot[i];

	slot_set_peer(s, (struct sockaddr *)&in);
	s->door = plain_door.id;
	s->user = entry;
	s->connected_ms = clock_ms();
	s->device_len = (uint8_t)len;
	memcpy(s->device, device, len);
	slot_set(&m->hub, i, SLOT_OPEN);
	return slot_id(&m->hub, i);
}

/* Nothing there: a head line, or an empty list. */
static void
empty(void **state)
{
	assert_string_equal(
	    shown("users", false), "CONNECTIONS WORKERS         USER\n");
	assert_string_equal(shown("users", true), "[]\n");
	assert_string_equal(shown("connections", true), "[]\n");
	assert_string_equal(shown("connections", false),
	    "ID               WORKER PEER                  DOOR         "
	    "SINCE/S USER\n");
	errno = 0;
	assert_null(report_new(m, "nothing", false));
	assert_int_equal(errno, EINVAL);
	assert_null(report_new(m, "", true));
	assert_null(report_new(m, "user", true));
}

/* Names that would break a line, a string or a terminal. */
static void
users(void **state)
{
	static const struct {
		const char *name;
		size_t len;
		const char *text, *json;
	} odd[] = {{"#alice", 6, "alice", "alice"},
	    {"#a b", 4, "\"a b\"", "a b"}, {"#a\"b", 4, "\"a\\\"b\"", "a\\\"b"},
	    {"#a\\b", 4, "a\\b", "a\\\\b"},
	    {"#a\nb", 4, "\"a\\u{a}b\"", "a\\u000ab"},
	    {"#a\x1b[1m", 6, "\"a\\u{1b}[1m\"", "a\\u001b[1m"},
	    {"#\xe2\x80\xae"
	     "a",
		5, "\"\\u{202e}a\"", "\\u202ea"},
	    {"#\xc3\xa9", 3, "\xc3\xa9", "\xc3\xa9"}};
	char table[2000] = "CONNECTIONS WORKERS         USER\n",
	     list[2000] = "[";
	const size_t n = sizeof(odd) / sizeof(odd[0]);

	(void)user("room", 4); /* is no user */
	for (size_t k = 0; k < n; k++) {
		uint32_t e = user(odd[k].name, odd[k].len);

		for (size_t c = 0; c < k; c++)
			connection(e, "", 0);
		snprintf(table + strlen(table), sizeof(table) - strlen(table),
		    "%11zu 0               %s\n", k, odd[k].text);
		snprintf(list + strlen(list), sizeof(list) - strlen(list),
		    "%s{\"user\":\"%s\",\"workers\":[0],\"connections\":%zu}",
		    k > 0 ? ",\n" : "", odd[k].json, k);
	}
	strcat(list, "]\n");
	assert_string_equal(shown("users", false), table);
	assert_string_equal(shown("users", true), list);
}

/* A connection, with and without a device, and one whose user is not known. */
static void
connections(void **state)
{
	const uint64_t a = connection(user("#al ice", 7), "ph\"one", 6),
		       b = connection(user("#bob", 4), "", 0),
		       c = connection(SHM_NONE, "x\n", 2);
	char wanted[2000];

	snprintf(wanted, sizeof(wanted),
	    "ID               WORKER PEER                  DOOR         "
	    "SINCE/S USER\n"
	    "%016llx      0 127.0.0.1:7           plain              0 "
	    "\"al ice\" on \"ph\\\"one\"\n"
	    "%016llx      0 127.0.0.1:7           plain              0 bob\n"
	    "%016llx      0 127.0.0.1:7           plain              0 "
	    " on \"x\\u{a}\"\n",
	    (unsigned long long)a, (unsigned long long)b,
	    (unsigned long long)c);
	assert_string_equal(shown("connections", false), wanted);
	snprintf(wanted, sizeof(wanted),
	    "[{\"id\":\"%016llx\",\"user\":\"al ice\",\"device\":\"ph\\\"one\","
	    "\"worker\":0,\"peer\":\"127.0.0.1:7\",\"door\":\"plain\","
	    "\"connected_s\":0},\n"
	    "{\"id\":\"%016llx\",\"user\":\"bob\",\"device\":\"\",\"worker\":0,"
	    "\"peer\":\"127.0.0.1:7\",\"door\":\"plain\",\"connected_s\":0},\n"
	    "{\"id\":\"%016llx\",\"user\":\"\",\"device\":\"x\\u000a\","
	    "\"worker\":0,\"peer\":\"127.0.0.1:7\",\"door\":\"plain\","
	    "\"connected_s\":0}]\n",
	    (unsigned long long)a, (unsigned long long)b,
	    (unsigned long long)c);
	assert_string_equal(shown("connections", true), wanted);
}

/* Of a worker that is not there, none; and the table is as wide as the longest
 * kind of address. */
static void
others(void **state)
{
	struct sockaddr_in6 in6 = {.sin6_family = AF_INET6,
	    .sin6_port = htons(7),
	    .sin6_addr = IN6ADDR_LOOPBACK_INIT};
	const uint32_t e = user("#alice", 6);
	const uint64_t id = connection(e, "", 0);
	const uint32_t i = (uint32_t)connection(e, "", 0);
	char wanted[512];

	slot_set_peer(&m->hub.slot[(uint32_t)id], (struct sockaddr *)&in6);
	assert_true(slot_pass(&m->hub, i, 0, SLOT_OPEN, 1, SLOT_OPEN));
	snprintf(wanted, sizeof(wanted),
	    "%-16s %6s %-47s %-10s %9s USER\n"
	    "%016llx      0 %-47s plain              0 alice\n",
	    "ID", "WORKER", "PEER", "DOOR", "SINCE/S", (unsigned long long)id,
	    "[::1]:7");
	assert_string_equal(shown("connections", false), wanted);
	assert_string_equal(shown("users", true),
	    "[{\"user\":\"alice\",\"workers\":[0],\"connections\":1}]\n");
	/* corrupted */
	assert_true(
	    slot_pass(&m->hub, i, 1, SLOT_OPEN, SHM_WORKERS, SLOT_OPEN));
	assert_string_equal(shown("connections", false), wanted);
}

/* Records that another process has corrupted are still one line, and JSON. */
static void
corrupted(void **state)
{
	const uint64_t id = connection(user("#alice", 6), "phone", 5);
	struct slot *s = &m->hub.slot[(uint32_t)id];
	struct json_value v;
	const char *text;

	s->door = 200;
	text = shown("connections", true);
	assert_true(json_validate(text, strlen(text), &v));
	assert_non_null(strstr(text, "\"door\":\"?\""));
	memcpy(s->device, "\xff\xfe\n\"\\", 5);
	text = shown("connections", true);
	assert_true(json_validate(text, strlen(text), &v));
	text = shown("connections", false);
	assert_ptr_equal(
	    strchr(strchr(text, '\n') + 1, '\n'), text + strlen(text) - 1);
	s->device_len = 255; /* longer than any: it is not shown */
	assert_string_equal(shown("connections", true), "[]\n");
}

/* Workers: one that is there, and one that is not. */
static void
workers(void **state)
{
	struct shm_worker *w = &m->hub.worker[0];
	const uint32_t e = user("#alice", 6);

	connection(e, "", 0);
	connection(e, "", 0);
	m->member[0].child.born_ms = clock_ms();
	SHM_STORE(m->member[0].child.line->state, WORKER_RUNNING);
	SHM_TELL(w->sends_by, SENDS_SENDMSG);
	SHM_STORE(w->delivered, 5);
	SHM_STORE(w->relayed, 6);
	SHM_STORE(w->turn_max_us, 7);
	assert_string_equal(shown("workers", false),
	    "WORKER      PID    GEN STATE       CONNS            KEPT "
	    " UPTIME/S "
	    "   DELIVERED      RELAYED WRITES         CURSOR     BEHIND ROLE\n"
	    "     0      123      4 running         2          2 of 2 "
	    "        0 "
	    "           5            6 sendmsg             0          0 "
	    "worker\n"
	    "     1        0      0 stopped         0          0 of 0 "
	    "        0 "
	    "           0            0 -                   0          0 "
	    "worker\n");
	assert_string_equal(shown("workers", true),
	    "[{\"slot\":0,\"role\":\"worker\",\"pid\":123,\"generation\":4,"
	    "\"state\":\"running\","
	    "\"connections\":2,\"kept\":2,\"opened\":2,\"uptime_s\":0,"
	    "\"delivered\":5,\"relayed\":6,\"writes\":\"sendmsg\","
	    "\"keeper\":124,\"keepers\":[124,125],\"turn_max_us\":7,"
	    "\"cursor\":0,\"behind\":0},\n"
	    "{\"slot\":1,\"role\":\"worker\",\"pid\":0,\"generation\":0,"
	    "\"state\":\"stopped\","
	    "\"connections\":0,\"kept\":0,\"opened\":0,\"uptime_s\":0,"
	    "\"delivered\":0,\"relayed\":0,\"writes\":\"-\",\"keeper\":0,"
	    "\"keepers\":[0,0],"
	    "\"turn_max_us\":0,\"cursor\":0,\"behind\":0}]\n");
}

/* The statistics that are no counters, and that table and JSON say the same. */
static void
stats(void **state)
{
	static const char *const lines[] = {"workers", "respawns", "renewals",
	    "users", "users_limit", "connections", "position"};
	static const unsigned values[] = {2, 3, 4, 2, 16, 3, 0};
	char table[4096], text[64];
	const char *json;
	const uint32_t a = user("#alice", 6);

	m->respawns = 3;
	m->renewals = 4;
	connection(a, "", 0);
	connection(a, "", 0);
	connection(user("#bob", 4), "", 0);
	(void)user("room", 4);
	strcpy(table, shown("stats", false));
	json = shown("stats", true);
	for (size_t k = 0; k < sizeof(lines) / sizeof(lines[0]); k++) {
		snprintf(
		    text, sizeof(text), "%-22s %20u\n", lines[k], values[k]);
		if (strstr(table, text) == NULL)
			fail_msg("%s is not in %s", text, table);
		snprintf(text, sizeof(text), "\"%s\":%u,", lines[k], values[k]);
		if (strstr(json, text) == NULL)
			fail_msg("%s is not in %s", text, json);
	}
	assert_memory_equal(json, "{\"uptime_s\":0,", 14);
	assert_string_equal(json + strlen(json) - 2, "}\n");
}

/* In steps: each ends after so many bytes, and together they are the whole. */
static void
steps(void **state)
{
	struct evbuffer *out = evbuffer_new();
	struct report *r;
	const uint32_t e = user("#alice", 6);
	int n = 1, lines = 0;
	char *line;

	for (int k = 0; k < 60; k++)
		connection(e, "device", 6);
	r = report_new(m, "connections", false);
	while (report_more(r, out) == 1)
		n++;
	report_free(r);
	while ((line = evbuffer_readln(out, NULL, EVBUFFER_EOL_LF)) != NULL) {
		lines++;
		free(line);
	}
	assert_int_equal(lines, 61);
	assert_int_equal(n, 1); /* less than one part */
	evbuffer_free(out);
}

int
main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, begin, end)
	const struct CMUnitTest tests[] = {TEST(empty), TEST(users),
	    TEST(connections), TEST(others), TEST(corrupted), TEST(workers),
	    TEST(stats), TEST(steps)};

	return cmocka_run_group_tests_name("report_subject", tests, NULL, NULL);
}
