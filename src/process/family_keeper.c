/*
 * family_keeper: clones that share a table of descriptors. A keeper opens and
 * closes no descriptor and reads nothing but the page, so nothing that its
 * process has done to table or shared memory keeps it from its orders.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/kill_list.h"
#include "base/shared.h"
#include "process/executable.h"
#include "process/family.h"

/* A clone ends with the master, whose child it is. */
static void
clone_tie(const struct family_page *p)
{
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) == -1 ||
	    getppid() != atomic_load(&p->master))
		_exit(0);
}

/* Whether FAMILY_HOME is what the master made it. */
static bool
home_is_ours(const struct family_page *p)
{
	struct stat st;

	return fstat(FAMILY_HOME, &st) == 0 && S_ISSOCK(st.st_mode) &&
	    st.st_dev == p->home_dev && st.st_ino == p->home_inode;
}

/* As many open files as the master has told: a hostile worker may have
 * lowered the keeper's limit, and the master may lack the right to raise it. */
static void
files_raise(const struct family_page *p)
{
	const uint64_t want = atomic_load(&p->files);
	struct rlimit l;

	if (getrlimit(RLIMIT_NOFILE, &l) == -1 || l.rlim_cur >= want)
		return;
	l.rlim_cur = want < l.rlim_max ? want : l.rlim_max;
	(void)setrlimit(RLIMIT_NOFILE, &l);
}

/*
 * Executes the program that the newest notes bring. What shares the table must
 * not find anything changed but FAMILY_RESERVE, which may be the only number
 * that is free then; a clone that died here has left its program's descriptor
 * there, and the next one closes that.
 */
void
family_execute(const struct family_page *p)
{
	const uint32_t generation = atomic_load(&p->generation);
	char name[] = EXECUTABLE_CHILD, option[] = EXECUTABLE_FAMILY, text[16];
	char *argv[] = {name, option, text, NULL};
	int program;

	if (!home_is_ours(p))
		_exit(FAMILY_SPOILT);
	close(FAMILY_RESERVE);
	files_raise(p);
	KILL_POINT();
	if (family_note_take(FAMILY_HOME, generation, FAMILY_NOTE_PROGRAM,
		&program, 1, 1) == -1)
		_exit(errno == EPIPE ? 0 : FAMILY_SPOILT);
	snprintf(text, sizeof(text), "%u", generation);
	KILL_POINT();
	syscall(SYS_execveat, program, "", argv, environ, AT_EMPTY_PATH);
	_exit(FAMILY_FAILED);
}

unsigned long
family_clone_flags(int **thread)
{
	unsigned long flags =
	    CLONE_FILES | CLONE_PARENT | CLONE_PARENT_SETTID | SIGCHLD;

	*thread = NULL;
	if (prctl(PR_GET_TID_ADDRESS, thread) == 0)
		flags |= CLONE_CHILD_SETTID | CLONE_CHILD_CLEARTID;
	return flags;
}

/* A child of the master that shares this process's descriptors. The kernel
 * stores its pid before it runs, even if this process dies meanwhile. Returns
 * as fork(). */
static pid_t
clone_sharing(_Atomic int32_t *pid)
{
	int *thread;
	const unsigned long flags = family_clone_flags(&thread);

	/* machines have the last two arguments in either order; the one that
	 * is not the thread's word is not used with these flags */
	return (pid_t)syscall(SYS_clone, flags, 0, pid, thread, thread);
}

/* Waits until the order's word is no longer that. */
static void
order_wait(struct family_keeper *k, uint32_t order)
{
	syscall(SYS_futex, &k->order, FUTEX_WAIT, order, NULL, NULL, 0);
}

static void __attribute__((noreturn))
keeper_run(struct family_page *p, unsigned me);

/* Makes what is missing. */
static void
keeper_clone(struct family_page *p, enum family_what what, unsigned about)
{
	_Atomic int32_t *pid =
	    what == FAMILY_PROCESS ? &p->process : &p->keeper[about].pid;

	if (atomic_load(pid) != 0)
		return;
	KILL_POINT();
	if (clone_sharing(pid) != 0) {
		KILL_POINT();
		return;
	}
	clone_tie(p);
	if (what == FAMILY_PROCESS)
		family_execute(p);
	keeper_run(p, about);
}

/* Carries out orders until it is told to leave. */
static void
keeper_run(struct family_page *p, unsigned me)
{
	struct family_keeper *k = &p->keeper[me];
	uint32_t order, about;

	for (;;) {
		order = atomic_load(&k->order);
		if (order == atomic_load(&k->done)) {
			order_wait(k, order);
			continue;
		}
		KILL_POINT();
		about = (order >> FAMILY_ORDER_ABOUT & FAMILY_ORDER_BITS) %
		    (FAMILY_PAIRS * FAMILY_KEEPERS);
		switch (order & FAMILY_ORDER_BITS) {
		case FAMILY_LEAVE:
			_exit(0);
		case FAMILY_PROCESS:
			keeper_clone(p, FAMILY_PROCESS, 0);
			break;
		case FAMILY_KEEPER:
			keeper_clone(p, FAMILY_KEEPER, about);
			break;
		default:
			break;
		}
		SHM_STORE(k->done, order);
	}
}

bool
family_keeper_make(struct family_page *p, unsigned k)
{
	pid_t pid;

	family_keeper_clear(p, k);
	if ((pid = clone_sharing(&p->keeper[k].pid)) == 0) {
		clone_tie(p);
		kill_list_keep();
		keeper_run(p, k);
	}
	KILL_POINT();
	return pid > 0;
}
