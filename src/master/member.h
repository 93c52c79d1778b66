/* member: a worker's place as the master sees it. */
#ifndef CHATD_SRC_MASTER_MEMBER_H
#define CHATD_SRC_MASTER_MEMBER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "family.h"
#include "giver.h"
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
	uint64_t renew_ms; /* is to be replaced, since then; 0: is not */
	struct control_wait *renew_wait; /* the client that asked for that */
	uint64_t retire_ms;		 /* told to retire then; 0: was not */
	enum course course; /* fewer workers are wanted: the last one's */
	bool unclean;	    /* the dead one's presence is still there */
	int cleaner;	    /* the worker that was told to clean it; -1: none */
	uint64_t clean_ms;  /* and when, or when it last got on */
	uint32_t cleaner_left; /* connections that the dead one had then */
	uint32_t cleaner_generation; /* named in that order */
	enum giver cleaner_from;     /* where it gets them; GIVERS: from the
				      * family's mover */
	uint64_t full;	  /* workers that have no room for what is left */
	uint64_t full_ms; /* since then */
	struct family family;
	struct child mover;
	struct child giver[GIVERS]; /* outside of the family */
	bool holds;   /* it was told to hold its sockets when it retires */
	bool retired; /* the last worker has, and none has followed yet */
	uint32_t fault_hand; /* of the dead worker, if it was its own fault */
	uint64_t fault_arg;
};

void member_init(struct member *w, struct master *m, int place);
void member_deinit(struct member *w);
/* Takes up the process that the program before this one started. Returns 0, or
 * -1. */
int member_adopt(struct member *w);
bool member_start_failed(struct master *m);
void member_kill(struct member *w, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/* Whether it has a worker, or one is being made. */
static inline bool
member_is_there(const struct member *w)
{
	return w->child.pid != 0 || family_awaits(&w->family, &w->child);
}
void member_show(struct member *w); /* its state, in shared memory */

#endif
