/* cgroup: groups are found on the machines that there are: version 1, 2, both,
 * nested, in containers with and without a namespace of their own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/cgroup.h"

static const char mounts_v2[] =
    "22 28 0:20 / /sys rw,nosuid shared:7 - sysfs sysfs rw\n"
    "30 22 0:26 / /sys/fs/cgroup rw,nosuid,nodev,noexec,relatime shared:4 "
    "- cgroup2 cgroup2 rw,nsdelegate,memory_recursiveprot\n"
    "31 22 0:27 / /proc rw - proc proc rw\n";

/* Debian 12 without unified hierarchy, and with both. */
static const char mounts_v1[] =
    "31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755\n"
    "32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup "
    "rw,cpu,cpuacct\n"
    "34 31 0:31 / /sys/fs/cgroup/cpuset rw - cgroup cgroup rw,cpuset\n"
    "35 31 0:32 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n"
    "36 31 0:33 / /sys/fs/cgroup/pids rw - cgroup cgroup rw,pids\n"
    "41 31 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n";
static const char groups_v1[] = "9:name=systemd:/\n8:pids:/user.slice\n"
				"4:memory:/a/b\n3:cpuset:/\n"
				"2:cpuacct,cpu:/fast\n0::/x\n";

/* Finds a group and walks up; what it saw, each folder and a blank. */
static const char *
walk(const char *groups, const char *mounts, const char *controller)
{
	static struct cgroup g;
	static char seen[1024];

	seen[0] = '\0';
	if (!cgroup_find(&g, groups, mounts, controller))
		return NULL;
	strlcpy(seen, g.unified ? "2 " : "1 ", sizeof(seen));
	do {
		strlcat(seen, g.folder, sizeof(seen));
		strlcat(seen, " ", sizeof(seen));
	} while (cgroup_up(&g));
	return seen;
}

static void
test_version_2(void **state)
{
	assert_string_equal(
	    walk("0::/system.slice/chatd.service\n", mounts_v2, "memory"),
	    "2 /sys/fs/cgroup/system.slice/chatd.service "
	    "/sys/fs/cgroup/system.slice /sys/fs/cgroup ");
	assert_string_equal(
	    walk("0::/\n", mounts_v2, "cpu"), "2 /sys/fs/cgroup ");
}

static void
test_version_1(void **state)
{
	assert_string_equal(walk(groups_v1, mounts_v1, "memory"),
	    "1 /sys/fs/cgroup/memory/a/b /sys/fs/cgroup/memory/a "
	    "/sys/fs/cgroup/memory ");
	assert_string_equal(walk(groups_v1, mounts_v1, "cpu"),
	    "1 /sys/fs/cgroup/cpu,cpuacct/fast /sys/fs/cgroup/cpu,cpuacct ");
	assert_string_equal(
	    walk(groups_v1, mounts_v1, "cpuset"), "1 /sys/fs/cgroup/cpuset ");
}

/* What version 1 does not have may be version 2's. */
static void
test_both(void **state)
{
	assert_string_equal(walk("4:pids:/p\n0::/x\n", mounts_v1, "memory"),
	    "2 /sys/fs/cgroup/unified/x /sys/fs/cgroup/unified ");
	assert_null(walk("4:pids:/p\n", mounts_v1, "memory"));
	assert_null(walk("0::/x\n", "", "memory"));
	assert_null(walk("", mounts_v2, "memory"));
}

static void
test_containers(void **state)
{
	/* version 1 without a namespace: the group's folder is mounted */
	static const char bound[] =
	    "700 690 0:32 /docker/0123 /sys/fs/cgroup/memory ro - cgroup "
	    "cgroup rw,memory\n";

	assert_string_equal(walk("4:memory:/docker/0123/in\n", bound, "memory"),
	    "1 /sys/fs/cgroup/memory/in /sys/fs/cgroup/memory ");
	assert_string_equal(walk("4:memory:/docker/0123\n", bound, "memory"),
	    "1 /sys/fs/cgroup/memory ");
	/* a name that only begins as the root's is another group */
	assert_string_equal(walk("4:memory:/docker/01234\n", bound, "memory"),
	    "1 /sys/fs/cgroup/memory ");
	/* with a namespace, and moved out of it */
	assert_string_equal(
	    walk("0::/\n", mounts_v2, "memory"), "2 /sys/fs/cgroup ");
	assert_string_equal(
	    walk("0::/../other\n", mounts_v2, "memory"), "2 /sys/fs/cgroup ");
	/* of two mounts the one that has the group */
	assert_string_equal(
	    walk("4:memory:/docker/9/x\n",
		"1 2 0:32 /docker/8 /a rw - cgroup cgroup rw,memory\n"
		"1 2 0:32 /docker/9 /b rw - cgroup cgroup rw,memory\n",
		"memory"),
	    "1 /b/x /b ");
}

static void
test_odd_texts(void **state)
{
	char *long_path = malloc(3 * CGROUP_PATH), *text;

	/* blanks, optional tags, lines that are no mounts */
	assert_string_equal(
	    walk("0::/a b\n",
		"\n- - -\n1 2 3 4\n30 22 0:26 / /my\\040groups rw master:1 "
		"propagate_from:2 - cgroup2 none rw",
		"memory"),
	    "2 /my groups/a b /my groups ");
	assert_non_null(long_path);
	memset(long_path, 'x', 3 * CGROUP_PATH);
	long_path[3 * CGROUP_PATH - 1] = '\0';
	assert_true(asprintf(&text, "0::/%s\n", long_path) > 0);
	assert_null(walk(text, mounts_v2, "memory"));
	free(text);
	/* fits by itself, but not behind the mount's place */
	long_path[CGROUP_PATH - 3] = '\0';
	assert_true(asprintf(&text, "0::/%s\n", long_path) > 0);
	assert_string_equal(
	    walk(text, mounts_v2, "memory"), "2 /sys/fs/cgroup ");
	free(text);
	free(long_path);
	assert_null(
	    walk("4memory/a\n0:\n:::\n4:memory:a\n", mounts_v1, "memory"));
}

static void
test_numbers(void **state)
{
	assert_true(cgroup_number("max\n") == CGROUP_NONE);
	assert_true(cgroup_number("-1\n") == CGROUP_NONE);
	assert_true(cgroup_number("") == CGROUP_NONE);
	assert_true(cgroup_number("9223372036854771712\n") == CGROUP_NONE);
	assert_true(cgroup_number("99999999999999999999\n") == CGROUP_NONE);
	assert_int_equal(cgroup_number("0\n"), 0);
	assert_int_equal(cgroup_number("67108864\n"), 64 << 20);
}

static void
test_quotas(void **state)
{
	assert_int_equal(cgroup_processors(100000, 100000), 1);
	assert_int_equal(cgroup_processors(100001, 100000), 2);
	assert_int_equal(cgroup_processors(1000, 100000), 1);
	assert_int_equal(cgroup_processors(6400000, 100000), 64);
	assert_true(cgroup_processors(CGROUP_NONE, 100000) == CGROUP_NONE);
	assert_true(cgroup_processors(1, 0) == CGROUP_NONE);
	assert_true(cgroup_cpu_max("max 100000\n") == CGROUP_NONE);
	assert_int_equal(cgroup_cpu_max("150000 100000\n"), 2);
	assert_int_equal(cgroup_cpu_max("50000 100000\n"), 1);
	assert_true(cgroup_cpu_max("50000") == CGROUP_NONE);
	assert_true(cgroup_cpu_max("") == CGROUP_NONE);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_version_2),
	    cmocka_unit_test(test_version_1),
	    cmocka_unit_test(test_both),
	    cmocka_unit_test(test_containers),
	    cmocka_unit_test(test_odd_texts),
	    cmocka_unit_test(test_numbers),
	    cmocka_unit_test(test_quotas),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
