/*
 * descriptors: what the daemon's processes hold open, by what it leads to. All
 * workers are made alike, so without clients each process of theirs has the
 * same; with clients a worker has one socket more for each of its connections,
 * and so have its keepers.
 */
#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "soak.h"

enum {
	WHATS = 32, /* that descriptors of one process lead to, at most */
	WHAT = 48,  /* bytes of one's name */
	FAMILY = 1 + KEEPERS,
	LOOKS = 100,	   /* at most, until all is right; 5 s */
	LOOKS_BEGUN = 300, /* until all are there; 30 s */
	LOOK_MS = 50
};

/* The descriptors of one process. */
struct table {
	unsigned n;
	struct {
		char what[WHAT]; /* "socket", "anon_inode:[eventpoll]" */
		unsigned count;
	} at[WHATS];
};

/* Those of all. */
struct tables {
	struct table master, family[WORKERS][FAMILY]; /* the worker first */
};

/* As they were when all processes were there, and no client; and now. */
static struct tables begun, now;

/* Counts one that leads there. */
static void
table_add(struct table *t, const char *what)
{
	unsigned k = 0;

	while (k < t->n && strcmp(t->at[k].what, what) != 0)
		k++;
	if (k == WHATS) /* the last one stands for all that have no room */
		k--;
	else if (k == t->n)
		snprintf(t->at[t->n++].what, WHAT, "%s", what);
	t->at[k].count++;
}

/* How many lead there. */
static unsigned
table_count(const struct table *t, const char *what)
{
	for (unsigned k = 0; k < t->n; k++)
		if (strcmp(t->at[k].what, what) == 0)
			return t->at[k].count;
	return 0;
}

/* Reads the table of a process; false: there is none. */
static bool
table_read(struct table *t, int pid)
{
	char path[320], what[WHAT];
	struct dirent *e;
	ssize_t n;
	DIR *d;

	memset(t, 0, sizeof(*t));
	snprintf(path, sizeof(path), "/proc/%d/fd", pid);
	d = pid > 0 ? opendir(path) : NULL;
	if (d == NULL)
		return false;
	while ((e = readdir(d)) != NULL) {
		snprintf(path, sizeof(path), "/proc/%d/fd/%s", pid, e->d_name);
		n = readlink(path, what, sizeof(what) - 1);
		if (n <= 0)
			continue;
		what[n] = '\0';
		/* of "socket:[1234]" the number tells nothing */
		if (strncmp(what, "socket:", 7) == 0 ||
		    strncmp(what, "pipe:", 5) == 0)
			what[strcspn(what, ":")] = '\0';
		table_add(t, what);
	}
	closedir(d);
	return true;
}

/* Reads the tables of all; false: not all are there. */
static bool
tables_read(struct tables *t)
{
	struct worker_view view[WORKERS];
	bool all = table_read(&t->master, daemon_.pid);

	if (!daemon_workers(view))
		return false;
	for (int k = 0; k < WORKERS; k++) {
		all = all && view[k].running &&
		    table_read(&t->family[k][0], view[k].pid);
		for (int j = 0; j < KEEPERS; j++)
			all = all &&
			    table_read(&t->family[k][1 + j], view[k].keeper[j]);
	}
	return all;
}

/* What the first difference of two tables is, but for so many sockets more;
 * false: there is none. */
static bool
table_differs(const struct table *t, const struct table *was, unsigned sockets,
    char *why, size_t why_len)
{
	const struct table *both[] = {t, was};

	for (int b = 0; b < 2; b++)
		for (unsigned k = 0; k < both[b]->n; k++) {
			const char *what = both[b]->at[k].what;
			unsigned n = table_count(t, what);
			unsigned due = table_count(was, what) +
			    (strcmp(what, "socket") == 0 ? sockets : 0);

			if (n == due)
				continue;
			snprintf(
			    why, why_len, "%u of %s, not %u", n, what, due);
			return true;
		}
	return false;
}

/* How many sockets more than without clients a worker has. */
static unsigned
clients_of(const struct tables *t, int k)
{
	unsigned n = table_count(&t->family[k][0], "socket");
	unsigned own = table_count(&begun.family[k][0], "socket");

	return n > own ? n - own : 0;
}

/* Says what is not as it was, but for the sockets of so many connections;
 * false: nothing. */
static bool
tables_differ(
    const struct tables *t, unsigned connections, char *why, size_t why_len)
{
	char what[128];
	unsigned sum = 0;

	if (table_differs(&t->master, &begun.master, 0, what, sizeof(what))) {
		snprintf(why, why_len, "the master has %s", what);
		return true;
	}
	for (int k = 0; k < WORKERS; k++) {
		sum += clients_of(t, k);
		for (int j = 0; j < FAMILY; j++) {
			if (!table_differs(&t->family[k][j],
				&begun.family[k][j], clients_of(t, k), what,
				sizeof(what)))
				continue;
			snprintf(why, why_len, "%s of worker %d has %s",
			    j == 0 ? "the process" : "a keeper", k, what);
			return true;
		}
	}
	snprintf(why, why_len, "%u clients' sockets, %u connections", sum,
	    connections);
	return sum != connections;
}

/* Whether all processes of workers have the same; otherwise says which has
 * not. */
static bool
tables_are_alike(const struct tables *t, char *why, size_t why_len)
{
	char what[128];

	for (int k = 0; k < WORKERS; k++)
		for (int j = 0; j < FAMILY; j++) {
			if (!table_differs(&t->family[k][j], &t->family[0][0],
				0, what, sizeof(what)))
				continue;
			snprintf(why, why_len, "%s of worker %d has %s",
			    j == 0 ? "the process" : "a keeper", k, what);
			return false;
		}
	return true;
}

void
descriptors_begin(void)
{
	char why[256] = "not all of them are there";

	for (int k = 0; k < LOOKS_BEGUN; k++) {
		if (daemon_is_whole() &&
		    (!set.tls || daemon_of("handshaker", 1) != 0) &&
		    tables_read(&begun) &&
		    tables_are_alike(&begun, why, sizeof(why))) {
			usleep(LOOK_MS * 1000);
			if (tables_read(&now) &&
			    !tables_differ(&now, 0, why, sizeof(why)))
				return;
		}
		usleep(LOOK_MS * 1000);
	}
	fault(F_OTHER, "the processes at the start: %s", why);
}

void
descriptors_check(unsigned connections, void (*rest)(unsigned ms))
{
	char why[256] = "not all processes are there";

	/* a process may be about to close what it does not need any more */
	for (int k = 0; k < LOOKS; k++) {
		if (tables_read(&now) &&
		    !tables_differ(&now, connections, why, sizeof(why)))
			return;
		rest(LOOK_MS);
	}
	fault(F_LEAK, "descriptors with %u connections: %s", connections, why);
}

/* How many a table has. */
static unsigned
table_sum(const struct table *t)
{
	unsigned n = 0;

	for (unsigned k = 0; k < t->n; k++)
		n += t->at[k].count;
	return n;
}

unsigned
descriptors_seen(void)
{
	unsigned n = table_sum(&now.master);

	for (int k = 0; k < WORKERS; k++)
		for (int j = 0; j < FAMILY; j++)
			n += table_sum(&now.family[k][j]);
	return n;
}
