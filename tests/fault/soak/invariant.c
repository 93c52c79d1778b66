/* invariant: see invariant.h. */
#include <dirent.h>
#include <err.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../../unit/charge_check.h"
#include "door/registry.h"
#include "hub/input.h"
#include "hub/kept.h"
#include "hub/output.h"
#include "hub/presence.h"
#include "hub/slot.h"
#include "hub/stats.h"
#include "hub/subscription.h"
#include "invariant.h"

enum {
	PAGE_BYTES = INPUT_PAGE - 8, /* of a message, in an input page */
	FIRST_BYTES = PAGE_BYTES - 2 * sizeof(struct input_part),
	TOLD_MAX = 20 /* of a kind */
};

/* A look that is under way. */
struct look {
	const struct hub *h;
	invariant_tell tell;
	void *arg;
	unsigned told[INVARIANTS];
	/* by worker */
	uint32_t slots[SHM_WORKERS], kept[SHM_WORKERS];
	uint32_t used[SHM_WORKERS][USED_KINDS];
};

/* Numbers of sockets. */
struct sockets {
	unsigned long *inode;
	size_t n, cap;
};

/* Tells what is wrong, the first of each kind. */
static void __attribute__((format(printf, 3, 4)))
wrong(struct look *l, enum invariant what, const char *fmt, ...)
{
	char why[256];
	va_list ap;

	if (l->told[what]++ >= TOLD_MAX)
		return;
	va_start(ap, fmt);
	vsnprintf(why, sizeof(why), fmt, ap);
	va_end(ap);
	l->tell(l->arg, what, why);
}

/* Opens the memory of a master. */
static int
memory_open(pid_t master)
{
	char path[300], name[PATH_MAX];
	struct dirent *e;
	ssize_t n;
	int fd = -1;
	DIR *d;

	snprintf(path, sizeof(path), "/proc/%d/fd", (int)master);
	d = opendir(path);
	if (d == NULL)
		return -1;
	while (fd < 0 && (e = readdir(d)) != NULL) {
		snprintf(path, sizeof(path), "/proc/%d/fd/%s", (int)master,
		    e->d_name);
		n = readlink(path, name, sizeof(name) - 1);
		if (n <= 0)
			continue;
		name[n] = '\0';
		if (strcmp(name, "/memfd:chatd (deleted)") == 0)
			fd = open(path, O_RDONLY | O_CLOEXEC);
	}
	closedir(d);
	return fd;
}

bool
invariant_attach(struct hub *h, pid_t master, const struct hub_limits *limits,
    char *why, size_t why_len)
{
	static const uint8_t no_key[16];
	int fd = memory_open(master);

	if (fd < 0) {
		snprintf(why, why_len, "process %d shows no shared memory",
		    (int)master);
		return false;
	}
	if (hub_attach(h, fd, limits, no_key, true, why, why_len) == 0)
		return true;
	close(fd);
	return false;
}

/* Adds a socket. */
static void
sockets_add(struct sockets *s, unsigned long inode)
{
	if (s->n == s->cap) {
		s->cap = s->cap == 0 ? 1024 : 2 * s->cap;
		s->inode = reallocarray(s->inode, s->cap, sizeof(s->inode[0]));
		if (s->inode == NULL)
			err(2, "sockets");
	}
	s->inode[s->n++] = inode;
}

/* For qsort() and bsearch(). */
static int
inode_compare(const void *a, const void *b)
{
	const unsigned long *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

static bool
sockets_have(const struct sockets *s, unsigned long inode)
{
	return s->n > 0 &&
	    bsearch(&inode, s->inode, s->n, sizeof(inode), inode_compare) !=
	    NULL;
}

static void
sockets_sort(struct sockets *s)
{
	if (s->n > 0)
		qsort(s->inode, s->n, sizeof(s->inode[0]), inode_compare);
}

/* Adds those of one of a process's tables that are no client's: all UNIX
 * sockets, and listeners. */
static void
table_read(struct sockets *s, pid_t pid, const char *name)
{
	char path[64], line[512];
	unsigned long inode;
	unsigned state;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/net/%s", (int)pid, name);
	f = fopen(path, "r");
	if (f == NULL)
		return;
	while (fgets(line, sizeof(line), f) != NULL)
		if (strcmp(name, "unix") == 0) {
			if (sscanf(line, "%*s %*s %*s %*s %*s %*s %lu",
				&inode) == 1)
				sockets_add(s, inode);
		} else if (sscanf(line,
			       "%*s %*s %*s %x %*s %*s %*s %*s %*s %lu", &state,
			       &inode) == 2 &&
		    state == 10 /* listens */)
			sockets_add(s, inode);
	fclose(f);
}

/* A process's client sockets: not what `others` has. False: there is no such
 * process. */
static bool
clients_of(pid_t pid, const struct sockets *others, struct sockets *s)
{
	char path[300], name[64];
	unsigned long inode;
	struct dirent *e;
	ssize_t n;
	DIR *d;

	snprintf(path, sizeof(path), "/proc/%d/fd", (int)pid);
	d = opendir(path);
	if (d == NULL)
		return false;
	while ((e = readdir(d)) != NULL) {
		snprintf(
		    path, sizeof(path), "/proc/%d/fd/%s", (int)pid, e->d_name);
		n = readlink(path, name, sizeof(name) - 1);
		if (n <= 0)
			continue;
		name[n] = '\0';
		if (sscanf(name, "socket:[%lu]", &inode) == 1 &&
		    !sockets_have(others, inode))
			sockets_add(s, inode);
	}
	closedir(d);
	sockets_sort(s);
	return true;
}

/* One worker and its keeper hold the same sockets, as many as there are
 * connections. */
static void
pair_look(struct look *l, int k)
{
	const struct shm_worker *line = &l->h->worker[k];
	pid_t pid = (pid_t)SHM_LOAD(l->h->line[k].pid);
	pid_t keeper = (pid_t)SHM_LOAD(line->keeper);
	struct sockets others = {NULL, 0, 0}, has = others, kept = others;
	size_t i, missing = 0;

	table_read(&others, pid, "unix");
	table_read(&others, pid, "tcp");
	table_read(&others, pid, "tcp6");
	sockets_sort(&others);
	if (!clients_of(pid, &others, &has))
		wrong(l, INVARIANT_CUSTODY, "worker %d has no process", k);
	else if (keeper == 0 || !clients_of(keeper, &others, &kept))
		wrong(l, INVARIANT_CUSTODY, "keeper %d has no process", k);
	else {
		for (i = 0; i < has.n; i++)
			missing += !sockets_have(&kept, has.inode[i]);
		if (has.n != l->slots[k] || kept.n != has.n || missing > 0)
			wrong(l, INVARIANT_CUSTODY,
			    "worker %d: %u connections, %zu sockets, keeper %d "
			    "has %zu, %zu are not there",
			    k, l->slots[k], has.n, (int)keeper, kept.n,
			    missing);
	}
	free(others.inode);
	free(has.inode);
	free(kept.inode);
}

/* Chunks of a slot's output. */
static uint32_t
chunks_of(const struct hub *h, uint32_t i)
{
	uint32_t first = SHM_LOAD(h->slot[i].first), n;

	if (first >= h->n_chunks)
		return 0;
	n = (uint32_t)SHM_LOAD(h->slot[i].appended) - h->chunk[first].base;
	return n == 0 ? 1 : (n + OUTPUT_REFS - 1) / OUTPUT_REFS;
}

/* Pages of a slot's unfinished input, and of what its token says. */
static uint32_t
pages_of(const struct hub *h, uint32_t i)
{
	const struct input_part *part = input_part(h, i);
	uint32_t n = h->slot[i].info != 0;
	uint64_t rest;

	if (part == NULL)
		return n;
	rest = part->bytes + part->raw;
	rest = rest > FIRST_BYTES ? rest - FIRST_BYTES : 0;
	return n + 1 + (uint32_t)((rest + PAGE_BYTES - 1) / PAGE_BYTES);
}

/* One connection. */
static void
slot_look(struct look *l, uint32_t i)
{
	const struct hub *h = l->h;
	uint64_t id = slot_id(h, i);
	int k = slot_worker(h, i);
	uint32_t keeper;

	if (slot_state(h, i) != SLOT_OPEN || k >= SHM_WORKERS ||
	    SHM_LOAD(h->line[k].pid) == 0) {
		wrong(l, INVARIANT_COUNT, "slot %u: state %d at worker %d", i,
		    (int)slot_state(h, i), k);
		return;
	}
	l->slots[k]++;
	l->used[k][USED_SLOTS]++;
	l->used[k][USED_CHUNKS] += chunks_of(h, i);
	l->used[k][USED_PAGES] += pages_of(h, i);
	keeper = SHM_LOAD(h->worker[k].custody);
	if (keeper != 0 && kept_by(h, id) == keeper)
		l->kept[k]++;
	else
		wrong(l, INVARIANT_CUSTODY,
		    "connection %016llx of worker %d: kept by %u, not %u",
		    (unsigned long long)id, k, kept_by(h, id), keeper);
}

/* All connections; marks the records that they say they have. */
static uint32_t
slots_look(struct look *l, uint8_t *marks)
{
	const struct hub *h = l->h;
	struct subscription_walk w;
	uint32_t i, sub, n = 0;

	for (i = slot_ever(h, 0); i < h->n_slots; i = slot_ever(h, i + 1)) {
		if (slot_state(h, i) == SLOT_FREE)
			continue;
		n++;
		slot_look(l, i);
		w = subscription_walk(h, i);
		while ((sub = subscription_walk_next(h, &w)) != SHM_NONE)
			if (marks[sub]++ > 0)
				wrong(l, INVARIANT_RECORD,
				    "subscription %u is twice in chains", sub);
	}
	return n;
}

/* One record that is in use. */
static void
record_look(struct look *l, uint32_t sub, bool marked)
{
	const struct hub *h = l->h;
	const struct subscription *s = &h->subscription[sub];
	uint32_t channel = SHM_LOAD(s->channel), slot = SHM_ONCE(s->slot);
	int owner = SHM_LOAD(h->subscription_owner[sub / SHM_BLOCK]) - 1;

	if (!marked || channel > h->n_entries || slot >= h->n_slots ||
	    slot_state(h, slot) != SLOT_OPEN || slot_worker(h, slot) != owner) {
		wrong(l, INVARIANT_RECORD,
		    "subscription %u of worker %d: slot %u does not have it",
		    sub, owner, slot);
		return;
	}
	l->used[owner][USED_SUBSCRIPTIONS]++;
	l->used[owner][USED_PAGES] += s->info != 0;
}

/* Counts a record in a worker's chain. */
static bool
member_cb(const struct subscription *s, void *arg)
{
	++*(uint32_t *)arg;
	return true;
}

/* Every record is in its channel's chain: the chains that begin with one of a
 * worker's hold as many as the worker has. */
static void
chains_look(struct look *l, int k)
{
	const struct hub *h = l->h;
	uint32_t i, channel, n = 0;

	for (i = 0; i < h->n_subscriptions; i++) {
		channel = SHM_LOAD(h->subscription[i].channel);
		if (SHM_LOAD(h->subscription_owner[i / SHM_BLOCK]) != k + 1)
			i |= SHM_BLOCK - 1;
		else if (channel >= 1 && channel <= h->n_entries &&
		    subscription_first(h, k, channel - 1) == i &&
		    !subscription_members(
			h, k, channel - 1, h->n_subscriptions, member_cb, &n))
			wrong(l, INVARIANT_RECORD,
			    "worker %d: the chain of channel %u says nonsense",
			    k, channel - 1);
	}
	if (n != l->used[k][USED_SUBSCRIPTIONS])
		wrong(l, INVARIANT_RECORD,
		    "worker %d: %u subscriptions in chains of channels, not %u",
		    k, n, l->used[k][USED_SUBSCRIPTIONS]);
}

/* All records. */
static void
records_look(struct look *l, const uint8_t *marks)
{
	const struct hub *h = l->h;
	uint32_t i;

	for (i = 0; i < h->n_subscriptions; i++)
		/* reading pages that were never touched would make them */
		if (marks[i] == 0 &&
		    SHM_LOAD(h->subscription_owner[i / SHM_BLOCK]) == 0)
			continue;
		else if (SHM_LOAD(h->subscription[i].channel) != 0)
			record_look(l, i, marks[i] != 0);
}

/* A worker's figures. */
static void
figures_look(struct look *l, int k)
{
	static const char *const name[] = {
	    "slots", "chunks", "input pages", "subscriptions"};
	const struct shm_worker *line = &l->h->worker[k];
	uint32_t j, has;

	for (j = 0; j < USED_KINDS; j++) {
		has = SHM_LOAD(line->used[j]);
		if (has != l->used[k][j])
			wrong(l, INVARIANT_COUNT,
			    "worker %d says %u %s, a recount %u", k, has,
			    name[j], l->used[k][j]);
	}
	if (SHM_LOAD(line->connections) != l->slots[k] ||
	    SHM_LOAD(line->opened) != l->slots[k] ||
	    SHM_LOAD(line->kept) != l->kept[k] || SHM_LOAD(line->pending) != 0)
		wrong(l, INVARIANT_COUNT,
		    "worker %d says %u connections, %u opened, %u kept, %u "
		    "pending; a recount %u, %u kept",
		    k, SHM_LOAD(line->connections), SHM_LOAD(line->opened),
		    SHM_LOAD(line->kept), SHM_LOAD(line->pending), l->slots[k],
		    l->kept[k]);
}

/* Presence: exactly the bits of those who are there. */
static void
presence_look(struct look *l)
{
	const struct hub *h = l->h;
	uint64_t *mask = calloc(h->n_entries, sizeof(*mask)), have;
	const struct door *door;
	uint32_t i, c;
	struct presence_view v;

	if (mask == NULL)
		err(2, "presence");
	for (i = slot_ever(h, 0); i < h->n_slots; i = slot_ever(h, i + 1)) {
		if (slot_state(h, i) != SLOT_OPEN)
			continue;
		if (h->slot[i].user < h->n_entries)
			mask[h->slot[i].user] |= 1ull << slot_worker(h, i);
		door = door_by_id(h->slot[i].door);
		if (door != NULL && door->lobby)
			mask[PRESENCE_LOBBY] |= 1ull << slot_worker(h, i);
	}
	for (i = 0; i < h->n_subscriptions; i++) {
		if (SHM_LOAD(h->subscription_owner[i / SHM_BLOCK]) == 0)
			continue;
		c = SHM_LOAD(h->subscription[i].channel);
		if (c >= 1 && c <= h->n_entries &&
		    h->subscription[i].slot < h->n_slots)
			mask[c - 1] |= 1ull
			    << slot_worker(h, h->subscription[i].slot);
	}
	for (i = presence_next(h, 0); i < h->n_entries;
	     i = presence_next(h, i + 1)) {
		have = SHM_LOAD(h->entry[i].mask);
		if (have == mask[i])
			continue;
		if (!presence_read(h, i, &v))
			v.name[0] = '\0';
		wrong(l, INVARIANT_PRESENCE,
		    "entry %u (%s): mask %llx, not %llx", i, v.name,
		    (unsigned long long)have, (unsigned long long)mask[i]);
	}
	free(mask);
}

/* What is charged follows from the entries. */
static void
charge_look(struct look *l)
{
	if (!charge_is_exact(l->h))
		wrong(l, INVARIANT_COUNT,
		    "what is charged to addresses and users is not what the "
		    "entries say");
}

uint32_t
invariant_look(const struct hub *h, invariant_tell tell, void *arg)
{
	struct look l = {.h = h, .tell = tell, .arg = arg};
	uint8_t *marks = calloc(h->n_subscriptions + 1ul, 1);
	uint32_t n;
	int k;

	if (marks == NULL)
		err(2, "subscriptions");
	n = slots_look(&l, marks);
	records_look(&l, marks);
	free(marks);
	for (k = 0; k < SHM_WORKERS; k++)
		if (SHM_LOAD(h->line[k].pid) != 0) {
			chains_look(&l, k);
			figures_look(&l, k);
			pair_look(&l, k);
		}
	presence_look(&l);
	charge_look(&l);
	return n;
}
