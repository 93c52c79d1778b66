/*
 * family: the master's side of a place's family (process/family.h): has its
 * processes made, one after the other, and its keepers completed, and finds out
 * who of them died. Never waits: each step goes on when a child has died, a
 * timer is over, or its process says HELLO.
 */
#ifndef CHATD_SRC_MASTER_FAMILY_H
#define CHATD_SRC_MASTER_FAMILY_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

#include "process/child.h"
#include "process/family.h"

struct event;
struct master;
struct member;

enum family_step {
	FAMILY_RESTS,
	/* Who must be gone before the next process may be made is killed, and
	 * waited for. */
	FAMILY_CLEARS,
	FAMILY_ASKS_PROCESS, /* a keeper has the order to make it */
	FAMILY_ASKS_KEEPER
};

struct family {
	struct member *member;
	uint32_t table; /* the number of its table; 0: there is no family */
	int page_file;	/* -1: none */
	struct family_page *page;
	int home;	/* the master's end of the link; -1: none */
	int first_home; /* the other end, until there is a first process */
	struct event *event, *timer;
	uint64_t eof_ms; /* the link has ended, by clock_ms(); 0: it has not */
	enum family_step step;
	uint64_t since_ms;    /* it clears since then, by clock_ms() */
	uint64_t again_ms;    /* no order before; 0: a keeper had room */
	struct child *next;   /* the process that is to be made; NULL: none */
	bool noted;	      /* the notes for it are sent */
	int asked;	      /* the keeper that has the order */
	int making;	      /* and the one that it is to make */
	uint64_t asked_ms;    /* since then, by clock_ms() */
	bool continued;	      /* it may have been stopped */
	bool ready;	      /* the process has said HELLO */
	uint32_t pair;	      /* that counts, as it was seen last */
	uint32_t pair_before; /* that counted when the process was asked for */
	struct child keeper[FAMILY_KEEPERS]; /* of that pair */
};

void family_init(struct family *f, struct member *w);

/* Has a process made: a worker or a mover. It is in the page, and the child's,
 * when it is there; the child has its link before. */
void family_start(struct family *f, struct child *c);
/* Whether that one is being made. */
static inline bool
family_awaits(const struct family *f, const struct child *c)
{
	return f->next == c && c->pid == 0;
}
/* Its process has said HELLO. */
void family_hello(struct family *f);
/* Its process is dead, or goes on outside of the family. */
void family_process_gone(struct family *f);
/* Its process is dead, and says how it died. */
void family_died(struct family *f, const struct child_end *end);

/* Takes in what the page says: before a child is reaped, so that a pid in it is
 * not another process's. */
void family_look(struct family *f);
/* Whether that was a keeper of the pair that does not count. */
bool family_reaped(struct family *f, pid_t pid);
/* Goes on, if it can: a child was reaped. */
void family_go(struct family *f);
void family_time(struct family *f, uint64_t now); /* every timer period */

/* Has the keeper that is missing made, if it can be now. */
void family_complete(struct family *f);
/* How many keepers of the pair that counts live. */
int family_keepers(const struct family *f);
/* Whether some process of it holds the sockets, though no worker serves. */
bool family_holds(const struct family *f);
/* What keeps its process from being replaced without a loss, in words; NULL:
 * nothing. One static buffer. */
const char *family_problem(const struct family *f);
bool family_names(const struct family *f, pid_t pid); /* the page does */

/* Its keepers are killed, and it is forgotten: the next process begins another
 * family. A process that it has goes on outside of it; none is made. */
void family_leave(struct family *f);
/* At the daemon's end: kills and reaps all, until clock_ms() is limit_ms. */
void family_end(struct family *f, uint64_t limit_ms);

/* A line of the state, without its key, and back; false: it makes no sense. */
void family_save(const struct family *f, FILE *out);
bool family_load(struct family *f, const char *line);
/* Takes up what the program before this one had. Returns 0, or -1. */
int family_adopt(struct family *f);
/* Calls f for each descriptor that the next program goes on with. */
void family_descriptors(const struct family *f, void (*each)(int fd));

/* For all places. */
void families_look(struct master *m);
bool families_reaped(struct master *m, pid_t pid);
void families_go(struct master *m);

/* Private to family*.c. As family_leave(), but a process that is to be made is
 * made; family_lost() says in the log what is lost by that. */
void family_dissolve(struct family *f);
void family_lost(struct family *f);
/* A page and a link; the notes for the next process. 0, or -1 and errno. */
int family_make(struct family *f);
int family_notes(struct family *f);
void family_step(struct family *f, enum family_step step);
void family_wake(struct family *f, uint64_t ms); /* family_go() after */
pid_t family_pid(const struct family *f, int keeper);
void family_kill(pid_t pid, const char *what);
void family_close(struct family *f); /* its page and link */

#endif
