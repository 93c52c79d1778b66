/* What the master's own files share, and nobody else sees. */
#ifndef CHATD_MASTER_PROCESS_H
#define CHATD_MASTER_PROCESS_H

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/queue.h>
#include <sys/types.h>

#include "codec/message.h"
#include "conf/conf.h"
#include "hub/shm.h"
#include "hub/stats.h"
#include "master/identity.h"
#include "master/options.h"
#include "master/pidfile.h"
#include "master/policy.h"
#include "master/sizes.h"
#include "master/watchdog.h"
#include "net/endpoint.h"
#include "state.h"

struct bundle;
struct control;
struct control_wait;
struct evbuffer;
struct event;
struct event_base;
struct order;
struct reload;

#ifdef CHATD_SANITIZED
enum { HELLO_MS = 5000 };
#else
enum { HELLO_MS = 1000 };
#endif
enum { HELLO_MAX = 30 }; /* times that, whatever a worker's life signs say */

enum {
	STOP_MS = 4000,	      /* TERM: killed after that, gone within 5 s */
	LEFT_MS = 500,	      /* after that, for those to die */
	QUIT_GRACE_MS = 2000, /* past the drain timeout */
	CHILDREN_MS = 300,    /* to reap what is killed at the very end */
	EOF_GRACE_MS = 500,   /* from a link's EOF to its worker's death */
	/* For the answer to MSG_CLEAN and MSG_ADOPT, since the last connection
	 * that was taken up. Who hangs meanwhile is the watchdog's. */
	CLEANED_MS = 30000,
	FULL_MS = 5000, /* who had no room for a dead worker's connections is
			 * asked again after */
	REBALANCE_AFTER_MS = 60000, /* of unevenness */
	RETRY_MS = 1000,	    /* after a fork that failed */
	REACH_MS = 100,		    /* after a keeper could not be reached */
	/* A worker that is to be replaced is told so when its keeper has all of
	 * its connections; an order is refused when that takes longer. */
	RENEW_WAIT_MS = 10 * 1000,
	LIVELY_MS = 500,    /* a keeper that has given no life sign for so long
			     * is not relied on */
	STARTING_MAX = 8,   /* at once at the start, so that a small
			     * machine gets each ready in time */
	START_FAILURES = 3, /* before the first readiness: give up */
	RETIRE_MS = 10000,  /* for MSG_RETIRE */
	LINK_BUDGET = 256   /* messages of a worker per timer period */
};

/* What is owed to a worker whose link was full, sent in this order. */
enum owed {
	OWED_CONF = 1,
	OWED_DRAIN = 2, /* before START: who drains never accepts */
	OWED_START = 4,
	OWED_RETIRE = 8,
	OWED_QUIT = 16,
	OWED_STOP = 32,
	OWED_PAGE = 64
};

/* What comes after the worker that a slot has, or had last. */
enum course {
	COURSE_STAYS,  /* another one: at once, or after a back-off */
	COURSE_LEAVES, /* none: it was told to retire */
	COURSE_GONE    /* none: it has left, an heir goes on with what it had */
};

/* Who has the sockets of a worker that is gone, in the order in which they are
 * asked for them. */
enum keep_source {
	KEEP_FORMER, /* the worker itself: it has retired */
	KEEP_BEFORE, /* a keeper that is being replaced */
	KEEP_KEEPER,
	KEEP_SOURCES
};

/* A worker's slot as the master sees it. */
struct member {
	struct master *master;
	int slot;
	pid_t pid; /* 0: no process */
	uint32_t generation;
	bool ready; /* said HELLO */
	int link;   /* -1: none */
	struct event *event;
	uint32_t budget; /* messages left in this timer period */
	uint32_t
	    n_bad; /* messages that it should not have sent, since bad_ms */
	uint64_t bad_ms;
	uint32_t n_accused; /* workers that it accused since accuse_ms */
	uint64_t accuse_ms;
	unsigned owed;	   /* enum owed */
	uint64_t unlinked; /* peers that it is still to be linked with */
	uint64_t started_ms;
	uint64_t eof_ms;     /* its link ended; 0: has not */
	bool killed;	     /* by us */
	bool killed_unready; /* that was for not getting ready */
	uint64_t renew_ms;   /* is to be replaced, since then; 0: is not */
	struct control_wait *renew_wait; /* who has asked for that */
	uint64_t retire_ms;		 /* told to retire then; 0: was not */
	enum course course;    /* fewer workers are wanted: the last one's */
	uint64_t respawn_ms;   /* COURSE_STAYS: back-off ends; 0: none */
	bool unclean;	       /* the dead one's presence is still there */
	int cleaner;	       /* who was told to clean it, -1: nobody */
	uint64_t clean_ms;     /* and when, or when it last got on */
	uint32_t cleaner_left; /* connections that the dead one had then */
	enum keep_source cleaner_from; /* where it gets them */
	uint64_t full;	  /* workers that have no room for what is left */
	uint64_t full_ms; /* since then */
	struct policy policy;
	/* The worker before this one has retired: it holds its sockets until
	 * this one and its keeper have them. */
	pid_t former_pid; /* 0: none */
	int former_link;
	pid_t keeper_pid;	/* 0: none */
	int keeper_link;	/* -1: none */
	uint32_t keeper_number; /* hub/kept.h */
	bool keeper_filled;	/* the worker says that it has everything */
	bool keeper_linked;	/* to the worker that there is now */
	/* The one before stays until the worker has filled that one. */
	pid_t before_pid; /* 0: none */
	int before_link;
	uint32_t before_number;
	uint64_t before_ms;	 /* since */
	uint64_t keeper_wait_ms; /* something is tried again then; 0: nothing */
	uint64_t keeper_burst_ms;
	uint32_t keeper_deaths; /* since then */
	uint32_t fault_hand; /* of the dead worker, if it was its own fault */
	uint64_t fault_arg;
	bool old, keeper_old,
	    before_old; /* started by the program before this one */
};

/* The log process, or the one that is to follow it. */
struct log_process {
	pid_t pid;   /* 0: none */
	int control; /* -1: none */
	bool opened; /* it has opened the log, and said so */
	uint64_t started_ms;
	uint64_t leave_ms; /* told to leave; killed then; 0: was not told */
	bool killed;	   /* and was; given up if it is still there later */
};

struct log_child {
	int lines[2]; /* where it reads, where all others write; -1: none */
	int buffer;   /* memory of the lines that are not written yet */
	struct log_process now, next;
	uint64_t again_ms; /* the next is not started before */
	bool reopening;	   /* next is there, or due, because of USR1 */
	bool reopen_again; /* USR1 came again while it took over */
};

enum phase { PHASE_STARTING, PHASE_RUNNING, PHASE_QUITTING, PHASE_STOPPING };

struct master {
	enum phase phase;
	uint64_t deadline_ms; /* of stopping or quitting */
	bool done;	      /* nobody is left */
	int status;	      /* to exit with */
	char failure[512];    /* why it is 1 */
	struct event_base *base;
	struct event *timer, *signal[7];
	struct hub hub;
	struct hub_limits limits; /* that it was made with */
	struct sizes sizes;	  /* how the configuration's fit */
	uint64_t files;		  /* that a process may have open */
	bool writes_told;	  /* that some worker has no io_uring */
	const struct options *options;
	struct conf *conf; /* as started with, what changes live apart */
	struct conf_live live;
	struct state kept; /* by the service manager, and whether it is used */
	bool kept_hub, kept_listeners;
	struct identity identity;
	struct pidfile pidfile;
	int page;	       /* the web page's image; -1: none */
	struct reload *reload; /* NULL: there was none yet */
	bool reload_is_due;    /* in the next program, see upgrade.c */
	struct control *control;
	struct log_child log;
	int ready_pipe;		    /* to the waiting parent; -1: none */
	struct endpoints endpoints; /* that it listens at */
	int n_workers, wanted;	    /* fewer: the last ones leave */
	struct member member[CONF_WORKERS_MAX];
	struct watchdog watchdog;
	uint64_t skewed_ms; /* connections are uneven since; 0: they are not */
	uint64_t moved_ms;  /* the last time that some were told to move */
	uint64_t started_ms;
	uint64_t respawns; /* workers that followed one that had died */
	uint64_t renewals; /* workers that followed one that was told to go */
	uint32_t start_failures;
	uint32_t drain_rate;	    /* connections per second; 0: serves */
	TAILQ_HEAD(, order) orders; /* given and not answered */
	uint32_t n_orders;
	/* Of the last order, whichever program gave it: a worker's late answer
	 * must not be taken for that to another order. */
	uint64_t order_number;
	struct upgrade *upgrade;   /* to another program; NULL: none */
	int bundle;		   /* what its rehearsal has read; -1: none */
	char upgrade_failure[512]; /* of the last one; "": none */
	bool upgraded;		   /* and all is replaced */
	bool renewing; /* workers and keepers are replaced one by one */
	uint64_t renew_keeper_ms;	 /* the next keeper's turn */
	uint32_t keeper_number;		 /* of the last keeper started */
	uint64_t buried[STATS_COUNTERS]; /* counters of dead workers */
};

/* master.c */
void master_check(struct master *m); /* after a worker came or went */
void master_fail(struct master *m, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
void master_set_live(struct master *m, const struct conf_live *live);
void master_set_verbose(struct master *m, bool on);
void master_log_access(const struct master *m);
void master_stop(struct master *m);
void master_close_listeners(struct master *m);
void master_drop_events(struct master *m);    /* in a child */
uint64_t master_mask(const struct master *m); /* workers alive and ready */
int master_lowest(const struct master *m);    /* a lively one, or -1 */

/* The time in which the master itself ran: the one clock of every deadline by
 * which it judges another process (watchdog.h). */
uint64_t master_clock_ms(const struct master *m);

int master_make_events(struct master *m); /* 0, or -1 */
/* Whether what runs can carry new settings; false: whole lines in error. */
bool master_live_fits(const struct master *m, const struct conf_live *live,
    char *error, size_t error_len);
void master_reap(struct master *m); /* whoever has died */
int master_loop(struct master *m);  /* serves; frees m; the exit status */

/* spawn.c: what every child does after the fork */
void spawn_child_drop(struct master *m);
void spawn_signals_reset(const sigset_t *mask);

/* probe.c: what the kernel says of a process; false: unknown */
bool probe_process(pid_t pid, struct watchdog_probe *probe);

/* process.c */
/* "SIGKILL"; "signal 34" for one without a name. Until the next call. */
const char *process_signal(int number);
/* How a process ended, as waitpid() says: "died of SIGKILL", "left with status
 * 1". Until the next call. */
const char *process_death(int status);
/* SIGKILL, with a word in the log if that is not allowed. Returns 0, or -1 and
 * errno; one that is dead already is no error. */
int process_kill(pid_t pid, const char *what);
/* Waits for a child's end until then; true: it is reaped. */
bool process_reap(pid_t pid, uint64_t limit_ms);
/* Kills a child and waits until it is reaped or clock_ms() is limit_ms: at the
 * very end, when nobody else is kept waiting. */
void process_end(pid_t pid, const char *what, uint64_t limit_ms);

/* page.c: the web page's image */
/* Before the first fork: takes it from a bundle, or serves what is built in;
 * `stuck` is what was waited for in vain. */
void page_boot(struct master *m, const struct bundle *b, const char *stuck);
/* Serves what a bundle has; false: it has none, or that cannot be mapped. */
bool page_take(struct master *m, const struct bundle *b);
void page_drop(struct master *m); /* its descriptor */

/* reload.c: the configuration and the web page, read again by a reader */
/* A wait (NULL: nobody asked) is finished with whole lines on what has not been
 * reloaded, if anything. */
struct control_wait;
void reload_begin(struct master *m, struct control_wait *wait);
bool reload_is_running(const struct master *m);
bool reload_died(struct master *m, pid_t pid); /* whether it was a reader */
void reload_drop(struct master *m);	       /* in a child */
void reload_end(struct master *m);

/* keep.c */
void keep_init(struct member *w);
void keep_drop(struct member *w); /* in a child */
/* What a new worker gets its predecessor's sockets from; -1: nothing. Owned by
 * the caller. */
struct keep_links {
	int custody; /* to its keeper */
	int giver;   /* to another source, with its name */
	const char *giver_name;
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
/* Whether that was one of this slot's keepers; it is replaced. */
bool keep_died(struct member *w, pid_t pid, int wait_status);
void keep_time(struct member *w, uint64_t now); /* every timer period */
/* Does what the watchdog says of this slot's keeper. */
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
/* Kills all, who are reaped as nobody known. */
void keep_leave(struct member *w);
/* At the daemon's end: kills and reaps all, until clock_ms() is limit_ms. */
void keep_end(struct member *w, uint64_t limit_ms);

/* fdstore.c: what the service manager kept */
void fdstore_listeners(struct master *m); /* before any is bound */
bool fdstore_hub(struct master *m);	  /* false: nothing that is of use */
void fdstore_put(struct master *m);	  /* for the next time */
void fdstore_leave(void); /* nobody shall wait for the next time */

/* log_child.c: the log process */
void log_child_init(struct master *m);
/* Starts it, and sends the log there from now on. Returns 0, or -1 with a
 * message: the log cannot be opened. */
int log_child_boot(struct master *m, char *error, size_t error_len);
void log_child_adopt(struct master *m); /* in the place of an older program's */
/* Whether that was one; it is replaced. */
bool log_child_died(struct master *m, pid_t pid, int wait_status);
void log_child_time(struct master *m, uint64_t now); /* every timer period */
void log_child_reopen(struct master *m); /* the log is opened anew */
void log_child_drop(struct master *m);	 /* in a child */
void log_child_end(struct master *m); /* after the last line: nobody is left */

/* boot.c */
void boot_log_room(const struct master *m); /* when all workers are ready */
int boot(struct master *m, const struct bundle *b, const char *stuck,
    char *error, size_t error_len);

/* writes.c: by which way workers send */
/* Says so, and once if io_uring is wanted and some worker has it not: when all
 * are ready, and when a later one is. */
void writes_tell(struct master *m, bool starting);

/* member.c */
void member_init(struct member *w, struct master *m, int slot);
void member_deinit(struct member *w);
void member_born(struct member *w, pid_t pid, int link);
/* Takes up the process that the program before this one started. */
int member_adopt(struct member *w);
void member_died(struct member *w, int wait_status);
bool member_start_failed(struct master *m);
void member_kill(struct member *w, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
void member_owe(struct member *w, unsigned what); /* and sends it if it can */
int
member_send(struct member *w, uint32_t type, const void *payload, size_t len);
void member_time(struct member *w, uint64_t now); /* on every timer period */

void member_show(struct member *w); /* its state, in shared memory */

/* clean.c */
/* Whether a slot without a worker has none for a while, or for good: none
 * follows when chatd leaves. */
bool clean_is_due(const struct member *w);
/* Has another worker go on with a dead worker's connections while there is no
 * replacement. */
void clean_assign(struct member *dead);
/* The worker of this slot is gone: finds others for what it was to go on with.
 */
void clean_reassign(struct member *w);
/* A worker has gone on for another, as far as it could; false: it was not
 * asked. */
bool clean_done(struct member *w, const struct message_cleaned *clean);
void clean_time(struct member *dead, uint64_t now);

/* accuse.c: workers that send what none that works would */
/* Counts a bad message, and kills who sends too many. */
void accuse_bad(struct member *w);
void accuse_born(struct member *w); /* a new process, with a clean record */
/* A worker says that of another. False: of none that lives. */
bool accuse_handle(struct member *w, const struct message_accuse *accuse);

/* spawn.c */
void spawn_worker(struct member *w);

/* renew.c: replacing a worker that lives. wait: who is told how it went (NULL:
 * nobody). */
void renew_worker(struct member *w, struct control_wait *wait);
void renew_time(struct member *w, uint64_t now);
/* The worker of this slot is ready. */
void renew_ready(struct member *w);
/* Tells who waits that it cannot be done. */
void renew_refuse(struct member *w, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
void renew_all(struct master *m);	/* and the keepers, one by one */
int renew_left(const struct master *m); /* of those */
void renew_next(struct master *m, uint64_t now);

/* upgrade.c: path NULL: the program that runs. -1 with a message: refused at
 * once; how it went on is what upgrade_show() says. */
int upgrade_begin(
    struct master *m, const char *path, char *error, size_t error_len);
bool upgrade_died(struct master *m, pid_t pid, int wait_status);
void upgrade_time(struct master *m, uint64_t now);
void upgrade_drop(struct master *m); /* in a child */
void upgrade_end(struct master *m);  /* it is not to be executed any more */
void upgrade_show(const struct master *m, bool json, struct evbuffer *out);

/* order.c: what a worker publishes in the master's place, once. */
typedef void (*order_cb)(void *arg, enum message_result result);
/* Gives an order; payload begins with room for a struct message_order. NULL
 * and errno: no memory, or EBUSY: too many are not answered. */
struct order *
order_give(struct master *m, uint32_t type, const void *payload, size_t len);
/* Has done called with its result; NULL: nobody waits any more. */
void order_await(struct order *o, order_cb done, void *arg);
/* A worker's answer; false: it was not asked. */
bool order_done(struct member *w, const struct message_done *done);
void order_lost(struct member *w); /* it died */
void order_time(struct master *m); /* others do what it had */
void order_drop(struct master *m); /* at the end, and in a child */
/* Those that are not answered as lines "pending ..." of the state, and such a
 * line without its key, behind those of all members; false: it makes no sense.
 */
void order_save(const struct master *m, FILE *f);
bool order_load(struct master *m, const char *line);

/* drain.c: rate in connections per second, 0 to serve again */
void drain_set(struct master *m, uint32_t rate);
uint32_t drain_left(const struct master *m); /* connections */

/* resize.c: another number of workers, and connections spread evenly. */
void resize(struct master *m, int workers);
/* Whether so many workers can hold the connections that there are; false: whole
 * lines in error. */
bool
resize_fits(const struct master *m, int workers, char *error, size_t error_len);
/* Nobody has room for the connections of a worker that has left: it stays. */
void resize_refused(struct member *w);
/* Every timer period: the next worker too many, one after the other. */
void resize_time(struct master *m, uint64_t now);
/* Who goes on with the connections of a worker that leaves; -1: nobody now. */
int resize_heir(const struct member *leaving);
/* A worker that leaves is gone: none follows. */
void resize_gone(struct member *w);
/* Every timer period: when they have been uneven for a while. */
void rebalance_time(struct master *m, uint64_t now);
int rebalance(struct master *m); /* connections that move, -1: cannot */

/* move.c: has n connections go on at another worker that lives. Returns 0, or
 * -1 and errno. */
int move_connections(struct member *from, struct member *to, uint32_t n);

#endif
