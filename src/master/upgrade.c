/*
 * The live upgrade. The new program is opened once; that descriptor is first
 * rehearsed by a child, which says whether it could go on, and then executed
 * by the master in its own place: same pid, same children, listeners, memory.
 * Whatever goes wrong before that, the old program goes on.
 */
#include <errno.h>
#include <event2/buffer.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/log.h"
#include "base/memory_file.h"
#include "codec/json.h"
#include "master/control.h"
#include "master/resume.h"
#include "conversion.h"
#include "limits.h"
#include "member.h"
#include "private.h"
#include "process/process.h"
#include "reload.h"
#include "renew.h"
#include "process/spawn.h"
#include "spawn.h"
#include "state.h"
#include "upgrade.h"

enum {
	/* Reading files and mapping the memory takes 0.1 s; with a million
	 * busy clients on two processors it took more than 5 s. Larger: a
	 * program that hangs is given up later; smaller: a busy machine is not
	 * upgraded. */
	REHEARSAL_MS = 20000,
	DEAD_MS = 1000,	   /* for a rehearsal that was killed to die */
	REASON_MAX = 4096, /* bytes of a failure's reason as JSON */
	IDLE_MS = 2000, /* control clients are answered before, for so long */
	/* Each worker has both keepers before it is replaced; the upgrade is
	 * refused when that takes longer. */
	SOUND_MS = 10 * 1000
};

struct upgrade {
	char *path;
	int binary;
	struct stat looked; /* as it was before the rehearsal */
	int pipe;	    /* the rehearsal's answer */
	pid_t pid;	    /* the rehearsal; 0: it is over, well */
	uint64_t limit_ms;
	uint64_t sound_ms; /* the rehearsal is over: until then */
	bool killed;
	bool copies;		  /* the new program needs the memory copied */
	struct hub_limits limits; /* and these are its limits */
	uint32_t connections;
};

/* Gives it all back. */
static void
upgrade_free(struct upgrade *u)
{
	if (u->binary != -1)
		close(u->binary);
	if (u->pipe != -1)
		close(u->pipe);
	free(u->path);
	free(u);
}

/* The old program goes on, and says why. */
static void __attribute__((format(printf, 2, 3)))
fail(struct master *m, const char *fmt, ...)
{
	char *text = m->upgrade_failure;
	const size_t size = sizeof(m->upgrade_failure);
	size_t len;
	va_list ap;

	snprintf(text, size, "%.255s: ", m->upgrade->path);
	len = strlen(text);
	va_start(ap, fmt);
	vsnprintf(text + len, size - len, fmt, ap);
	va_end(ap);
	text[strcspn(text, "\n")] = '\0';
	conversion_end(m);
	log_error("not upgraded to %s", text);
	upgrade_free(m->upgrade);
	m->upgrade = NULL;
	if (m->bundle != -1)
		close(m->bundle);
	m->bundle = -1;
}

/* Opens the program. Returns NULL, or what is wrong. */
static const char *
binary_open(struct upgrade *u)
{
	/* Not to wait for the writer of a pipe. */
	u->binary = open(u->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (u->binary == -1 || fstat(u->binary, &u->looked) == -1)
		return strerror(errno);
	if (!S_ISREG(u->looked.st_mode))
		return "not a program";
	return NULL;
}

/* Whether the file is still the one that was rehearsed: it may have been
 * written to, though not now (ETXTBSY). */
static bool
binary_stays(const struct upgrade *u)
{
	struct stat st;

	return fstat(u->binary, &st) == 0 && st.st_size == u->looked.st_size &&
	    st.st_mtim.tv_sec == u->looked.st_mtim.tv_sec &&
	    st.st_mtim.tv_nsec == u->looked.st_mtim.tv_nsec;
}

/* An exec's failure in words. */
static const char *
exec_error(int error)
{
	switch (error) {
	case ENOENT: /* by a descriptor that an interpreter cannot open */
	case ENOEXEC:
		return "not a program for this machine";
	default:
		return strerror(error);
	}
}

/* Executes the program. Returns only if that fails, with errno. */
static void
execute(const struct upgrade *u, const char *what)
{
	char *argv[] = {u->path, (char *)RESUME_OPTION, (char *)what, NULL};

	fexecve(u->binary, argv, environ);
}

/* The rehearsal's way from the fork to its exec. */
static void __attribute__((noreturn))
child_run(const struct master *m, int state, int pipe, const struct spawn *s)
{
	const struct upgrade *u = m->upgrade;
	char what[64], text[128];

	if (!spawn_tie(s, SIGKILL))
		_exit(1);
	fcntl(m->bundle, F_SETFD, 0);
	fcntl(m->hub.fd, F_SETFD, 0);
	fcntl(state, F_SETFD, 0);
	fcntl(pipe, F_SETFD, 0);
	snprintf(what, sizeof(what), RESUME_REHEARSE, state, pipe);
	spawn_signals(NULL);
	execute(u, what);
	snprintf(text, sizeof(text), "no %s", exec_error(errno));
	(void)!write(pipe, text, strlen(text));
	_exit(1);
}

/* Starts the rehearsal. Returns NULL, or what is wrong. */
static const char *
rehearse(struct master *m)
{
	static char error[512];
	const struct options *options = m->options;
	struct options next = *options;
	struct upgrade *u = m->upgrade;
	struct spawn s;
	int state, fd[2];

	m->bundle = memory_file("chatd-read");
	if (m->bundle == -1)
		return strerror(errno);
	hub_sign(&m->hub);
	next.binary = u->path; /* beside which its own programs lie */
	m->options = &next;
	state = state_write(m, error, sizeof(error));
	m->options = options;
	if (state == -1)
		return error;
	if (pipe2(fd, O_CLOEXEC | O_NONBLOCK) == -1) {
		close(state);
		return strerror(errno);
	}
	if ((u->pid = spawn_fork(&s)) == 0)
		child_run(m, state, fd[1], &s);
	snprintf(error, sizeof(error), "fork: %s", strerror(errno));
	close(state);
	close(fd[1]);
	u->pipe = fd[0];
	u->limit_ms = master_clock_ms(m) + REHEARSAL_MS;
	return u->pid == -1 ? error : NULL;
}

int
upgrade_begin(struct master *m, const char *path, char *error, size_t error_len)
{
	struct upgrade *u;
	const char *why;

	if (m->phase != PHASE_RUNNING)
		why = "chatd is not running";
	else if (m->upgrade != NULL || m->renewing)
		why = "an upgrade is going on";
	else if (m->wanted < m->n_workers)
		why = "workers are leaving";
	else if (path == NULL && (path = m->options->binary) == NULL)
		why = "the program's file is not known";
	else if (path[0] != '/')
		why = "not an absolute path";
	else
		why = NULL;
	if (why != NULL) {
		snprintf(error, error_len, "%s%s%s", path != NULL ? path : "",
		    path != NULL ? ": " : "", why);
		log_error("not upgraded: %s", error);
		return -1;
	}
	if ((u = calloc(1, sizeof(*u))) == NULL ||
	    (u->path = strdup(path)) == NULL) {
		free(u);
		snprintf(error, error_len, "no memory");
		return -1;
	}
	u->binary = u->pipe = -1;
	m->upgrade = u;
	m->upgrade_failure[0] = '\0';
	m->upgraded = m->reload_is_due = false;
	log_info("rehearsing %s", u->path);
	if ((why = binary_open(u)) == NULL && (why = rehearse(m)) == NULL)
		return 0;
	fail(m, "%s", why);
	strlcpy(error, m->upgrade_failure, error_len);
	return -1;
}

/* What it says if the memory is to be copied first; false: it is not. */
static bool
copies_read(struct upgrade *u, char *answer)
{
	char *limits = strchr(answer, '\n');

	if (strncmp(answer, RESUME_COPIES, strlen(RESUME_COPIES)) != 0 ||
	    limits == NULL ||
	    !limits_read(limits + 1, &u->limits, &u->connections))
		return false;
	*limits = '\0';
	u->copies = true;
	return true;
}

/* The rehearsal was good. */
static void
rehearsed(struct master *m, const char *version)
{
	struct upgrade *u = m->upgrade;

	/* A memory is copied when every worker has retired: what one that died
	 * has left half done, the next one carries out, now. */
	for (int i = 0; i < m->n_workers && u->copies; i++)
		if (m->member[i].child.respawn_ms > master_clock_ms(m))
			m->member[i].child.respawn_ms = master_clock_ms(m);

	log_info("%s is chatd %s, executing it", u->path, version);
	u->limit_ms = master_clock_ms(m) + IDLE_MS;
	u->sound_ms = master_clock_ms(m) + SOUND_MS;
}

bool
upgrade_died(struct master *m, pid_t pid, int status)
{
	struct upgrade *u = m->upgrade;
	char answer[4200];
	ssize_t n;

	if (conversion_died(m, pid, status))
		return true;
	if (u == NULL || u->pid == 0 || u->pid != pid)
		return false;
	u->pid = 0;
	n = read(u->pipe, answer, sizeof(answer) - 1);
	answer[n > 0 ? n : 0] = '\0';
	if (u->killed)
		fail(m, "it does not answer within %d s", REHEARSAL_MS / 1000);
	else if (WIFSIGNALED(status))
		fail(m, "it dies of %s", process_signal(WTERMSIG(status)));
	else if (strncmp(answer, "no ", 3) == 0)
		fail(m, "%s", answer + 3);
	else if (copies_read(u, answer))
		rehearsed(m, answer + strlen(RESUME_COPIES));
	else if (WEXITSTATUS(status) != 0 ||
	    strncmp(answer, RESUME_OK, strlen(RESUME_OK)) != 0)
		fail(m, "it is no chatd: it leaves with status %d",
		    WEXITSTATUS(status));
	else
		rehearsed(m, answer + strlen(RESUME_OK));
	return true;
}

/* For state_descriptors(). */
static void
descriptor_keep(int fd)
{
	fcntl(fd, F_SETFD, 0);
}

static void
descriptor_drop(int fd)
{
	fcntl(fd, F_SETFD, FD_CLOEXEC);
}

/* Becomes the new program. Returns only if that fails. */
static void
become(struct master *m)
{
	struct options next = *m->options;
	const struct options *options = m->options;
	char error[512], what[64];
	sigset_t all, mask;
	int state, saved;

	if (!binary_stays(m->upgrade)) {
		fail(m, "it was changed after its rehearsal");
		return;
	}
	control_settle(
	    m->control, "chatd is being upgraded; what had begun goes on");
	next.binary = m->upgrade->path; /* the next upgrade's default */
	/* What was reloaded after the rehearsal is not in what that read. */
	m->reload_is_due = m->reload_is_due || m->reloading;
	m->options = &next;
	state = state_write(m, error, sizeof(error));
	m->options = options;
	if (state == -1) {
		fail(m, "%s", error);
		return;
	}
	/* What is signalled meanwhile waits for the new program's handlers. */
	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, &mask);
	state_descriptors(m, descriptor_keep);
	fcntl(state, F_SETFD, 0);
	snprintf(what, sizeof(what), RESUME_TAKE, state);
	log_flush();
	execute(m->upgrade, what);
	saved = errno;
	state_descriptors(m, descriptor_drop);
	close(state);
	sigprocmask(SIG_SETMASK, &mask, NULL);
	fail(m, "%s", exec_error(saved));
}

/* What stands in the way of replacing workers, in words; NULL: nothing. A place
 * whose worker waits for its start is no obstacle: its keepers hold all, and
 * the new program deserves a first try. */
static const char *
upgrade_obstacle(const struct master *m)
{
	static char text[64];
	const struct member *w;
	const char *problem;

	for (int i = 0; i < m->n_workers; i++) {
		w = &m->member[i];
		if ((w->retired && !w->child.ready) || w->retire_ms != 0 ||
		    w->family.step != FAMILY_RESTS) {
			snprintf(text, sizeof(text),
			    "worker %d is being replaced", i);
			return text;
		}
		if (w->child.pid != 0 && w->child.ready &&
		    (problem = family_problem(&w->family)) != NULL)
			return problem;
		if (m->upgrade->copies &&
		    (w->child.pid != 0 ? !w->child.ready : w->unclean)) {
			snprintf(
			    text, sizeof(text), "worker %d is not running", i);
			return text;
		}
	}
	return NULL;
}

/* In the child that copies. */
static void
copier_run(const struct master *m, const char *what)
{
	execute(m->upgrade, what);
}

/* All workers are to retire at once. */
static void
workers_retire(struct master *m)
{
	for (int i = 0; i < m->n_workers; i++)
		if (m->member[i].child.pid != 0) {
			m->member[i].retire_ms = master_clock_ms(m);
			m->member[i].child.told = true;
			owed_add(&m->member[i].child, OWED_RETIRE);
		}
}

/* All workers are to accept no connections. */
static void
workers_part(struct master *m)
{
	for (int i = 0; i < m->n_workers; i++)
		owed_add(&m->member[i].child, OWED_PART);
}

/* Workers that have retired are followed by others of this program; the rest
 * accepts again. */
static void
workers_go_on(struct master *m)
{
	for (int i = 0; i < m->n_workers; i++) {
		struct member *w = &m->member[i];

		w->child.owed &= ~(unsigned)OWED_PART;
		if (w->child.pid != 0 && w->child.ready && w->retire_ms == 0 &&
		    m->phase == PHASE_RUNNING)
			owed_add(&w->child, OWED_START);
		if (member_is_there(w) || !w->retired ||
		    w->course != COURSE_STAYS)
			continue;
		m->renewals++;
		spawn_worker(w);
	}
}

/* The copy has come to its next step, or to its end. */
static void
copy_changed(struct master *m)
{
	upgrade_time(m, master_clock_ms(m));
}

/* Nothing stands in the way any more. */
static void
upgrade_go(struct master *m)
{
	static const struct conversion_calls calls = {copier_run,
	    upgrade_obstacle, workers_part, workers_retire, workers_go_on,
	    copy_changed};
	struct upgrade *u = m->upgrade;
	const char *why = u->copies
	    ? conversion_begin(m, &u->limits, u->connections, &calls)
	    : NULL;

	if (why != NULL)
		fail(m, "%s", why);
	else if (!u->copies)
		become(m);
}

/* The memory is being copied. */
static void
conversion_go_on(struct master *m, uint64_t now)
{
	char why[sizeof(m->upgrade_failure)];

	switch (conversion_time(m, now)) {
	case CONVERSION_DONE:
		become(m);
		break;
	case CONVERSION_FAILED:
		strlcpy(why, conversion_failure(m), sizeof(why));
		fail(m, "%s", why);
		break;
	default:
		break;
	}
}

void
upgrade_time(struct master *m, uint64_t now)
{
	struct upgrade *u = m->upgrade;

	if (u == NULL)
		return;
	if (m->conversion != NULL)
		conversion_go_on(m, now);
	else if (u->pid == 0) {
		const char *obstacle = upgrade_obstacle(m);

		if (obstacle != NULL && now >= u->sound_ms)
			fail(m, "%s", obstacle);
		else if (obstacle == NULL &&
		    ((control_is_idle(m->control) && m->n_orders == 0) ||
			now >= u->limit_ms))
			upgrade_go(m);
	} else if (now >= u->limit_ms && !u->killed) {
		u->killed = true;
		(void)process_kill(u->pid, "the rehearsal of an upgrade");
	} else if (u->killed && now >= u->limit_ms + DEAD_MS)
		fail(m, "it does not answer within %d s, nor die: left behind",
		    REHEARSAL_MS / 1000);
}

bool
upgrade_owns(const struct master *m, pid_t pid)
{
	return m->upgrade != NULL && m->upgrade->pid == pid;
}

void
upgrade_end(struct master *m)
{
	struct upgrade *u = m->upgrade;

	if (u == NULL)
		return;
	if (u->pid > 0)
		(void)process_kill(u->pid, "the rehearsal of an upgrade");
	fail(m, "chatd is leaving");
}

void
upgrade_show(const struct master *m, bool json, struct evbuffer *out)
{
	const char *state = m->upgrade != NULL ? m->upgrade->pid != 0
		? "rehearsing"
		: m->conversion != NULL ? conversion_name(m)
					: "executing"
	    : m->renewing		       ? "renewing"
	    : m->upgrade_failure[0] != '\0'    ? "failed"
	    : m->upgraded		       ? "done"
					       : "idle";
	const bool failed = strcmp(state, "failed") == 0;
	int left = renew_left(m);
	struct json_writer w;

	if (!json) {
		evbuffer_add_printf(out, "%s %d %s\n", state, left,
		    failed ? m->upgrade_failure : CHATD_VERSION);
		return;
	}
	json_writer_init_growing(&w, REASON_MAX);
	json_put_string(&w, m->upgrade_failure, strlen(m->upgrade_failure));
	evbuffer_add_printf(out,
	    "{\"state\":\"%s\",\"version\":\"%s\",\"left\":%d,"
	    "\"reason\":%.*s}\n",
	    state, CHATD_VERSION, left,
	    failed && !json_writer_failed(&w) ? (int)w.len : 4,
	    failed && !json_writer_failed(&w) ? w.buf : "null");
	json_writer_deinit(&w);
}
