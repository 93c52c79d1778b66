/* report: what `chatctl show connections` prints stays in its columns. */
#include "hub_fixture.h"

#include <arpa/inet.h>
#include <event2/buffer.h>
#include <netinet/in.h>
#include <string.h>

#include "../../src/master/member.h"
#include "../../src/master/private.h"
#include "base/clock.h"
#include "door/registry.h"
#include "hub/lock.h"
#include "hub/presence.h"
#include "hub/slot.h"
#include "man_fixture.h"
#include "master/report.h"

extern const struct door plain_door, echo_door, centrifugo_door;

/* A connection of worker 0. */
static void
connection_make(struct hub *h, struct claim *c, const char *address,
    uint16_t port, const struct door *door)
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
	h->slot[i].door = door->id;
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
	m->member[0].child.pid = 1;
	connection_make(&m->hub, &c, "1.2.3.4", 5, &plain_door);
	connection_make(
	    &m->hub, &c, "255.255.255.255", 65535, &centrifugo_door);
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
		    "2001:db8:1111:2222:3333:4444:5555:6666", 65535,
		    &echo_door);
		connection_make(&m->hub, &c, "::1", 80, &plain_door);
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
	m->member[0].child.pid = 1;
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

/* A master with one worker, whose memory is its own. */
static struct master *
master_make(void)
{
	struct master *m = calloc(1, sizeof(*m));

	assert_non_null(m);
	fixture_hub(&m->hub, 64, 16, 65536, 1 << 20, 1 << 20);
	m->n_workers = 1;
	m->member[0].child.pid = 1;
	return m;
}

/* What a report says, as a string. Freed by the caller. */
static char *
report_text(struct master *m, const char *what, bool json)
{
	struct evbuffer *out = evbuffer_new();
	struct report *r = report_new(m, what, json);
	char *text;

	assert_non_null(r);
	while (report_more(r, out) == 1)
		continue;
	report_free(r);
	assert_int_equal(evbuffer_add(out, "", 1), 0);
	text = strdup((const char *)evbuffer_pullup(out, -1));
	evbuffer_free(out);
	return text;
}

/* Each counter is shown with what the worker has counted and what those before
 * it have left, and starts anew with the next worker. */
static void
test_counters(void **state)
{
	struct master *m = master_make();
	char *text, wanted[80];

	for (int i = 0; i < STATS_COUNTERS; i++)
		SHM_STORE(*stats_counter(&m->hub.worker[0], i), 1000 + i);
	report_bury(m, 0);
	for (int i = 0; i < STATS_COUNTERS; i++) {
		assert_int_equal(
		    SHM_LOAD(*stats_counter(&m->hub.worker[0], i)), 0);
		SHM_STORE(*stats_counter(&m->hub.worker[0], i), 7);
	}
	text = report_text(m, "stats", true);
	for (int i = 0; i < STATS_COUNTERS; i++) {
		snprintf(wanted, sizeof(wanted), ",\"%s\":%d,",
		    stats_rows[i].name, 1007 + i);
		if (strstr(text, wanted) == NULL)
			fail_msg("%s is not in %s", wanted, text);
	}
	free(text);
	hub_destroy(&m->hub);
	free(m);
}

/* Whether the manual has an item for a statistic; *body is its text. */
static bool
stats_item(const char *page, const char *name, char **body)
{
	const char *at, *end;
	char *head, it[80], words[160];
	bool found = false;

	*body = NULL;
	for (at = page; (at = strstr(at, "\n.It Ql ")) != NULL && !found;) {
		end = strchr(++at, '\n');
		snprintf(it, sizeof(it), "%.*s", (int)(end - at), at);
		snprintf(words, sizeof(words), " %s ,", it + strlen(".It Ql "));
		snprintf(it, sizeof(it), " %s ,", name);
		if (strstr(words, it) == NULL)
			continue;
		snprintf(it, sizeof(it), "%.*s", (int)(end - at), at);
		found = man_item(page, it, &head, body);
		free(head);
	}
	return found;
}

/* chatctl(8) explains all that `show stats` says, counters as their table. */
static void
test_manual(void **state)
{
	char *page = man_read("man/chatctl.8"), *text, *at, *body, name[64];
	struct master *m;
	int n = 0, told = 0;

	if (page == NULL)
		skip();
	m = master_make();
	text = report_text(m, "stats", true);
	for (at = text; (at = strchr(at, '"')) != NULL;
	     at = strchr(at, ':'), n++) {
		assert_int_equal(sscanf(at, "\"%63[^\"]", name), 1);
		if (!stats_item(page, name, &body))
			fail_msg("%s is missing", name);
		for (int i = 0; i < STATS_COUNTERS; i++) {
			if (strcmp(name, stats_rows[i].name) != 0)
				continue;
			told++;
			if (strncmp(body, stats_rows[i].words,
				strlen(stats_rows[i].words)) != 0)
				fail_msg("%s: \"%s\" is not \"%s\"", name, body,
				    stats_rows[i].words);
		}
		free(body);
	}
	assert_int_equal(told, STATS_COUNTERS);
	assert_in_range(n, STATS_COUNTERS + 5, 100);
	free(text);
	free(page);
	hub_destroy(&m->hub);
	free(m);
}

/* Metrics are named as Prometheus wants it, and each once. */
static void
test_metrics(void **state)
{
	const char *name;

	for (int i = 0; i < STATS_COUNTERS; i++) {
		name = stats_rows[i].metric;
		print_message("%s\n", name);
		assert_memory_equal(name, "chatd_", 6);
		assert_int_equal(
		    strspn(name, "abcdefghijklmnopqrstuvwxyz_"), strlen(name));
		assert_string_equal(name + strlen(name) - 6, "_total");
		for (int k = 0; k < i; k++)
			assert_string_not_equal(name, stats_rows[k].metric);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_columns),
	    cmocka_unit_test(test_names),
	    cmocka_unit_test(test_counters),
	    cmocka_unit_test(test_manual),
	    cmocka_unit_test(test_metrics),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
