/* check: a thread that looks whether the pages of a database make sense, and is
 * ended when that takes too long. */
#include "store_fixture.h"

#include <fcntl.h>

#include "../../src/store/check.h"

enum { WAIT_MS = 20000 };

/* A database of some MB, which is closed. */
static int
begin(void **state)
{
	static char text[2000];
	struct store_channel c;
	struct store *s;

	if (setup(state) != 0)
		return -1;
	s = writer();
	c = channel(s, "room");
	memset(text, 'x', sizeof(text) - 1);
	for (int k = 0; k < 10000; k++)
		say(s, &c, text);
	commit(s, 1);
	store_close(s);
	return 0;
}

/* How the check ends. */
static enum store_result
ends(bool stop, const char **bad)
{
	enum store_result r = STORE_NONE;

	assert_true(check_begin(path));
	for (int k = 0; r == STORE_NONE && k < WAIT_MS; k++) {
		if (stop)
			check_stop();
		r = check_ended(bad);
		usleep(1000);
	}
	return r;
}

static void
test_sound(void **state)
{
	const char *bad;

	assert_int_equal(ends(false, &bad), STORE_OK);
	assert_int_equal(check_ended(&bad), STORE_NONE); /* once */
	check_stop();					 /* there is none */
}

static void
test_spoiled(void **state)
{
	static const char zeros[4096 * 100];
	const char *bad;
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	assert_int_not_equal(fd, -1);
	assert_int_equal(
	    pwrite(fd, zeros, sizeof(zeros), 4096 * 500), sizeof(zeros));
	close(fd);
	assert_int_equal(ends(false, &bad), STORE_DAMAGED);
	assert_non_null(strstr(bad, path));
}

static void
test_stopped(void **state)
{
	const char *bad;

	assert_int_equal(ends(true, &bad), STORE_FAILED);
	assert_non_null(strstr(bad, "not to its end"));
	/* the next one is not */
	assert_int_equal(ends(false, &bad), STORE_OK);
}

static void
test_absent(void **state)
{
	const char *bad;

	assert_int_equal(unlink(path), 0);
	assert_int_equal(ends(false, &bad), STORE_FAILED);
	assert_int_not_equal(bad[0], '\0');
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(t) cmocka_unit_test_setup_teardown(t, begin, teardown)
	    TEST(test_sound),
	    TEST(test_spoiled),
	    TEST(test_stopped),
	    TEST(test_absent),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
