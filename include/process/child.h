/*
 * child: one kind of child, whatever it does. Its row (process/kinds.h) has two
 * sides. struct child_kind is the child's: what it is given, what it may call,
 * its main. struct child_role is the master's: what the master does when such a
 * child says HELLO, dies, or is due, besides what it does for every child.
 * Starting, death, back-off, life signs, the line in shared memory, settings,
 * an upgrade and `chatctl show processes` are written once, here and in
 * src/master/children.c. Layer 5; what a kind does is in a folder of its own,
 * above.
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
struct event;
struct identity;
struct master;

/* What a kind is given besides the log and its link. */
enum child_gets {
	CHILD_HUB = 1,	     /* shared memory, to read and write */
	CHILD_HUB_LOOK = 2,  /* to read only; without either: not at all */
	CHILD_LISTENERS = 4, /* the listening sockets */
	CHILD_VICTIM = 8,    /* the kernel shall rather take it than the master
			      * when memory runs out */
	CHILD_MUTE = 16,     /* says nothing to the master: it is ready from its
			      * start on, and its link is its own affair */
	CHILD_ERRAND = 32,   /* is started for one command of chatctl's, which
			      * it is told by MSG_ERRAND, and has no place */
	CHILD_WIRE = 64,     /* of a family, with CHILD_HUB: what transports
			      * know, keys among it (hub/wire.h) */
	CHILD_SECRETS = 128  /* what of the settings is secret: by what tokens
			      * and requests are judged */
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
				* the master alone; NULL: has none */
	const struct conf_live *live;	   /* child_must_leave() renews it */
	const struct endpoints *endpoints; /* NULL: not for its kind */
	const void *birth; /* what the kind alone is told, see codec/birth.h */
};

/* How many there are of a kind, if that is no number. */
enum child_many {
	CHILD_CONFIGURED = -1, /* as many as the key `workers` says */
	CHILD_EACH_WORKER = -2 /* one beside each of these */
};

enum {
	CHILD_TRIES = 128, /* words that a try is told, with those before */
	CHILD_BRINGS = 2   /* descriptors that a kind alone is given */
};

/* What the birth of a kind that is given files begins with: descriptors. */
struct child_files {
	int kept;   /* a memory file of its own, which the master keeps: its
		     * successor after a death gets it as it is */
	int shared; /* one that all of a kind have, to read; -1: none */
};

/* The child's side of a kind. */
struct child_kind {
	const char *name; /* "keeper": title, log, show */
	int n;		  /* how many, or enum child_many */
	unsigned gets;	  /* enum child_gets */
	/* The only system calls that it may make once it has called
	 * child_confine(), -1 behind the last; NULL: all. */
	const int *calls;
	/* A program of its own below libexec/chatd, see process/executable.h;
	 * NULL: that of all children. */
	const char *executable;
	/* Of a kind that acts for a family (process/family.h): brings its table
	 * of descriptors in order, before anything is opened, and before lines
	 * of the log go anywhere but to standard error. NULL: nothing to do. */
	void (*settle)(struct hub *h);
	/* Called in the program that the child executes, privileges dropped, no
	 * descriptor of the master's open but what the kind is given, the
	 * master's signals ignored (a terminal's ^C goes to the whole group).
	 * Does not return. */
	void (*main)(struct child_start *start);
	/* Longest back-off. Smaller: one that dies again and again costs more
	 * processor time; larger: what it does is away for longer. 0:
	 * POLICY_BACKOFF_MAX_MS. */
	uint32_t backoff_max_ms;
	size_t birth_bytes; /* of what the kind alone is told; 0: nothing */
	/* Fills that in, of a kind that is told what the configuration says;
	 * NULL: its role does. */
	void (*birth)(const struct conf *c, void *out);
	/* Of a kind whose birth begins with struct child_files: in the forked
	 * child, as the master's user, reads files that the configuration names
	 * into files->kept, if that is empty, and seals it. It may wait for a
	 * disk. Fatal if it cannot. */
	void (*bring)(const struct conf *c, struct child_files *files);
	/* How many there are at a time: n is how many may live side by side
	 * while they are replaced. NULL: n. */
	int (*count)(const struct conf *c);
	/* Of a kind of which the configuration decides whether there is one:
	 * asked when the shared memory is made, so by keys alone that a reload
	 * does not change. NULL: always. */
	bool (*wanted)(const struct conf *c);
	/* It reads the journal (hub/reader.h) by that number + 1 (READER_STORE
	 * ...): has shared memory to write, a link with each worker, and is one
	 * process. 0: it does not. */
	uint8_t reader;
	bool reader_events; /* and wants events */
	/* What it knows is to be there before clients ask: at a start the chat
	 * is served when it is ready, too, or some seconds later. If it ends by
	 * itself before that, chatd does not start. */
	bool first;
	/* It answers workers' questions (MSG_ASK): has a link with each worker,
	 * and is one process. No reader does. */
	bool answers;
	/* It begins with connections and gives them to workers (MSG_BEGUN): has
	 * a link with each worker. */
	bool begins;
	bool erases; /* it erases what a user has published (MSG_ERASE) */
	/* How long it may be without a life sign. Larger: one that hangs is
	 * missed for longer; smaller: one that waits for a disk is killed, and
	 * so is the next one. 0: as long as the key `watchdog` says. */
	uint32_t still_ms;
	/* Memory of its own that one takes at most, where that is more than
	 * what any process does: sizes shrink to leave it room. */
	uint64_t bytes;
	/* What of the configuration its program is to judge before there is
	 * such a child, by which key: fills in the words behind EXECUTABLE_TRY,
	 * those with a slash in front are files. Returns their number; 0:
	 * nothing. NULL: nothing. */
	int (*tries)(const struct conf *c, const char **key,
	    const char *words[CHILD_TRIES]);
	bool tries_as_master; /* as the master's user, and at a reload, too */
	/* The system user that it becomes where the master is root. Where there
	 * is none of that name, and for NULL, the one that all become. */
	const char *user;
};

/* How a child has ended. */
struct child_end {
	pid_t pid;
	int status;	  /* as waitpid() says */
	bool fault;	  /* its own */
	bool unready;	  /* it was killed since it did not get ready */
	bool leaving;	  /* none follows */
	uint64_t wait_ms; /* until the next one's start; 0: at once */
};

/* What a line of the state is to a role. */
enum child_load {
	CHILD_LOADED,
	CHILD_NOT_MINE, /* its key is another one's */
	CHILD_SENSELESS
};

/*
 * The master's side of a kind: what differs. All but start may be NULL. What is
 * the same for all children is done before, and not repeated here.
 */
struct child_role {
	/* Makes the next process: children_spawn() with what the kind alone is
	 * told. */
	void (*start)(struct child *c, uint64_t now_ms);
	/* Of one that another process makes: finds out whether it is there; it
	 * could not be made. */
	void (*look)(struct child *c);
	void (*failed)(struct child *c);
	/* Whether it may be started now that its back-off is over. */
	bool (*may_start)(const struct child *c);
	/* It is ready. */
	void (*hello)(struct child *c);
	/* Its message, checked but for its meaning; NULL: it may say nothing
	 * but HELLO. Returns NULL, or what is wrong with it. */
	const char *(*message)(struct child *c, int type, const void *payload);
	/* Whether none is to follow this one. */
	bool (*leaves)(const struct child *c);
	/* It is dead; false: the role sees to what follows. */
	bool (*died)(struct child *c, const struct child_end *end);
	/* Its deadlines, every timer period. */
	void (*due)(struct child *c, uint64_t now_ms);
	/* What the next program needs, as lines "key value"; children of other
	 * roles have their own keys. */
	void (*save)(const struct child *c, FILE *f);
	/* Such a line. */
	enum child_load (*load)(
	    struct master *m, const char *key, const char *text);
};

/* A kind: both of its sides. */
struct child_row {
	const struct child_kind *kind;
	const struct child_role *role; /* NULL: as most have it, see others.c */
};

/* The kinds that there are, one without a kind behind the last: first thing in
 * main(). */
void child_kinds_use(const struct child_row *rows);
/* The nth; NULL: there are no more. */
const struct child_row *child_row(unsigned nth);
/* The one of that name; the first of which there are that many: NULL if there
 * is none. */
const struct child_row *child_row_named(const char *name);
const struct child_row *child_row_of(enum child_many many);
/* Whether there is to be one of that kind. */
bool child_is_wanted(const struct child_kind *kind, const struct conf *c);
/* The readers of the journal that there are to be, as bits; those that want
 * events. */
uint8_t child_readers(const struct conf *c);
uint8_t child_readers_of_events(const struct conf *c);
/* Processes that there are to be besides workers and what belongs to them, and
 * the memory that their kinds say. */
uint32_t child_others(const struct conf *c, uint64_t *bytes);
/* The one whose role that is. */
const struct child_row *child_row_played(const struct child_role *role);
/* The nth of those whose kinds name a number; NULL: there are no more. */
const struct child_row *child_row_counted(unsigned nth);

/* What the master gives its children a part of. */
struct nursery {
	struct hub *hub;
	const struct hub_limits *limits; /* that it was made with */
	const struct identity *identity; /* whom children become */
	const struct conf_live *live;
	const struct conf *conf;
	struct endpoints *endpoints;
	int wire;  /* file of what transports know (hub/wire.h); -1: none */
	int pages; /* file of lines outside of shared memory; -1: none */
	uint8_t *page;
	int log;	    /* where lines of the log go; -1: standard error */
	const char *binary; /* the program, to find executables; NULL: unknown*/
	int program; /* the file of the program that children execute; -1 */
	bool program_is_sealed; /* a memory file, that was tried */
};

/* A child as the master sees it. */
struct child {
	const struct child_kind *kind; /* NULL: not of this program's */
	const struct child_role *role;
	struct master *master;
	int number;
	int at;		       /* its line; -1: none */
	struct shm_line *line; /* NULL: none */
	pid_t pid;	       /* 0: no process */
	uint32_t generation;
	bool ready;	     /* said HELLO */
	int link;	     /* -1: none */
	struct event *event; /* listens to the link; NULL: nobody does */
	uint64_t unlinked;   /* workers that it is still to be linked with */
	const struct identity
	    *identity;	 /* whom it becomes; NULL: whom all do */
	uint32_t budget; /* messages left to it in this timer period */
	uint32_t n_bad;	 /* that it should not have sent, since bad_ms */
	uint64_t bad_ms;
	uint32_t n_accused; /* a reader: by workers, since accused_ms; counts
			     * over its processes */
	uint64_t accused_ms;
	unsigned owed; /* messages that wait for room in its link: owed.h */
	uint64_t started_ms; /* the master's clock: for its deadlines */
	uint64_t born_ms;    /* clock_ms(), as in its line: for people */
	uint64_t eof_ms;     /* its link ended; 0: has not */
	uint64_t respawn_ms; /* back-off ends; 0: none */
	bool killed;	     /* by the master */
	bool killed_unready; /* that was for not getting ready */
	bool old;	     /* started by the program before this one */
	uint64_t leave_ms;   /* told to leave then; 0: was not */
	bool told; /* to leave, with no deadline here: status 0 is no fault */
	bool dismissed; /* none follows until it is called back */
	struct policy policy;
};

enum {
#ifdef CHATD_SANITIZED
	CHILD_HELLO_MS = 5000,
#else
	CHILD_HELLO_MS = 1000,
#endif
	CHILD_HELLO_MAX = 30,	  /* times that, or its kind's still_ms, for one
				   * that shows life */
	CHILD_EOF_GRACE_MS = 500, /* from a link's EOF to its process's death */
	CHILD_RETRY_MS = 1000,	  /* after a fork that failed */
	CHILD_NAME = 32
};

/* One without a process; at: its line, -1: none. row NULL: of no kind. */
void
child_init(struct child *c, const struct child_row *row, int number, int at);

/* "keeper 3"; one static buffer. */
const char *child_name(const struct child *c);

/*
 * Makes the next process of a child: a new generation, state WORKER_STARTING.
 * Returns 0, or -1: that is in the log, it is to be tried again at respawn_ms,
 * and nothing else has changed but that the line says WORKER_WAITING.
 */
int child_spawn(struct child *c, const struct nursery *n, const void *birth,
    uint64_t now_ms);

/* The two halves of it, for a child that another process makes: it is on its
 * way, or was not made after all (a generation is never used twice); it is
 * there. */
void child_begin(struct child *c);
void child_is_made(struct child *c, pid_t pid, uint64_t now_ms);
void child_is_not_made(struct child *c);

/* SIGKILL, with `why` in the log; false: it is to be asked for again. */
bool child_kill(struct child *c, const char *why);

/*
 * Takes note of a child's end: the line, the link, and by its policy when the
 * next one is to start (respawn_ms; 0: at once). end->status and end->leaving
 * say what has happened, the rest is filled in.
 */
void child_died(struct child *c, struct child_end *end, uint64_t now_ms);

/* Whom its process becomes. */
static inline const struct identity *
child_identity(const struct child *c, const struct nursery *n)
{
	return c->identity != NULL ? c->identity : n->identity;
}

/* Whether it should have been ready by now. It may take longer while it gives
 * life signs: it was silent for still_ms. */
bool child_is_late(const struct child *c, uint64_t still_ms, uint64_t now_ms);

/* How old its process is by clock_ms(); 0: there is none. */
uint64_t child_age_ms(const struct child *c);

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
/* In the child: reads what the master says, settings too. Returns whether it is
 * to leave; never waits. */
bool child_must_leave(struct child_start *start);
/* child_must_leave() for a kind that hears more: what the master says besides,
 * checked, goes to other(), whose the descriptor is then; -1: none came. */
bool child_read(struct child_start *start,
    void (*other)(void *arg, int type, const void *payload, size_t len, int fd),
    void *arg);
/* In the child, when it has all that it needs: any other system call than its
 * kind's kills it from now on. Without libseccomp's or the kernel's help it
 * goes on unconfined, which is logged. */
void child_confine(const struct child_start *start);
/* In the child: its life sign. */
void child_tick(const struct child_start *start);
/* In the child: ends its process, with status 0 and its lines in the log. */
void child_leave(void) __attribute__((noreturn));

#endif
