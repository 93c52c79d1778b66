/*
 * show: what `chatctl show` prints of shared memory. One way for the master of
 * a running daemon and for chatctl itself, which reads the memory of one that
 * hangs or is dead (show/memory.h). Layer 3; knows no process.
 *
 * Takes no lock and writes nothing to shared memory, which may be mapped for
 * reading only. Every value in it is checked as if a hostile worker had written
 * it. Made in parts, so that a million users neither stop the master nor fill
 * its memory.
 */
#ifndef CHATD_SHOW_SHOW_H
#define CHATD_SHOW_SHOW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

#include "hub/words.h"

struct hub;
struct show;

/* What is said of a worker, or a reader of the journal, that is not its line's
 * own word. */
struct show_worker {
	const char *role;    /* "worker", or a reader's kind */
	int pid, keepers[2]; /* processes; 0: there is none */
	uint32_t generation;
	uint64_t uptime_s;
};

/* Where what is shown comes from. */
struct show_from {
	const struct hub *hub;
	struct hub_words words;
	uint64_t alive; /* workers whose users and connections are shown */
	int n_workers;	/* that there are to be */
	/* What ages count to: clock_ms(), clock_wall_ms(). */
	uint64_t now_ms;
	int64_t wall_ms;
	void (*worker)(
	    const struct show_from *from, int number, struct show_worker *out);
	/* Of the reader of the journal with that line; false: it is none's. */
	bool (*reader)(
	    const struct show_from *from, int line, struct show_worker *out);
	/* How many publications a channel keeps, and for how long (0: any
	 * time). NULL: the configuration is not known. */
	void (*history)(const struct show_from *from, const char *channel,
	    size_t len, uint32_t *keep, uint64_t *age_ms);
	/* Of the master; NULL: none is asked, and what it alone knows is left
	 * out. */
	const struct show_master {
		uint64_t started_ms, respawns, renewals;
		int64_t certificate_s; /* when the first one ends, seconds since
					* 1970; 0: there is none */
		const uint64_t *counters; /* [STATS_COUNTERS], of workers that
					   * are dead */
	} * master;
	const void *arg; /* for these functions and further subjects */
};

/* What can be shown, by its name: the second word of a row `show` of
 * codec/command.def. NULL: it is not in shared memory. */
struct show_subject;
const struct show_subject *show_subject_find(const char *name);

/* A copy of *from is taken. NULL: no memory. */
struct show *show_new(const struct show_from *from,
    const struct show_subject *subject, bool json);
void show_free(struct show *s);

/* Takes the words behind the subject. Returns 0, or -1 with a sentence: they
 * are not understood, or name what is not there. */
int
show_ask(struct show *s, int argc, char **argv, char *error, size_t error_len);

/* Prints the next part. 1: there is more, 0: that was all, -1: no memory, or
 * `out` fails. */
int show_more(struct show *s, FILE *out);

/* The age of what was there at since_ms, in seconds; 0 if that is to come. */
static inline uint64_t
show_age_s(uint64_t now_ms, uint64_t since_ms)
{
	return since_ms < now_ms ? (now_ms - since_ms) / 1000 : 0;
}

#endif
