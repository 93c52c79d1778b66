/* event: what is written of what happens to users and channels, and what is
 * known of users by that. */
#include "store_fixture.h"

#include "../../src/store/event.h"
#include "hub/event.h"

enum { DEVICE = 5 }; /* bytes of "phone" */

/* What a question is answered: values by "|", a row a line. */
static const char *
answer(struct store *s, const char *sql)
{
	static char text[4096];
	sqlite3_stmt *stmt;
	size_t at = 0;

	text[0] = '\0';
	assert_int_equal(
	    sqlite3_prepare_v2(s->db, sql, -1, &stmt, NULL), SQLITE_OK);
	while (sqlite3_step(stmt) == SQLITE_ROW)
		for (int k = 0; k < sqlite3_column_count(stmt); k++) {
			const char *v =
			    (const char *)sqlite3_column_text(stmt, k);

			at += (size_t)snprintf(text + at, sizeof(text) - at,
			    "%s%c", v != NULL ? v : "-",
			    k + 1 < sqlite3_column_count(stmt) ? '|' : '\n');
		}
	sqlite3_finalize(stmt);
	return text;
}

#define USERS "SELECT name, first_seen, last_seen, delivered, proved FROM user"

/* An event of that user, at that time. */
static struct publication
event(uint8_t format, const char *user, int64_t time_ms)
{
	return (struct publication){.format = format,
	    .time_ms = time_ms,
	    .user = user,
	    .user_len = (uint8_t)strlen(user),
	    .data = ""};
}

static void
take(struct store *s, struct store_channel *c, const struct publication *p)
{
	assert_int_equal(store_take(s, c, p), STORE_OK);
}

/* A connection of a user comes or goes. */
static void
connection(struct store *s, uint8_t format, const char *user, int64_t time_ms,
    uint16_t code)
{
	const struct event_end end = {
	    .code = code, .port = 4711, .family = 4, .peer = {10, 1, 2, 3}};
	char data[sizeof(end) + DEVICE];
	struct publication p = event(format, user, time_ms);

	memcpy(data, &end, sizeof(end));
	memcpy(data + sizeof(end), "phone", DEVICE);
	p.data = data;
	p.data_len = sizeof(data);
	take(s, NULL, &p);
}

static void
delivered(struct store *s, const char *user, int64_t time_ms, uint64_t offset)
{
	struct publication p = event(FORMAT_DELIVERED, user, time_ms);

	p.offset = offset;
	take(s, NULL, &p);
}

/* Each kind, with what it says; others are no rows. */
static void
kinds(void **state)
{
	struct store *s = writer();
	struct store_channel c = channel(s, "lobby");
	struct publication p;

	assert_int_equal(store_event(s, "start", 1), STORE_OK);
	p = event(FORMAT_ONLINE, "", 2);
	p.data = "#alice";
	p.data_len = 6;
	take(s, NULL, &p);
	p.format = FORMAT_OFFLINE;
	take(s, NULL, &p);
	p.format = FORMAT_OCCUPIED;
	take(s, NULL, &p);
	p.format = FORMAT_VACATED;
	take(s, NULL, &p);
	connection(s, FORMAT_CONNECT, "alice", 3, 0);
	connection(s, FORMAT_DISCONNECT, "alice", 4, 1001);
	p = event(FORMAT_JOIN, "alice", 5);
	take(s, &c, &p);
	p = event(FORMAT_LEAVE, "", 6); /* anonymous */
	take(s, &c, &p);
	p = event(FORMAT_KICK, "alice", 7);
	p.data = "phone";
	p.data_len = DEVICE;
	take(s, NULL, &p);
	assert_string_equal(
	    answer(s,
		"SELECT time, kind, e.channel - c.id, user, device, peer"
		" FROM event e JOIN channel c ORDER BY e.id"),
	    "1|start|-|-|-|-\n"
	    "2|online|-|alice|-|-\n"
	    "2|offline|-|alice|-|-\n"
	    "3|connect|-|alice|phone|10.1.2.3:4711\n"
	    "4|disconnect|-|alice|phone|10.1.2.3:4711\n"
	    "5|join|0|alice|-|-\n"
	    "6|leave|0|-|-|-\n"
	    "7|kick|-|alice|phone|-\n");
	store_close(s);
}

/* What makes no sense is not read. */
static void
hostile(void **state)
{
	struct store *s = writer();
	struct publication p = event(FORMAT_CONNECT, "alice", 1);

	p.data = "short";
	p.data_len = 5;
	take(s, NULL, &p);
	p = event(FORMAT_ONLINE, "", 1);
	p.data = "#";
	p.data_len = 1;
	take(s, NULL, &p);
	connection(s, FORMAT_CONNECT, "", 1, 0); /* nobody's */
	assert_string_equal(answer(s, "SELECT kind, user, peer FROM event"),
	    "connect|alice|-\nonline|-|-\nconnect|-|10.1.2.3:4711\n");
	assert_string_equal(answer(s, "SELECT name FROM user"), "alice\n");
	store_close(s);
}

/* When a user was here before is known until the user goes again; what a token
 * has proved stays so; time does not go back. */
static void
users(void **state)
{
	struct store *s = writer();

	connection(s, FORMAT_CONNECT, "alice", 100, 0);
	assert_string_equal(answer(s, USERS), "alice|100|100|0|0\n");
	connection(s, FORMAT_DISCONNECT, "alice", 200, 0);
	connection(s, FORMAT_CONNECT, "alice", 300, 1);
	assert_string_equal(answer(s, USERS), "alice|100|200|0|1\n");
	connection(s, FORMAT_CONNECT, "alice", 400, 0);
	connection(s, FORMAT_DISCONNECT, "alice", 150, 0);
	assert_string_equal(answer(s, USERS), "alice|100|200|0|1\n");
	connection(s, FORMAT_DISCONNECT, "bob", 500, 4001);
	assert_string_equal(
	    answer(s, USERS), "alice|100|200|0|1\nbob|500|500|0|0\n");
	store_close(s);
}

/* What a user has got grows, but for a channel that has begun anew. */
static void
got(void **state)
{
	struct store *s = writer();
	struct store_channel c = channel(s, "#alice");

	for (int k = 0; k < 9; k++)
		say(s, &c, "x");
	delivered(s, "alice", 10, 5);
	assert_string_equal(answer(s, USERS), "alice|10|10|5|0\n");
	delivered(s, "alice", 20, 8);
	delivered(s, "alice", 20, 7); /* of another worker */
	assert_string_equal(answer(s, USERS), "alice|10|10|8|0\n");
	assert_int_equal(
	    sqlite3_exec(s->db, "DELETE FROM publication; DELETE FROM channel",
		NULL, NULL, NULL),
	    SQLITE_OK);
	c = channel(s, "#alice");
	say(s, &c, "y");
	delivered(s, "alice", 30, 1);
	assert_string_equal(answer(s, USERS), "alice|10|10|1|0\n");
	store_close(s);
}

/* Names that no token has proved are forgotten, some at a time. */
static void
pruned(void **state)
{
	struct store *s = writer();
	char name[16];
	uint32_t n;

	for (int k = 0; k < 5; k++) {
		snprintf(name, sizeof(name), "old%d", k);
		connection(s, FORMAT_CONNECT, name, 100, 0);
	}
	connection(s, FORMAT_CONNECT, "proved", 100, 1);
	connection(s, FORMAT_CONNECT, "new", 100, 0);
	connection(s, FORMAT_DISCONNECT, "new", 200, 0);
	assert_int_equal(user_prune(s, false, 200, 3, &n), STORE_OK);
	assert_int_equal(n, 3);
	assert_int_equal(user_prune(s, false, 200, 3, &n), STORE_OK);
	assert_int_equal(n, 2);
	assert_int_equal(user_prune(s, false, 200, 3, &n), STORE_OK);
	assert_int_equal(n, 0);
	assert_string_equal(
	    answer(s, "SELECT name FROM user"), "new\nproved\n");
	store_close(s);
}

/* What was not committed is not there. */
static void
undone(void **state)
{
	struct store *s = writer();

	connection(s, FORMAT_CONNECT, "alice", 100, 0);
	commit(s, 1);
	connection(s, FORMAT_CONNECT, "bob", 100, 0);
	store_close(s);
	assert_int_equal(number(path, "SELECT count(*) FROM user"), 1);
	assert_int_equal(number(path, "SELECT count(*) FROM event"), 1);
}

int
main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {TEST(kinds), TEST(hostile),
	    TEST(users), TEST(got), TEST(pruned), TEST(undone)};

	return cmocka_run_group_tests_name("store_event", tests, NULL, NULL);
}
