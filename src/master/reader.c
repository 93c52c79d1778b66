#include "reader.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/memory_file.h"
#include "base/title.h"
#include "door/registry.h"
#include "master/daemon.h"
#include "net/listener.h"
#include "judge.h"
#include "look.h"
#include "own_user.h"
#include "program.h"
#include "process/identity.h"
#include "process/process.h"
#include "process/spawn.h"

enum {
	FIRST = STDERR_FILENO + 1,
	LAST_MS = 1000 /* from the end of its pipe to that of the process */
};

static const int seals =
    F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL;

/* In front of the bundle in the memory file. */
struct head {
	uint64_t len;	 /* bytes of complete parts */
	uint32_t done;	 /* those parts */
	char doing[508]; /* what is waited for now */
};

/* The child's own. */
struct child {
	struct head head;
	int memory;
	struct bundle bundle;
	const struct reader_job *job;
	struct identity identity;
	const char *webroot;
};

/* Writes all of it at an offset; leaves if that fails: what is complete
 * counts. */
static void
child_write(const struct child *c, const void *bytes, size_t len, size_t at)
{
	const char *from = bytes;
	ssize_t n;

	for (; len > 0; from += n, at += (size_t)n, len -= (size_t)n)
		if ((n = pwrite(c->memory, from, len, (off_t)at)) <= 0)
			_exit(1);
}

/* Notes what is waited for from now on. */
static void __attribute__((format(printf, 2, 3)))
child_begin(struct child *c, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(c->head.doing, sizeof(c->head.doing), fmt, ap);
	va_end(ap);
	child_write(c, &c->head, sizeof(c->head), 0);
}

/* For the bundle: a file is opened next. */
static void
child_file(void *arg, const char *name)
{
	child_begin(arg, "reading %s", name);
}

/* A part is complete. */
static void
child_done(struct child *c, enum reader_part part)
{
	const uint64_t had = c->head.len;

	child_write(c, c->bundle.bytes + had, c->bundle.len - had,
	    sizeof(c->head) + had);
	c->head.len = c->bundle.len;
	c->head.done |= part;
	child_write(c, &c->head, sizeof(c->head), 0);
}

/* The configuration; who asked for it parses it again, from the bundle. */
static struct conf *
child_conf(struct child *c)
{
	static char error[4096];
	struct conf *conf =
	    options_load(c->job->options, &c->bundle, error, sizeof(error));

	/* The only error that is not met again by who parses the bundle. */
	if (conf == NULL && strstr(error, strerror(ENOMEM)) != NULL) {
		child_begin(c, "reading files: %s", strerror(ENOMEM));
		_exit(1);
	}
	child_done(c, READ_CONF);
	return conf;
}

/* The users that children become; false: that of all is not there. */
static bool
child_user(struct child *c, const char *user)
{
	char error[256] = "";
	int r;

	child_begin(c, "looking up user %s", user != NULL ? user : "chatd");
	r = identity_find(&c->identity, user, error, sizeof(error));
	if (r == 0)
		r = bundle_put(&c->bundle, BUNDLE_USER, "", 0, &c->identity,
		    sizeof(c->identity));
	else
		(void)bundle_put(&c->bundle, BUNDLE_USER, "", EINVAL, error,
		    strlen(error) + 1);
	child_begin(c, "looking up the users of chatd's children");
	own_users_find(&c->bundle);
	child_done(c, READ_USER);
	return r == 0;
}

/* The addresses that names mean. */
static void
child_names(struct child *c, char *const *listen, int n_listen)
{
	struct listener_targets t;
	char error[512];

	for (int i = 0; i < n_listen; i++) {
		const char *name = listen[i];

		child_begin(c, "looking up %s", name);
		if (listener_resolve(name, &t, error, sizeof(error)) == 0)
			(void)bundle_put(
			    &c->bundle, BUNDLE_ADDRESS, name, 0, &t, sizeof(t));
		else
			(void)bundle_put(&c->bundle, BUNDLE_ADDRESS, name,
			    EINVAL, error, strlen(error) + 1);
	}
	child_done(c, READ_NAMES);
}

/* What the configuration names. */
static void
child_look(struct child *c, const struct conf *conf)
{
	child_begin(c, "looking for what the configuration names");
	look_at(conf, c->job->options, &c->identity, &c->bundle);
	child_done(c, READ_LOOK);
}

/* Whether files are as they were. */
static void
child_stamp(struct child *c)
{
	uint64_t stamp;

	child_begin(c, "looking for certificates");
	stamp = judge_stamp(c->job->conf, &c->bundle);
	(void)bundle_put(
	    &c->bundle, BUNDLE_STAMP, "", 0, &stamp, sizeof(stamp));
	child_done(c, READ_STAMP);
}

/* The program that children execute. */
static void
child_program(struct child *c)
{
	child_begin(c, "reading the program of chatd's children");
	program_read(c->job->options->binary, &c->bundle);
	child_done(c, READ_PROGRAM);
}

/* The web page, as the user that workers are: a link in the folder must not
 * show what root alone may read. */
static void
child_page(struct child *c, const struct spawn *s)
{
	if (c->webroot == NULL)
		return;
	child_begin(c, "reading %s", c->webroot);
	if (identity_assume(&c->identity) == -1 || !spawn_tie(s, SIGKILL) ||
	    door_files_read(c->webroot, &c->bundle) == -1)
		return;
	child_done(c, READ_PAGE);
}

/* Closes all but two descriptors: a child that a disk holds for hours must not
 * hold a port, a lock, or a pipe whose end another process waits for. */
static void
child_close(int a, int b, bool input)
{
	const unsigned low = (unsigned)(a < b ? a : b);
	const unsigned high = (unsigned)(a < b ? b : a);

	if (low > FIRST)
		close_range(FIRST, low - 1, 0);
	if (high > low + 1)
		close_range(low + 1, high - 1, 0);
	close_range(high + 1, ~0U, 0);
	if (!input)
		dup2(b, STDIN_FILENO);
#ifndef CHATD_SANITIZED /* whose reports go to standard error */
	dup2(b, STDOUT_FILENO);
	dup2(b, STDERR_FILENO);
#endif
}

/* The child's way from the fork to its end. */
static void __attribute__((noreturn)) child_run(
    const struct reader_job *job, int memory, int pipe, const struct spawn *s)
{
	static struct child c;
	const char *file = job->options != NULL ? job->options->file : NULL;
	struct conf *conf = NULL;
	bool known = true;

	child_close(memory, pipe,
	    file != NULL && strcmp(file, "/dev/stdin") == 0 &&
		(job->what & READ_CONF) != 0);
	if (!spawn_tie(s, SIGKILL))
		_exit(1);
	spawn_signals(NULL);
	title_set("reader");
	c.memory = memory;
	c.job = job;
	c.bundle.begin = child_file;
	c.bundle.arg = &c;
	c.webroot = job->webroot;
	if (job->identity != NULL)
		c.identity = *job->identity;
	if ((job->what & READ_STAMP) != 0)
		child_stamp(&c);
	if ((job->what & READ_CONF) != 0) {
		if ((conf = child_conf(&c)) == NULL)
			_exit(0); /* who parses it sees why */
		if (c.webroot == NULL && (job->what & READ_USER) != 0)
			c.webroot = conf->webroot;
	}
	if ((job->what & READ_USER) != 0)
		known = child_user(&c, conf != NULL ? conf->user : NULL);
	if ((job->what & READ_NAMES) != 0 && job->listen == NULL)
		child_names(&c, conf->listen, conf->n_listen);
	else if ((job->what & READ_NAMES) != 0)
		child_names(&c, job->listen, job->n_listen);
	if ((job->what & READ_LOOK) != 0)
		child_look(&c, conf);
	if ((job->what & READ_PROGRAM) != 0)
		child_program(&c);
	if ((job->what & READ_PAGE) != 0 && known)
		child_page(&c, s);
	_exit(0);
}

/* Moves a descriptor above the standard ones, whichever of them are closed. */
static int
descriptor_raise(int fd)
{
	int high = fd == -1 ? -1 : fcntl(fd, F_DUPFD_CLOEXEC, FIRST), saved;

	saved = errno;
	if (fd != -1)
		close(fd);
	errno = saved;
	return high;
}

int
reader_start(struct reader *r, const struct reader_job *job, int ms)
{
	int fd[2] = {-1, -1}, saved;
	struct spawn s;

	*r = (struct reader){.pid = -1, .memory = -1, .pipe = -1, .ms = ms};
	r->memory = descriptor_raise(memory_file("chatd-read"));
	if (r->memory == -1 || pipe2(fd, O_CLOEXEC | O_NONBLOCK) == -1)
		goto fail;
	r->pipe = descriptor_raise(fd[0]);
	fd[1] = descriptor_raise(fd[1]);
	if (r->pipe == -1 || fd[1] == -1)
		goto fail;
	if ((r->pid = spawn_fork(&s)) == 0)
		child_run(job, r->memory, fd[1], &s);
	saved = errno;
	close(fd[1]);
	if (r->pid != -1)
		return 0;
	fd[1] = -1;
	errno = saved;
fail:
	saved = errno;
	if (fd[1] != -1)
		close(fd[1]);
	reader_drop(r);
	r->pid = 0;
	errno = saved;
	return -1;
}

void
reader_drop(struct reader *r)
{
	if (r->memory != -1)
		close(r->memory);
	if (r->pipe != -1)
		close(r->pipe);
	r->memory = r->pipe = -1;
}

/* Takes len bytes at an offset of a memory file as a bundle. */
static int
bundle_fetch(int fd, size_t at, size_t len, struct bundle *b)
{
	char *bytes;

	if (len > BUNDLE_MAX) {
		errno = EFBIG;
		return -1;
	}
	if ((bytes = malloc(len + 1)) == NULL)
		return -1;
	if (pread(fd, bytes, len, (off_t)at) != (ssize_t)len)
		errno = EBADMSG;
	else if (bundle_adopt(b, bytes, len) == 0)
		return 0;
	free(bytes);
	return -1;
}

/* Whether a reader has come to its end; what it wrote there is of no use. */
static bool
reader_is_done(const struct reader *r)
{
	char text[512];
	ssize_t n;

	while ((n = read(r->pipe, text, sizeof(text))) > 0)
		;
	return n == 0;
}

unsigned
reader_end(struct reader *r, struct bundle *b, char *stuck, size_t stuck_len)
{
	struct head head = {.len = 0};

	*b = (struct bundle){.bytes = NULL};
	if (r->pid > 0 && !reader_is_done(r)) {
		r->is_killed = true;
		(void)process_kill(r->pid, "the process that reads files");
	}
	/* Sealed, so that a child that wakes up later changes nothing. */
	if (fcntl(r->memory, F_ADD_SEALS, seals) == -1 ||
	    pread(r->memory, &head, sizeof(head), 0) != sizeof(head) ||
	    bundle_fetch(r->memory, sizeof(head), head.len, b) == -1)
		head.done = 0;
	head.doing[sizeof(head.doing) - 1] = '\0';
	if (head.doing[0] == '\0')
		strlcpy(head.doing, "reading files", sizeof(head.doing));
	if (r->is_killed)
		snprintf(stuck, stuck_len, "%s takes longer than %d s",
		    head.doing, r->ms / 1000);
	else
		snprintf(stuck, stuck_len, "%s: its process ended", head.doing);
	reader_drop(r);
	return head.done;
}

unsigned
reader_run(const struct reader_job *job, int ms, struct bundle *b, char *stuck,
    size_t stuck_len)
{
	const uint64_t limit = clock_ms() + (uint64_t)ms;
	struct reader r;
	struct pollfd p;
	uint64_t now;
	unsigned done;

	*b = (struct bundle){.bytes = NULL};
	if (reader_start(&r, job, ms) == -1) {
		snprintf(stuck, stuck_len, "no process: %s", strerror(errno));
		return 0;
	}
	p = (struct pollfd){r.pipe, POLLIN, 0};
	while ((now = clock_ms()) < limit && !reader_is_done(&r))
		(void)poll(&p, 1, (int)(limit - now));
	done = reader_end(&r, b, stuck, stuck_len);
	(void)process_reap(r.pid, clock_ms() + LAST_MS);
	return done;
}

int
reader_save(int fd, const struct bundle *b)
{
	if (write(fd, b->bytes, b->len) == (ssize_t)b->len)
		return 0;
	errno = EIO;
	return -1;
}

int
reader_restore(int fd, struct bundle *b)
{
	struct stat st;

	if (fcntl(fd, F_ADD_SEALS, seals) == -1 || fstat(fd, &st) == -1)
		return -1;
	if (st.st_size <= 0) {
		errno = EBADMSG;
		return -1;
	}
	return bundle_fetch(fd, 0, (size_t)st.st_size, b);
}

int
reader_identity(
    const struct bundle *b, struct identity *id, char *error, size_t error_len)
{
	struct bundle_piece piece;

	if (!bundle_get(b, BUNDLE_USER, "", &piece))
		snprintf(error, error_len, "the user is not known");
	else if (piece.error != 0)
		snprintf(error, error_len, "%.*s", (int)piece.len, piece.bytes);
	else if (piece.len == sizeof(*id)) {
		memcpy(id, piece.bytes, sizeof(*id));
		id->name[sizeof(id->name) - 1] = '\0';
		return 0;
	} else
		snprintf(error, error_len, "the user is of another version");
	return -1;
}
