/* What tests of a family's orders share: a place whose family the test plays.
 * It has libc's kill() and waitid(), and what begins a process, of its own. */
#ifndef CHATD_TESTS_UNIT_FAMILY_FIXTURE_H
#define CHATD_TESTS_UNIT_FAMILY_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../../src/master/children.h"
#include "../../src/master/family.h"
#include "../../src/master/member.h"
#include "../../src/master/private.h"
#include "base/clock.h"
#include "hub/stats.h"
#include "hub_fixture.h"
#include "master/roles.h"

enum {
	PID = 4000001, /* of the first process; there are no such */
	KEEPER = 4000010,
	CONTINUE_MS = 30,
	KILL_MS = 200,
	LAST_MS = 20000,
	SOME_MS = 5
};

static const struct child_kind worker = {.name = "worker",
				   .n = CHILD_CONFIGURED},
			       keeper = {
				   .name = "keeper", .n = CHILD_EACH_WORKER};
static const struct child_row kinds[] = {
    {&worker, &worker_role}, {&keeper, &keeper_role}, {NULL, NULL}};
static struct master m;
static struct member *w;
static struct family *f;
static int n_notes, n_forks, notes_error;
static pid_t next_pid; /* that a fork will have */
static struct {
	pid_t pid;
	int sig;
} killed[16];
static int n_killed;

/* In place of libc's: nobody is killed, and all are children that live. */
int
kill(pid_t pid, int sig)
{
	killed[n_killed].pid = pid;
	killed[n_killed++].sig = sig;
	return 0;
}

int
waitid(idtype_t type, id_t id, siginfo_t *info, int options)
{
	memset(info, 0, sizeof(*info));
	return 0;
}

/* In place of family_notes.c's. */
int
family_notes(struct family *family)
{
	n_notes++;
	errno = notes_error;
	return notes_error == 0 ? 0 : -1;
}

/* In place of family_fork.c's. */
pid_t
family_fork(const struct nursery *n, struct family_page *p, int home)
{
	n_forks++;
	if (next_pid != -1)
		atomic_store(&p->process, next_pid);
	return next_pid;
}

/* A place without a family. */
static inline int
setup(void **state)
{
	child_kinds_use(kinds);
	memset(&m, 0, sizeof(m));
	TAILQ_INIT(&m.orders);
	m.phase = PHASE_RUNNING;
	m.n_workers = m.wanted = 1;
	m.base = event_base_new();
	fixture_hub(&m.hub, 16, 16, 1 << 16, 1 << 20, 1 << 20);
	w = &m.member[0];
	member_init(w, &m, 0);
	f = &w->family;
	n_notes = n_forks = n_killed = notes_error = 0;
	next_pid = PID;
	return 0;
}

static inline int
teardown(void **state)
{
	family_close(f);
	event_base_free(m.base);
	hub_destroy(&m.hub);
	return 0;
}

/* Somebody is reaped, as the master sees it. */
static inline void
reaped(pid_t pid)
{
	families_look(&m);
	if (!children_died(&m, pid, SIGKILL))
		(void)families_reaped(&m, pid);
	families_go(&m);
}

/* What a keeper has been told and not carried out; 0: nothing. */
static inline uint32_t
told(unsigned k)
{
	return family_is_done(f->page, k)
	    ? 0
	    : atomic_load(&f->page->keeper[k].order) & FAMILY_ORDER_BITS;
}

/* A keeper carries out what it was told: makes a process of that pid, 0: it
 * cannot. */
static inline void
keeper_makes(unsigned k, pid_t pid)
{
	const uint32_t order = atomic_load(&f->page->keeper[k].order);
	const unsigned about = order >> FAMILY_ORDER_ABOUT & FAMILY_ORDER_BITS;

	if ((order & FAMILY_ORDER_BITS) == FAMILY_PROCESS)
		atomic_store(&f->page->process, pid);
	else
		atomic_store(&f->page->keeper[about].pid, pid);
	atomic_store(&f->page->keeper[k].done, order);
}

/* The process makes keepers of its own and says that they count. The pair
 * before is told to leave. Returns the first keeper's number. */
static inline unsigned
commits(pid_t pid)
{
	const unsigned before = family_pair(f->page);
	const unsigned k = family_other_pair(f->page);

	for (unsigned j = 0; j < FAMILY_KEEPERS; j++) {
		family_keeper_clear(f->page, k + j);
		atomic_store(&f->page->keeper[k + j].pid, pid + (pid_t)j);
	}
	atomic_store(&f->page->cur, k / FAMILY_KEEPERS);
	for (unsigned j = before; j < before + FAMILY_KEEPERS; j++)
		if (atomic_load(&f->page->keeper[j].pid) != 0)
			family_order(f->page, j, FAMILY_LEAVE, 0);
	return k;
}

/* A worker that serves, with two keepers. Returns the first one's number. */
static inline unsigned
serves(void)
{
	unsigned k;

	family_start(f, &w->child);
	assert_int_equal(w->child.pid, PID);
	k = commits(KEEPER);
	w->child.ready = true;
	family_hello(f);
	assert_int_equal(family_keepers(f), 2);
	n_killed = 0;
	return k;
}

/* Its worker dies. */
static inline void
worker_dies(void)
{
	reaped(w->child.pid);
}

/* It dies, and a keeper makes the next one, which has no keepers yet. */
static inline void
next_begins(unsigned k)
{
	worker_dies();
	keeper_makes(k, PID + 1);
	family_go(f);
}

/* That one dies. It was not ready, so the one that follows it may be told to
 * wait. */
static inline void
next_dies(void)
{
	reaped(PID + 1);
	if (w->child.respawn_ms != 0)
		family_start(f, &w->child);
}

/* The next one begins and makes a keeper, which does not count yet. Returns its
 * number. */
static inline unsigned
next_half_made(unsigned k)
{
	const unsigned other = FAMILY_KEEPERS - k;

	next_begins(k);
	atomic_store(&f->page->keeper[other].pid, KEEPER + 5);
	return other;
}

/* The next one and those that count die: that keeper will do. */
static inline void
half_made_does(unsigned other)
{
	reaped(KEEPER);
	reaped(KEEPER + 1);
	next_dies();
	assert_int_equal(family_pair(f->page), other);
	assert_int_equal(told(other), FAMILY_PROCESS);
	assert_int_equal(n_forks, 1);
}

#endif
