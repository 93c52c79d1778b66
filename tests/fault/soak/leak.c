/* What the shared memory holds when all is quiet, seen through the daemon's
 * own descriptor of it. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../../../src/hub/heads.h"
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
	struct hub_limits l = {
	    .connections = daemon_.connections + SHM_WORKERS * SHM_BLOCK,
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

/* What has been found not to be so. */
static struct finding {
	enum fault kind;
	char why[256];
} finding[64];
static unsigned n_findings;

/* Takes down what is not so. */
static void __attribute__((format(printf, 2, 3)))
finding_add(enum fault kind, const char *fmt, ...)
{
	struct finding *f = &finding[n_findings];
	va_list ap;

	if (n_findings == sizeof(finding) / sizeof(finding[0]))
		return;
	n_findings++;
	f->kind = kind;
	va_start(ap, fmt);
	vsnprintf(f->why, sizeof(f->why), fmt, ap);
	va_end(ap);
}

/* For invariant_look(). */
static void
invariant_add(void *arg, enum invariant what, const char *why)
{
	finding_add(
	    what == INVARIANT_PRESENCE ? F_PRESENCE : F_LEAK, "%s", why);
}

/* For invariant_look(): only what is not so of custody. */
static void
custody_add(void *arg, enum invariant what, const char *why)
{
	if (what == INVARIANT_CUSTODY)
		invariant_add(arg, what, why);
}

/* Tells all. */
static void
findings_tell(const char *when)
{
	unsigned k;

	for (k = 0; k < n_findings; k++)
		fault(finding[k].kind, "%s: %s", when, finding[k].why);
}

/* One worker: what it owns beyond what its connections reach. */
static void
worker_look(const struct hub *h, int k, unsigned connections)
{
	const struct {
		const char *name;
		const _Atomic uint8_t *owner;
		uint32_t blocks;
	} kind[] = {
	    {"slots", h->slot_owner, claim_blocks(h->n_slots)},
	    {"chunks", h->chunk_owner, claim_blocks(h->n_chunks)},
	    {"input pages", h->page_owner, claim_blocks(h->n_pages)},
	    {"subscriptions", h->subscription_owner,
		claim_blocks(h->n_subscriptions)},
	};
	uint32_t n;
	size_t j;

	n = owned(h->segment_owner, h->n_segments, k);
	if (n > SEGMENTS_KEPT)
		finding_add(F_LEAK, "worker %d owns %u segments", k, n);
	for (j = 0; j < sizeof(kind) / sizeof(kind[0]); j++) {
		n = owned(kind[j].owner, kind[j].blocks, k);
		if (n > connections + 1) /* each holds one item at least */
			finding_add(F_LEAK, "worker %d owns %u blocks of %s", k,
			    n, kind[j].name);
	}
}

/* Input that is kept since it is not done: clients have sent all of it. */
static void
parts_look(const struct hub *h)
{
	uint32_t i, n = 0;

	for (i = slot_ever(h, 0); i < h->n_slots; i = slot_ever(h, i + 1))
		n += slot_state(h, i) != SLOT_FREE &&
		    SHM_LOAD(h->slot[i].part) != 0;
	if (n != 0)
		finding_add(F_LEAK, "%u slots have unfinished input", n);
}

/* Looks at all of it. */
static void
memory_look(const struct hub *h, unsigned connections)
{
	uint32_t n;
	int k;

	n_findings = 0;
	n = invariant_look(h, invariant_add, NULL);
	if (n != connections)
		finding_add(
		    F_LEAK, "%u slots in use, %u connections", n, connections);
	parts_look(h);
	for (k = 0; k < WORKERS; k++)
		worker_look(h, k, connections);
}

bool
custody_is_right(bool tell)
{
	struct hub h;

	if (!memory_map(&h))
		return true;
	n_findings = 0;
	(void)invariant_look(&h, custody_add, NULL);
	hub_destroy(&h);
	if (tell)
		findings_tell("in a quiet moment");
	return n_findings == 0;
}

void
leak_check(unsigned connections, void (*rest)(unsigned ms))
{
	char when[40];
	struct hub h;
	unsigned k;

	if (!memory_map(&h))
		return;
	memory_look(&h, connections);
	/* Workers count once a second and trim blocks that are free; the pong
	 * of a client to a ping just now may come in pieces. */
	for (k = 0; n_findings > 0 && k < LOOKS; k++) {
		rest(LOOK_MS);
		memory_look(&h, connections);
	}
	snprintf(when, sizeof(when), "with %u connections", connections);
	findings_tell(when);
	hub_destroy(&h);
}

bool
journal_is_full(void)
{
	struct hub h;
	bool full;

	if (order_busy() || !memory_map(&h)) /* it may get another size */
		return false;
	full = SHM_LOAD(h.heads->end) >= h.journal_size;
	hub_destroy(&h);
	return full;
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
