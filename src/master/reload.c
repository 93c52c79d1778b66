/*
 * Reloads: a reader brings the configuration and the web page's files, the
 * master parses them from memory. Who asks while one is going on is answered
 * by the next one, which reads what was saved meanwhile.
 */
#include <errno.h>
#include <event2/event.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "base/log.h"
#include "master/control.h"
#include "beginners.h"
#include "judge.h"
#include "look.h"
#include "member.h"
#include "others.h"
#include "page.h"
#include "private.h"
#include "process/process.h"
#include "reload.h"
#include "resize.h"
#include "reader.h"

enum {
	/* Processes that a disk holds in spite of SIGKILL. More: a reload every
	 * second fills the machine with them; less: a disk that is back for a
	 * moment is not tried. */
	LEFT_MAX = 4
};

/* Who waits for an answer. */
struct waiter {
	TAILQ_ENTRY(waiter) link;
	bool next; /* of the next reload, not of this one */
	struct control_wait *wait;
};

struct reload {
	struct master *master;
	bool is_running, again;
	struct reader reader;
	struct event *readable; /* or the time is over */
	TAILQ_HEAD(, waiter) waiters;
	pid_t left[LEFT_MAX]; /* 0: none */
	bool refused;	      /* files are as they were before */
	bool renews;	      /* beginners, whose outcome is waited for */
	char text[4096];      /* what is answered then */
};

/* Answers those who wait for this reload, or (all) everybody. */
static void
waiters_answer(struct reload *r, bool all, bool done, const char *text)
{
	struct waiter *w, *next;

	TAILQ_FOREACH_SAFE (w, &r->waiters, link, next) {
		if (w->next && !all)
			continue;
		TAILQ_REMOVE(&r->waiters, w, link);
		control_finish(w->wait, done, "%s", text);
		free(w);
	}
}

/* Notes a process that was killed and is not reaped yet. */
static void
left_note(struct reload *r, const struct reader *reader)
{
	for (int i = 0; i < LEFT_MAX && reader->is_killed; i++)
		if (r->left[i] == 0) {
			r->left[i] = reader->pid;
			return;
		}
}

/* Whether one more may be left behind. */
static bool
left_has_room(const struct reload *r)
{
	for (int i = 0; i < LEFT_MAX; i++)
		if (r->left[i] == 0)
			return true;
	return false;
}

/* Gives the page's files to all workers, or says why not. */
static void
page_renew(struct master *m, const struct bundle *b, const char *stuck,
    char *text, size_t text_len)
{
	size_t used;

	if (m->conf->webroot == NULL)
		return;
	if (page_take(m, b)) {
		for (int i = 0; i < m->n_workers; i++)
			owed_add(&m->member[i].child, OWED_PAGE);
		return;
	}
	log_warn("web page not reloaded: %s", stuck);
	used = strlen(text);
	snprintf(
	    text + used, text_len - used, "web page not reloaded: %s\n", stuck);
}

/* Appends a line to an answer. */
static void __attribute__((format(printf, 3, 4)))
reload_say(char *text, size_t text_len, const char *fmt, ...)
{
	const size_t used = strlen(text);
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text + used, text_len - used, fmt, ap);
	va_end(ap);
}

/* Whether files that a reload reads anew are refused, with a line for each
 * fault. unread: why they were not looked at; NULL: they were. */
static bool
beginners_refused(const struct conf *next, const struct bundle *b,
    const char *unread, char *why, size_t why_len)
{
	if (unread == NULL || !judge_is_needed(next))
		return !look_renewal(b, why, why_len);
	snprintf(why, why_len, "%s\n", unread);
	return true;
}

/* What is refused stays as it was, and so does what the configuration says of
 * it. */
static void
beginners_keep(struct master *m, const struct conf *next, const char *why,
    char *text, size_t text_len)
{
	char keys[256];

	log_error(
	    "certificates not reloaded: %.*s", (int)strcspn(why, "\n"), why);
	reload_say(text, text_len, "certificates not reloaded: %s", why);
	if (conf_tls_differences(m->conf, next, keys, sizeof(keys)) == 0)
		return;
	log_warn("changed, but not reloaded with them: %s", keys);
	reload_say(
	    text, text_len, "changed, but not reloaded with them: %s\n", keys);
}

/* Has processes that read files anew follow those that there are, if one of
 * these files or what the configuration says of them has changed. */
static void
beginners_change(struct master *m, struct conf *next, const struct bundle *b)
{
	char keys[8];
	bool changed =
	    conf_tls_differences(m->conf, next, keys, sizeof(keys)) > 0;

	others_change(m, next);
	changed =
	    beginners_stamp(m, look_stamp(b)) || changed || m->beginners.failed;
	if (changed && beginners_renew(m))
		m->reload->renews = true;
}

/* Says in the log and for who asked what a reload takes over, and what of it
 * it does not. */
static void
reload_tell(const struct master *m, const struct conf *next, int workers,
    char *text, size_t text_len)
{
	char live[512], tls[256] = "", rest[512];
	const bool resized = workers != m->wanted;
	int n =
	    conf_live_differences(&m->live, &next->live, live, sizeof(live));
	int n_tls = m->reload->refused
	    ? 0
	    : conf_tls_differences(m->conf, next, tls, sizeof(tls));
	size_t used;

	if (n == 0 && n_tls == 0 && !resized)
		strlcpy(live, "nothing has changed", sizeof(live));
	used = (size_t)snprintf(text, text_len, "reloaded: %s%s%s%s%s\n", live,
	    n > 0 && n_tls > 0 ? ", " : "", tls,
	    n + n_tls > 0 && resized ? ", " : "", resized ? "workers" : "");
	log_info("configuration %.*s", (int)strcspn(text, "\n"), text);
	if (conf_differences(m->conf, next, rest, sizeof(rest)) == 0)
		return;
	log_warn("changed, but needs a restart to count: %s", rest);
	if (used < text_len)
		snprintf(text + used, text_len - used,
		    "changed, but needs a restart to count: %s\n", rest);
}

/* Takes over the configuration that a bundle has, as far as that goes without a
 * restart. Returns 0, or -1 and the old one stays; with whole lines. */
static int
reload_configure(struct master *m, struct bundle *b, const char *unread,
    char *text, size_t text_len)
{
	struct conf *next = options_load(m->options, b, text, text_len);
	char why[1024];
	int workers;

	if (next == NULL || !options_fit(next, m->conf, text, text_len) ||
	    !master_live_fits(m, &next->live, text, text_len) ||
	    !resize_fits(m, next->workers, text, text_len)) {
		log_error("configuration not reloaded: %s", text);
		conf_free(next);
		return -1;
	}
	workers = next->workers;
	next->workers = m->conf->workers;
	sizes_keep(next, m->conf);
	conf_access_settle(next, m->conf);
	m->reload->refused =
	    beginners_refused(next, b, unread, why, sizeof(why));
	reload_tell(m, next, workers, text, text_len);
	look_log(b);
	master_set_live(m, &next->live);
	if (m->reload->refused)
		beginners_keep(m, next, why, text, text_len);
	else
		beginners_change(m, next, b);
	conf_take_where(m->conf, next);
	conf_free(next);
	if (workers > m->wanted)
		sizes_log_workers(m->conf, workers);
	resize(m, workers);
	master_log_access(m);
	return 0;
}

/* Uses what the reader has brought. Returns 0 or -1, with whole lines on what
 * has been reloaded and what has not. */
static int
reload_apply(struct master *m, struct bundle *b, unsigned done,
    const char *stuck, char *error, size_t error_len)
{
	if ((done & READ_CONF) == 0) {
		snprintf(error, error_len, "configuration not reloaded: %s\n",
		    stuck);
		log_error("%.*s", (int)strcspn(error, "\n"), error);
		return -1;
	}
	if (reload_configure(m, b, (done & READ_LOOK) == 0 ? stuck : NULL,
		error, error_len) == -1)
		return -1;
	page_renew(m, b, stuck, error, error_len);
	return 0;
}

static void reload_start(struct reload *r);

/* Answers, and goes on with what came meanwhile. */
static void
reload_finish(struct reload *r, bool good, const char *text)
{
	r->is_running = r->master->reloading = false;
	r->master->reload_is_due = r->master->upgrade != NULL;
	waiters_answer(r, false, good, text);
	if (r->again)
		reload_start(r);
}

/* The processes that a reload has renewed have taken over; or why not. */
static void
reload_renewed(struct master *m, const char *why)
{
	struct reload *r = m->reload;

	if (r == NULL || !r->renews)
		return;
	r->renews = false;
	if (why != NULL)
		reload_say(r->text, sizeof(r->text),
		    "certificates not reloaded: %s\n", why);
	else
		reload_say(r->text, sizeof(r->text), "certificates reloaded\n");
	reload_finish(r, why == NULL, r->text);
}

/* The reader has ended, or its time is over. */
static void
reload_end_cb(int fd, short what, void *arg)
{
	struct reload *r = arg;
	char error[4096] = "", stuck[512];
	struct bundle b;
	unsigned done;
	int result;

	event_free(r->readable);
	r->readable = NULL;
	done = reader_end(&r->reader, &b, stuck, sizeof(stuck));
	left_note(r, &r->reader);
	r->refused = r->renews = false;
	result = reload_apply(r->master, &b, done, stuck, error, sizeof(error));
	bundle_free(&b);
	if (!r->renews) {
		reload_finish(r, result == 0 && !r->refused, error);
		return;
	}
	strlcpy(r->text, error, sizeof(r->text));
	beginners_tell(r->master, reload_renewed);
}

/* Starts the reader. Returns NULL, or why it cannot. */
static const char *
reader_begin(struct reload *r)
{
	const struct timeval limit = {.tv_sec = READER_MS / 1000};
	struct master *m = r->master;
	const struct reader_job job = {
	    .what = READ_CONF | READ_LOOK | READ_PAGE,
	    .options = m->options,
	    .identity = &m->identity,
	    .webroot = m->conf->webroot};

	if (!left_has_room(r))
		return "the processes that read for the last reloads still "
		       "wait for a disk";
	if (reader_start(&r->reader, &job, READER_MS) == -1)
		return strerror(errno);
	r->readable =
	    event_new(m->base, r->reader.pipe, EV_READ, reload_end_cb, r);
	if (r->readable == NULL || event_add(r->readable, &limit) == -1) {
		reader_drop(&r->reader);
		return "no event";
	}
	return NULL;
}

/* Begins a reload, for all who wait. */
static void
reload_start(struct reload *r)
{
	struct waiter *w;
	char text[256];
	const char *why;

	r->again = false;
	TAILQ_FOREACH (w, &r->waiters, link)
		w->next = false;
	if ((why = reader_begin(r)) == NULL) {
		r->is_running = r->master->reloading = true;
		return;
	}
	snprintf(text, sizeof(text), "configuration not reloaded: %s\n", why);
	log_error("%.*s", (int)strcspn(text, "\n"), text);
	waiters_answer(r, true, false, text);
}

/* The struct, made when it is needed first; NULL: no memory. */
static struct reload *
reload_get(struct master *m)
{
	struct reload *r = m->reload;

	if (r != NULL || (r = calloc(1, sizeof(*r))) == NULL)
		return r;
	r->master = m;
	r->reader.memory = r->reader.pipe = -1;
	TAILQ_INIT(&r->waiters);
	m->reload = r;
	return r;
}

void
reload_begin(struct master *m, struct control_wait *wait)
{
	struct reload *r = reload_get(m);
	struct waiter *w = NULL;

	if (r == NULL ||
	    (wait != NULL && (w = calloc(1, sizeof(*w))) == NULL)) {
		log_error("configuration not reloaded: no memory");
		control_finish(
		    wait, false, "configuration not reloaded: no memory\n");
		return;
	}
	if (w != NULL) {
		w->wait = wait;
		w->next = r->is_running;
		TAILQ_INSERT_TAIL(&r->waiters, w, link);
	}
	if (r->is_running)
		r->again = true;
	else
		reload_start(r);
}

bool
reload_owns(const struct master *m, pid_t pid)
{
	const struct reload *r = m->reload;

	if (r == NULL)
		return false;
	for (int i = 0; i < LEFT_MAX; i++)
		if (r->left[i] == pid)
			return true;
	return r->reader.pid == pid;
}

bool
reload_died(struct master *m, pid_t pid)
{
	struct reload *r = m->reload;

	if (r == NULL)
		return false;
	if (r->reader.pid == pid)
		r->reader.pid = 0;
	for (int i = 0; i < LEFT_MAX; i++)
		if (r->left[i] == pid) {
			r->left[i] = 0;
			return true;
		}
	return false;
}

/* Frees it, and lets go of its reader. */
static void
reload_drop(struct master *m)
{
	struct reload *r = m->reload;
	struct waiter *w;

	if (r == NULL)
		return;
	if (r->readable != NULL)
		event_free(r->readable);
	reader_drop(&r->reader);
	while ((w = TAILQ_FIRST(&r->waiters)) != NULL) {
		TAILQ_REMOVE(&r->waiters, w, link);
		control_forget(w->wait);
		free(w);
	}
	free(r);
	m->reload = NULL;
}

void
reload_end(struct master *m)
{
	struct reload *r = m->reload;

	if (r == NULL)
		return;
	waiters_answer(r, true, false, "chatd is leaving\n");
	if (r->is_running && r->reader.pid > 0)
		(void)process_kill(
		    r->reader.pid, "the process that reads files");
	reload_drop(m);
}
