#include "judge.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/bundle.h"
#include "own_user.h"
#include "master/options.h"
#include "process/child.h"
#include "process/executable.h"
#include "process/identity.h"

enum { JUDGE_TEXT = 1024 };

/* Whom such a child will be. */
static struct identity
judge_identity(const struct child_kind *kind, const struct bundle *b,
    const struct identity *all)
{
	struct identity own;

	if (all->drop && kind->user != NULL &&
	    own_user_get(b, kind->user, &own))
		return own;
	return *all;
}

/* The way to the program, which says on its standard error what is wrong. */
static void __attribute__((noreturn)) judge_execute(
    const char *program, const char *path, const struct identity *id, int pipe)
{
	char *const argv[] = {
	    (char *)program, (char *)EXECUTABLE_TRY, (char *)path, NULL};

	dup2(pipe, STDERR_FILENO);
	if (identity_assume(id) == -1)
		_exit(1);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	execv(program, argv);
	dprintf(STDERR_FILENO, "%s cannot be executed as user %s: %s\n",
	    program, id->drop ? id->name : "root", strerror(errno));
	_exit(1);
}

/* Reads the first line of what it says, and its end. */
static void
judge_read(int fd, char why[JUDGE_TEXT])
{
	size_t len = 0;
	ssize_t n = 1;

	while (n > 0 && len < JUDGE_TEXT - 1)
		if ((n = read(fd, why + len, JUDGE_TEXT - 1 - len)) > 0)
			len += (size_t)n;
	why[len] = '\0';
	why[strcspn(why, "\n")] = '\0';
}

/* Runs it. Whether it refuses the file; then why is not empty. */
static bool
judge_refuses(const char *program, const char *path, const struct identity *id,
    char why[JUDGE_TEXT])
{
	int fd[2], status = 0;
	pid_t pid;

	if (pipe2(fd, O_CLOEXEC) == -1)
		return false;
	if ((pid = fork()) == 0)
		judge_execute(program, path, id, fd[1]);
	close(fd[1]);
	judge_read(fd[0], why);
	close(fd[0]);
	if (pid == -1 || waitpid(pid, &status, 0) != pid)
		return false;
	if (why[0] == '\0')
		snprintf(why, JUDGE_TEXT,
		    "%.400s is refused, and its program does not say why",
		    path);
	return status != 0;
}

void
judge_files(const struct conf *c, const struct bundle *b,
    const struct options *o, const struct identity *all,
    void (*found)(void *arg, const char *key, const char *why), void *arg)
{
	const struct child_row *row;
	char program[PATH_MAX], why[JUDGE_TEXT];
	struct identity id;
	const char *key, *path;

	for (unsigned k = 0; (row = child_row(k)) != NULL; k++) {
		if (row->kind->file == NULL ||
		    (path = row->kind->file(c, &key)) == NULL ||
		    executable_find(row->kind->executable, o->binary, program,
			why, sizeof(why)) == -1) /* told by others */
			continue;
		id = judge_identity(row->kind, b, all);
		if (judge_refuses(program, path, &id, why))
			found(arg, key, why);
	}
}
