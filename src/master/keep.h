/* keep: the keepers of each worker, and the links over which a worker gets what
 * its predecessor had. */
#ifndef CHATD_SRC_MASTER_KEEP_H
#define CHATD_SRC_MASTER_KEEP_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct member;
struct watchdog_verdict;

/* Who has the sockets of a worker that is gone, in the order in which they are
 * asked for them. */
enum keep_source {
	KEEP_FORMER, /* the worker itself: it has retired */
	KEEP_BEFORE, /* a keeper that is being replaced */
	KEEP_KEEPER,
	KEEP_SOURCES
};

void keep_init(struct member *w);
void keep_drop(struct member *w); /* in a child */
/* What a new worker gets its predecessor's sockets from; -1: nothing. Owned by
 * the caller. */
struct keep_links {
	int custody;		/* to its keeper */
	int giver[KEEP_KEEPER]; /* to KEEP_FORMER and KEEP_BEFORE */
};
/* Makes the links, and the keeper if need be. False: a source that lives cannot
 * be reached now; to go on without it would lose what it has. */
bool keep_takeover(struct member *w, struct keep_links *links);
/* A link to a source for a worker that goes on for this dead one: from
 * w->cleaner_from on, which becomes the one that was found. False: that source
 * cannot be reached now. *fd -1: there is none left. */
bool keep_source_link(struct member *w, int *fd);
/* The worker has taken over. Who had its connections stays until its keeper has
 * them all. */
void keep_ready(struct member *w);
void keep_check(struct member *w); /* has it close what goes on elsewhere */
/* Whether that was a source besides the keeper, which is forgotten. */
bool keep_source_died(struct member *w, pid_t pid);
/* Does what the watchdog says of the keeper of a worker. */
void keep_judged(struct member *w, const struct watchdog_verdict *verdict);
void keep_renew(struct member *w); /* another one in its place */
/* By the worker: the keeper of that number has everything; it has lost the link
 * to it. */
void keep_filled(struct member *w, uint32_t number);
void keep_unlinked(struct member *w, uint32_t number);
/* Whether the keeper is there, and has everything. */
bool keep_is_sound(const struct member *w);
/* What is wrong if it is not, in words; one static buffer. */
const char *keep_problem(const struct member *w);
void keep_source_end(struct member *w, enum keep_source source);
/* Kills all; their pids are forgotten, so their deaths are ignored. */
void keep_leave(struct member *w);
/* At the daemon's end: kills and reaps all, until clock_ms() is limit_ms. */
void keep_end(struct member *w, uint64_t limit_ms);

#endif
