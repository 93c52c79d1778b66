/*
 * invariant: looks whether all is as it must be in a daemon where nothing moves
 * (soak/invariant.h).
 *
 *	invariant [-f CONF] [-n CONNECTIONS] [-r READERS] [-t MS] PID
 *
 * PID is the master, CONF its configuration file, which says how much memory
 * it has, READERS are bits of those that read the journal, and want events,
 * besides the store.
 * Looks again and again until all is right, for MS at most (5000).
 * Prints what is not so at last, and leaves with 1; 0: all is right.
 */
#include <err.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "conf/conf.h"
#include "hub/journal.h"
#include "invariant.h"

static char told[16 * 1024];
static size_t told_len;

/* Takes down what is not so. */
static void
tell(void *arg, enum invariant what, const char *why)
{
	static const char *const kind[] = {
	    "custody", "record", "count", "presence"};
	int n = snprintf(told + told_len, sizeof(told) - told_len, "%s: %s\n",
	    kind[what], why);

	if (n > 0 && told_len + (size_t)n < sizeof(told))
		told_len += (size_t)n;
}

/* The limits that a daemon with that configuration makes its memory with. */
static struct hub_limits
limits_of(const char *file, uint8_t readers)
{
	char error[4096] = "no memory\n";
	struct conf *c =
	    file != NULL ? conf_load(file, error, sizeof(error)) : conf_new();

	if (c == NULL)
		errx(2, "%s", error);
	if (c->store != NULL)
		readers |= 1 << READER_STORE;
	return (struct hub_limits){
	    .connections = c->connections + SHM_WORKERS * SHM_BLOCK,
	    .users = c->users,
	    .channels = c->channels,
	    .journal_bytes = c->journal_bytes,
	    .output_bytes = c->output_bytes,
	    .input_bytes = c->input_bytes,
	    .subscriptions = c->subscriptions,
	    .readers = readers,
	    .events = readers,
	    .reader_share = c->reader_share};
}

/* Milliseconds since some moment. */
static long long
now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000ll + t.tv_nsec / 1000000;
}

/* Looks until all is right. */
static bool
look(const struct hub *h, long connections, long ms)
{
	const struct timespec pause = {0, 50 * 1000 * 1000};
	long long end = now_ms() + ms;
	char why[64];
	uint32_t n;

	for (;;) {
		told_len = 0;
		n = invariant_look(h, tell, NULL);
		if (connections >= 0 && n != (uint32_t)connections) {
			snprintf(why, sizeof(why), "%u connections, not %ld", n,
			    connections);
			tell(NULL, INVARIANT_COUNT, why);
		}
		if (told_len == 0 || now_ms() >= end)
			return told_len == 0;
		nanosleep(&pause, NULL);
	}
}

int
main(int argc, char **argv)
{
	const char *file = NULL;
	uint8_t readers = 0;
	long connections = -1, ms = 5000;
	struct hub_limits limits;
	char why[256];
	struct hub h;
	int c;

	while ((c = getopt(argc, argv, "f:n:r:t:")) != -1)
		if (c == 'f')
			file = optarg;
		else if (c == 'n')
			connections = atol(optarg);
		else if (c == 'r')
			readers = (uint8_t)atoi(optarg);
		else if (c == 't')
			ms = atol(optarg);
		else
			optind = argc;
	if (optind != argc - 1)
		errx(2,
		    "usage: invariant [-f conf] [-n connections] "
		    "[-r readers] [-t ms] pid");
	limits = limits_of(file, readers);
	if (!invariant_attach(
		&h, (pid_t)atoi(argv[optind]), &limits, why, sizeof(why)))
		errx(2, "%s", why);
	if (look(&h, connections, ms))
		return 0;
	fwrite(told, 1, told_len, stdout);
	return 1;
}
