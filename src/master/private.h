/* private: the master as its own files see it, and what they may ask it for.
 * Not for other layers. */
#ifndef CHATD_SRC_MASTER_PRIVATE_H
#define CHATD_SRC_MASTER_PRIVATE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "beginners.h"
#include "conf/conf.h"
#include "errand.h"
#include "hub/shm.h"
#include "hub/stats.h"
#include "erase.h"
#include "log_child.h"
#include "master/options.h"
#include "master/pidfile.h"
#include "master/sizes.h"
#include "master/watchdog.h"
#include "member.h"
#include "net/endpoint.h"
#include "process/child.h"
#include "process/identity.h"
#include "state.h"

struct control;
struct conversion;
struct event;
struct event_base;
struct order;
struct reload;
struct upgrade;

enum phase { PHASE_STARTING, PHASE_RUNNING, PHASE_QUITTING, PHASE_STOPPING };

/* Memory of another layout or size, for the next program. */
struct next_memory {
	int fd; /* -1: there is none, the next program goes on with this one's
		 */
	struct hub_limits limits;
	uint32_t connections; /* the configuration's */
};

struct master {
	enum phase phase;
	uint64_t deadline_ms; /* of stopping or quitting */
	bool done;	      /* no child is left */
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
	bool reloading;	       /* it reads */
	bool reload_is_due;    /* in the next program, see upgrade.c */
	struct control *control;
	struct log_child log;
	int ready_pipe;		    /* to the waiting parent; -1: none */
	struct endpoints endpoints; /* that it listens at */
	int n_workers, wanted;	    /* fewer: the last ones leave */
	struct member member[CONF_WORKERS_MAX];
	struct nursery nursery;		/* what children get a part of */
	struct child other[SHM_OTHERS]; /* by line; kind NULL: none */
	struct identity other_identity[SHM_OTHERS]; /* of those with a user of
						     * their own */
	int n_others;
	uint64_t cursor[SHM_OTHERS]; /* to go on from after a copy; 0: none */
	/* Whether it has made a child, or had it made. */
	bool (*knows)(struct master *m, pid_t pid);
	struct beginners beginners;
	struct watchdog watchdog;
	uint64_t skewed_ms; /* connections are uneven since; 0: they are not */
	uint64_t moved_ms;  /* the last time that some were told to move */
	uint64_t started_ms;
	uint64_t first_ms; /* the first children were started: others_first() */
	const char
	    *first_failed; /* a kind of them does not start; NULL: none */
	uint64_t respawns; /* workers that followed one that had died */
	uint64_t renewals; /* workers that followed one that was told to go */
	uint32_t start_failures;
	uint32_t drain_rate;	    /* connections per second; 0: serves */
	TAILQ_HEAD(, order) orders; /* given and not answered */
	uint32_t n_orders;
	/* Of the last order, whichever program gave it: a worker's late answer
	 * must not be taken for that to another order. */
	uint64_t order_number;
	struct errands errands;
	struct erasing erasing;
	struct upgrade *upgrade; /* to another program; NULL: none */
	int bundle;		 /* what its rehearsal has read; -1: none */
	struct conversion *conversion;	 /* memory is being copied; NULL: no */
	struct next_memory next;	 /* that it has been copied to */
	char upgrade_failure[512];	 /* of the last one; "": none */
	bool upgraded;			 /* and all is replaced */
	bool renewing;			 /* workers are replaced one by one */
	uint32_t table_number;		 /* of the newest family's table */
	uint64_t buried[STATS_COUNTERS]; /* counters of dead workers */
};

/* Not booted yet; takes over conf. NULL: no memory. */
struct master *master_new(const struct options *options, struct conf *conf);
void master_check(struct master *m); /* after a worker came or went */
void master_fail(struct master *m, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
void master_set_live(struct master *m, const struct conf_live *live);
void master_set_verbose(struct master *m, bool on);
void master_log_access(const struct master *m);
void master_stop(struct master *m);
void master_quit(struct master *m); /* when the last client has left */
void master_close_listeners(struct master *m);
void master_mend_listeners(struct master *m); /* after a hostile worker */

/* The time in which the master itself ran: the one clock of every deadline by
 * which it judges another process (watchdog.h). */
uint64_t master_clock_ms(const struct master *m);

int master_make_events(struct master *m); /* 0, or -1 */
/* Whether what runs can carry new settings; false: whole lines in error. */
bool master_live_fits(const struct master *m, const struct conf_live *live,
    char *error, size_t error_len);
void master_reap(struct master *m); /* children that have died */
int master_loop(struct master *m);  /* serves; frees m; the exit status */

#endif
