#include "master/resume.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "master/control.h"
#include "master/daemon.h"
#include "process.h"
#include "state.h"

enum {
	CONF_WAIT_MS = 10 * 1000, /* for an error in the configuration to go */
	CONF_LOOK_MS = 100
};

/* Overrides what the file says now with what cannot change in memory that is
 * there. False: no memory. */
static bool
conf_keep(struct conf *c, const struct state *s)
{
	c->connections = s->connections;
	c->users = s->limits.users;
	c->subscriptions = s->limits.subscriptions;
	c->journal_bytes = s->limits.journal_bytes;
	c->output_bytes = s->limits.output_bytes;
	c->input_bytes = s->limits.input_bytes;
	conf_clear_listen(c);
	for (int i = 0; i < s->n_listen; i++)
		if (conf_add_listen(c, s->listen[i]) == -1)
			return false;
	return true;
}

/*
 * The configuration. There is no way back once the rehearsal is over, so
 * somebody who saves it just now is waited for; the workers serve meanwhile.
 */
static struct conf *
conf_read(const struct master *m, bool look, char *error, size_t error_len)
{
	struct conf *c;

	for (int ms = 0;; ms += CONF_LOOK_MS) {
		c = options_load(m->options, error, error_len);
		if (c != NULL || look || ms >= CONF_WAIT_MS)
			return c;
		if (ms == 0)
			log_error("upgrade: waiting %d s for a good "
				  "configuration: %s",
			    CONF_WAIT_MS / 1000, error);
		usleep(CONF_LOOK_MS * 1000);
	}
}

/* Everything that can go wrong: state, configuration, memory, user. Returns
 * the number of workers that the configuration asks for, or -1 with a message.
 */
static int
prepare(struct master *m, struct state *s, int fd, bool look, char *error,
    size_t error_len)
{
	struct conf *c;
	int workers;

	if (state_read(fd, m, s, error, error_len) == -1 ||
	    hub_attach(&m->hub, s->hub, &s->limits, s->hash_key, look, error,
		error_len) == -1)
		return -1;
	m->limits = s->limits;
	if (!look && !m->options->foreground)
		log_open(LOG_TO_SYSLOG, NULL); /* until a log-file is known */
	if ((c = conf_read(m, look, error, error_len)) == NULL)
		return -1;
	m->conf = c;
	workers = c->workers;
	c->workers = m->n_workers;
	if (!conf_keep(c, s)) {
		snprintf(error, error_len, "no memory");
		return -1;
	}
	if (!master_live_fits(m, &c->live, error, error_len) ||
	    identity_find(&m->identity, c->user, error, error_len) == -1)
		return -1;
	c->live.insecure =
	    conf_insecure(c) && (c->live.insecure_set || conf_loopback(c));
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
	char error[4096] = "", answer[4200];
	bool good = prepare(&m, &s, state, true, error, sizeof(error)) != -1;
	int len = good
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
	for (int i = 0; i < m->n_workers; i++) {
		m->member[i].keeper_tick_ms = master_clock_ms(m);
		if (member_adopt(&m->member[i]) == -1)
			return -1;
	}
	return 0;
}

/* Goes on where the other program stopped. Signals are blocked. */
static int
take(int state)
{
	struct master *m = calloc(1, sizeof(*m));
	static struct state s;
	char error[4096] = "";
	sigset_t none;
	int workers;

	if (m == NULL ||
	    (workers = prepare(m, &s, state, false, error, sizeof(error))) ==
		-1)
		log_fatal("upgrade: %s", m == NULL ? "no memory" : error);
	close(state);
	if ((m->control = control_adopt(m, s.control_path, s.control)) == NULL)
		log_fatal("upgrade: no memory");
	state_descriptors(m, descriptor_settle);
	log_set_name("master");
	if (boot_log_choose(m, error, sizeof(error)) == -1)
		log_warn("%s", error);
	log_set_verbose(m->live.verbose != 0);
	daemon_set_title("master");
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
