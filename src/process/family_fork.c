/* family_fork: how a family begins. */
#include <fcntl.h>
#include <unistd.h>

#include "base/shared.h"
#include "process/child.h"
#include "process/family.h"
#include "process/spawn.h"

/* The table that a family begins with: standard streams and its link. */
static void
table_begin(int home)
{
	if (home != FAMILY_HOME && dup2(home, FAMILY_HOME) == -1)
		_exit(FAMILY_FAILED);
	if (fcntl(FAMILY_HOME, F_SETFD, 0) == -1 ||
	    close_range(FAMILY_RESERVE, ~0u, 0) == -1)
		_exit(FAMILY_FAILED);
}

pid_t
family_fork(const struct nursery *n, struct family_page *p, int home)
{
	struct spawn s;
	pid_t pid = spawn_fork(&s);

	if (pid == 0) {
		if (spawn_assume(n->identity) == -1)
			_exit(FAMILY_FAILED);
		if (!spawn_tie(&s, SIGKILL))
			_exit(0);
		table_begin(home);
		spawn_signals(&s.mask);
		family_execute(p);
	}
	if (pid != -1)
		SHM_STORE(p->process, pid);
	return pid;
}
