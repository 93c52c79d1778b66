/* report: what `chatctl show connections` prints stays in its columns. */
#include "hub_fixture.h"

#include <arpa/inet.h>
#include <event2/buffer.h>
#include <netinet/in.h>
#include <string.h>

#include "../../src/master/process.h"
#include "base/clock.h"
#include "hub/lock.h"
#include "hub/presence.h"
#include "hub/slot.h"
#include "master/report.h"

/* A connection of worker 0. */
static void
connection_make(struct hub *h, struct claim *c, const char *address,
    uint16_t port, enum slot_door door)
{
	struct sockaddr_in in = {
	    .sin_family = AF_INET, .sin_port = htons(port)};
	struct sockaddr_in6 in6 = {
	    .sin6_family = AF_INET6, .sin6_port = htons(port)};
	uint32_t i = slot_take(h, c);

	assert_int_not_equal(i, SHM_NONE);
	if (inet_pton(AF_INET, address, &in.sin_addr) == 1)
		slot_set_peer(&h->slot[i], (struct sockaddr *)&in);
	else if (inet_pton(AF_INET6, address, &in6.sin6_addr) == 1)
		slot_set_peer(&h->slot[i], (struct sockaddr *)&in6);
	else
		fail();
	h->slot[i].door = (uint8_t)door;
	h->slot[i].connected_ms = clock_ms();
	memcpy(h->slot[i].device, "phone", 5);
	h->slot[i].device_len = 5;
	slot_set(h, i, SLOT_OPEN);
}

/* Checks that each line is as its head line says; returns how many there are.
 * DOOR begins in its column, SINCE/S ends and USER begins in theirs. */
static int
table_check(const char *text)
{
	const char *line = strchr(text, '\n') + 1, *end;
	const long door = strstr(text, "DOOR") - text,
		   since = strstr(text, "SINCE/S") + 7 - text,
		   user = strstr(text, "USER") - text;
	int n = 0;

	for (; (end = strchr(line, '\n')) != NULL; line = end + 1, n++) {
		assert_int_equal(strspn(line, "0123456789abcdef"), 16);
		assert_int_equal(line[16], ' ');
		assert_int_equal(line[door - 1], ' ');
		assert_non_null(strchr("pec", line[door]));
		assert_int_equal(line[since - 1], '0');
		assert_int_equal(line[since], ' ');
		assert_memory_equal(line + user, " on phone\n", 10);
	}
	return n;
}

static void
test_columns(void **state)
{
	struct master *m = calloc(1, sizeof(*m));
	struct report *r;
	struct claim c;
	struct evbuffer *out;

	assert_non_null(m);
	fixture_hub(&m->hub, 64, 16, 65536, 1 << 20, 1 << 20);
	assert_int_equal(claim_init(&c, m->hub.slot_owner, 64, 0), 0);
	m->n_workers = 1;
	m->member[0].pid = 1;
	connection_make(&m->hub, &c, "1.2.3.4", 5, DOOR_PLAIN);
	connection_make(&m->hub, &c, "255.255.255.255", 65535, DOOR_CENTRIFUGO);
	for (int round = 0; round < 2; round++) {
		r = report_new(m, "connections", false);
		out = evbuffer_new();
		assert_int_equal(report_more(r, out), 0);
		assert_int_equal(evbuffer_add(out, "", 1), 0);
		assert_int_equal(
		    table_check((const char *)evbuffer_pullup(out, -1)),
		    2 + 2 * round);
		evbuffer_free(out);
		report_free(r);
		connection_make(&m->hub, &c,
		    "2001:db8:1111:2222:3333:4444:5555:6666", 65535, DOOR_ECHO);
		connection_make(&m->hub, &c, "::1", 80, DOOR_PLAIN);
	}
	claim_deinit(&c);
	hub_destroy(&m->hub);
	free(m);
}

/* What a client is called by cannot turn a line around, nor end it. */
static void
test_names(void **state)
{
	static const char wanted[] =
	    "          0 0               \"\\u{202e}bob, x\"\n";
	struct master *m = calloc(1, sizeof(*m));
	struct report *r;
	struct evbuffer *out = evbuffer_new();
	const char *text;
	bool first;
	int json;

	assert_non_null(m);
	fixture_hub(&m->hub, 64, 16, 65536, 1 << 20, 1 << 20);
	m->n_workers = 1;
	m->member[0].pid = 1;
	hub_lock(&m->hub);
	assert_int_not_equal(
	    presence_enter(&m->hub, "#\u202ebob, x", 10, &first), SHM_NONE);
	hub_unlock(&m->hub);
	for (json = 0; json < 2; json++) {
		r = report_new(m, "users", json);
		assert_int_equal(report_more(r, out), 0);
		assert_int_equal(evbuffer_add(out, "", 1), 0);
		text = (const char *)evbuffer_pullup(out, -1);
		assert_non_null(
		    strstr(text, json ? "\"user\":\"\\u202ebob, x\"" : wanted));
		report_free(r);
		evbuffer_drain(out, evbuffer_get_length(out));
	}
	evbuffer_free(out);
	hub_destroy(&m->hub);
	free(m);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_columns),
	    cmocka_unit_test(test_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
