/*
 * store: what a row costs the process that writes the database, in us of CPU
 * time, and how long a page of 50 takes a process that reads meanwhile.
 *
 * store [-a ROWS] [-c CHANNELS] [-n ROWS] [-p PACE] [-s BYTES] [-N] PATH
 *
 * -a: in a commit; -p: rows a second, 0: as fast as it can; -N: synchronous
 * NORMAL. PATH and what SQLite has beside it are made anew.
 */
#include <sys/resource.h>
#include <sys/wait.h>

#include <err.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "store/store.h"

enum {
	PAGE = 50,
	PAGES_MAX = 1 << 20,
	PAGE_PAUSE_US = 1000,
	BYTES_MAX = 65536
};

struct options {
	const char *path;
	uint32_t a, channels, rows, pace, bytes;
	bool normal;
};

/* Of what is said the words are. */
static const char *const words[] = {"hello", "lunch", "ready", "meeting",
    "tomorrow", "server", "coffee", "please", "thanks", "who", "broken",
    "deploy", "release", "music", "rain"};

static volatile sig_atomic_t stopped;

static void
stop(int sig)
{
	stopped = 1;
}

/* Own CPU time, us. */
static double
cpu_us(void)
{
	struct rusage u;

	getrusage(RUSAGE_SELF, &u);
	return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) * 1e6 +
	    (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec);
}

/* For qsort(). */
static int
by_size(const void *a, const void *b)
{
	const double *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

static double
part(double *us, size_t n, double share)
{
	return n == 0 ? 0 : us[(size_t)((double)(n - 1) * share)];
}

/* Opens the database. */
static struct store *
database(const struct options *o, enum store_use use)
{
	const struct store_options how = {
	    .path = o->path, .use = use, .sync_full = !o->normal};
	struct store_mark mark;
	char error[512];
	struct store *s;
	bool damaged;

	if (store_open(&s, &how, &mark, &damaged, error, sizeof(error)) == -1)
		errx(1, "%s", error);
	return s;
}

static void
good(struct store *s, enum store_result r)
{
	if (r != STORE_OK)
		errx(1, "%s", store_error(s));
}

static bool
count(void *arg, const struct store_row *r)
{
	++*(size_t *)arg;
	return true;
}

/* Reads pages, somewhere in some channel, until it is told to stop. */
static void
read_pages(const struct options *o)
{
	static double us[PAGES_MAX];
	struct store *s = database(o, STORE_READS);
	size_t n = 0, rows = 0, empty = 0;
	char name[32];

	signal(SIGTERM, stop);
	srandom(7);
	while (!stopped && n < PAGES_MAX) {
		struct store_query q = {.what = STORE_PAGE,
		    .name = name,
		    .limit = PAGE,
		    .reverse = true};
		uint64_t then = clock_us();
		const size_t had = rows;

		q.name_len = (size_t)snprintf(name, sizeof(name), "room:%u",
		    (unsigned)((uint32_t)random() % o->channels));
		q.upto =
		    (uint64_t)random() % (o->rows / o->channels + 1) + PAGE;
		if (store_find(s, &q, count, &rows) == STORE_DAMAGED)
			errx(1, "%s", store_error(s));
		us[n++] = (double)(clock_us() - then);
		if (rows == had)
			empty++;
		usleep(PAGE_PAUSE_US);
	}
	qsort(us, n, sizeof(*us), by_size);
	printf("page of %d (%zu, %zu empty): p50 %.0f p99 %.0f max %.0f us\n",
	    PAGE, n, empty, part(us, n, 0.5), part(us, n, 0.99),
	    part(us, n, 1));
	fflush(stdout);
	store_close(s);
	_exit(0);
}

/* What all texts are pieces of. */
static char pool[2 * BYTES_MAX];

static void
pool_fill(void)
{
	size_t at = 0;

	while (at < sizeof(pool) - 16) {
		const char *w =
		    words[(size_t)random() % (sizeof(words) / sizeof(*words))];

		at += (size_t)snprintf(pool + at, 16, "%s ", w);
	}
}

/* Writes one row. */
static void
row(struct store *s, const struct options *o, struct store_channel *c)
{
	const struct publication p = {.offset = c->top + 1,
	    .before = c->top,
	    .time_ms = clock_wall_coarse_ms(),
	    .sender = (uint64_t)(1 + random() % 1000) << 32 | 77,
	    .format = FORMAT_TEXT,
	    .user = "alice",
	    .user_len = 5,
	    .data = pool + random() % BYTES_MAX,
	    .data_len = o->bytes};

	good(s, store_take(s, c, &p));
}

/* Makes the channels. */
static struct store_channel *
channels(struct store *s, const struct options *o)
{
	struct store_channel *c = calloc(o->channels, sizeof(*c));
	char name[32];

	for (uint32_t k = 0; k < o->channels; k++)
		good(s,
		    store_channel(s, name,
			(size_t)snprintf(name, sizeof(name), "room:%u", k),
			1000 + k, &c[k]));
	return c;
}

/* Writes all rows. */
static void
write_rows(struct store *s, const struct options *o)
{
	struct store_mark mark = {.journal = 1};
	const uint32_t commits = o->rows / o->a;
	double *us = calloc(commits + 1, sizeof(*us)), cpu, all;
	struct store_channel *c = channels(s, o);
	struct store_figures f;
	uint64_t begun, then;

	pool_fill();
	good(s, store_commit(s, &mark));
	cpu = cpu_us();
	begun = clock_us();
	for (uint32_t n = 0; n < commits; n++) {
		while (o->pace != 0 &&
		    clock_us() - begun < (uint64_t)n * o->a * 1000000 / o->pace)
			usleep(200);
		for (uint32_t k = 0; k < o->a; k++)
			row(s, o, &c[(uint32_t)random() % o->channels]);
		mark.position += o->a;
		then = clock_us();
		good(s, store_commit(s, &mark));
		us[n] = (double)(clock_us() - then);
		good(s, store_checkpoint(s, false));
	}
	all = (double)(clock_us() - begun);
	cpu = cpu_us() - cpu;
	good(s, store_checkpoint(s, true));
	store_figures(s, &f);
	qsort(us, commits, sizeof(*us), by_size);
	printf("%u rows of %u bytes, %u a commit, %u channels: %.0f rows/s, "
	       "CPU %.1f us a row, commit p50 %.2f p99 %.2f max %.1f ms, "
	       "%.0f bytes a row\n",
	    o->rows, o->bytes, o->a, o->channels,
	    (double)commits * o->a / all * 1e6, cpu / ((double)commits * o->a),
	    part(us, commits, 0.5) / 1e3, part(us, commits, 0.99) / 1e3,
	    part(us, commits, 1) / 1e3,
	    (double)f.bytes / ((double)commits * o->a));
	fflush(stdout);
}

/* Without what an earlier run has left. */
static void
clear(const char *path)
{
	static const char *const more[] = {"", "-wal", "-shm", "-lock"};
	char name[4096];

	for (size_t k = 0; k < sizeof(more) / sizeof(more[0]); k++) {
		snprintf(name, sizeof(name), "%s%s", path, more[k]);
		unlink(name);
	}
}

static void
options(struct options *o, int argc, char **argv)
{
	int ch;

	while ((ch = getopt(argc, argv, "a:c:n:p:s:N")) != -1)
		switch (ch) {
		case 'a':
			o->a = (uint32_t)atoi(optarg);
			break;
		case 'c':
			o->channels = (uint32_t)atoi(optarg);
			break;
		case 'n':
			o->rows = (uint32_t)atoi(optarg);
			break;
		case 'p':
			o->pace = (uint32_t)atoi(optarg);
			break;
		case 's':
			o->bytes = (uint32_t)atoi(optarg);
			break;
		case 'N':
			o->normal = true;
			break;
		default:
			exit(2);
		}
	if (optind != argc - 1 || o->a == 0 || o->channels == 0 ||
	    o->rows < o->a || o->bytes > BYTES_MAX)
		errx(2,
		    "usage: store [-a ROWS] [-c CHANNELS] [-n ROWS] "
		    "[-p PACE] [-s BYTES] [-N] PATH");
	o->path = argv[optind];
}

int
main(int argc, char **argv)
{
	struct options o = {
	    .a = 200, .channels = 1000, .rows = 300000, .bytes = 200};
	struct store *s;
	pid_t reader;

	options(&o, argc, argv);
	clear(o.path);
	store_close(database(&o, STORE_WRITES)); /* so that there is one */
	if ((reader = fork()) == -1)
		err(1, "fork");
	if (reader == 0)
		read_pages(&o);
	s = database(&o, STORE_WRITES);
	write_rows(s, &o);
	kill(reader, SIGTERM);
	waitpid(reader, NULL, 0);
	store_close(s);
	return 0;
}
