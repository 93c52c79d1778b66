/*
 * beginners: the processes that begin with connections for workers. What their
 * files say they are told once, when they are born; so a reload, or files that
 * have changed, start another set of them beside the one that serves. When all
 * of the new ones are ready the old ones are told to end what they have begun;
 * if one of the new ones ends before that, the old ones stay.
 */
#ifndef CHATD_SRC_MASTER_BEGINNERS_H
#define CHATD_SRC_MASTER_BEGINNERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "hub/shm.h"
#include "validity.h"

struct bundle;
struct child;
struct event;
struct master;
struct reader;
struct tls_tickets;

/* Of one place, as in struct master's other[]. */
struct beginner {
	uint32_t set;	   /* which it belongs to; 0: none, it is free */
	bool ready;	   /* its process has been */
	bool leaves;	   /* with what it has begun, */
	uint64_t until_ms; /* at the latest then */
	int kept;	   /* a memory file with what it has read; -1: none */
};

struct beginners {
	struct beginner at[SHM_OTHERS];
	uint32_t serves, comes; /* sets; 0: none */
	uint32_t newest;
	uint64_t until_ms; /* the coming one is ready by then */
	bool again;	   /* and another one is to follow */
	bool is_told;	   /* a caller waits for its outcome, */
	void (*told)(struct master *m, const char *why); /* and hears it */
	bool tried;					 /* at an upgrade */
	bool failed; /* the last one did not come */
	/* What files looked like before the newest set read them, and whether
	 * that set has them. */
	uint64_t stamp;
	struct reader *reader; /* looks whether they do; NULL: none did */
	struct event *readable;
	uint64_t look_ms; /* the next time */
	struct validity validity;
	/* Keys of session tickets, which all sets share; -1: none yet. */
	int tickets;
	struct tls_tickets *ticket;
	uint64_t turn_ms; /* when the next key is to be made */
};

void beginners_init(struct master *m); /* before a state is read */
void beginners_deinit(struct master *m);

/* What files looked like when they were judged, and whether that was another
 * look than the newest set had. */
bool beginners_stamp(struct master *m, uint64_t stamp);

/* Starts another set. False: there is nothing to start. */
bool beginners_renew(struct master *m);
/* Has told() called when that has ended: why NULL: they have taken over. */
void beginners_tell(
    struct master *m, void (*told)(struct master *m, const char *why));
/* After an upgrade: replaces those of the former program; whether they are on
 * their way. */
bool beginners_renew_next(struct master *m);
void beginners_time(struct master *m, uint64_t now); /* every timer period */
void beginners_leave(struct master *m);		     /* the daemon ends */

/* Whether that place is not in use. */
bool beginner_is_idle(const struct child *c);

/* The process that looks at files. */
bool beginners_own(const struct master *m, pid_t pid);
bool beginners_died(struct master *m, pid_t pid);

/* For the state. */
void beginners_descriptors(const struct master *m, void (*f)(int fd));

#endif
