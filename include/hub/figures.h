/*
 * figures: how it stands with what writes publications to a disk: told by that
 * process alone, in shared memory, so that `chatctl store` and monitors need to
 * ask nobody. Layer 2. For people only: nothing relies on them, and a reader
 * takes them as a hostile writer's.
 */
#ifndef CHATD_HUB_FIGURES_H
#define CHATD_HUB_FIGURES_H

#include <stddef.h>
#include <stdint.h>

#include "base/other.h"
#include "base/shared.h"

struct hub;

/* Whether it writes; the first that holds. */
enum figures_state {
	FIGURES_OFF,	   /* there is no such process */
	FIGURES_OPENING,   /* it opens, makes or migrates the database */
	FIGURES_OK,	   /* what is said of it stands in `behind` */
	FIGURES_FULL,	   /* the disk is full, or nearly */
	FIGURES_READ_ONLY, /* it may not write there */
	FIGURES_LOCKED,	   /* another process holds the database */
	FIGURES_DAMAGED,   /* the database is spoiled */
	FIGURES_FAILED,	   /* the disk or memory fails in another way */
	FIGURES_STATES
};

enum {
	/* Of the times that commits took: four steps to a power of two, from 16
	 * us up to half an hour. More of them: a finer p99; fewer: a coarser
	 * one. */
	FIGURES_STEPS = 108,
	FIGURES_REASON = 256 /* bytes of a reason, with a NUL */
};

struct figures {
	/* what is there now */
	_Atomic uint64_t rows __attribute__((aligned(64)));
	OTHER_ONLY(uint64_t other);
	_Atomic uint64_t bytes;	     /* of the database's file, */
	_Atomic uint64_t wal_bytes;  /* of its log, */
	_Atomic uint64_t free_bytes; /* and what the file system has left */
	_Atomic uint32_t state;	     /* enum figures_state */
	_Atomic uint32_t spare;
	_Atomic uint64_t state_ms; /* clock_ms(): since when */
	/* clock_ms() since when something waits for a commit; 0: nothing */
	_Atomic uint64_t behind_ms;
	/* clock_ms() at which this process opened a database whose last writer
	 * did not end well; 0: it had */
	_Atomic uint64_t unclean_ms;
	/* counters: over all processes that have had this memory */
	_Atomic uint64_t stored; /* rows written, */
	_Atomic uint64_t pruned; /* too old or too many, and deleted, */
	_Atomic uint64_t erased; /* and emptied */
	_Atomic uint64_t commits;
	_Atomic uint64_t holes;	   /* gaps noted, where messages are missing */
	_Atomic uint64_t failures; /* commits that did not succeed */
	_Atomic uint64_t commit_us_max;
	_Atomic uint64_t commit_us_all;
	_Atomic uint32_t step[FIGURES_STEPS]; /* commits that took so long */
	/* why it is not OK, or was last; bytes */
	_Atomic uint8_t reason[FIGURES_REASON];
};

struct figures *figures_of(const struct hub *h);

/* By the writer: how it stands, and why; reason NULL: what was said stays. */
void
figures_tell(struct figures *f, enum figures_state state, const char *reason);

/* By the writer: a commit took so long. */
void figures_commit(struct figures *f, uint64_t us);

/* What of all commits took no longer, in us: percent 50, 99. 0: none was. */
uint64_t figures_commit_us(const struct figures *f, unsigned percent);

/* "full"; "?" for other numbers. */
const char *figures_state_name(uint32_t state);

/* The reason, ended, without control characters. */
void figures_reason(const struct figures *f, char out[FIGURES_REASON]);

#endif
