#include "family.h"

#include <errno.h>
#include <event2/event.h>
#include <inttypes.h>
#include <signal.h>
#include <string.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "children.h"
#include "giver.h"
#include "hub/slot.h"
#include "hub/stats.h"
#include "master/roles.h"
#include "member.h"
#include "private.h"
#include "process/process.h"

void
family_init(struct family *f, struct member *w)
{
	memset(f, 0, sizeof(*f));
	f->member = w;
	f->page_file = f->home = f->first_home = -1;
	for (int j = 0; j < FAMILY_KEEPERS; j++) {
		child_init(&f->keeper[j], child_row_played(&keeper_role),
		    w->place, -1);
		f->keeper[j].master = w->master;
		f->keeper[j].ready = true;
	}
}

pid_t
family_pid(const struct family *f, int keeper)
{
	return f->page != NULL ? atomic_load(&f->page->keeper[keeper].pid) : 0;
}

void
family_kill(pid_t pid, const char *what)
{
	if (pid > 0)
		(void)process_kill(pid, what);
}

bool
family_names(const struct family *f, pid_t pid)
{
	if (f->page == NULL)
		return false;
	for (int k = 0; k < FAMILY_PAIRS * FAMILY_KEEPERS; k++)
		if (family_pid(f, k) == pid)
			return true;
	return atomic_load(&f->page->process) == pid;
}

int
family_keepers(const struct family *f)
{
	int n = 0;

	for (int j = 0; j < FAMILY_KEEPERS; j++)
		n += f->keeper[j].pid != 0;
	return n;
}

bool
family_holds(const struct family *f)
{
	return f->table != 0 && family_keepers(f) > 0;
}

/* The link has something to say, which is nothing that it should, or has
 * ended: those who die with it are waited for. */
static void
family_home_cb(int fd, short what, void *arg)
{
	struct family *f = arg;
	char byte;
	ssize_t n = recv(fd, &byte, sizeof(byte), MSG_DONTWAIT);

	if (n > 0 || (n == -1 && (errno == EAGAIN || errno == EINTR)))
		return;
	event_del(f->event);
	f->eof_ms = clock_ms();
}

/* For the timer of the next step. */
static void
family_timer_cb(int fd, short what, void *arg)
{
	family_go(arg);
}

/* Listens to the link. Returns 0, or -1. */
static int
family_listen(struct family *f)
{
	struct event_base *base = f->member->master->base;

	f->event =
	    event_new(base, f->home, EV_READ | EV_PERSIST, family_home_cb, f);
	f->timer = event_new(base, -1, 0, family_timer_cb, f);
	return f->event != NULL && f->timer != NULL &&
		event_add(f->event, NULL) == 0
	    ? 0
	    : -1;
}

void
family_wake(struct family *f, uint64_t ms)
{
	const struct timeval t = {
	    (time_t)(ms / 1000), (suseconds_t)(ms % 1000 * 1000)};

	if (f->timer != NULL)
		event_add(f->timer, &t);
}

void
family_close(struct family *f)
{
	if (f->event != NULL)
		event_free(f->event);
	if (f->timer != NULL)
		event_free(f->timer);
	f->event = f->timer = NULL;
	family_page_unmap(f->page);
	f->page = NULL;
	if (f->page_file != -1)
		close(f->page_file);
	if (f->home != -1)
		close(f->home);
	if (f->first_home != -1)
		close(f->first_home);
	f->page_file = f->home = f->first_home = -1;
	f->table = 0;
	f->noted = f->ready = false;
	/* no keeper has an order any more */
	if (f->step != FAMILY_RESTS)
		f->step = f->next != NULL ? FAMILY_CLEARS : FAMILY_RESTS;
	f->eof_ms = f->again_ms = 0;
	for (int j = 0; j < FAMILY_KEEPERS; j++)
		f->keeper[j].pid = 0;
}

int
family_make(struct family *f)
{
	struct master *m = f->member->master;
	int home[2] = {-1, -1};

	f->page_file = family_page_new(&f->page);
	if (f->page_file == -1 || family_home_pair(f->page, home) == -1) {
		family_close(f);
		return -1;
	}
	f->home = home[0];
	f->first_home = home[1];
	f->table = ++m->table_number;
	f->pair = family_pair(f->page) / FAMILY_KEEPERS;
	if (family_listen(f) == 0)
		return 0;
	family_close(f);
	errno = ENOMEM;
	return -1;
}

/* Kills all keepers; they are reaped as unknown. */
static void
keepers_kill(struct family *f)
{
	for (int k = 0; k < FAMILY_PAIRS * FAMILY_KEEPERS; k++)
		family_kill(family_pid(f, k), "a keeper whose family ends");
	SHM_STORE(f->member->master->hub.worker[f->member->place].keeper, 0);
}

void
family_dissolve(struct family *f)
{
	if (f->table == 0)
		return;
	keepers_kill(f);
	/* one that was just made, and is not known yet, is no worker's */
	if (f->step == FAMILY_ASKS_PROCESS)
		family_kill(atomic_load(&f->page->process),
		    "a process whose family ends");
	family_close(f);
}

void
family_lost(struct family *f)
{
	const struct member *w = f->member;
	const uint32_t n = slot_held(&w->master->hub, w->place);

	/* the first process of a family has not given them up before it is
	 * ready: who gave them has them still */
	if (n > 0 && !giver_lives(w, GIVER_WORKER) &&
	    !giver_lives(w, GIVER_KEEPER))
		log_error("worker %d and both of its keepers are dead: %u "
			  "connections are lost",
		    w->place, n);
	family_dissolve(f);
}

void
family_leave(struct family *f)
{
	struct child *c = f->next;

	family_dissolve(f);
	f->next = NULL;
	family_step(f, FAMILY_RESTS);
	if (c == NULL)
		return;
	children_ignore(c);
	child_is_not_made(c);
}

void
family_end(struct family *f, uint64_t limit_ms)
{
	const int place = f->member->place;
	pid_t pid[FAMILY_PAIRS * FAMILY_KEEPERS + 1];
	char keeper[CHILD_NAME], process[CHILD_NAME];
	int n = 0;

	if (f->page == NULL)
		return;
	for (int k = 0; k < FAMILY_PAIRS * FAMILY_KEEPERS; k++)
		pid[n++] = family_pid(f, k);
	pid[n++] = atomic_load(&f->page->process);
	snprintf(keeper, sizeof(keeper), "keeper %d", place);
	snprintf(process, sizeof(process), "process of place %d", place);
	for (int i = 0; i < n; i++)
		family_kill(pid[i], i < n - 1 ? keeper : process);
	for (int i = 0; i < n; i++)
		process_end(pid[i], i < n - 1 ? keeper : process, limit_ms);
	family_close(f);
}

void
family_save(const struct family *f, FILE *out)
{
	fprintf(out, "family %d %" PRIu32 " %d %d %d", f->member->place,
	    f->table, f->page_file, f->home, f->ready);
	for (int j = 0; j < FAMILY_KEEPERS; j++)
		fprintf(out, " %" PRIu32 " %" PRIu64, f->keeper[j].generation,
		    f->keeper[j].born_ms);
	fprintf(out, " %" PRIu32 "\n", f->pair_before);
}

bool
family_load(struct family *f, const char *line)
{
	struct child *k = f->keeper;
	int ready, n;

	f->pair_before = FAMILY_PAIRS; /* none: not told */
	n = sscanf(line,
	    "%" SCNu32 " %d %d %d %" SCNu32 " %" SCNu64 " %" SCNu32 " %" SCNu64
	    " %" SCNu32,
	    &f->table, &f->page_file, &f->home, &ready, &k[0].generation,
	    &k[0].born_ms, &k[1].generation, &k[1].born_ms, &f->pair_before);
	if (n < 8 || f->table == 0)
		return false;
	f->ready = ready != 0;
	return true;
}

/* The keepers that the program before this one had. */
static void
keepers_adopt(struct family *f)
{
	struct master *m = f->member->master;

	for (int j = 0; j < FAMILY_KEEPERS; j++) {
		f->keeper[j].master = m;
		f->keeper[j].pid =
		    family_pid(f, (int)f->pair * FAMILY_KEEPERS + j);
		f->keeper[j].started_ms = master_clock_ms(m);
	}
}

int
family_adopt(struct family *f)
{
	if (f->table == 0)
		return 0;
	if ((f->page = family_page_map(f->page_file)) == NULL)
		return -1;
	f->pair = family_pair(f->page) / FAMILY_KEEPERS;
	atomic_store(&f->page->master, getpid());
	keepers_adopt(f);
	return family_listen(f);
}

void
family_descriptors(const struct family *f, void (*each)(int fd))
{
	if (f->page_file != -1)
		each(f->page_file);
	if (f->home != -1)
		each(f->home);
}

/* Whether it may be the keeper that has made a process which cannot use the
 * table, and not the table: a hostile worker may have lowered that keeper's
 * hard limits. It is killed, and the other one tries. */
static bool
family_maker_is_useless(const struct family *f)
{
	const int first = (int)f->pair * FAMILY_KEEPERS;

	if (f->page == NULL || f->pair != f->pair_before ||
	    f->asked / FAMILY_KEEPERS != (int)f->pair)
		return false;
	for (int k = first; k < first + FAMILY_KEEPERS; k++)
		if (family_pid(f, k) == 0)
			return false;
	log_error("worker %d cannot use its table of descriptors: the other "
		  "keeper makes the next one",
	    f->member->place);
	family_kill(
	    family_pid(f, f->asked), "a keeper whose child cannot begin");
	return true;
}

void
family_died(struct family *f, const struct child_end *end)
{
	family_process_gone(f);
	if (!WIFEXITED(end->status) ||
	    WEXITSTATUS(end->status) != FAMILY_SPOILT)
		return;
	if (family_maker_is_useless(f))
		return;
	log_error("worker %d has spoilt its table of descriptors: its "
		  "connections are lost",
	    f->member->place);
	family_leave(f);
}

/* Whether the page names anybody. */
static bool
family_lives(const struct family *f)
{
	for (int k = 0; k < FAMILY_PAIRS * FAMILY_KEEPERS; k++)
		if (family_pid(f, k) != 0)
			return true;
	return atomic_load(&f->page->process) != 0;
}

/* The link has ended. Its other end is in the family's table alone: if one that
 * shares the table lives, the table is not what it was. */
static void
family_ended(struct family *f)
{
	struct member *w = f->member;
	static const char why[] = "has spoilt its table of descriptors";

	if (!family_lives(f)) {
		family_lost(f);
		return;
	}
	log_error("the table of descriptors of worker %d is spoilt: all that "
		  "share it are killed",
	    w->place);
	(void)child_kill(&w->child, why);
	(void)child_kill(&w->mover, why);
	family_dissolve(f);
}

/* Whether the link has ended, and not just with those who are dying: the number
 * of the link is closed long before a process with many sockets is reaped. */
static bool
family_has_ended(const struct family *f)
{
	return f->eof_ms != 0 && f->next == NULL &&
	    (!family_lives(f) || clock_ms() >= f->eof_ms + CHILD_EOF_GRACE_MS);
}

/* Both keepers are dead while the worker lives: it gives its sockets to the
 * first process of another family. One that was told to retire while it had
 * keepers, and has not yet, is told anew. */
static void
family_rescue(struct family *f, uint64_t now)
{
	struct member *w = f->member;

	if (!f->ready || family_keepers(f) > 0 || w->child.pid == 0 ||
	    w->child.killed || w->holds || w->master->phase >= PHASE_QUITTING)
		return;
	log_warn(
	    "both keepers of worker %d are dead: it is replaced", w->place);
	w->retire_ms = now;
	w->holds = true;
	owed_add(&w->child, OWED_HOLD);
}

void
family_time(struct family *f, uint64_t now)
{
	if (f->page == NULL) {
		family_go(f); /* begins another family */
		return;
	}
	if (family_has_ended(f)) {
		family_ended(f);
		return;
	}
	family_look(f);
	if (f->step != FAMILY_RESTS)
		family_go(f);
	family_rescue(f, now);
}

const char *
family_problem(const struct family *f)
{
	const int place = f->member->place, n = family_keepers(f);
	static char text[64];

	if (n == FAMILY_KEEPERS && f->step == FAMILY_RESTS)
		return NULL;
	if (n < FAMILY_KEEPERS)
		snprintf(text, sizeof(text), "keeper %d is missing", place);
	else
		snprintf(
		    text, sizeof(text), "worker %d is being started", place);
	return text;
}

void
families_look(struct master *m)
{
	for (int i = 0; i < m->n_workers; i++)
		family_look(&m->member[i].family);
}

bool
families_reaped(struct master *m, pid_t pid)
{
	for (int i = 0; i < m->n_workers; i++)
		if (family_reaped(&m->member[i].family, pid))
			return true;
	return false;
}

void
families_go(struct master *m)
{
	for (int i = 0; i < m->n_workers; i++)
		if (m->member[i].family.step != FAMILY_RESTS)
			family_go(&m->member[i].family);
}
