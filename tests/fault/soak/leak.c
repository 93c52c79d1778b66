/* What the shared memory holds when all is quiet, seen through the daemon's
 * own descriptor of it. */
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
#include "invariant.h"
#include "soak.h"

enum {
	SEGMENTS_KEPT = 5, /* two ends, two spare ones, a reserve */
	LOOKS = 100,	   /* at most, until all is right */
	LOOK_MS = 50
};

/* Maps the daemon's memory, for reading. */
static bool
memory_map(struct hub *h)
{
	struct hub_limits l = {.connections = 2048 + SHM_WORKERS * SHM_BLOCK,
	    .users = 2048,
	    .channels = 65536,
	    .journal_bytes = 16 << 20,
	    .output_bytes = 256 << 20,
	    .input_bytes = 16 << 20,
	    .subscriptions = 8192};
	char why[256];

	if (set.reader)
		l.readers = l.events = 1
		    << (set.store ? READER_STORE : READER_HOOKS);
	if (invariant_attach(h, daemon_.pid, &l, why, sizeof(why)))
		return true;
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
	uint32_t n;
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
}

/* What has been found not to be so. */
static struct finding {
	enum fault kind;
	char why[256];
} finding[64];
static unsigned n_findings;

/* Takes down what is not so. */
static void
finding_add(void *arg, enum invariant what, const char *why)
{
	struct finding *f = &finding[n_findings];

	if (n_findings == sizeof(finding) / sizeof(finding[0]))
		return;
	n_findings++;
	f->kind = what == INVARIANT_PRESENCE ? F_PRESENCE : F_LEAK;
	snprintf(f->why, sizeof(f->why), "%s", why);
}

/* Looks again until all is right, since workers count once a second. */
static void
invariant_check(const struct hub *h, unsigned connections)
{
	uint32_t n = 0;
	unsigned k;

	for (k = 0; k < LOOKS; k++) {
		n_findings = 0;
		n = invariant_look(h, finding_add, NULL);
		if (n_findings == 0 && n == connections)
			return;
		usleep(LOOK_MS * 1000);
	}
	if (n != connections)
		fault(
		    F_LEAK, "%u slots in use, %u connections", n, connections);
	for (k = 0; k < n_findings; k++)
		fault(finding[k].kind, "%s", finding[k].why);
}

/* Takes down what is not so of custody. */
static void
custody_add(void *arg, enum invariant what, const char *why)
{
	if (what == INVARIANT_CUSTODY)
		finding_add(arg, what, why);
}

bool
custody_is_right(bool tell)
{
	struct hub h;
	unsigned k;

	if (!memory_map(&h))
		return true;
	n_findings = 0;
	(void)invariant_look(&h, custody_add, NULL);
	hub_destroy(&h);
	for (k = 0; tell && k < n_findings; k++)
		fault(F_LEAK, "in a quiet moment: %s", finding[k].why);
	return n_findings == 0;
}

void
leak_check(unsigned connections)
{
	struct hub h;
	uint32_t i, parts = 0;
	int k;

	if (!memory_map(&h))
		return;
	invariant_check(&h, connections);
	for (i = slot_ever(&h, 0); i < h.n_slots; i = slot_ever(&h, i + 1))
		parts += slot_state(&h, i) != SLOT_FREE &&
		    SHM_LOAD(h.slot[i].part) != 0;
	if (parts != 0)
		fault(F_LEAK, "%u slots have unfinished input", parts);
	for (k = 0; k < WORKERS; k++)
		worker_check(&h, k, connections);
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
		    (unsigned long long)h.line[i].cursor);
	if (f != NULL)
		fclose(f);
	hub_destroy(&h);
}
