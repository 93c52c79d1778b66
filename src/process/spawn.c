#include "process/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "base/log.h"
#include "base/title.h"
#include "net/link.h"
#include "process/child.h"
#include "process/executable.h"
#include "process/identity.h"

/* The kernel shall rather take a worker than the master. */
static const char oom_score_adj[] = "300";

pid_t
spawn_fork(struct spawn *s)
{
	sigset_t all;
	pid_t pid;
	int saved;

	s->parent = getpid();
	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, &s->mask);
	if ((pid = fork()) == 0)
		return 0;
	saved = errno;
	sigprocmask(SIG_SETMASK, &s->mask, NULL);
	errno = saved;
	return pid;
}

bool
spawn_tie(const struct spawn *s, int sig)
{
	return prctl(PR_SET_PDEATHSIG, sig) == 0 && getppid() == s->parent;
}

int
spawn_assume(const struct identity *id)
{
	if (identity_assume(id) == -1)
		return -1;
#ifdef CHATD_SANITIZED
	/* The leak checker traces its own process. */
	if (prctl(PR_SET_DUMPABLE, 1) == -1)
		return -1;
#endif
	/* the change of user undoes it */
	return prctl(PR_SET_PDEATHSIG, SIGKILL);
}

void
spawn_signals(const sigset_t *mask)
{
	/* the last one: a file that may not grow is an error of write() */
	static const int ignored[] = {SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1,
	    SIGUSR2, SIGPIPE, SIGXFSZ};
	sigset_t none;

	for (int i = 1; i < NSIG; i++)
		if (i != SIGKILL && i != SIGSTOP)
			signal(i, SIG_DFL);
	for (size_t i = 0; i < sizeof(ignored) / sizeof(ignored[0]); i++)
		signal(ignored[i], SIG_IGN);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, mask != NULL ? mask : &none, NULL);
}

void
spawn_volunteer(pid_t pid, bool first)
{
	const char *adj = first ? oom_score_adj : "0";
	char file[64];
	int fd;

	snprintf(file, sizeof(file), "/proc/%d/oom_score_adj", (int)pid);
	if ((fd = open(file, O_WRONLY | O_CLOEXEC)) == -1)
		return;
	if (write(fd, adj, strlen(adj)) == -1)
		log_debug("oom_score_adj: %s", strerror(errno));
	close(fd);
}

/* Becomes the user that it is to be, and dies with the master. */
static void
spawn_settle(const struct identity *id, const struct spawn *s)
{
	if (spawn_assume(id) == -1)
		log_fatal(
		    "cannot become user %s: %s", id->name, strerror(errno));
	/* the parent may have died before it */
	if (!spawn_tie(s, SIGKILL))
		_exit(0);
	spawn_signals(&s->mask);
}

/* The child's way from the fork to its exec, which closes all that is the
 * master's. Signals are blocked. */
static void __attribute__((noreturn)) spawn_run(const struct child *c,
    const struct nursery *n, const void *birth, int link, const struct spawn *s)
{
	static struct passport_page page;

	log_set_name(child_name(c));
	title_set(child_name(c));
	/* what its kind reads may take longer than the parent lives */
	if (c->kind->bring != NULL && !spawn_tie(s, SIGKILL))
		_exit(0);
	executable_pack(&page, c, n, birth, link, s->parent);
	spawn_settle(child_identity(c, n), s);
	executable_run(&page, c->kind, n);
}

pid_t
spawn_child(const struct child *c, const struct nursery *n, const void *birth,
    int *link)
{
	struct spawn s;
	int pair[2], saved;
	pid_t pid;

	if (link_pair(pair) == -1)
		return -1;
	if ((pid = spawn_fork(&s)) == 0) {
		close(pair[0]);
		spawn_run(c, n, birth, pair[1], &s);
	}
	saved = errno;
	close(pair[1]);
	*link = pair[0];
	if (pid == -1)
		close(pair[0]);
	else if ((c->kind->gets & CHILD_VICTIM) != 0)
		spawn_volunteer(pid, true);
	errno = saved;
	return pid;
}
