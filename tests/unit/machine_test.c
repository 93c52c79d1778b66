/* machine: the limits of all groups above count, the smallest; what is not
 * there is no limit. The machines are folders with the files of real ones. */
#include <errno.h>
#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/machine.h"

static char root[64];

static const char mount_v2[] =
    "30 22 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n";
static const char mount_v1[] =
    "35 31 0:32 / /cg/memory rw - cgroup cgroup rw,memory\n"
    "36 31 0:33 / /cg/pids rw - cgroup cgroup rw,pids\n"
    "37 31 0:34 / /cg/cpu rw - cgroup cgroup rw,cpu\n";

/* Makes a file with its folders. */
static void
file(const char *path, const char *text)
{
	char name[256], *slash;
	FILE *f;

	snprintf(name, sizeof(name), "%s%s", root, path);
	for (slash = strchr(name + strlen(root) + 1, '/'); slash != NULL;
	     slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		assert_true(mkdir(name, 0700) == 0 || errno == EEXIST);
		*slash = '/';
	}
	f = fopen(name, "w");
	assert_non_null(f);
	assert_true(fputs(text, f) >= 0);
	assert_int_equal(fclose(f), 0);
}

/* An empty machine. */
static int
setup(void **state)
{
	strlcpy(root, "/tmp/chatd-machine-XXXXXX", sizeof(root));
	return mkdtemp(root) == NULL ? -1 : 0;
}

/* Removes one file or folder. */
static int
remove_cb(const char *path, const struct stat *st, int what, struct FTW *ftw)
{
	return remove(path);
}

static int
teardown(void **state)
{
	return nftw(root, remove_cb, 8, FTW_DEPTH | FTW_PHYS);
}

/* The machine as it is seen. */
static struct machine
look(void)
{
	struct machine m;

	machine_look(&m, root);
	return m;
}

/* No /proc: no limit, but the kernel knows its memory. */
static void
test_nothing(void **state)
{
	struct machine m = look();

	assert_true(m.memory.value == MACHINE_NONE);
	assert_true(m.tasks.value == MACHINE_NONE);
	assert_int_equal(
	    m.total, (uint64_t)sysconf(_SC_PHYS_PAGES) * sysconf(_SC_PAGESIZE));
	assert_true(machine_processors(root) >= 1);
}

static void
test_version_2(void **state)
{
	struct machine m;

	file("/proc/meminfo", "MemTotal:        1024000 kB\nMemFree: 1 kB\n");
	file("/proc/self/cgroup", "0::/a/b/c\n");
	file("/proc/self/mountinfo", mount_v2);
	m = look();
	assert_int_equal(m.total, 1024000 * 1024ull);
	assert_true(m.memory.value == MACHINE_NONE);
	file("/sys/fs/cgroup/a/b/c/memory.max", "max\n");
	file("/sys/fs/cgroup/a/memory.max", "67108864\n");
	file("/sys/fs/cgroup/a/b/c/pids.max", "100\n");
	file("/sys/fs/cgroup/a/b/pids.max", "10\n");
	file("/sys/fs/cgroup/a/pids.max", "50\n");
	m = look();
	assert_int_equal(m.memory.value, 64 << 20);
	assert_string_equal(m.memory.from, "/sys/fs/cgroup/a/memory.max");
	assert_int_equal(m.tasks.value, 10);
	assert_string_equal(m.tasks.from, "/sys/fs/cgroup/a/b/pids.max");
	/* above memory.high everything is held up: that binds, too */
	file("/sys/fs/cgroup/a/b/memory.high", "50331648\n");
	m = look();
	assert_int_equal(m.memory.value, 48 << 20);
	assert_string_equal(m.memory.from, "/sys/fs/cgroup/a/b/memory.high");
}

static void
test_version_1(void **state)
{
	struct machine m;

	file("/proc/self/cgroup", "4:memory:/a/b\n5:pids:/p\n6:cpu:/c/d\n");
	file("/proc/self/mountinfo", mount_v1);
	file("/cg/memory/a/b/memory.limit_in_bytes", "9223372036854771712\n");
	file("/cg/memory/a/memory.limit_in_bytes", "41943040\n");
	file("/cg/memory/memory.limit_in_bytes", "9223372036854771712\n");
	file("/cg/pids/p/pids.max", "max\n");
	m = look();
	assert_int_equal(m.memory.value, 40 << 20);
	assert_string_equal(
	    m.memory.from, "/cg/memory/a/memory.limit_in_bytes");
	assert_true(m.tasks.value == MACHINE_NONE);
}

/* A quota of any group above counts, rounded up. */
static void
test_processors(void **state)
{
	const uint32_t all = machine_processors(root);

	file("/proc/self/cgroup", "0::/a/b\n");
	file("/proc/self/mountinfo", mount_v2);
	file("/sys/fs/cgroup/a/b/cpu.max", "max 100000\n");
	assert_int_equal(machine_processors(root), all);
	file("/sys/fs/cgroup/a/cpu.max", "100 100000\n");
	assert_int_equal(machine_processors(root), 1);
	file("/sys/fs/cgroup/a/cpu.max", "6400000 100000\n");
	assert_int_equal(machine_processors(root), all < 64 ? all : 64);
	file("/sys/fs/cgroup/a/cpu.max", "0 100000\n");
	assert_int_equal(machine_processors(root), 1);

	file("/proc/self/cgroup", "6:cpu:/c/d\n");
	file("/proc/self/mountinfo", mount_v1);
	file("/cg/cpu/c/d/cpu.cfs_quota_us", "-1\n");
	file("/cg/cpu/c/d/cpu.cfs_period_us", "100000\n");
	assert_int_equal(machine_processors(root), all);
	file("/cg/cpu/c/cpu.cfs_quota_us", "100001\n");
	file("/cg/cpu/c/cpu.cfs_period_us", "100000\n");
	assert_int_equal(machine_processors(root), all < 2 ? all : 2);
	file("/cg/cpu/c/cpu.cfs_quota_us", "99999\n");
	assert_int_equal(machine_processors(root), 1);
}

/* The mounts of a busy host are many: the last line counts, too. */
static void
test_many_mounts(void **state)
{
	const size_t room = 200 * 1024;
	char *text = malloc(room);
	size_t len = 0;

	assert_non_null(text);
	while (len < room - 300)
		len += (size_t)snprintf(text + len, room - len,
		    "99 22 0:9 / /var/lib/docker/overlay2/%zu/merged rw - "
		    "overlay overlay rw\n",
		    len);
	strlcpy(text + len, mount_v2, room - len);
	file("/proc/self/cgroup", "0::/a\n");
	file("/proc/self/mountinfo", text);
	file("/sys/fs/cgroup/a/memory.max", "4096\n");
	assert_int_equal(look().memory.value, 4096);
	free(text);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(test_nothing, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_version_2, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_version_1, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_processors, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_many_mounts, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
