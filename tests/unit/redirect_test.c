/* redirect: where requests of plain HTTP are sent, and which of them ask for
 * files. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "../../src/redirector/redirect.h"

static struct redirect rule;
static char token[CHALLENGE_TOKEN], answer[REDIRECT_ANSWER_MAX + 1];
static bool bare;

/* The answer to a request line and a Host; "": a file is asked for. */
static const char *
asked(const char *line, const char *host)
{
	static char head[REDIRECT_HEAD_MAX + 1];
	const int n = snprintf(
	    head, sizeof(head), "%s HTTP/1.1\r\nHost: %s\r\n\r\n", line, host);

	answer[redirect_answer(&rule, head, (size_t)n, token, &bare, answer)] =
	    '\0';
	return answer;
}

/* What a field of the answer is; NULL: it is not there, or there twice. */
static const char *
location(void)
{
	static char out[REDIRECT_ANSWER_MAX];
	const char *at = strstr(answer, "\r\nLocation: ");

	if (at == NULL || strstr(at + 1, "\r\nLocation: ") != NULL ||
	    sscanf(at, "\r\nLocation: %[^\r]\r\n", out) != 1)
		return NULL;
	return out;
}

static void
test_targets(void **state)
{
	static const struct {
		const char *line, *host, *to;
	} cases[] = {{"GET /", "a.b", "https://a.b/"},
	    {"GET /x?y=z", "a.b:80", "https://a.b/x?y=z"},
	    {"GET /%0d%0a?%0a", "A_b-c", "https://A_b-c/%0d%0a?%0a"},
	    {"GET //evil/", "a", "https://a//evil/"},
	    {"GET http://other:81/x", "a", "https://other/x"},
	    {"OPTIONS *", "a", "https://a/"},
	    {"GET /", "[2001:db8::1]:8080", "https://[2001:db8::1]/"},
	    {"GET /", "127.0.0.1", "https://127.0.0.1/"}};

	for (size_t k = 0; k < sizeof(cases) / sizeof(cases[0]); k++) {
		rule.port = REDIRECT_HTTPS;
		asked(cases[k].line, cases[k].host);
		assert_non_null(location());
		assert_string_equal(location(), cases[k].to);
	}
	rule.port = 8443;
	asked("GET /", "[::1]:80");
	assert_string_equal(location(), "https://[::1]:8443/");
	assert_memory_equal(answer, "HTTP/1.1 301 ", 13);
	assert_memory_equal(asked("PUT /", "a"), "HTTP/1.1 308 ", 13);
	/* the longest target there is fits */
	memset(answer, 0, sizeof(answer));
	{
		static char line[REDIRECT_HEAD_MAX - 300];

		memset(line, 'x', sizeof(line) - 1);
		memcpy(line, "GET /", 5);
		asked(line, "a");
		assert_int_equal(strlen(location()),
		    strlen("https://a:8443") + strlen(line) - 4);
		assert_non_null(strstr(answer, "\r\n\r\n"));
	}
}

static void
test_hosts(void **state)
{
	static const char *const bad[] = {"", "a@b", "a/b", "a%41", "a;b",
	    "a,b", "a b", "[a]", "[::1", "a:b", "a'b", ":80"};

	for (size_t k = 0; k < sizeof(bad) / sizeof(bad[0]); k++)
		if (strncmp(asked("GET /", bad[k]), "HTTP/1.1 400 ", 13) != 0 ||
		    location() != NULL)
			fail_msg("%s: %s", bad[k], answer);
}

static void
test_files(void **state)
{
#define FOLDER "GET /.well-known/acme-challenge/"
	static const char *const none[] = {
	    "", "a.b", "a/b", "../x", "a%20", "a/", "a+b", "\"", "~a"};
	size_t n;

	rule.challenges = false;
	asked(FOLDER "token", "a");
	assert_non_null(location());
	rule.challenges = true;
	assert_string_equal(asked(FOLDER "to-k_En9?x", "a"), "");
	assert_string_equal(token, "to-k_En9");
	assert_false(bare);
	for (size_t k = 0; k < sizeof(none) / sizeof(none[0]); k++) {
		char line[128];

		snprintf(line, sizeof(line), FOLDER "%s", none[k]);
		assert_true(strstr(asked(line, "a"), " 404 ") != NULL ||
		    strstr(answer, " 400 ") != NULL);
	}
	n = redirect_file(200, "xyz", 3, false, answer);
	assert_memory_equal(answer + n - 7, "\r\n\r\nxyz", 7);
	n = redirect_file(200, "xyz", 3, true, answer);
	answer[n] = '\0';
	assert_memory_equal(answer + n - 4, "\r\n\r\n", 4);
	assert_non_null(strstr(answer, "Content-Length: 3\r\n"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_targets),
	    cmocka_unit_test(test_hosts), cmocka_unit_test(test_files)};

	return cmocka_run_group_tests_name("redirect", tests, NULL, NULL);
}
