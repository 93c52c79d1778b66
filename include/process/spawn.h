/* spawn: what is the same for every process that the master forks. Layer 5. */
#ifndef CHATD_PROCESS_SPAWN_H
#define CHATD_PROCESS_SPAWN_H

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct child;
struct nursery;

/* Of the fork, for the child. */
struct spawn {
	pid_t parent;
	sigset_t mask; /* signals that were blocked before */
};

/* fork() with all signals blocked, in the child until spawn_signals(). */
pid_t spawn_fork(struct spawn *s);

/* In the child: dies with its parent, of that signal; false: that is dead. To
 * be repeated after a change of user, which undoes it. */
bool spawn_tie(const struct spawn *s, int sig);

/* In the child: becomes the user that children are, and still dies with its
 * parent, of SIGKILL. Returns 0, or -1 and errno. */
struct identity;
int spawn_assume(const struct identity *id);

/*
 * In the child: signals as a process is born with. Those that are for the
 * master are ignored, since a terminal's ^C goes to the whole group; the rest
 * is at its default. mask NULL: none is blocked.
 */
void spawn_signals(const sigset_t *mask);

/* In the master: makes a child the likelier choice when memory runs out, or not
 * (first: false). Not in the child, which is to open nothing before it serves;
 * /proc keeps nobody waiting. */
void spawn_volunteer(pid_t pid, bool first);
/* Forks a child of a plain kind, which executes its program. Returns its pid,
 * and the master's end of its link; or -1 and errno. */
pid_t spawn_child(const struct child *c, const struct nursery *n,
    const void *birth, int *link);

#endif
