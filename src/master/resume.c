#include "master/resume.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/bundle.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/title.h"
#include "master/control.h"
#include "master/daemon.h"
#include "master/report.h"
#include "command.h"
#include "log_child.h"
#include "member.h"
#include "page.h"
#include "others.h"
#include "private.h"
#include "drop.h"
#include "reload.h"
#include "renew.h"
#include "resize.h"
#include "reader.h"
#include "state.h"

enum {
	CONF_WAIT_MS = 10 * 1000, /* for an error in the configuration to go */
	CONF_LOOK_MS = 100,
	LOOK_MS = READER_MS - 1000, /* in a rehearsal, which has 5 s itself */
	STUCK_LEN = 512
};

/* Whether the addresses of the file are those that are served. */
static bool
listen_is_same(const struct conf *c, const struct state *s)
{
	if (c->n_listen != s->n_listen)
		return false;
	for (int i = 0; i < c->n_listen; i++)
		if (strcmp(c->listen[i], s->listen[i]) != 0)
			return false;
	return true;
}

/* Overrides what the file says now with what cannot change in memory that is
 * there. False: no memory. */
static bool
conf_keep(struct conf *c, const struct state *s)
{
	c->connections = s->connections;
	c->users = s->limits.users;
	c->channels = s->limits.channels;
	c->subscriptions = s->limits.subscriptions;
	c->journal_bytes = s->limits.journal_bytes;
	c->output_bytes = s->limits.output_bytes;
	c->input_bytes = s->limits.input_bytes;
	if (listen_is_same(c, s))
		return true; /* and it is known where they are set */
	conf_clear_listen(c);
	for (int i = 0; i < s->n_listen; i++)
		if (conf_add_listen(c, s->listen[i]) == -1)
			return false;
	return true;
}

/* Reads all that is to be read, in a child. */
static struct conf *
conf_try(const struct master *m, int ms, struct bundle *b, char *stuck,
    char *error, size_t error_len)
{
	const struct reader_job job = {
	    .what = READ_CONF | READ_USER | READ_PAGE, .options = m->options};

	if ((reader_run(&job, ms, b, stuck, STUCK_LEN) & READ_CONF) != 0)
		return options_load(m->options, b, error, error_len);
	snprintf(error, error_len, "%s\n", stuck);
	return NULL;
}

/*
 * The configuration, as the rehearsal has read it. If it could not hand that
 * over (the program before this one is older), it is read here; there is no way
 * back then, so an editor that is just saving the file is waited for, while the
 * workers serve.
 */
static struct conf *
conf_read(const struct master *m, const struct state *s, bool look,
    struct bundle *b, char *stuck, char *error, size_t error_len)
{
	struct conf *c;

	stuck[0] = '\0';
	if (look)
		return conf_try(m, LOOK_MS, b, stuck, error, error_len);
	if (s->bundle != -1 && reader_load(s->bundle, b) == 0) {
		strlcpy(stuck, "its files could not be read", STUCK_LEN);
		return options_load(m->options, b, error, error_len);
	}
	for (int ms = 0;; ms += CONF_LOOK_MS) {
		c = conf_try(m, READER_MS, b, stuck, error, error_len);
		if (c != NULL || ms >= CONF_WAIT_MS)
			return c;
		if (ms == 0)
			log_error("upgrade: waiting %d s for a good "
				  "configuration: %s",
			    CONF_WAIT_MS / 1000, error);
		bundle_free(b);
		usleep(CONF_LOOK_MS * 1000);
	}
}

/* Everything that can go wrong: state, configuration, memory, user. Returns
 * the number of workers that the configuration asks for, or -1 with a message.
 */
static int
prepare(struct master *m, struct state *s, int fd, bool look, struct bundle *b,
    char *stuck, char *error, size_t error_len)
{
	struct conf *c;
	const char *wrong;
	int workers;

	if (state_read(fd, m, s, error, error_len) == -1 ||
	    hub_attach(&m->hub, s->hub, &s->limits, s->hash_key, look, error,
		error_len) == -1)
		return -1;
	m->limits = s->limits;
	if (!look)
		report_words_put(&m->hub);
	if (!look && !m->options->foreground)
		log_open(LOG_TO_SYSLOG, NULL); /* until a log-file is known */
	if (!look && m->log.lines[1] != -1)
		log_send_to(m->log.lines[1]); /* its reader still runs */
	if ((c = conf_read(m, s, look, b, stuck, error, error_len)) == NULL)
		return -1;
	m->conf = c;
	workers = c->workers;
	c->workers = m->n_workers;
	if (!conf_keep(c, s)) {
		snprintf(error, error_len, "no memory");
		return -1;
	}
	if ((look && others_check(m, error, error_len) == -1) ||
	    !master_live_fits(m, &c->live, error, error_len) ||
	    reader_identity(b, &m->identity, error, error_len) == -1)
		return -1;
	if ((wrong = conf_access_judge(c, c)) != NULL) {
		snprintf(error, error_len, "%s", wrong);
		return -1;
	}
	conf_access_settle(c, c);
	m->live = c->live;
	if (s->verbose)
		m->live.verbose = 1;
	return workers;
}

/* Answers whether this program could go on. It gives nothing back: the process
 * is there for the answer alone. */
static void __attribute__((noreturn)) rehearse(int state, int pipe)
{
	static struct master m;
	struct state s;
	struct bundle b = {.bytes = NULL};
	char error[4096] = "", answer[4200], stuck[STUCK_LEN];
	bool good =
	    prepare(&m, &s, state, true, &b, stuck, error, sizeof(error)) != -1;
	int len;

	if (good && s.bundle != -1 && reader_save(s.bundle, &b) == -1) {
		snprintf(
		    error, sizeof(error), "configuration: %s", strerror(errno));
		good = false;
	}
	len = good
	    ? snprintf(answer, sizeof(answer), RESUME_OK "%s", CHATD_VERSION)
	    : snprintf(answer, sizeof(answer), "no %s", error);

	if (write(pipe, answer, (size_t)len) != len)
		_exit(1);
	_exit(good ? 0 : 1);
}

/* Is not to be inherited again. */
static void
descriptor_settle(int fd)
{
	fcntl(fd, F_SETFD, FD_CLOEXEC);
}

/* Takes up the processes that are there. */
static int
members_adopt(struct master *m)
{
	for (int i = 0; i < m->n_workers; i++)
		if (member_adopt(&m->member[i]) == -1)
			return -1;
	return others_adopt(m);
}

/* Goes on where the other program stopped. Signals are blocked. */
static int
take(int state)
{
	struct master *m = calloc(1, sizeof(*m));
	static struct state s;
	struct bundle b = {.bytes = NULL};
	char error[4096] = "", stuck[STUCK_LEN];
	sigset_t none;
	int workers;

	if (m == NULL ||
	    (workers = prepare(
		 m, &s, state, false, &b, stuck, error, sizeof(error))) == -1)
		log_fatal("upgrade: %s", m == NULL ? "no memory" : error);
	close(state);
	if (s.bundle != -1)
		close(s.bundle);
	if ((m->control = control_adopt(
		 m, command_run, s.control_path, s.control)) == NULL)
		log_fatal("upgrade: no memory");
	state_descriptors(m, descriptor_settle);
	log_set_name("master");
	log_child_adopt(m);
	m->nursery.drop = drop_all;
	if (others_init(m, error, sizeof(error)) == -1)
		log_fatal("upgrade: %s", error);
	log_set_verbose(m->live.verbose != 0);
	page_boot(m, &b, stuck);
	bundle_free(&b);
	title_set("master");
	m->phase = PHASE_RUNNING;
	watchdog_init(&m->watchdog, m->watchdog.clock_ms, clock_ms());
	if (master_make_events(m) == -1 || members_adopt(m) == -1)
		log_fatal("upgrade: no event loop");
	if (control_start(m->control) == -1)
		log_fatal("upgrade: control socket: %s", strerror(errno));
	log_info(
	    "chatd " CHATD_VERSION " goes on with %d workers", m->n_workers);
	master_reap(m); /* those whose signal came too early */
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	if (s.reload)
		reload_begin(m, NULL);
	renew_all(m);
	m->wanted = m->n_workers;
	resize(m, workers);
	return master_loop(m);
}

int
resume_main(const char *what)
{
	int state, pipe;

	if (sscanf(what, RESUME_REHEARSE, &state, &pipe) == 2)
		rehearse(state, pipe);
	if (sscanf(what, RESUME_TAKE, &state) == 1)
		return take(state);
	return 2;
}
