/* figures: what is told of commits and states is read back, and what any other
 * process may have written there is shown as well as it can be. */
#include "hub_fixture.h"

#include <string.h>

#include "hub/figures.h"

static struct hub hub;

static int
begin(void **state)
{
	fixture_hub(&hub, 64, 100, 1 << 20, 4 << 20, 1 << 20);
	return 0;
}

static int
end(void **state)
{
	hub_destroy(&hub);
	return 0;
}

/* Half of some times lie at or below what is told of them, and it is no more
 * than a quarter above the right one. */
static void
test_commits(void **state)
{
	struct figures *f = figures_of(&hub);
	uint64_t us;

	assert_int_equal(figures_commit_us(f, 50), 0);
	for (us = 1; us <= 100000; us++)
		figures_commit(f, us);
	assert_int_equal(SHM_LOAD(f->commits), 100000);
	assert_int_equal(SHM_LOAD(f->commit_us_max), 100000);
	assert_in_range(figures_commit_us(f, 50), 50000, 62500);
	assert_in_range(figures_commit_us(f, 99), 99000, 100000);
	assert_int_equal(figures_commit_us(f, 100), 100000);
	/* all else is below one that takes longer than there are steps for */
	figures_commit(f, UINT64_MAX);
	assert_in_range(figures_commit_us(f, 50), 50000, 62500);
	assert_true(figures_commit_us(f, 100) == UINT64_MAX ||
	    figures_commit_us(f, 100) > 1ull << 30);
}

/* Each time is in a step whose bounds it lies within. */
static void
test_steps(void **state)
{
	struct figures *f = calloc(1, sizeof(*f));
	uint64_t us;

	assert_non_null(f);
	for (us = 1; us < 1ull << 30; us = us + us / 7 + 1) {
		memset(f, 0, sizeof(*f));
		figures_commit(f, us);
		SHM_TELL(f->commit_us_max, UINT64_MAX);
		assert_in_range(figures_commit_us(f, 50), us,
		    us < 16 ? 20 : us + us / 4 + 1);
	}
	free(f);
}

static void
test_states(void **state)
{
	struct figures *f = figures_of(&hub);
	char reason[FIGURES_REASON], longer[2 * FIGURES_REASON];

	assert_string_equal(figures_state_name(SHM_LOAD(f->state)), "off");
	figures_tell(f, FIGURES_FULL, "no space");
	assert_string_equal(figures_state_name(SHM_LOAD(f->state)), "full");
	assert_true(SHM_LOAD(f->state_ms) != 0);
	figures_reason(f, reason);
	assert_string_equal(reason, "no space");
	/* the reason of what is over stays until there is another */
	figures_tell(f, FIGURES_OK, NULL);
	figures_reason(f, reason);
	assert_string_equal(reason, "no space");
	figures_tell(f, FIGURES_FAILED, "x");
	figures_reason(f, reason);
	assert_string_equal(reason, "x");
	memset(longer, 'y', sizeof(longer));
	longer[sizeof(longer) - 1] = '\0';
	figures_tell(f, FIGURES_FAILED, longer);
	figures_reason(f, reason);
	assert_int_equal(strlen(reason), FIGURES_REASON - 1);
	/* whatever lies there */
	memset(f, 0x1b, sizeof(*f));
	figures_reason(f, reason);
	assert_int_equal(strspn(reason, "?"), FIGURES_REASON - 1);
	assert_string_equal(figures_state_name(SHM_LOAD(f->state)), "?");
	memset(f, 0xff, sizeof(*f));
	(void)figures_commit_us(f, 99);
	memset(f, 0, sizeof(*f));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_steps),
	    cmocka_unit_test(test_commits),
	    cmocka_unit_test(test_states),
	};

	return cmocka_run_group_tests(tests, begin, end);
}
