/* accept - what accepting a publication costs: the daemon's own publish() and
 * deliver() at four workers over one shared memory, without connections that
 * get it and without links. Prints lines "MODE NAME NANOSECONDS": CPU time per
 * publication, on a ring that was gone round once before.
 *
 *   accept [N]   N publications measured in each mode (1,000,000)
 *
 * publish: one process accepts. alone: the same, and looks at each publication
 * as each of the four workers in turn. four: four processes, each accepts a
 * quarter, as fast as it can, and looks at all.
 */
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include <err.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "room/publish.h"
#include "room/rooms.h"
#include "hub/lock.h"
#include "hub/presence.h"
#include "hub/stats.h"
#include "../../unit/presence_fixture.h"

enum {
	WORKERS = 4,
	CHANNELS = 4,
	DATA = 100,	/* bytes of a message */
	CHUNK = 10000,	/* then all wait for the slowest */
	PATIENCE = 120, /* seconds for a mode */
	QUEUE = 1 << 20
};

/* One worker, as far as publishing needs it. */
struct worker {
	struct hub hub;
	struct chat chat;
	uint32_t slot;
};

/* What the processes of a mode share besides the hub. */
struct meeting {
	pthread_barrier_t all;
	double ns[WORKERS]; /* per publication of one's own */
};

static struct worker worker[WORKERS];

/* CPU time of this process, nanoseconds. */
static double
cpu_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

/* Makes worker k, with a connection of his user, who has all channels. */
static void
worker_make(const struct hub *h, int k)
{
	struct worker *w = &worker[k];
	struct chat *ch = &w->chat;
	char name[32];
	bool first;
	uint32_t e;
	int n, c;

	memset(w, 0, sizeof(*w));
	w->hub = *h;
	hub_become(&w->hub, k);
	ch->hub = &w->hub;
	ch->live.queue_bytes = QUEUE;
	ch->wall_ms = 1;
	if (rooms_init(ch) < 0 ||
	    claim_init(&ch->slots, h->slot_owner, h->n_slots, k) < 0)
		err(1, "worker %d", k);
	w->slot = slot_take(&w->hub, &ch->slots);
	if (w->slot == SHM_NONE)
		errx(1, "no slot");
	hub_lock(&w->hub);
	for (c = 0; c < CHANNELS; c++) {
		n = snprintf(name, sizeof(name), "room%d", c);
		presence_enter(&w->hub, name, (size_t)n, &first);
	}
	n = snprintf(name, sizeof(name), "#user%d", k);
	e = presence_enter(&w->hub, name, (size_t)n, &first);
	hub_unlock(&w->hub);
	w->hub.slot[w->slot].user = e;
	slot_set(&w->hub, w->slot, SLOT_OPEN);
}

/* Drops what a worker has in this process, but for its few links. */
static void
worker_drop(struct worker *w)
{
	claim_deinit(&w->chat.slots);
}

/* Publishes the i-th message. */
static void
worker_publish(struct worker *w, uint64_t i)
{
	static const char data[DATA] = "hello";
	static const char name[CHANNELS][6] = {
	    "room0", "room1", "room2", "room3"};
	struct publishing what = {.conn = w->slot,
	    .format = FORMAT_TEXT,
	    .data = data,
	    .len = sizeof(data)};
	struct publication out;
	uint64_t mask;

	if (publish(&w->chat, name[i % CHANNELS], 5, PUBLISH_MAKE, &what, &out,
		&mask) != PUBLISH_OK ||
	    mask != (1ull << WORKERS) - 1)
		errx(1, "a publication is refused");
}

/* Looks at all that was published. */
static void
worker_settle(struct worker *w)
{
	while (deliver(&w->chat))
		;
}

/* One process publishes n, and looks as `lookers` workers. */
static void
run_alone(uint64_t n, int lookers)
{
	uint64_t i;
	int k;

	for (i = 0; i < n; i++) {
		worker_publish(&worker[0], i);
		for (k = 0; k < lookers; k++)
			worker_settle(&worker[k]);
		journal_populate(&worker[0].hub);
	}
}

/* One of four publishes n and looks at what all publish. */
static void
run_beside(struct meeting *m, struct worker *w, uint64_t n)
{
	uint64_t i;

	for (i = 0; i < n; i++) {
		if (i % CHUNK == 0) {
			pthread_barrier_wait(&m->all);
			worker_settle(w);
		}
		worker_publish(w, i);
		worker_settle(w);
		journal_populate(&w->hub);
	}
	pthread_barrier_wait(&m->all);
	worker_settle(w);
}

/* Nothing was lost on the way. */
static void
check(const struct hub *h, uint64_t published, int lookers)
{
	int k;

	if (journal_tail(h) != published)
		errx(1, "%llu published, the journal has %llu",
		    (unsigned long long)published,
		    (unsigned long long)journal_tail(h));
	for (k = 0; k < lookers; k++)
		if (h->line[k].cursor != published || h->worker[k].overrun != 0)
			errx(1, "worker %d has not seen all", k);
}

/* A hub of the default sizes with its four workers. */
static void
hub_make(struct hub *h)
{
	struct hub_limits l = {.connections = 65536,
	    .users = 65536,
	    .channels = 65536,
	    .journal_bytes = 64 << 20,
	    .output_bytes = 256 << 20,
	    .input_bytes = 64 << 20};
	int k;

	if (hub_create(h, &l) < 0)
		err(1, "shared memory");
	for (k = 0; k < WORKERS; k++)
		worker_make(h, k);
}

/* Undoes it. */
static void
hub_drop(struct hub *h)
{
	int k;

	for (k = 0; k < WORKERS; k++)
		worker_drop(&worker[k]);
	hub_destroy(h);
}

/* Measures one process. */
static void
mode_alone(struct meeting *m, const char *mode, uint64_t n, int lookers)
{
	struct hub h;
	double begin;
	uint64_t lap;

	hub_make(&h);
	lap = h.n_index;
	run_alone(lap, lookers);
	begin = cpu_ns();
	run_alone(n, lookers);
	m->ns[0] = (cpu_ns() - begin) / (double)n;
	check(&h, lap + n, lookers);
	printf("%s median %.0f\n", mode, m->ns[0]);
	hub_drop(&h);
}

/* Spreads the processes over the cores there are. */
static void
spread(int k)
{
	cpu_set_t all, one;
	int n, cpu;

	if (sched_getaffinity(0, sizeof(all), &all) < 0)
		return;
	n = k % CPU_COUNT(&all);
	for (cpu = 0; !CPU_ISSET(cpu, &all) || n-- > 0; cpu++)
		;
	CPU_ZERO(&one);
	CPU_SET(cpu, &one);
	(void)sched_setaffinity(0, sizeof(one), &one);
}

/* The life of one of four processes. */
static void
child(struct meeting *m, int k, uint64_t lap, uint64_t n)
{
	struct worker *w = &worker[k];
	double begin;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	alarm(PATIENCE);
	spread(k);
	hub_become(&w->hub, k);
	run_beside(m, w, lap);
	pthread_barrier_wait(&m->all);
	begin = cpu_ns();
	run_beside(m, w, n);
	m->ns[k] = (cpu_ns() - begin) / (double)n;
	_exit(0);
}

/* Orders numbers. */
static int
compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

/* Measures four processes, which publish n each. */
static void
mode_four(struct meeting *m, uint64_t n)
{
	struct hub h;
	uint64_t lap;
	int k, status;
	pid_t pid;

	hub_make(&h);
	lap = h.n_index / WORKERS;
	fflush(stdout);
	for (k = 0; k < WORKERS; k++) {
		pid = fork();
		if (pid < 0)
			err(1, "fork");
		if (pid == 0)
			child(m, k, lap, n);
	}
	for (k = 0; k < WORKERS; k++)
		if (wait(&status) < 0 || status != 0)
			errx(1, "a process failed");
	check(&h, (lap + n) * WORKERS, WORKERS);
	for (k = 0; k < WORKERS; k++)
		printf("four %d %.0f\n", k, m->ns[k]);
	qsort(m->ns, WORKERS, sizeof(m->ns[0]), compare);
	printf("four median %.0f\n",
	    (m->ns[WORKERS / 2 - 1] + m->ns[WORKERS / 2]) / 2);
	hub_drop(&h);
}

int
main(int argc, char *argv[])
{
	uint64_t n = argc > 1 ? strtoull(argv[1], NULL, 10) : 1000000;
	pthread_barrierattr_t a;
	struct meeting *m;

	if (n < WORKERS || argc > 2) {
		fprintf(stderr, "usage: accept [number of publications]\n");
		return 2;
	}
	m = mmap(NULL, sizeof(*m), PROT_READ | PROT_WRITE,
	    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (m == MAP_FAILED)
		err(1, "memory");
	pthread_barrierattr_init(&a);
	pthread_barrierattr_setpshared(&a, PTHREAD_PROCESS_SHARED);
	if (pthread_barrier_init(&m->all, &a, WORKERS) != 0)
		errx(1, "no barrier");
	alarm(PATIENCE * 3);
	mode_alone(m, "publish", n, 0);
	mode_alone(m, "alone", n, WORKERS);
	mode_four(m, n / WORKERS);
	return 0;
}
