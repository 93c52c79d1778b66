/* member: a worker's place as the master sees it. */
#ifndef CHATD_SRC_MASTER_MEMBER_H
#define CHATD_SRC_MASTER_MEMBER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "keep.h"
#include "owed.h"
#include "process/child.h"

struct control_wait;
struct master;

/* What comes after the worker that a place has, or had last. */
enum course {
	COURSE_STAYS,  /* another one: at once, or after a back-off */
	COURSE_LEAVES, /* none: it was told to retire */
	COURSE_GONE    /* none: it has left, and another worker goes on with its
			* connections */
};

/* A worker's place as the master sees it. */
struct member {
	struct master *master;
	int place;
	struct child child;
	uint32_t n_accused; /* workers that it accused since accuse_ms */
	uint64_t accuse_ms;
	uint64_t unlinked; /* peers that it is still to be linked with */
	uint64_t renew_ms; /* is to be replaced, since then; 0: is not */
	struct control_wait *renew_wait; /* the client that asked for that */
	uint64_t retire_ms;		 /* told to retire then; 0: was not */
	enum course course; /* fewer workers are wanted: the last one's */
	bool unclean;	    /* the dead one's presence is still there */
	int cleaner;	    /* the worker that was told to clean it; -1: none */
	uint64_t clean_ms;  /* and when, or when it last got on */
	uint32_t cleaner_left; /* connections that the dead one had then */
	enum keep_source cleaner_from; /* where it gets them */
	uint64_t full;	  /* workers that have no room for what is left */
	uint64_t full_ms; /* since then */
	/* The worker before this one has retired: it holds its sockets until
	 * this one and its keeper have them. */
	struct child former;
	struct child keeper;
	uint32_t keeper_generation; /* of the newest that was started */
	uint32_t custody;	    /* the keeper's number: hub/kept.h */
	bool keeper_filled;	    /* the worker says that it has everything */
	bool keeper_linked;	    /* to the worker that there is now */
	/* The one before stays until the worker has filled that one. */
	struct child before;
	uint32_t before_custody;
	uint64_t before_ms;	 /* since */
	uint64_t keeper_wait_ms; /* something is tried again then; 0: nothing */
	uint32_t fault_hand; /* of the dead worker, if it was its own fault */
	uint64_t fault_arg;
};

void member_init(struct member *w, struct master *m, int place);
void member_deinit(struct member *w);
void member_born(struct member *w);
/* Takes up the process that the program before this one started. Returns 0, or
 * -1. */
int member_adopt(struct member *w);
bool member_start_failed(struct master *m);
void member_kill(struct member *w, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

void member_show(struct member *w); /* its state, in shared memory */

#endif
