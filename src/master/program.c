#include "program.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/bundle.h"
#include "base/log.h"
#include "base/memory_file.h"
#include "private.h"
#include "process/executable.h"
#include "process/process.h"

enum {
	/* Larger: memory for a file that is no program of chatd's; smaller: a
	 * build with sanitizers and debugging information is refused. */
	PROGRAM_MAX = 48 * 1024 * 1024,
#ifdef CHATD_SANITIZED
	PROGRAM_MODE = 0755 /* the leak checker traces its own process */
#else
	/* Nobody but root may read it, so the kernel lets no process of the
	 * children's user trace or dump one that runs it. */
	PROGRAM_MODE = 0111
#endif
};

/* Pieces of the bundle: the path, and the program's bytes if the kernel
 * executes memory files. */
static const char piece_path[] = "path", piece_bytes[] = "bytes";

/* In a reader. */
struct program {
	char path[PATH_MAX];
	int file;
	char *bytes;
	size_t len;
	char error[PATH_MAX + 512]; /* "": nothing is wrong */
};

/* The program in memory, sealed; -1 and errno. */
static int
program_memory(const char *bytes, size_t len)
{
	return memory_file_fill(
	    memory_file_program(EXECUTABLE_CHILD), bytes, len);
}

/* Reads the file. False: that is in error. */
static bool
program_load(struct program *p, const char *binary)
{
	const char *why = NULL;
	struct stat st;

	if (executable_find(EXECUTABLE_CHILD, binary, p->path, p->error,
		sizeof(p->error)) == -1)
		return false;
	p->file = open(p->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (p->file == -1 || fstat(p->file, &st) == -1)
		why = strerror(errno);
	else if (!S_ISREG(st.st_mode) || st.st_size > PROGRAM_MAX)
		why = "not a program";
	else if ((p->bytes = malloc((size_t)st.st_size + 1)) == NULL)
		why = strerror(errno);
	else if (pread(p->file, p->bytes, (size_t)st.st_size, 0) != st.st_size)
		why = "it is not read to its end";
	if (why != NULL)
		snprintf(p->error, sizeof(p->error), "%s: %s", p->path, why);
	else
		p->len = (size_t)st.st_size;
	return why == NULL;
}

/* The child's way to its exec; its status is an errno. */
static void __attribute__((noreturn)) version_run(int program, int pipe)
{
	char *argv[] = {
	    (char *)EXECUTABLE_CHILD, (char *)EXECUTABLE_VERSION, NULL};

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	dup2(pipe, STDOUT_FILENO);
	execveat(program, "", argv, environ, AT_EMPTY_PATH);
	_exit(errno);
}

/* What a program says of itself; "": nothing. Returns 0, or the errno of its
 * execution, or its status if it does not leave with 0. */
static int
version_ask(int program, char out[EXECUTABLE_VERSION_MAX])
{
	size_t len = 0;
	int fd[2], status = 0;
	ssize_t n;
	pid_t pid;

	out[0] = '\0';
	if (pipe2(fd, O_CLOEXEC) == -1)
		return errno;
	if ((pid = fork()) == 0)
		version_run(program, fd[1]);
	close(fd[1]);
	while (pid != -1 && len < EXECUTABLE_VERSION_MAX - 1 &&
	    (n = read(fd[0], out + len, EXECUTABLE_VERSION_MAX - 1 - len)) > 0)
		len += (size_t)n;
	out[len] = '\0';
	out[strcspn(out, "\n")] = '\0';
	close(fd[0]);
	if (pid == -1 || waitpid(pid, &status, 0) != pid)
		return EAGAIN;
	return WIFEXITED(status) ? WEXITSTATUS(status) : ENOEXEC;
}

/* Executes it, and compares. Returns whether memory files can be executed; what
 * is wrong with the program is in error. */
static bool
program_try(struct program *p)
{
	char want[EXECUTABLE_VERSION_MAX], have[EXECUTABLE_VERSION_MAX];
	int memory = program_memory(p->bytes, p->len);
	int r = memory != -1 ? version_ask(memory, have) : errno;
	const bool good = r == 0;

	if (memory != -1)
		close(memory);
	if (!good)
		r = version_ask(p->file, have);
	executable_version(want);
	if (r == EAGAIN || r == ENOMEM || r == EMFILE || r == ENFILE)
		snprintf(p->error, sizeof(p->error),
		    "%s cannot be tried: %s; raise the limit of processes, "
		    "memory or open files (ulimit)",
		    p->path, strerror(r));
	else if (r != 0)
		snprintf(p->error, sizeof(p->error),
		    "%s cannot be executed: %s; install it from the same build "
		    "as chatd",
		    p->path, strerror(r));
	else if (strcmp(want, have) != 0)
		snprintf(p->error, sizeof(p->error),
		    "%s is of another build: \"%s\", this chatd needs \"%s\"; "
		    "install it from the same build as chatd",
		    p->path, have, want);
	return good;
}

void
program_read(const char *binary, struct bundle *b)
{
	static struct program p;
	bool memory;

	p = (struct program){.file = -1};
	memory = program_load(&p, binary) && program_try(&p);

	if (p.error[0] != '\0')
		(void)bundle_put(b, BUNDLE_PROGRAM, piece_path, EINVAL, p.error,
		    strlen(p.error) + 1);
	else if (!memory ||
	    bundle_put(b, BUNDLE_PROGRAM, piece_bytes, 0, p.bytes, p.len) == 0)
		(void)bundle_put(b, BUNDLE_PROGRAM, piece_path, 0, p.path,
		    strlen(p.path) + 1);
	free(p.bytes);
	if (p.file != -1)
		close(p.file);
}

int
program_check(
    const struct bundle *b, const char *stuck, char *error, size_t error_len)
{
	struct bundle_piece piece;

	if (!bundle_get(b, BUNDLE_PROGRAM, piece_path, &piece))
		snprintf(error, error_len, "%s", stuck);
	else if (piece.error != 0)
		snprintf(error, error_len, "%s", piece.bytes);
	else
		return 0;
	return -1;
}

int
program_take(struct master *m, const struct bundle *b, const char *stuck,
    char *error, size_t error_len)
{
	struct bundle_piece path, bytes;
	bool sealed;
	int fd;

	if (program_check(b, stuck, error, error_len) == -1)
		return -1;
	(void)bundle_get(b, BUNDLE_PROGRAM, piece_path, &path);
	sealed = bundle_get(b, BUNDLE_PROGRAM, piece_bytes, &bytes);
	fd = sealed ? program_memory(bytes.bytes, bytes.len)
		    : open(path.bytes, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd == -1 ||
	    (sealed && m->identity.drop && fchmod(fd, PROGRAM_MODE) == -1)) {
		snprintf(
		    error, error_len, "%s: %s", path.bytes, strerror(errno));
		if (fd != -1)
			close(fd);
		return -1;
	}
	m->nursery.program = fd;
	m->nursery.program_is_sealed = sealed;
	return 0;
}

void
program_log(const struct master *m)
{
	if (!m->nursery.program_is_sealed)
		log_warn("a program in memory cannot be executed here "
			 "(vm.memfd_noexec?): children execute the file "
			 "%s itself, and start late when the disk is slow",
		    EXECUTABLE_CHILD);
}
