#include "judge.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/bundle.h"
#include "base/siphash.h"
#include "own_user.h"
#include "master/options.h"
#include "process/child.h"
#include "process/executable.h"
#include "process/identity.h"

enum { JUDGE_TEXT = 4096 };

/* Notes what may be waited for. */
static void
judge_begin(const struct bundle *b, const char *what)
{
	if (b->begin != NULL)
		b->begin(b->arg, what);
}

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

/* What is to be judged of a kind, by which program and as whom. */
struct judge {
	const struct child_kind *kind;
	const char *program, *key;
	const char *words[CHILD_TRIES];
	int n;
	struct identity id; /* drop false: stays who the master is */
};

/* The way to the program, which says on its standard error what is wrong. */
static void __attribute__((noreturn))
judge_execute(const struct judge *j, int pipe)
{
	char *argv[CHILD_TRIES + 3] = {
	    (char *)j->program, (char *)EXECUTABLE_TRY};

	for (int i = 0; i < j->n; i++)
		argv[i + 2] = (char *)j->words[i];
	dup2(pipe, STDERR_FILENO);
	if (identity_assume(&j->id) == -1)
		_exit(1);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	execv(j->program, argv);
	dprintf(STDERR_FILENO, "%s cannot be executed as user %s: %s\n",
	    j->program, j->id.drop ? j->id.name : "root", strerror(errno));
	_exit(1);
}

/* Reads what it says, to its end; what there is no room for is left out. */
static void
judge_read(int fd, char text[JUDGE_TEXT])
{
	char rest[256];
	size_t len = 0;
	ssize_t n = 1;

	while (n > 0)
		if (len == JUDGE_TEXT - 1)
			n = read(fd, rest, sizeof(rest));
		else if ((n = read(fd, text + len, JUDGE_TEXT - 1 - len)) > 0)
			len += (size_t)n;
	text[len] = '\0';
}

/* Runs it. Returns its status, -1: it is not known, and what it says. */
static int
judge_run(const struct judge *j, char text[JUDGE_TEXT])
{
	int fd[2], status = 0;
	pid_t pid;

	text[0] = '\0';
	if (pipe2(fd, O_CLOEXEC) == -1)
		return -1;
	if ((pid = fork()) == 0)
		judge_execute(j, fd[1]);
	close(fd[1]);
	judge_read(fd[0], text);
	close(fd[0]);
	return pid != -1 && waitpid(pid, &status, 0) == pid ? status : -1;
}

/* A line without the key, which is told with it. */
static const char *
judge_bare(const struct judge *j, const char *line)
{
	const size_t len = strlen(j->key);

	return strncmp(line, j->key, len) == 0 && line[len] == ' '
	    ? line + len + 1
	    : line;
}

/* Tells what a program has said, line by line. */
static void
judge_tell(const struct judge *j, int status, char *text,
    void (*found)(
	void *arg, enum judge_finding what, const char *key, const char *why),
    void *arg)
{
	static const char warning[] = EXECUTABLE_WARNING;
	const enum judge_finding refused =
	    j->kind->tries_as_master ? JUDGE_RENEWAL : JUDGE_REFUSED;
	char why[128], *line;
	bool told = false;

	while ((line = strsep(&text, "\n")) != NULL)
		if (strncmp(line, warning, sizeof(warning) - 1) == 0)
			found(arg, JUDGE_WARNING, j->key,
			    judge_bare(j, line + sizeof(warning) - 1));
		else if (*line != '\0' && status > 0) {
			found(arg, refused, j->key, judge_bare(j, line));
			told = true;
		}
	if (status <= 0 || told)
		return;
	snprintf(why, sizeof(why), "is refused, and %s does not say why",
	    j->kind->executable);
	found(arg, refused, j->key, why);
}

void
judge_files(const struct conf *c, const struct bundle *b,
    const struct options *o, const struct identity *all,
    void (*found)(
	void *arg, enum judge_finding what, const char *key, const char *why),
    void *arg)
{
	const struct child_row *row;
	char program[PATH_MAX], text[JUDGE_TEXT];
	struct judge j = {.program = program};

	for (unsigned k = 0; (row = child_row(k)) != NULL; k++) {
		j.kind = row->kind;
		if (row->kind->tries == NULL ||
		    (j.n = row->kind->tries(c, &j.key, j.words)) == 0 ||
		    executable_find(row->kind->executable, o->binary, program,
			text, sizeof(text)) == -1) /* told by others */
			continue;
		j.id = (struct identity){.drop = false};
		if (!row->kind->tries_as_master)
			j.id = judge_identity(row->kind, b, all);
		judge_begin(b, j.key);
		judge_tell(&j, judge_run(&j, text), text, found, arg);
	}
}

/* Mixes what a file is into a stamp. */
static uint64_t
stamp_file(uint64_t stamp, const char *path)
{
	static const uint8_t key[16] = "chatd's stamps";
	struct {
		uint64_t stamp, error, dev, inode, size, s, ns, changed_s,
		    changed_ns;
	} of = {.stamp = stamp};
	struct stat st;

	if (stat(path, &st) == -1)
		of.error = (uint64_t)errno;
	else {
		of.dev = st.st_dev;
		of.inode = st.st_ino;
		of.size = (uint64_t)st.st_size;
		of.s = (uint64_t)st.st_mtim.tv_sec;
		of.ns = (uint64_t)st.st_mtim.tv_nsec;
		of.changed_s = (uint64_t)st.st_ctim.tv_sec;
		of.changed_ns = (uint64_t)st.st_ctim.tv_nsec;
	}
	return siphash(key, &of, sizeof(of));
}

bool
judge_is_needed(const struct conf *c)
{
	const char *words[CHILD_TRIES], *key;
	const struct child_row *row;

	for (unsigned k = 0; (row = child_row(k)) != NULL; k++)
		if (row->kind->tries_as_master && row->kind->tries != NULL &&
		    row->kind->tries(c, &key, words) > 0)
			return true;
	return false;
}

uint64_t
judge_stamp(const struct conf *c, const struct bundle *b)
{
	const char *words[CHILD_TRIES], *key;
	const struct child_row *row;
	uint64_t stamp = 0;
	int n;

	for (unsigned k = 0; (row = child_row(k)) != NULL; k++) {
		if (!row->kind->tries_as_master || row->kind->tries == NULL)
			continue;
		n = row->kind->tries(c, &key, words);
		for (int i = 0; i < n; i++)
			if (words[i][0] == '/') {
				judge_begin(b, words[i]);
				stamp = stamp_file(stamp, words[i]);
			}
	}
	return stamp;
}
