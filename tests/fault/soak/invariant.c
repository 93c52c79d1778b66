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
#include "hub/output.h"
#include "hub/presence.h"
#include "hub/slot.h"
#include "hub/stats.h"
#include "hub/subscription.h"
#include "invariant.h"

enum {
	PAGE_BYTES = INPUT_PAGE - 8, /* of a message, in an input page */
	FIRST_BYTES = PAGE_BYTES - 2 * sizeof(struct input_part),
	KEEPERS = 2,  /* of a place */
	TOLD_MAX = 20 /* of a kind */
};

/* Sockets of a process, or that slots claim (without inodes). */
struct sockets {
	struct socket {
		unsigned long inode;
		int fd;
	} * at;
	size_t n, cap;
};

/* A look that is under way. */
struct look {
	const struct hub *h;
	invariant_tell tell;
	void *arg;
	unsigned told[INVARIANTS];
	/* by worker */
	uint32_t slots[SHM_WORKERS];
	uint32_t used[SHM_WORKERS][USED_KINDS];
	struct sockets claims[SHM_WORKERS];
	uint32_t table[SHM_WORKERS]; /* that these are in; 0: none seen */
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
sockets_add(struct sockets *s, int fd, unsigned long inode)
{
	if (s->n == s->cap) {
		s->cap = s->cap == 0 ? 1024 : 2 * s->cap;
		s->at = reallocarray(s->at, s->cap, sizeof(s->at[0]));
		if (s->at == NULL)
			err(2, "sockets");
	}
	s->at[s->n++] = (struct socket){inode, fd};
}

/* For qsort() and bsearch(): by inode. */
static int
inode_compare(const void *a, const void *b)
{
	const struct socket *x = a, *y = b;

	return (x->inode > y->inode) - (x->inode < y->inode);
}

/* For qsort(): by descriptor. */
static int
fd_compare(const void *a, const void *b)
{
	const struct socket *x = a, *y = b;

	return (x->fd > y->fd) - (x->fd < y->fd);
}

static bool
sockets_have(const struct sockets *s, unsigned long inode)
{
	const struct socket key = {inode, 0};

	return s->n > 0 &&
	    bsearch(&key, s->at, s->n, sizeof(key), inode_compare) != NULL;
}

static void
sockets_sort(struct sockets *s, int (*compare)(const void *a, const void *b))
{
	if (s->n > 0)
		qsort(s->at, s->n, sizeof(s->at[0]), compare);
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
				sockets_add(s, 0, inode);
		} else if (sscanf(line,
			       "%*s %*s %*s %x %*s %*s %*s %*s %*s %lu", &state,
			       &inode) == 2 &&
		    state == 10 /* listens */)
			sockets_add(s, 0, inode);
	fclose(f);
}

/* A process's client sockets, by descriptor: not what `others` has. False:
 * there is no such process. */
static bool
clients_of(pid_t pid, const struct sockets *others, struct sockets *s)
{
	char path[300], name[64];
	unsigned long inode;
	struct dirent *e;
	ssize_t n;
	DIR *d;

	s->n = 0;
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
			sockets_add(s, atoi(e->d_name), inode);
	}
	closedir(d);
	sockets_sort(s, fd_compare);
	return true;
}

/* The parent of a process; 0: there is no such process. */
static pid_t
parent_of(pid_t pid)
{
	char path[64];
	int parent = 0;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	f = fopen(path, "r");
	if (f == NULL)
		return 0;
	if (fscanf(f, "%*d (%*[^)]) %*c %d", &parent) != 1)
		parent = 0;
	fclose(f);
	return parent;
}

/* Whether a process has that title. */
static bool
title_is(pid_t pid, const char *title)
{
	char path[64], line[128] = "";
	size_t n;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/cmdline", (int)pid);
	f = fopen(path, "r");
	if (f == NULL)
		return false;
	n = fread(line, 1, sizeof(line) - 1, f);
	fclose(f);
	line[n] = '\0';
	return strcmp(line, title) == 0;
}

/* The keepers of a place, whose process is pid; returns how many there are. */
static int
keepers_of(int k, pid_t pid, pid_t out[KEEPERS])
{
	pid_t master = parent_of(pid);
	char path[64], title[64];
	int child, n = 0;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/task/%d/children", (int)master,
	    (int)master);
	snprintf(title, sizeof(title), "chatd: keeper %d", k);
	f = fopen(path, "r");
	if (f == NULL)
		return 0;
	while (fscanf(f, "%d", &child) == 1)
		if (title_is(child, title) && n++ < KEEPERS)
			out[n - 1] = child;
	fclose(f);
	return n;
}

/* Whether two processes have the same sockets under the same numbers. */
static bool
sockets_same(const struct sockets *a, const struct sockets *b)
{
	size_t i;

	for (i = 0; i < a->n && i < b->n; i++)
		if (a->at[i].fd != b->at[i].fd ||
		    a->at[i].inode != b->at[i].inode)
			return false;
	return a->n == b->n;
}

/* A place's process has exactly the sockets that its slots claim. */
static void
claims_look(struct look *l, int k, const struct sockets *has)
{
	struct sockets *claims = &l->claims[k];
	size_t i, wrongs = 0;

	sockets_sort(claims, fd_compare);
	for (i = 0; i < claims->n && i < has->n; i++)
		wrongs += claims->at[i].fd != has->at[i].fd;
	if (claims->n != has->n || claims->n != l->slots[k] || wrongs > 0)
		wrong(l, INVARIANT_CUSTODY,
		    "worker %d: %u connections claim %zu descriptors, it has "
		    "%zu sockets, %zu of them others",
		    k, l->slots[k], claims->n, has->n, wrongs);
}

/* A place's process and its two keepers hold the same sockets, one for each
 * connection. */
static void
family_look(struct look *l, int k)
{
	pid_t pid = (pid_t)SHM_LOAD(l->h->line[k].pid), keeper[KEEPERS];
	struct sockets others = {NULL, 0, 0}, has = others, kept = others;
	int n = keepers_of(k, pid, keeper), j;

	table_read(&others, pid, "unix");
	table_read(&others, pid, "tcp");
	table_read(&others, pid, "tcp6");
	sockets_sort(&others, inode_compare);
	if (!clients_of(pid, &others, &has))
		wrong(l, INVARIANT_CUSTODY, "worker %d has no process", k);
	else
		claims_look(l, k, &has);
	if (n != KEEPERS)
		wrong(l, INVARIANT_CUSTODY, "worker %d has %d keepers", k, n);
	for (j = 0; j < n && j < KEEPERS; j++)
		if (!clients_of(keeper[j], &others, &kept) ||
		    !sockets_same(&has, &kept))
			wrong(l, INVARIANT_CUSTODY,
			    "worker %d has %zu sockets, its keeper %d has %zu, "
			    "or others",
			    k, has.n, (int)keeper[j], kept.n);
	for (j = 0; j < k; j++)
		if (l->table[k] != 0 && l->table[j] == l->table[k])
			wrong(l, INVARIANT_CUSTODY,
			    "workers %d and %d claim sockets of one table", j,
			    k);
	free(others.at);
	free(has.at);
	free(kept.at);
}

/* Chunks of a slot's output. */
static uint32_t
chunks_of(const struct hub *h, uint32_t i)
{
	uint32_t first = shm_index(SHM_LOAD(h->slot[i].chunk)), n;

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
	int k = slot_worker(h, i);
	uint64_t word = slot_socket(h, i);

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
	sockets_add(&l->claims[k], (int)(uint32_t)word, 0);
	if (l->table[k] == 0)
		l->table[k] = (uint32_t)(word >> 32);
	if (word >> 32 == 0 || word >> 32 != l->table[k])
		wrong(l, INVARIANT_CUSTODY,
		    "connection %016llx of worker %d: its socket is in table "
		    "%u, not %u",
		    (unsigned long long)slot_id(h, i), k,
		    (uint32_t)(word >> 32), l->table[k]);
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
	    SHM_LOAD(line->pending) != 0)
		wrong(l, INVARIANT_COUNT,
		    "worker %d says %u connections, %u opened, %u pending; a "
		    "recount %u",
		    k, SHM_LOAD(line->connections), SHM_LOAD(line->opened),
		    SHM_LOAD(line->pending), l->slots[k]);
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
			family_look(&l, k);
		}
	for (k = 0; k < SHM_WORKERS; k++)
		free(l.claims[k].at);
	presence_look(&l);
	charge_look(&l);
	return n;
}
