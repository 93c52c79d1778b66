#include "base/cgroup.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	FIELDS = 64, /* of a line of mountinfo */
	LINE = 2 * CGROUP_PATH + 1024
};

#define NO_LIMIT_V1 (1ull << 62)

/* The fields of a mount that are used. */
struct cgroup_mount {
	char root[CGROUP_PATH];	 /* the group that is seen as its top */
	char point[CGROUP_PATH]; /* where */
	const char *type, *options;
	char line[LINE];
};

/* Whether a list "cpu,cpuacct" has that word. */
static bool
cgroup_list_has(const char *list, size_t len, const char *word)
{
	const size_t n = strlen(word);
	const char *end = list + len, *comma;

	for (; list < end; list = comma + 1) {
		comma = memchr(list, ',', (size_t)(end - list));
		if (comma == NULL)
			comma = end;
		if ((size_t)(comma - list) == n && memcmp(list, word, n) == 0)
			return true;
	}
	return false;
}

/* The path of a controller's group, "4:memory:/a/b"; of version 2, whose list
 * is empty, without one. False: there is none. */
static bool
cgroup_path(const char *groups, const char *controller, char path[CGROUP_PATH])
{
	const char *line = groups, *end, *list, *at;

	for (; *line != '\0'; line = *end == '\0' ? end : end + 1) {
		end = line + strcspn(line, "\n");
		list = memchr(line, ':', (size_t)(end - line));
		if (list++ == NULL)
			continue;
		at = memchr(list, ':', (size_t)(end - list));
		if (at == NULL || end - at > CGROUP_PATH)
			continue;
		if (controller != NULL ? !cgroup_list_has(list,
					     (size_t)(at - list), controller)
				       : at != list)
			continue;
		memcpy(path, at + 1, (size_t)(end - at - 1));
		path[end - at - 1] = '\0';
		return path[0] == '/';
	}
	return false;
}

/* Copies a path whose blanks are written as "\040". False: it is too long. */
static bool
path_decode(const char *from, char to[CGROUP_PATH])
{
	size_t n = 0;

	for (; *from != '\0' && n < CGROUP_PATH - 1; from++, n++) {
		to[n] = *from;
		if (from[0] == '\\' && strspn(from + 1, "01234567") >= 3) {
			to[n] = (char)((from[1] - '0') << 6 |
			    (from[2] - '0') << 3 | (from[3] - '0'));
			from += 3;
		}
	}
	to[n] = '\0';
	return *from == '\0';
}

/* Reads a line of mountinfo, proc_pid_mountinfo(5): "36 25 0:33 ROOT POINT
 * OPTIONS [TAGS...] - TYPE SOURCE OPTIONS". */
static bool
mount_parse(struct cgroup_mount *m, const char *line, size_t len)
{
	char *field[FIELDS], *rest = m->line;
	int n = 0, dash = 6;

	if (len >= sizeof(m->line))
		return false;
	memcpy(m->line, line, len);
	m->line[len] = '\0';
	while (n < FIELDS && (field[n] = strsep(&rest, " ")) != NULL)
		n++;
	while (dash < n && strcmp(field[dash], "-") != 0)
		dash++;
	if (dash + 3 >= n)
		return false;
	m->type = field[dash + 1];
	m->options = field[dash + 3];
	return path_decode(field[3], m->root) &&
	    path_decode(field[4], m->point);
}

/* Whether a mount shows a controller's groups; NULL: those of version 2. */
static bool
mount_is_of(const struct cgroup_mount *m, const char *controller)
{
	if (controller == NULL)
		return strcmp(m->type, "cgroup2") == 0;
	return strcmp(m->type, "cgroup") == 0 &&
	    cgroup_list_has(m->options, strlen(m->options), controller);
}

/* What of a path lies below a mount's root; NULL: the path is elsewhere. */
static const char *
path_below(const char *path, const char *root)
{
	const size_t n = strcmp(root, "/") == 0 ? 0 : strlen(root);

	if (strncmp(path, root, n) != 0 ||
	    (path[n] != '/' && path[n] != '\0') ||
	    strncmp(path + n, "/..", 3) == 0)
		return NULL;
	return strcmp(path + n, "/") == 0 ? "" : path + n;
}

/* Makes the folder's name. False: it is too long. */
static bool
folder_make(struct cgroup *g, const char *point, const char *below)
{
	const int n =
	    snprintf(g->folder, sizeof(g->folder), "%s%s", point, below);

	g->top = strlen(point);
	return n > 0 && (size_t)n < sizeof(g->folder);
}

/* Finds the group among the mounts of its kind: the first that has it, else the
 * first one's top. */
static bool
cgroup_find_kind(struct cgroup *g, const char *groups, const char *mounts,
    const char *controller)
{
	static struct cgroup_mount m; /* too large for a stack */
	char path[CGROUP_PATH];
	const char *line = mounts, *below;
	bool found = false;
	size_t len;

	if (!cgroup_path(groups, controller, path))
		return false;
	for (; *line != '\0'; line += len + (line[len] == '\n')) {
		len = strcspn(line, "\n");
		if (!mount_parse(&m, line, len) || !mount_is_of(&m, controller))
			continue;
		below = path_below(path, m.root);
		if (below != NULL && folder_make(g, m.point, below))
			return true;
		if (!found)
			found = folder_make(g, m.point, "");
	}
	return found;
}

bool
cgroup_find(struct cgroup *g, const char *groups, const char *mounts,
    const char *controller)
{
	g->unified = false;
	if (cgroup_find_kind(g, groups, mounts, controller))
		return true;
	g->unified = true;
	return cgroup_find_kind(g, groups, mounts, NULL);
}

bool
cgroup_up(struct cgroup *g)
{
	char *slash = strrchr(g->folder, '/');

	if (slash == NULL || (size_t)(slash - g->folder) < g->top)
		return false;
	*slash = '\0';
	return true;
}

uint64_t
cgroup_number(const char *text)
{
	unsigned long long n;
	char *end;

	if (*text < '0' || *text > '9')
		return CGROUP_NONE;
	n = strtoull(text, &end, 10);
	return n >= NO_LIMIT_V1 ? CGROUP_NONE : n;
}

uint64_t
cgroup_processors(uint64_t quota_us, uint64_t period_us)
{
	if (quota_us == CGROUP_NONE || period_us == CGROUP_NONE ||
	    period_us == 0)
		return CGROUP_NONE;
	return quota_us / period_us + (quota_us % period_us != 0);
}

uint64_t
cgroup_cpu_max(const char *text)
{
	const char *period = strchr(text, ' ');

	return cgroup_processors(cgroup_number(text),
	    period != NULL ? cgroup_number(period + 1) : CGROUP_NONE);
}
