/* What the shared memory holds when all is quiet, seen through the daemon's
 * own descriptor of it. */
#include <err.h>
#include <fcntl.h>
#include <dirent.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "hub/input.h"
#include "hub/journal.h"
#include "hub/output.h"
#include "hub/presence.h"
#include "hub/shm.h"
#include "hub/slot.h"
#include "hub/stats.h"
#include "hub/subscription.h"
#include "soak.h"

enum { SEGMENTS_KEPT = 5 }; /* two ends, two spare ones, a reserve */

/* Opens the memory of a process. */
static int
memory_open(int pid)
{
	char path[300], name[PATH_MAX];
	struct dirent *e;
	ssize_t n;
	int fd = -1;
	DIR *d;

	snprintf(path, sizeof(path), "/proc/%d/fd", pid);
	d = opendir(path);
	if (d == NULL)
		err(2, "%s", path);
	while (fd < 0 && (e = readdir(d)) != NULL) {
		snprintf(path, sizeof(path), "/proc/%d/fd/%s", pid, e->d_name);
		n = readlink(path, name, sizeof(name) - 1);
		if (n <= 0)
			continue;
		name[n] = '\0';
		if (strncmp(name, "/memfd:chatd", 12) == 0)
			fd = open(path, O_RDONLY | O_CLOEXEC);
	}
	closedir(d);
	return fd;
}

/* Maps it, for reading. */
static bool
memory_map(struct hub *h)
{
	static const struct hub_limits l = {
	    .connections = 2048 + SHM_WORKERS * SHM_BLOCK,
	    .users = 2048,
	    .journal_bytes = 16 << 20,
	    .output_bytes = 256 << 20,
	    .input_bytes = 16 << 20,
	    .subscriptions = 8192};
	static const uint8_t no_key[16];
	int fd = memory_open(daemon_.pid);
	char why[256] = "no such descriptor";

	if (fd >= 0 &&
	    hub_attach(h, fd, &l, no_key, true, why, sizeof(why)) == 0)
		return true;
	if (fd >= 0)
		close(fd);
	fault(F_LEAK, "no view of the shared memory: %s", why);
	return false;
}

/* Blocks of a kind that a worker owns. */
static uint32_t
owned(const _Atomic uint8_t *owner, uint32_t n, int worker)
{
	uint32_t b, sum = 0;

	for (b = 0; b < n; b++)
		sum += SHM_LOAD(owner[b]) == worker + 1;
	return sum;
}

/* One worker: what it owns beyond what its connections reach. */
static void
worker_check(const struct hub *h, int k, unsigned connections)
{
	const struct {
		const char *name;
		const _Atomic uint8_t *owner;
		uint32_t blocks;
		unsigned items; /* that connections may hold now */
	} kind[] = {
	    {"slots", h->slot_owner, claim_blocks(h->n_slots), connections},
	    {"chunks", h->chunk_owner, claim_blocks(h->n_chunks), connections},
	    {"input pages", h->page_owner, claim_blocks(h->n_pages),
		connections},
	    {"subscriptions", h->subscription_owner,
		claim_blocks(h->n_subscriptions), connections},
	};
	uint32_t n, used[USED_KINDS];
	size_t j;

	n = owned(h->segment_owner, h->n_segments, k);
	if (n > SEGMENTS_KEPT)
		fault(F_LEAK, "worker %d owns %u segments", k, n);
	for (j = 0; j < sizeof(kind) / sizeof(kind[0]); j++) {
		n = owned(kind[j].owner, kind[j].blocks, k);
		if (n > kind[j].items + 1)
			fault(F_LEAK, "worker %d owns %u blocks of %s", k, n,
			    kind[j].name);
	}
	for (j = 0; j < USED_KINDS; j++)
		used[j] = SHM_LOAD(h->worker[k].used[j]);
	if (used[USED_CHUNKS] != used[USED_SLOTS] ||
	    used[USED_PAGES] > used[USED_SLOTS])
		fault(F_LEAK,
		    "worker %d: %u slots, %u chunks, %u pages, %u "
		    "subscriptions",
		    k, used[USED_SLOTS], used[USED_CHUNKS], used[USED_PAGES],
		    used[USED_SUBSCRIPTIONS]);
}

/* Presence: exactly the bits of those who are there. */
static void
presence_check(const struct hub *h)
{
	uint64_t *mask = calloc(h->n_entries, sizeof(*mask)), have;
	const struct slot *s;
	struct presence_view v;
	uint32_t i, c;

	for (i = 0; i < h->n_slots; i++) {
		s = &h->slot[i];
		if (slot_state(h, i) != SLOT_OPEN)
			continue;
		if (s->user < h->n_entries)
			mask[s->user] |= 1ull << slot_worker(h, i);
		if (s->door == DOOR_PLAIN)
			mask[PRESENCE_LOBBY] |= 1ull << slot_worker(h, i);
	}
	for (i = 0; i < h->n_subscriptions; i++) {
		c = SHM_LOAD(h->subscription[i].channel);
		if (c == 0)
			continue;
		if (c > h->n_entries || h->subscription[i].slot >= h->n_slots ||
		    slot_state(h, h->subscription[i].slot) != SLOT_OPEN) {
			fault(F_LEAK, "subscription %u is nobody's", i);
			continue;
		}
		mask[c - 1] |= 1ull << slot_worker(h, h->subscription[i].slot);
	}
	for (i = 0; i < h->n_entries; i++) {
		have = SHM_LOAD(h->entry[i].mask);
		if (have == mask[i])
			continue;
		if (!presence_read(h, i, &v))
			v.name[0] = '\0';
		fault(F_PRESENCE, "entry %u (%s): mask %llx, not %llx", i,
		    v.name, (unsigned long long)have,
		    (unsigned long long)mask[i]);
	}
	free(mask);
}

void
leak_check(unsigned connections)
{
	struct hub h;
	uint32_t i, n = 0, parts = 0;
	int k;

	if (!memory_map(&h))
		return;
	for (i = 0; i < h.n_slots; i++) {
		if (slot_state(&h, i) == SLOT_FREE)
			continue;
		n++;
		parts += SHM_LOAD(h.slot[i].part) != 0;
		if (slot_state(&h, i) != SLOT_OPEN)
			fault(F_LEAK, "slot %u is in state %d", i,
			    slot_state(&h, i));
	}
	if (n != connections)
		fault(
		    F_LEAK, "%u slots in use, %u connections", n, connections);
	if (parts != 0)
		fault(F_LEAK, "%u slots have unfinished input", parts);
	for (k = 0; k < WORKERS; k++)
		worker_check(&h, k, connections);
	presence_check(&h);
	hub_destroy(&h);
}

void
journal_dump(unsigned n)
{
	static char buf[1 << 20];
	struct publication p;
	struct hub h;
	uint64_t i, tail;
	char path[128];
	FILE *f;

	if (!memory_map(&h))
		return;
	snprintf(path, sizeof(path), "%s/journal", daemon_.dir);
	f = fopen(path, "w");
	tail = journal_tail(&h);
	for (i = tail > n ? tail - n : 1; f != NULL && i <= tail; i++) {
		if (journal_read(&h, i, buf, sizeof(buf), &p) != JOURNAL_OK) {
			fprintf(
			    f, "%llu: not to be read\n", (unsigned long long)i);
			continue;
		}
		fprintf(f,
		    "%llu mask %llx channel %u offset %llu sender "
		    "%llx %lld.%03lld %.*s: %.*s\n",
		    (unsigned long long)i,
		    (unsigned long long)journal_mask(&h, i), p.channel,
		    (unsigned long long)p.offset, (unsigned long long)p.sender,
		    (long long)p.time_ms / 1000, (long long)p.time_ms % 1000,
		    (int)p.user_len, p.user,
		    p.data_len < 40 ? (int)p.data_len : 40, p.data);
	}
	for (i = 0; f != NULL && i < h.n_slots; i++) {
		struct slot *s = &h.slot[i];

		if (slot_state(&h, (uint32_t)i) != SLOT_FREE)
			fprintf(f,
			    "slot %llx worker %d door %u user %.26s "
			    "last %llu appended %llu\n",
			    (unsigned long long)i, slot_worker(&h, (uint32_t)i),
			    s->door,
			    s->user < h.n_entries ? h.entry[s->user].name : "",
			    (unsigned long long)s->last,
			    (unsigned long long)s->appended);
	}
	for (i = 0; f != NULL && i < WORKERS; i++)
		fprintf(f, "worker %llu cursor %llu\n", (unsigned long long)i,
		    (unsigned long long)h.worker[i].cursor);
	if (f != NULL)
		fclose(f);
	hub_destroy(&h);
}
