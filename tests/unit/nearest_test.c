/* nearest: distances, and which word is near. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/nearest.h"

/* Each kind of slip costs one, in both directions; far is far. */
static void
distances(void **state)
{
	static const struct {
		const char *a, *b;
		unsigned distance;
	} all[] = {{"", "", 0}, {"listen", "listen", 0}, {"lsten", "listen", 1},
	    {"liisten", "listen", 1}, {"lizten", "listen", 1},
	    {"lisetn", "listen", 1}, {"ilsten", "listen", 1}, {"lz", "l", 1},
	    {"", "ab", 2}, {"lizzen", "listen", 2},
	    {"message-sise", "message-size", 1}, {"ab", "ba", 1},
	    {"abc", "cab", 2}, {"abc", "xyz", NEAREST_FAR + 1},
	    {"a", "abcdef", NEAREST_FAR + 1},
	    {"12345678901234567890123456789012345678901",
		"12345678901234567890123456789012345678901", NEAREST_FAR + 1}};
	size_t i;

	for (i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		if (nearest_distance(all[i].a, all[i].b) != all[i].distance ||
		    nearest_distance(all[i].b, all[i].a) != all[i].distance)
			fail_msg("%s, %s", all[i].a, all[i].b);
}

/* The nearest wins, the first of several; short words are not stretched. */
static void
offers(void **state)
{
	struct nearest n = {.word = "pong-timeot"};

	nearest_offer(&n, "ping-interval");
	assert_null(n.best);
	nearest_offer(&n, "pong-timeo");
	assert_string_equal(n.best, "pong-timeo");
	nearest_offer(&n, "pong-timeout");
	assert_string_equal(n.best, "pong-timeo");
	nearest_offer(&n, "pong-timeot");
	assert_int_equal(n.distance, 0);
	n = (struct nearest){.word = "on"};
	nearest_offer(&n, "log");
	assert_null(n.best);
	n = (struct nearest){.word = "lgo"};
	nearest_offer(&n, "log");
	assert_string_equal(n.best, "log");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(distances), cmocka_unit_test(offers)};

	return cmocka_run_group_tests_name("nearest", tests, NULL, NULL);
}
