/* endpoint: a framing without HTTP has one door at each endpoint, and what is
 * written for the next program names it. */
#include "codec/framing.h"

#define CHATD_FRAMINGS_MORE ROW(smoke)
#include "../../src/codec/framing.c"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "net/endpoint.h"

enum { FRONT = 1, CELLAR = 5, ATTIC = 6 };

const struct framing smoke_framing = {.name = "smoke"};

static char error[512];

/* The only door of an endpoint with those words; 0: they make no sense. */
static unsigned
only(const struct endpoint_door *doors, const char *words)
{
	struct endpoint e = {.fd = -1};

	if (endpoint_parse(&e, words, doors, error, sizeof(error)) == -1)
		return 0;
	return endpoint_only_door(&e);
}

static void
test_next_program(void **state)
{
	struct endpoint_door doors[ENDPOINT_DOORS] = {
	    [FRONT] = {"front", NULL}, [CELLAR] = {"cellar", "smoke"}};
	struct endpoint e = {.fd = -1};
	char out[ENDPOINT_TEXT];

	assert_int_equal(only(doors, "smoke"), CELLAR);
	assert_int_equal(only(doors, "smoke front"), 0);
	assert_non_null(strstr(error, "the door front does not speak smoke"));
	assert_int_equal(only(doors, "smoke admin"), 0);
	assert_non_null(
	    strstr(error, "admin serves requests by HTTP, and smoke has none"));
	assert_int_equal(only(doors, "smoke clients"), CELLAR);
	assert_int_equal(
	    endpoint_parse(&e, "smoke", doors, error, sizeof(error)), 0);
	endpoint_words(&e, doors, out);
	/* it has a second door that speaks so */
	doors[ATTIC] = (struct endpoint_door){"attic", "smoke"};
	assert_int_equal(only(doors, out), CELLAR);
	assert_int_equal(only(doors, "smoke"), 0);
	assert_non_null(strstr(error, "smoke needs one door, by its name"));
	assert_int_equal(only(doors, "smoke attic"), ATTIC);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_next_program)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
