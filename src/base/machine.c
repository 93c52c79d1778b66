#include "base/machine.h"

#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cgroup.h"

enum {
	TEXT_MAX = 1024 * 1024, /* of mountinfo; longer is cut */
	TEXT_FIRST = 4096,
	NUMBER_MAX = 128, /* of a file with a number or two */
	SET_MAX = 1 << 20 /* processors that a set is made for at most */
};

/* Reads a file of the kernel's, as a string; NULL: there is none. */
static char *
text_read(const char *root, const char *path, size_t max)
{
	char name[CGROUP_PATH + 256], *text = NULL, *more;
	size_t size = max < TEXT_FIRST ? max : TEXT_FIRST, used = 0;
	ssize_t n = 0;
	int fd, len;

	len = snprintf(name, sizeof(name), "%s%s", root, path);
	if (len < 0 || (size_t)len >= sizeof(name) ||
	    (fd = open(name, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK)) ==
		-1)
		return NULL;
	do {
		if (used > 0)
			size *= 2;
		if ((more = realloc(text, size + 1)) == NULL)
			break;
		text = more;
		while (
		    used < size && (n = read(fd, text + used, size - used)) > 0)
			used += (size_t)n;
	} while (n > 0 && size < max);
	close(fd);
	if (text != NULL)
		text[used] = '\0';
	return text;
}

/* A file of a group with a number; none: CGROUP_NONE. */
static uint64_t
group_number(const char *root, const struct cgroup *g, const char *name)
{
	char path[CGROUP_PATH + 64], *text;
	uint64_t n = CGROUP_NONE;

	snprintf(path, sizeof(path), "%s/%s", g->folder, name);
	if ((text = text_read(root, path, NUMBER_MAX)) != NULL)
		n = cgroup_number(text);
	free(text);
	return n;
}

/* Takes a group's limit if it is the smallest so far. */
static void
limit_take(struct machine_limit *l, const char *root, const struct cgroup *g,
    const char *name)
{
	const uint64_t n = group_number(root, g, name);

	if (n >= l->value)
		return;
	l->value = n;
	snprintf(l->from, sizeof(l->from), "%.*s/%s",
	    (int)(sizeof(l->from) / 2), g->folder, name);
}

/* The processors of a group's quota. */
static uint64_t
group_processors(const char *root, const struct cgroup *g)
{
	char path[CGROUP_PATH + 64], *text;
	uint64_t n = CGROUP_NONE;

	if (!g->unified)
		return cgroup_processors(
		    group_number(root, g, "cpu.cfs_quota_us"),
		    group_number(root, g, "cpu.cfs_period_us"));
	snprintf(path, sizeof(path), "%s/cpu.max", g->folder);
	if ((text = text_read(root, path, NUMBER_MAX)) != NULL)
		n = cgroup_cpu_max(text);
	free(text);
	return n;
}

/* The texts that say where groups are. */
struct machine_maps {
	char *groups, *mounts;
};

/* Reads them; false: there is no /proc. */
static bool
maps_read(struct machine_maps *maps, const char *root)
{
	maps->groups = text_read(root, "/proc/self/cgroup", TEXT_MAX);
	maps->mounts = text_read(root, "/proc/self/mountinfo", TEXT_MAX);
	return maps->groups != NULL && maps->mounts != NULL;
}

/* Frees them. */
static void
maps_free(struct machine_maps *maps)
{
	free(maps->groups);
	free(maps->mounts);
}

/* The machine's memory, as /proc/meminfo has it, which a container may show
 * smaller than it is, else as the kernel says. */
static uint64_t
memory_total(const char *root)
{
	char *text = text_read(root, "/proc/meminfo", TEXT_FIRST);
	unsigned long long kib = 0;
	long pages, page;

	if (text != NULL)
		(void)sscanf(text, "MemTotal: %llu kB", &kib);
	free(text);
	if (kib != 0)
		return kib * 1024;
	pages = sysconf(_SC_PHYS_PAGES);
	page = sysconf(_SC_PAGESIZE);
	return pages > 0 && page > 0 ? (uint64_t)pages * (uint64_t)page
				     : MACHINE_NONE;
}

/* The limits of the groups that the maps tell of. */
static void
groups_look(
    struct machine *m, const char *root, const struct machine_maps *maps)
{
	struct cgroup g;

	if (cgroup_find(&g, maps->groups, maps->mounts, "memory"))
		do {
			if (!g.unified) {
				limit_take(&m->memory, root, &g,
				    "memory.limit_in_bytes");
				continue;
			}
			limit_take(&m->memory, root, &g, "memory.max");
			/* memory.high: the kernel slows the group down above
			 * it */
			limit_take(&m->memory, root, &g, "memory.high");
		} while (cgroup_up(&g));
	if (cgroup_find(&g, maps->groups, maps->mounts, "pids"))
		do {
			limit_take(&m->tasks, root, &g, "pids.max");
		} while (cgroup_up(&g));
}

void
machine_look(struct machine *m, const char *root)
{
	struct machine_maps maps;

	*m = (struct machine){.memory.value = MACHINE_NONE,
	    .tasks.value = MACHINE_NONE,
	    .total = memory_total(root)};
	if (maps_read(&maps, root))
		groups_look(m, root, &maps);
	maps_free(&maps);
}

/* A line of a text by its key, "inactive_file 4096"; 0: there is none. */
static uint64_t
text_value(const char *text, const char *key)
{
	const size_t len = strlen(key);
	unsigned long long n;

	while (text != NULL && *text != '\0') {
		if (strncmp(text, key, len) == 0 &&
		    sscanf(text + len, " %llu", &n) == 1)
			return n;
		text = strchr(text, '\n');
		text += text != NULL;
	}
	return 0;
}

/* What a group may still use; CGROUP_NONE: it has no limit. */
static uint64_t
group_left(const char *root, const struct cgroup *g)
{
	const uint64_t limit = group_number(
	    root, g, g->unified ? "memory.max" : "memory.limit_in_bytes");
	const uint64_t used = group_number(
	    root, g, g->unified ? "memory.current" : "memory.usage_in_bytes");
	char path[CGROUP_PATH + 64], *text;
	uint64_t cache;

	if (limit == CGROUP_NONE || used == CGROUP_NONE)
		return CGROUP_NONE;
	snprintf(path, sizeof(path), "%s/memory.stat", g->folder);
	text = text_read(root, path, TEXT_MAX);
	cache = text_value(
	    text, g->unified ? "inactive_file" : "total_inactive_file");
	free(text);
	if (used < cache || limit > used - cache)
		return limit - (used > cache ? used - cache : 0);
	return 0;
}

uint64_t
machine_left(const char *root)
{
	char *text = text_read(root, "/proc/meminfo", TEXT_FIRST);
	uint64_t left = text_value(text, "MemAvailable:") * 1024, n;
	struct machine_maps maps;
	struct cgroup g;

	free(text);
	if (left == 0)
		left = MACHINE_NONE;
	if (maps_read(&maps, root) &&
	    cgroup_find(&g, maps.groups, maps.mounts, "memory"))
		do {
			n = group_left(root, &g);
			left = n < left ? n : left;
		} while (cgroup_up(&g));
	maps_free(&maps);
	return left;
}

/* The processors that the scheduler may choose for this process. A set that is
 * smaller than the kernel's is refused. */
static uint32_t
processors_affinity(void)
{
	long online = sysconf(_SC_NPROCESSORS_ONLN);

	for (int n = CPU_SETSIZE; n <= SET_MAX; n *= 2) {
		const size_t size = CPU_ALLOC_SIZE(n);
		cpu_set_t *set = CPU_ALLOC(n);
		int count = 0;

		if (set == NULL)
			break;
		if (sched_getaffinity(0, size, set) == 0)
			count = CPU_COUNT_S(size, set);
		CPU_FREE(set);
		if (count > 0)
			return (uint32_t)count;
	}
	return online > 0 ? (uint32_t)online : 1;
}

uint32_t
machine_processors(const char *root)
{
	uint32_t n = processors_affinity();
	struct machine_maps maps;
	struct cgroup g;
	uint64_t quota;

	if (maps_read(&maps, root) &&
	    cgroup_find(&g, maps.groups, maps.mounts, "cpu"))
		do {
			quota = group_processors(root, &g);
			if (quota < n)
				n = quota > 0 ? (uint32_t)quota : 1;
		} while (cgroup_up(&g));
	maps_free(&maps);
	return n;
}
