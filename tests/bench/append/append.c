/*
 * append: what one publication costs a worker until it is accepted, without
 * deliveries: CPU time of publisher_publish(). With a reader of the journal
 * that counts in another process: its channel is told to it (told), or required
 * by it (kept).
 *
 * append [none|told|kept] [BYTES]
 */
#include <sys/wait.h>

#include <err.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "hub/lock.h"
#include "hub/presence.h"
#include "hub/publisher.h"
#include "hub/reader.h"

enum {
	RING = 256 << 20,
	BATCH = 20000, /* publications of one figure */
	BATCHES = 200,
	BYTES_MAX = 4096
};

/* This thread's CPU time, ns. */
static int64_t
cpu_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return t.tv_sec * 1000000000ll + t.tv_nsec;
}

/* Publishes a batch; returns ns a publication. */
static double
batch(struct publisher *pub, const char *name, size_t bytes, uint64_t *busy)
{
	static const char data[BYTES_MAX];
	const struct publishing what = {.conn = SHM_NONE,
	    .format = FORMAT_TEXT,
	    .user = "hub",
	    .user_len = 3,
	    .data = data,
	    .len = bytes};
	struct publication p;
	int64_t then = cpu_ns();
	uint64_t mask;

	for (int k = 0; k < BATCH; k++)
		if (publisher_publish(pub, name, strlen(name), PUBLISH_MAKE,
			&what, &p, &mask) != PUBLISH_OK)
			++*busy;
	return (double)(cpu_ns() - then) / BATCH;
}

/* For qsort(). */
static int
by_size(const void *a, const void *b)
{
	const double *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

/* The readers of the channels. */
static uint8_t
flags_cb(void *arg, const char *name, size_t len)
{
	const uint8_t bit = 1 << READER_HOOKS;

	return name[0] == 't' ? bit
	    : name[0] == 'k'  ? bit | bit << PRESENCE_REQUIRED
			      : 0;
}

/* Counts what it is told until it is killed. */
static void
count(struct hub *h)
{
	char *buf = malloc(RING / JOURNAL_SHARE);
	struct publication p;
	struct reader r;

	hub_become(h, 1);
	reader_init(&r, h, READER_HOOKS, READER_NO_MARK);
	for (;;) {
		while (reader_next(&r, buf, RING / JOURNAL_SHARE, &p) !=
		    READER_END)
			;
		reader_taken(&r, r.passed);
		reader_wait(&r, 20);
	}
}

/* Starts it. */
static pid_t
reader_begin(struct hub *h)
{
	pid_t pid = fork();

	if (pid == -1)
		err(1, "fork");
	if (pid == 0)
		count(h);
	return pid;
}

int
main(int argc, char **argv)
{
	const char *how = argc > 1 ? argv[1] : "none";
	size_t bytes = argc > 2 ? (size_t)atoi(argv[2]) : 200;
	struct hub_limits l = {.connections = 64,
	    .users = 16,
	    .channels = 16,
	    .journal_bytes = RING,
	    .output_bytes = 1 << 20,
	    .input_bytes = 1 << 20};
	static double ns[BATCHES];
	uint64_t busy = 0;
	pid_t pid = -1;
	struct hub h;

	if (bytes > BYTES_MAX)
		errx(1, "at most %d bytes", BYTES_MAX);
	if (strcmp(how, "none") != 0)
		l.readers = 1 << READER_HOOKS;
	if (hub_create(&h, &l) == -1)
		err(1, "hub_create");
	h.flags_of = flags_cb;
	if (l.readers != 0)
		pid = reader_begin(&h);
	hub_become(&h, 0);
	struct publisher pub = {.hub = &h, .wall_ms = 1};

	for (int k = -BATCHES / 4; k < BATCHES; k++)
		ns[k < 0 ? 0 : k] = batch(&pub, how, bytes, &busy);
	qsort(ns, BATCHES, sizeof(ns[0]), by_size);
	printf("%s %zu bytes: min %.0f, median %.0f ns a publication; %llu "
	       "refused\n",
	    how, bytes, ns[0], ns[BATCHES / 2], (unsigned long long)busy);
	if (pid > 0) {
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
	}
	return 0;
}
