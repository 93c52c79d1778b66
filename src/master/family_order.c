/*
 * How a family's next process is made. Everybody who could still act on the
 * table is killed and reaped first; then one of the keepers that share it is
 * asked, and if that one dies over the order, the page says whether it was
 * carried out before the other one is asked. Without a keeper the table is
 * lost, and the next process begins another family.
 */
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "children.h"
#include "family.h"
#include "hub/stats.h"
#include "member.h"
#include "private.h"
#include "process/process.h"
#include "process/spawn.h"
#include "stranger.h"

enum {
	/* Looks at an order's answer, after it was given. Sooner: the looks
	 * find nothing; later: a process is known to be there later than it
	 * is. */
	ORDER_LOOK_MS = 1,
	/* A keeper that has not answered is continued. Smaller: it is only
	 * slow; larger: clients wait longer for one that was stopped. */
	ORDER_CONTINUE_MS = 30,
	/* It is killed if there is another one. The same. */
	ORDER_KILL_MS = 200,
	/* The last one that has the table is continued again and again, and
	 * killed, which loses all, only when it can be of no use any more. */
	ORDER_LAST_MS = 20000,
	/* Who was killed is waited for, and looked at. */
	ORDER_DEATH_MS = 5,
	ORDER_DEATH_MAX_MS = 1000,
	ORDER_AGAIN_MS = 100 /* what cannot be done now is tried again */
};

void
family_step(struct family *f, enum family_step step)
{
	f->step = step;
	f->since_ms = clock_ms();
}

/* The process is there. */
static void
order_is_made(struct family *f, pid_t pid)
{
	struct child *c = f->next;
	struct master *m = f->member->master;

	f->next = NULL;
	f->noted = false;
	family_step(f, FAMILY_RESTS);
	child_is_made(c, pid, master_clock_ms(m));
	children_made(c);
	spawn_volunteer(pid, true);
}

/* A keeper of the pair that counts, as the page has it now. */
static void
order_keeper_seen(struct family *f, int j, pid_t pid, bool other_pair)
{
	struct child *c = &f->keeper[j];
	struct master *m = f->member->master;

	if (c->pid == pid || (pid == 0 && !other_pair))
		return; /* one that is dead was, or will be, reaped */
	if (pid != 0 && !process_is_child(pid))
		pid = 0;
	c->pid = pid;
	c->respawn_ms = 0;
	if (pid == 0)
		return;
	c->generation++;
	c->ready = c->told = true; /* and may leave, for its successor */
	c->killed = c->old = false;
	c->born_ms = clock_ms();
	c->started_ms = master_clock_ms(m);
	spawn_volunteer(pid, false); /* its process may have been one */
	log_debug("%s (pid %d) started", child_name(c), (int)pid);
}

/* Says in shared memory who holds a place's sockets. */
static void
order_show(const struct family *f)
{
	const pid_t pid =
	    f->keeper[0].pid != 0 ? f->keeper[0].pid : f->keeper[1].pid;

	SHM_STORE(f->member->master->hub.worker[f->member->place].keeper,
	    (uint32_t)pid);
}

void
family_look(struct family *f)
{
	uint32_t pair;
	pid_t pid;

	if (f->page == NULL)
		return;
	pid = atomic_load(&f->page->process);
	if (f->step == FAMILY_ASKS_PROCESS && f->next != NULL && pid != 0 &&
	    process_is_child(pid))
		order_is_made(f, pid);
	pair = family_pair(f->page) / FAMILY_KEEPERS;
	for (int j = 0; j < FAMILY_KEEPERS; j++)
		order_keeper_seen(f, j,
		    family_pid(f, (int)pair * FAMILY_KEEPERS + j),
		    pair != f->pair);
	f->pair = pair;
	order_show(f);
}

bool
family_reaped(struct family *f, pid_t pid)
{
	for (int k = 0; k < FAMILY_PAIRS * FAMILY_KEEPERS; k++)
		if (pid != 0 && family_pid(f, k) == pid &&
		    (uint32_t)k / FAMILY_KEEPERS != f->pair) {
			family_keeper_clear(f->page, (unsigned)k);
			family_complete(f);
			return true;
		}
	return false;
}

/* How many keepers of a pair have not been reaped. */
static int
order_alive(const struct family *f, uint32_t pair)
{
	const int k = (int)pair * FAMILY_KEEPERS;

	return (family_pid(f, k) != 0) + (family_pid(f, k + 1) != 0);
}

/* Kills those of a pair. */
static void
order_kill_pair(const struct family *f, uint32_t pair)
{
	for (int j = 0; j < FAMILY_KEEPERS; j++)
		family_kill(family_pid(f, (int)pair * FAMILY_KEEPERS + j),
		    "a keeper that has no use any more");
}

/*
 * Leaves one pair. If the last process has committed its own, no other one has
 * its table. If it has not, its keepers have a copy that nothing was changed
 * in but what nobody needs: they will do if the pair before is dead. Returns
 * whether the other one is gone.
 */
static bool
order_one_pair(struct family *f)
{
	const uint32_t other = FAMILY_PAIRS - 1 - f->pair;

	if (order_alive(f, other) == 0)
		return true;
	if (order_alive(f, f->pair) == 0 && f->pair == f->pair_before) {
		SHM_STORE(f->page->cur, other);
		family_look(f);
		return true;
	}
	order_kill_pair(f, other);
	return false;
}

/* Whether no process is left that its former process may have made. With a
 * filter there is none, and a child of this process that is unknown is another
 * program's: what an entry script began before it executed chatd, or an orphan
 * that the first process of a container gets. */
static bool
order_is_alone(const struct family *f)
{
	return SHM_LOAD(f->page->confined) != FAMILY_FILTER_REFUSED ||
	    stranger_hunt(f->member->master) == 0;
}

/* Whether nobody is left who could act on the table besides its keepers, which
 * would be killed. What is not even dead after a second is in the kernel, and
 * acts no more. */
static bool
order_is_clear(struct family *f)
{
	if (f->page == NULL || (order_one_pair(f) && order_is_alone(f)) ||
	    clock_ms() - f->since_ms >= ORDER_DEATH_MAX_MS)
		return true;
	family_wake(f, ORDER_DEATH_MS);
	return false;
}

/* It is tried again later. */
static void
order_fails(struct family *f, const char *what, int error, uint64_t ms)
{
	struct child *c = f->next;
	struct master *m = f->member->master;

	log_error("cannot start %s: %s: %s, trying again in %d ms",
	    child_name(c), what, strerror(error), (int)ms);
	f->next = NULL;
	f->noted = false;
	family_step(f, FAMILY_RESTS);
	children_ignore(c);
	child_is_not_made(c);
	if (m->phase < PHASE_QUITTING) /* none is started after that */
		c->respawn_ms = master_clock_ms(m) + ms;
	if (c->role->failed != NULL)
		c->role->failed(c);
}

/* The link takes no notes though its other end is open: a hostile worker may
 * have shut that down. */
static void
order_is_spoilt(struct family *f)
{
	log_error("worker %d has spoilt its table of descriptors, no note "
		  "reaches it: its connections are lost",
	    f->member->place);
	f->noted = false;
	family_dissolve(f);
}

/* Sends the notes that a process needs, once. Without a table to send them to,
 * the deaths of those who had it are waited for. */
static bool
order_notes(struct family *f)
{
	if (f->noted || family_notes(f) == 0) {
		f->noted = true;
		return true;
	}
	if (errno != EPIPE && errno != ECONNRESET)
		order_fails(f, "its notes", errno, ORDER_AGAIN_MS);
	else if (clock_ms() - f->since_ms < ORDER_DEATH_MAX_MS)
		family_wake(f, ORDER_DEATH_MS);
	else
		order_is_spoilt(f);
	return false;
}

/* Makes the first process of another family. */
static void
order_first(struct family *f)
{
	pid_t pid;

	if (f->page != NULL)
		family_lost(f);
	f->noted = false;
	if (family_make(f) == -1) {
		order_fails(f, "its page", errno, CHILD_RETRY_MS);
		return;
	}
	f->pair_before = f->pair;
	if (!order_notes(f)) {
		family_close(f);
		return;
	}
	f->member->master->nursery.log = f->member->master->log.lines[1];
	pid = family_fork(&f->member->master->nursery, f->page, f->first_home);
	if (pid == -1) {
		order_fails(f, "fork", errno, CHILD_RETRY_MS);
		family_close(f);
		return;
	}
	close(f->first_home);
	f->first_home = -1;
	order_is_made(f, pid);
}

/* A keeper of the pair that counts that can take an order; -1: none can now. */
static int
order_choose(const struct family *f)
{
	const int k = (int)f->pair * FAMILY_KEEPERS;

	for (int j = k; j < k + FAMILY_KEEPERS; j++)
		if (family_pid(f, j) != 0 &&
		    family_is_done(f->page, (unsigned)j))
			return j;
	return -1;
}

/* A keeper, and the process that it makes, has the limits of the master,
 * whatever its former process has done to them. Without the right to set them
 * the process that is made raises what it cannot begin without. */
static void
order_limits(struct family_page *p, pid_t pid)
{
	struct rlimit mine;

	if (getrlimit(RLIMIT_NOFILE, &mine) == 0)
		atomic_store(&p->files, mine.rlim_cur);

	/* how many processes there may be was judged when they were made */
	for (int i = 0; i < RLIM_NLIMITS; i++)
		if (i != RLIMIT_NPROC &&
		    getrlimit((__rlimit_resource_t)i, &mine) == 0)
			(void)prlimit(
			    pid, (enum __rlimit_resource)i, &mine, NULL);
}

/* Gives a keeper an order, and looks at it in a moment. */
static void
order_give(struct family *f, int k, enum family_what what, int about,
    enum family_step step)
{
	order_limits(f->page, family_pid(f, k));
	f->asked = k;
	f->asked_ms = clock_ms();
	f->continued = false;
	family_step(f, step);
	family_order(f->page, (unsigned)k, what, (unsigned)about);
	family_wake(f, ORDER_LOOK_MS);
}

/* A keeper has had an order, or cannot take one, for so long. */
static void
order_press(struct family *f, int k, uint64_t waited_ms)
{
	const bool last = order_alive(f, f->pair) == 1;
	const pid_t pid = family_pid(f, k);

	if (waited_ms >= (last ? ORDER_LAST_MS : ORDER_KILL_MS)) {
		log_warn("keeper %d (pid %d) does not answer: killed",
		    f->member->place, (int)pid);
		family_kill(pid, "a keeper that does not answer");
	} else if (waited_ms >= ORDER_CONTINUE_MS && pid > 0) {
		if (!f->continued)
			log_debug("keeper %d (pid %d) is continued",
			    f->member->place, (int)pid);
		f->continued = true;
		(void)kill(pid, SIGCONT);
	}
	family_wake(f,
	    waited_ms < ORDER_CONTINUE_MS   ? ORDER_CONTINUE_MS - waited_ms
		: waited_ms < ORDER_KILL_MS ? ORDER_KILL_MS - waited_ms
					    : ORDER_AGAIN_MS);
}

/* Asks a keeper for the next process. */
static void
order_ask(struct family *f)
{
	int k = order_choose(f);

	if (k == -1) { /* in the midst of something, or stopped there */
		k = (int)f->pair * FAMILY_KEEPERS;
		order_press(f, family_pid(f, k) != 0 ? k : k + 1,
		    clock_ms() - f->since_ms);
		return;
	}
	if (!order_notes(f))
		return;
	f->pair_before = f->pair;
	f->ready = false;
	order_give(f, k, FAMILY_PROCESS, 0, FAMILY_ASKS_PROCESS);
}

/* Goes on where everybody must be gone first. */
static void
order_clear(struct family *f)
{
	if (f->next == NULL || f->next->pid != 0) {
		family_step(f, FAMILY_RESTS);
		return;
	}
	if (f->page != NULL && atomic_load(&f->page->process) != 0)
		return; /* its death comes here */
	if (f->again_ms != 0) {
		if (clock_ms() < f->again_ms)
			return;
		f->again_ms = 0;
		family_step(f, FAMILY_CLEARS);
	}
	if (!order_is_clear(f))
		return;
	if (f->page == NULL || order_alive(f, f->pair) == 0)
		order_first(f);
	else
		order_ask(f);
}

/* A keeper has no room for a process. Its notes are not read, and nobody else
 * can take them out of the link: they wait for the next order, or the link
 * would be full of them, and no process could be made any more. */
static void
order_repeats(struct family *f)
{
	struct child *c = f->next;

	log_error("cannot start %s: a keeper cannot make it: %s, trying again "
		  "in %d ms",
	    child_name(c), strerror(EAGAIN), CHILD_RETRY_MS);
	f->again_ms = clock_ms() + CHILD_RETRY_MS;
	family_step(f, FAMILY_CLEARS);
	family_wake(f, CHILD_RETRY_MS);
	if (c->role->failed != NULL)
		c->role->failed(c);
}

/* There is no other keeper: it is tried again later. The log has it already if
 * one was made and has died, or if the one that was asked is gone. */
static void
order_keeper_fails(struct family *f, bool gone)
{
	struct child *c = &f->keeper[f->making % FAMILY_KEEPERS];

	c->respawn_ms = master_clock_ms(f->member->master) + CHILD_RETRY_MS;
	if (!gone && c->born_ms < f->asked_ms)
		log_error("cannot start %s: the other one cannot make it: %s, "
			  "trying again in %d ms",
		    child_name(c), strerror(EAGAIN), CHILD_RETRY_MS);
}

/* Looks at what an order has come to. */
static void
order_look(struct family *f)
{
	const enum family_step step = f->step;
	const unsigned k = (unsigned)f->asked;
	const bool done = family_is_done(f->page, k);
	const bool gone = family_pid(f, f->asked) == 0;

	family_look(f);
	if (f->step != step)
		return; /* the process is there */
	if (step == FAMILY_ASKS_KEEPER && family_pid(f, f->making) != 0) {
		family_step(f, f->next != NULL ? FAMILY_CLEARS : FAMILY_RESTS);
		family_go(f);
	} else if (!done && !gone)
		order_press(f, f->asked, clock_ms() - f->asked_ms);
	else if (step == FAMILY_ASKS_KEEPER) {
		order_keeper_fails(f, gone);
		family_step(f, f->next != NULL ? FAMILY_CLEARS : FAMILY_RESTS);
		family_go(f);
	} else if (gone) {
		family_step(f, FAMILY_CLEARS);
		family_go(f);
	} else
		order_repeats(f);
}

void
family_go(struct family *f)
{
	switch (f->step) {
	case FAMILY_CLEARS:
		order_clear(f);
		break;
	case FAMILY_ASKS_PROCESS:
	case FAMILY_ASKS_KEEPER:
		order_look(f);
		break;
	default:
		break;
	}
}

void
family_hello(struct family *f)
{
	f->ready = true;
	family_look(f);
	/* it was told to leave; while it lives no closed socket is */
	order_kill_pair(f, FAMILY_PAIRS - 1 - f->pair);
	family_complete(f);
}

void
family_process_gone(struct family *f)
{
	f->ready = false;
	if (f->page != NULL)
		SHM_STORE(f->page->process, 0);
}

void
family_start(struct family *f, struct child *c)
{
	child_begin(c);
	f->next = c;
	f->noted = false;
	if (f->step == FAMILY_RESTS)
		family_step(f, FAMILY_CLEARS);
	family_go(f);
}

void
family_complete(struct family *f)
{
	int first, k;

	if (f->step != FAMILY_RESTS || f->page == NULL)
		return;
	if (!f->ready &&
	    (atomic_load(&f->page->process) != 0 || !order_one_pair(f)))
		return; /* it makes its own */
	/* where hardly a process more is allowed, they go first */
	if (order_alive(f, f->pair) != 1 ||
	    order_alive(f, FAMILY_PAIRS - 1 - f->pair) != 0)
		return;
	first = (int)f->pair * FAMILY_KEEPERS;
	f->making = family_pid(f, first) == 0 ? first : first + 1;
	if (f->keeper[f->making % FAMILY_KEEPERS].respawn_ms != 0 ||
	    (k = order_choose(f)) == -1)
		return;
	order_give(f, k, FAMILY_KEEPER, f->making, FAMILY_ASKS_KEEPER);
}
