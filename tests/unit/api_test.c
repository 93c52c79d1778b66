/* api: bodies of the server API, and the bytes that each is answered; what is
 * said is heard. (Paths, keys and lengths of bodies: route_test.) */
#include "door_fixture.h"

#include "../../src/door/centrifugo/centrifugo.h"

#define RESULT(text) "{\"result\":" text "}"
#define ERROR(code, text) \
	"{\"error\":{\"code\":" #code ",\"message\":\"" text "\"}}"
#define BAD ERROR(107, "bad request")
#define DEEP "[[[[[[[[[[[[[[[["

/* Bob is at the plain door, in a room. */
static int
begin(void **state)
{
	door_begin(state);
	alice.fd = -1;
	guest_come(&bob, &plain_door, "bob");
	guest_say(&bob, "/join room");
	guest_forget(&bob);
	return 0;
}

/* What a body is answered, an epoch being E and a time T; the status. */
static int
ask_bytes(const char *method, const char *body, size_t len, char out[4096])
{
	static const char *const marks[] = {"\"epoch\":\"", "\"time\":"};
	struct http_request r = {.path = {.p = method, .len = strlen(method)}};
	struct route route;
	char *at;
	size_t n;

	api_answer(&door_node->ch, &r, body, len, &route);
	assert_true(route.body_len < 4096);
	assert_string_equal(route.type, "application/json");
	memcpy(out, route.body, route.body_len);
	out[route.body_len] = '\0';
	for (int k = 0; k < 2; k++)
		for (at = out; (at = strstr(at, marks[k])) != NULL;) {
			at += strlen(marks[k]);
			n = strspn(at, "0123456789abcdef");
			if (n == 0)
				continue;
			*at++ = "ET"[k];
			memmove(at, at + n - 1, strlen(at + n - 1) + 1);
		}
	door_settle();
	return route.status;
}

/* A body is answered just that. */
static void
answers_at(const char *file, int line, const char *method, const char *body,
    int status, const char *wanted)
{
	char out[4096];
	int got = ask_bytes(method, body, strlen(body), out);

	if (got == status && strcmp(out, wanted) == 0)
		return;
	fail_msg("%s:%d: %s: %d %s\nwanted: %d %s", file, line, body, got, out,
	    status, wanted);
}

#define answers(method, body, status, wanted) \
	answers_at(__FILE__, __LINE__, "/api/" method, body, status, wanted)

/* What is said is heard as it was said; where it stands is told where that is
 * kept. */
static void
publishes(void **state)
{
	answers("publish", "{\"channel\":\"room\",\"data\":{\"text\":\"hi\"}}",
	    200, RESULT("{\"offset\":1,\"epoch\":\"E\"}"));
	told(&bob, "[room] *server* says: hi");
	answers("publish", " {\"data\":[1, 2],\"channel\":\"room\"}\r\n", 200,
	    RESULT("{\"offset\":2,\"epoch\":\"E\"}"));
	told(&bob, "[room] *server* says: [1,2]");
	answers(
	    "publish", "{\"channel\":\"talk\",\"data\":1}", 200, RESULT("{}"));
	answers("publish", "{\"channel\":\"#bob\",\"data\":\"x\"}", 200,
	    RESULT("{\"offset\":1,\"epoch\":\"E\"}"));
	told(&bob, "*server* whispers: \"x\"");
	answers("publish", "{\"channel\":\"mute\",\"data\":null}", 200,
	    RESULT("{}")); /* rules are for clients */
	answers("publish",
	    "{\"channel\":\"lobby\",\"data\":{\"text\":\"a\\nb\"}}", 200,
	    RESULT("{\"offset\":1,\"epoch\":\"E\"}"));
	told(&bob, "*server* says: a\nb");
	told_nothing(&bob);
}

/* Line breaks between values are no part of what is said, nor of its tags. */
static void
one_line(void **state)
{
	answers("publish",
	    "{\n\"channel\":\"room\",\n\"data\":{\n\"a\":\n[1,\n2]},\n"
	    "\"tags\":{\n\"k\":\n\"v\"\n}}",
	    200, RESULT("{\"offset\":1,\"epoch\":\"E\"}"));
	told(&bob, "[room] *server* says: {\"a\":[1,2]}");
	answers("history", "{\"channel\":\"room\",\"limit\":1}", 200,
	    RESULT("{\"publications\":[{\"data\":{\"a\":[1,2]},\"offset\":1,"
		   "\"tags\":{\"k\":\"v\"},\"time\":T}],\"epoch\":\"E\","
		   "\"offset\":1}"));
}

/* What is refused, for what; nothing of it is said. */
static void
refuses(void **state)
{
	answers("publish", "{\"channel\":\"other\",\"data\":1}", 200,
	    ERROR(102, "unknown channel"));
	answers("publish", "{\"channel\":\"room\"}", 200, BAD);
	answers("publish", "{\"data\":1}", 200, BAD);
	answers("publish", "{}", 200, BAD);
	answers("publish", "{\"channel\":\"\",\"data\":1}", 200, BAD);
	answers("publish", "{\"channel\":1,\"data\":1}", 200, BAD);
	answers("publish", "{\"channel\":\"a\\u0001\",\"data\":1}", 200, BAD);
	answers(
	    "publish", "{\"channel\":\"room\\ud800\",\"data\":1}", 200, BAD);
	answers("publish",
	    "{\"channel\":\"room\",\"data\":1,\"tags\":{\"k\":1}}", 200, BAD);
	answers("publish", "{\"channel\":\"room\",\"data\":1,\"tags\":[\"k\"]}",
	    200, BAD);
	answers("publish", "{\"channel\":\"room\",\"data\":1,\"tags\":\"k\"}",
	    200, BAD);
	answers("publish",
	    "{\"channel\":\"room\",\"data\":1,\"b64data\":\"eA==\"}", 200,
	    ERROR(107, "b64data is not supported"));
	answers("publish",
	    "{\"channel\":\"room\",\"data\":1,\"skip_history\":true}", 200,
	    ERROR(107, "skip_history is not supported"));
	answers("publish",
	    "{\"channel\":\"room\",\"data\":1,\"idempotency_key\":\"x\"}", 200,
	    ERROR(107, "idempotency_key is not supported"));
	told_nothing(&bob);
	answers("history", "{\"channel\":\"room\"}", 200,
	    RESULT("{\"publications\":[],\"epoch\":\"E\",\"offset\":0}"));
}

/* No object, or one that is none. */
static void
no_object(void **state)
{
	static const char *const bad[] = {"", " ", "hello", "[]", "1", "null",
	    "\"x\"", "{", "{\"channel\":\"room\",\"data\":1",
	    "{\"channel\":\"room\",\"data\":1}}",
	    "{\"channel\":\"room\",\"data\":tru} x", "{}{}"};
	static const char *const odd[] = {"{\"channel\":\"room\",\"data\":tru}",
	    "{\"channel\":\"room\",\"data\":tru} \r\n\t",
	    "{\"channel\":\"room\",\"data\":\"\xc3(\"}",
	    "{\"channel\":\"room\",\"data\":" DEEP DEEP DEEP DEEP DEEP
	    "]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]"
	    "]]"
	    "]]]]]]]]]]]]}"};
	char out[4096];

	for (size_t k = 0; k < sizeof(bad) / sizeof(bad[0]); k++)
		answers("publish", bad[k], 400,
		    ERROR(107, "the body must be a JSON object"));
	for (size_t k = 0; k < sizeof(odd) / sizeof(odd[0]); k++)
		answers("publish", odd[k], 200,
		    ERROR(107, "invalid JSON, or nested too deep"));
	/* a NUL in it */
	assert_int_equal(ask_bytes("/api/publish", "{}\0", 3, out), 400);
	told_nothing(&bob);
}

/* Data and tags as long as may be, and longer by one. */
static void
lengths(void **state)
{
	static char body[80000];
	char *at;

	for (int more = 0; more < 2; more++) {
		at = stpcpy(body, "{\"channel\":\"room\",\"data\":\"");
		memset(at, 'x', 8190 + (size_t)more);
		strcpy(at + 8190 + more, "\"}");
		answers("publish", body, 200,
		    more ? BAD : RESULT("{\"offset\":1,\"epoch\":\"E\"}"));
		guest_forget(&bob);
	}
	for (int more = 0; more < 2; more++) {
		at = stpcpy(body,
		    "{\"channel\":\"room\",\"data\":1,\"tags\":{\"k\":\"");
		/* the braces and quotes are part of the tags */
		memset(at, 'x', 65535 - 8 + (size_t)more);
		strcpy(at + 65535 - 8 + more, "\"}}");
		answers("publish", body, 200,
		    more ? BAD : RESULT("{\"offset\":2,\"epoch\":\"E\"}"));
		guest_forget(&bob);
	}
}

/* Pages of what is kept. */
static void
history(void **state)
{
	for (int k = 1; k <= 3; k++)
		server_says("room", FORMAT_JSON, "", "0");
	guest_forget(&bob);
	answers("history", "{\"channel\":\"room\"}", 200,
	    RESULT("{\"publications\":[],\"epoch\":\"E\",\"offset\":3}"));
	answers("history",
	    "{\"channel\":\"room\",\"limit\":1,\"reverse\":true}", 200,
	    RESULT("{\"publications\":[{\"data\":0,\"offset\":3,\"time\":T}],"
		   "\"epoch\":\"E\",\"offset\":3}"));
	answers("history",
	    "{\"channel\":\"room\",\"limit\":1,\"since\":{\"offset\":1}}", 200,
	    RESULT("{\"publications\":[{\"data\":0,\"offset\":2,\"time\":T}],"
		   "\"epoch\":\"E\",\"offset\":3}"));
	answers("history",
	    "{\"channel\":\"room\",\"limit\":1,\"since\":{\"offset\":1,"
	    "\"epoch\":\"x\"}}",
	    200, ERROR(112, "unrecoverable position"));
	answers("history", "{\"channel\":\"mute\"}", 200,
	    ERROR(108, "not available"));
	answers("history", "{\"channel\":\"other\"}", 200,
	    ERROR(102, "unknown channel"));
	answers("history", "{\"channel\":\"room\",\"limit\":\"1\"}", 200, BAD);
	answers("history", "{\"channel\":\"room\",\"limit\":1.5}", 200, BAD);
	answers("history", "{\"channel\":\"room\",\"since\":1}", 200, BAD);
	answers("history", "{\"channel\":\"room\",\"reverse\":1}", 200, BAD);
	answers("history", "{\"channel\":\"room\",\"since\":{\"offset\":-1}}",
	    200, BAD);
	answers("history", "{}", 200, BAD);
}

/* Methods that are not here, and paths that are none. */
static void
others(void **state)
{
	answers("broadcast", "{\"channels\":[\"room\"],\"data\":1}", 200,
	    ERROR(108, "not available"));
	answers("shared_poll_publish", "{}", 200, ERROR(108, "not available"));
	answers("nothing", "{}", 200, ERROR(108, "not available"));
	answers("publis", "{\"channel\":\"room\",\"data\":1}", 200,
	    ERROR(108, "not available"));
	told_nothing(&bob);
}

int
main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, begin, door_end)
	const struct CMUnitTest tests[] = {TEST(publishes), TEST(one_line),
	    TEST(refuses), TEST(no_object), TEST(lengths), TEST(history),
	    TEST(others)};

	return cmocka_run_group_tests_name("api", tests, NULL, NULL);
}
