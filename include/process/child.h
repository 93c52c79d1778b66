/*
 * child: one kind of child, whatever it does. A kind says what it is given and
 * how it is watched; starting, dying, back-off, life signs, its line in shared
 * memory, an upgrade and `chatctl show processes` are the same for all of them.
 * Layer 5; what a kind does is in a folder of its own, above.
 *
 * A child ticks in its line (line_tick(), or start->line where it does not have
 * shared memory to write to), says MSG_HELLO when it is ready, and leaves when
 * it gets MSG_STOP, or its link to the master ends.
 */
#ifndef CHATD_PROCESS_CHILD_H
#define CHATD_PROCESS_CHILD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

#include "conf/conf.h"
#include "hub/line.h"
#include "hub/shm.h"
#include "net/endpoint.h"
#include "process/policy.h"

struct child;
struct child_kind;
struct identity;

/* What part a kind plays for the master. */
enum child_part {
	CHILD_OTHER,  /* so many of them as its row says; see others.c */
	CHILD_WORKER, /* as many as the configuration wants; member.c */
	CHILD_KEEPER  /* one for each worker; keep.c */
};

/* What a kind is given besides the log and its link. */
enum child_gets {
	CHILD_HUB = 1,	     /* shared memory, to read and write */
	CHILD_HUB_LOOK = 2,  /* to read only; without either: not at all */
	CHILD_LISTENERS = 4, /* the listening sockets */
	CHILD_VICTIM = 8     /* the kernel shall rather take it than the master
			      * when memory runs out */
};

/* What a child is born with. */
struct child_start {
	const struct child_kind *kind;
	int number;	       /* of its kind */
	uint32_t generation;   /* grows with each process of that number */
	int link;	       /* to the master: net/link.h */
	struct hub *hub;       /* as its kind gets it; NULL: it does not */
	struct shm_line *line; /* in shared memory, or, for a kind that must not
				* write there, in a page that it shares with
				* the master alone; NULL: a keeper */
	const struct conf_live *live;
	const struct endpoints *endpoints; /* NULL: not for its kind */
	const void *birth; /* what the kind alone is told, see codec/birth.h */
};

struct child_kind {
	const char *name; /* "keeper": title, log, show */
	enum child_part part;
	int n;	       /* CHILD_OTHER: how many of them */
	unsigned gets; /* enum child_gets */
	/* A program of its own below libexec/chatd, see process/executable.h;
	 * NULL: this one goes on with main. */
	const char *executable;
	/* Called in the child after the fork, privileges dropped, inherited
	 * descriptors and events gone, the master's signals ignored (a
	 * terminal's ^C goes to the whole group). Does not return. */
	void (*main)(const struct child_start *start);
	/* Longest back-off. Smaller: one that dies again and again costs more
	 * processor time; larger: what it does is away for longer. 0:
	 * POLICY_BACKOFF_MAX_MS. */
	uint32_t backoff_max_ms;
};

/* The kinds that there are, NULL behind the last: first thing in main(). */
void child_kinds_use(const struct child_kind *const *kinds);
/* The nth of that part, NULL: there are no more; the one of that name. */
const struct child_kind *child_kind_of(enum child_part part, unsigned nth);
const struct child_kind *child_kind_named(const char *name);

/* What the master gives its children a part of. */
struct nursery {
	struct hub *hub;
	const struct hub_limits *limits; /* that it was made with */
	const struct identity *identity; /* whom children become */
	const struct conf_live *live;
	struct endpoints *endpoints;
	int pages; /* file of lines outside of shared memory; -1: none */
	uint8_t *page;
	int log;	    /* where lines of the log go; -1: standard error */
	const char *binary; /* the program, to find executables; NULL: unknown*/
	/* In the child: gives up all that is the master's. */
	void (*drop)(void *arg);
	void *arg;
};

/* A child as the master sees it. */
struct child {
	const struct child_kind *kind;
	int number;
	int at;		       /* its line; -1: none */
	struct shm_line *line; /* NULL: none */
	pid_t pid;	       /* 0: no process */
	uint32_t generation;
	bool ready; /* said HELLO */
	int link;   /* -1: none */
	uint64_t started_ms;
	uint64_t eof_ms;     /* its link ended; 0: has not */
	uint64_t respawn_ms; /* back-off ends; 0: none */
	bool killed;	     /* by the master */
	bool killed_unready; /* that was for not getting ready */
	bool old;	     /* started by the program before this one */
	uint64_t leave_ms;   /* told to leave then; 0: was not */
	struct policy policy;
};

enum {
#ifdef CHATD_SANITIZED
	CHILD_HELLO_MS = 5000,
#else
	CHILD_HELLO_MS = 1000,
#endif
	CHILD_HELLO_MAX = 30,	  /* times that, whatever its life signs say */
	CHILD_EOF_GRACE_MS = 500, /* from a link's EOF to its process's death */
	CHILD_RETRY_MS = 1000,	  /* after a fork that failed */
	CHILD_NAME = 32
};

/* One without a process; at: its line, -1: none. */
void
child_init(struct child *c, const struct child_kind *kind, int number, int at);

/* "keeper 3"; one static buffer. */
const char *child_name(const struct child *c);

/*
 * Makes the next process of a child: a new generation, state WORKER_STARTING.
 * Returns 0, or -1 and errno: nothing has changed but that the line says
 * WORKER_WAITING.
 */
int child_spawn(struct child *c, const struct nursery *n, const void *birth,
    uint64_t now_ms);

/* SIGKILL, with `why` in the log; false: it is to be asked for again. */
bool child_kill(struct child *c, const char *why);

/*
 * Takes note of a child's end: the line, the link, and by its policy how long
 * to wait for the next one; `leaving`: none follows. Returns that time, and in
 * *fault whether it died of its own fault.
 */
uint64_t child_died(
    struct child *c, int status, bool leaving, uint64_t now_ms, bool *fault);

/* Whether it should have been ready by now. It may take longer while it gives
 * life signs: it was silent for still_ms. */
bool child_is_late(const struct child *c, uint64_t still_ms, uint64_t now_ms);

/* Gives up the link; the process, if there is one, goes on. */
void child_unlink(struct child *c);

/* A line of the state that one program leaves to the next, without its key, and
 * back; false: it makes no sense. */
void child_save(const struct child *c, FILE *f);
bool child_load(struct child *c, const char *text);

/* In the child, before its main: its line is its own, and the lock knows it.
 */
void child_enter(struct child_start *start, int at);

/* In the child: says that it is ready. */
void child_hello(const struct child_start *start);
/* In the child: whether it is to leave; never waits. */
bool child_must_leave(const struct child_start *start);
/* In the child: its life sign. */
void child_tick(const struct child_start *start);

#endif
