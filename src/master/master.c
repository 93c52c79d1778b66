#include <errno.h>
#include <event2/event.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "codec/framing.h"
#include "codec/message.h"
#include "hub/journal.h"
#include "hub/stats.h"
#include "master/control.h"
#include "master/daemon.h"
#include "master/notify.h"
#include "net/loop.h"
#include "keep.h"
#include "log_child.h"
#include "master/fdstore.h"
#include "member.h"
#include "order.h"
#include "page.h"
#include "others.h"
#include "private.h"
#include "ready.h"
#include "process/probe.h"
#include "reload.h"
#include "renew.h"
#include "resize.h"
#include "spawn.h"
#include "upgrade.h"
#include "writes.h"

static const int signals[] = {
    SIGTERM, SIGINT, SIGQUIT, SIGHUP, SIGUSR1, SIGUSR2, SIGCHLD};
enum {
	STOP_MS = 4000,	      /* TERM: killed after that, gone within 5 s */
	LEFT_MS = 500,	      /* after that, for those to die */
	QUIT_GRACE_MS = 2000, /* past the drain timeout */
	CHILDREN_MS = 300,    /* to reap what is killed at the very end */
	STARTING_MAX = 8, /* at once at the start, so that a small machine gets
			   * each ready in time */
	N_SIGNALS = sizeof(signals) / sizeof(signals[0]),
	STOOD_MS = 1000 /* a look that late is worth a line in the log */
};

/* Tells the service manager, if there is one. */
static void
notify(const char *state)
{
	if (notify_send(state) == -1)
		log_warn("service manager not told: %s", strerror(errno));
}

/* Puts down why the master ends with status 1, and ends it. */
void
master_fail(struct master *m, const char *fmt, ...)
{
	va_list ap;

	if (m->status != 0)
		return;
	va_start(ap, fmt);
	vsnprintf(m->failure, sizeof(m->failure), fmt, ap);
	va_end(ap);
	m->status = 1;
	log_error("%s", m->failure);
	master_stop(m);
}

uint64_t
master_clock_ms(const struct master *m)
{
	return watchdog_clock_ms(&m->watchdog, clock_ms());
}

/* Gives up the listeners: nobody connects to those who leave. */
void
master_close_listeners(struct master *m)
{
	endpoints_close(&m->endpoints);
}

/* Forks at the start, a few at a time. */
static void
start_more(struct master *m)
{
	int starting = 0;

	for (int i = 0; i < m->n_workers; i++)
		if (m->member[i].child.pid != 0 && !m->member[i].child.ready)
			starting++;
	for (int i = 0; i < m->n_workers && starting < STARTING_MAX &&
	     m->phase == PHASE_STARTING;
	     i++)
		if (m->member[i].child.pid == 0 &&
		    m->member[i].child.generation == 0 &&
		    m->member[i].child.respawn_ms == 0) {
			spawn_worker(&m->member[i]);
			starting++;
		}
}

/* All workers are ready: from now on a connection succeeds. */
static void
serve(struct master *m)
{
	for (int i = 0; i < m->endpoints.n; i++)
		if (listener_listen(m->endpoints.at[i].fd) == -1) {
			master_fail(m, "cannot listen: %s", strerror(errno));
			return;
		}
	m->phase = PHASE_RUNNING;
	for (int i = 0; i < m->n_workers; i++)
		member_owe(&m->member[i], OWED_START);
	if (m->ready_pipe != -1)
		daemon_ready(m->ready_pipe);
	m->ready_pipe = -1;
	fdstore_put(m);
	ready_log_room(m);
	writes_tell(m, true);
	ready_log_address(m);
	notify("READY=1\nSTATUS=serving");
}

/* Sees whether the master can go on to its next phase. */
void
master_check(struct master *m)
{
	if (m->phase == PHASE_STARTING) {
		for (int i = 0; i < m->n_workers; i++)
			if (!m->member[i].child.ready) {
				start_more(m);
				return;
			}
		serve(m);
	} else if (m->phase >= PHASE_QUITTING) {
		for (int i = 0; i < m->n_workers; i++)
			if (m->member[i].child.pid != 0)
				return;
		m->done = true;
		event_base_loopbreak(m->base);
	}
}

/* Has all workers leave: at once, or when their clients have left. */
static void
leave(struct master *m, enum phase phase, unsigned owed, uint64_t limit_ms)
{
	upgrade_end(m); /* the new program would not know of it */
	if (m->phase < PHASE_QUITTING) {
		master_close_listeners(m);
		notify("STOPPING=1");
	}
	m->phase = phase;
	m->deadline_ms = master_clock_ms(m) + limit_ms;
	for (int i = 0; i < m->n_workers; i++) {
		struct member *w = &m->member[i];

		w->child.respawn_ms = 0;
		if (w->renew_ms != 0)
			renew_refuse(w, "chatd is leaving");
		SHM_STORE(m->hub.line[i].state,
		    w->child.pid != 0 ? WORKER_STOPPING : WORKER_STOPPED);
		member_owe(w, owed);
	}
	master_check(m);
}

/* Stops: TERM, INT, `chatctl stop`. */
void
master_stop(struct master *m)
{
	if (m->phase == PHASE_STOPPING)
		return;
	log_info("stopping");
	leave(m, PHASE_STOPPING, OWED_STOP, STOP_MS);
}

/* Takes no more clients, and stops when the last has left: QUIT. */
static void
quit(struct master *m)
{
	if (m->phase >= PHASE_QUITTING)
		return;
	log_info("leaving when the last client has left, at most %llu s",
	    (unsigned long long)m->live.drain_ms / 1000);
	fdstore_leave();
	leave(m, PHASE_QUITTING, OWED_QUIT, m->live.drain_ms + QUIT_GRACE_MS);
}

/* Gives all workers the settings as they are now. */
static void
live_spread(struct master *m)
{
	log_set_verbose(m->live.verbose != 0);
	for (int i = 0; i < m->n_workers; i++)
		member_owe(&m->member[i], OWED_CONF);
}

/* Has all workers go by other settings. */
void
master_set_live(struct master *m, const struct conf_live *live)
{
	m->live = *live;
	live_spread(m);
}

/* Changes the log level until the next reload. */
void
master_set_verbose(struct master *m, bool on)
{
	m->live.verbose = on;
	live_spread(m);
}

bool
master_live_fits(const struct master *m, const struct conf_live *live,
    char *error, size_t error_len)
{
	uint64_t journal = m->hub.journal_size / JOURNAL_SHARE, most;

	if (live->queue_bytes > m->conf->output_bytes) {
		snprintf(error, error_len,
		    "queue %u is above %llu, which is output-memory: more "
		    "needs a restart with a larger one\n",
		    live->queue_bytes,
		    (unsigned long long)m->conf->output_bytes);
		return false;
	}
	if (journal_entry_bytes(UINT8_MAX, live->message_size) <= journal &&
	    live->message_size <= m->conf->input_bytes &&
	    live->message_size <= m->conf->output_bytes / CONF_OUTPUT_MESSAGES)
		return true;
	most = journal - journal_entry_bytes(UINT8_MAX, 0);
	if (most > m->conf->input_bytes)
		most = m->conf->input_bytes;
	if (most > m->conf->output_bytes / CONF_OUTPUT_MESSAGES)
		most = m->conf->output_bytes / CONF_OUTPUT_MESSAGES;
	snprintf(error, error_len,
	    "message-size %u is above %llu: more needs a restart with a "
	    "larger journal, input-memory or output-memory\n",
	    live->message_size, (unsigned long long)most);
	return false;
}

/* Says who may come in. */
void
master_log_access(const struct master *m)
{
	if (m->live.insecure)
		log_info("insecure: anybody may connect under any name%s",
		    m->live.insecure_public
			? ", from anywhere"
			: "; pages under other names than this machine's and "
			  "those of `host` may not");
	else
		log_info("secure: who connects shows a token%s",
		    m->live.token_key[0] == '\0'
			? ", and there is no token-key to judge one"
			: "");
}

/* Reaps whoever has died. */
void
master_reap(struct master *m)
{
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		if (upgrade_died(m, pid, status) || reload_died(m, pid) ||
		    log_child_died(m, pid, status) ||
		    others_died(m, pid, status))
			continue;
		for (int i = 0; i < m->n_workers; i++)
			if (m->member[i].child.pid == pid) {
				member_died(&m->member[i], status);
				break;
			} else if (keep_died(&m->member[i], pid, status))
				break;
	}
}

/* A signal arrived. */
static void
signal_cb(int sig, short what, void *arg)
{
	struct master *m = arg;
	char error[1024];

	switch (sig) {
	case SIGTERM:
	case SIGINT:
		/* who died before is replaced: the next one tells its clients
		 */
		master_reap(m);
		master_stop(m);
		break;
	case SIGQUIT:
		master_reap(m);
		quit(m);
		break;
	case SIGHUP:
		reload_begin(m, NULL); /* logs what is wrong */
		break;
	case SIGUSR1:
		log_child_reopen(m);
		break;
	case SIGUSR2:
		upgrade_begin(m, NULL, error, sizeof(error));
		break;
	case SIGCHLD:
		master_reap(m);
		break;
	}
}

/* For the watchdog. */
static bool
watch_probe(void *arg, bool keeper, int slot, struct probe *probe)
{
	const struct master *m = arg;
	const struct member *w = &m->member[slot];

	if (slot >= SHM_WORKERS)
		return probe_process(m->other[slot - SHM_WORKERS].pid, probe);
	return probe_process(keeper ? w->keeper.pid : w->child.pid, probe);
}

/* Whether a slot's keeper is needed, or will be in a moment: its worker is
 * dead, is to go, or takes over. */
static bool
watch_changes(const struct member *w)
{
	return w->child.pid == 0 || !w->child.ready || w->child.killed ||
	    w->retire_ms != 0;
}

/* Says what the watchdog is to look at. */
static struct watchdog_scene
watch_scene(const struct master *m)
{
	struct watchdog_scene s = {.limit_ms = m->live.watchdog_ms};
	const struct member *w;

	for (int i = 0; i < m->n_workers; i++) {
		const uint64_t bit = 1ull << i;

		w = &m->member[i];
		s.workers |= w->child.pid != 0 && !w->child.killed ? bit : 0;
		s.starting |= w->child.ready ? 0 : bit;
		/* at the end keepers are not needed, nor replaced */
		if (m->phase < PHASE_QUITTING && w->keeper.pid != 0)
			s.keepers |= bit;
		s.changing |= watch_changes(w) ? bit : 0;
	}
	s.others = others_lively(m);
	s.others_starting = others_starting(m);
	for (int i = 0; i < m->n_others; i++)
		s.other[i] = m->other[i].line;
	return s;
}

/* Kills the process of a line that hangs. */
static void
watch_kill(struct master *m, const struct watchdog_verdict *v)
{
	char why[64];

	snprintf(why, sizeof(why), "hung for %llu ms%s",
	    (unsigned long long)v->still_ms,
	    v->has_lock ? " with the mutex" : "");
	(void)child_kill(v->slot < SHM_WORKERS
		? &m->member[v->slot].child
		: &m->other[v->slot - SHM_WORKERS],
	    why);
}

/* Has the watchdog look, and does what it says. */
static void
watch(struct master *m)
{
	struct watchdog_verdict v[WATCHDOG_VERDICTS];
	const struct watchdog_scene scene = watch_scene(m);
	int n = watchdog_look(&m->watchdog, &m->hub, &scene, clock_ms(), v);

	if (m->watchdog.late_ms >= STOOD_MS)
		log_warn("the machine or this process stood still for %llu ms: "
			 "not held against workers and keepers",
		    (unsigned long long)m->watchdog.late_ms);
	for (int i = 0; i < n; i++) {
		if (v[i].keeper)
			keep_judged(&m->member[v[i].slot], &v[i]);
		else
			watch_kill(m, &v[i]);
	}
}

/* Kills workers that have not left in time, and leaves without those that do
 * not even die. */
static void
late_end(struct master *m, uint64_t now)
{
	for (int i = 0; i < m->n_workers; i++)
		member_kill(&m->member[i], "did not leave in time");
	if (now < m->deadline_ms + LEFT_MS || m->done)
		return;
	for (int i = 0; i < m->n_workers; i++)
		if (m->member[i].child.pid != 0)
			log_error("worker %d (pid %d) does not end: left "
				  "behind",
			    i, (int)m->member[i].child.pid);
	m->status = 1;
	m->done = true;
	event_base_loopbreak(m->base);
}

/* Everything that is due by the clock. */
static void
timer_cb(int fd, short what, void *arg)
{
	struct master *m = arg;
	uint64_t now;

	watch(m);
	now = master_clock_ms(m);
	for (int i = 0; i < m->n_workers; i++)
		member_time(&m->member[i], now);
	for (int i = 0; i < m->n_workers && m->phase < PHASE_QUITTING; i++)
		keep_time(&m->member[i], now);
	renew_next(m, now);
	resize_time(m, now);
	rebalance_time(m, now);
	order_time(m);
	upgrade_time(m, now);
	others_time(m, now);
	log_child_time(m, now);
	log_more();
	if (m->phase >= PHASE_QUITTING && now >= m->deadline_ms)
		late_end(m, now);
}

/* Frees the loop and what is registered on it, but for links and control. */
void
master_drop_events(struct master *m)
{
	for (int i = 0; i < N_SIGNALS; i++)
		if (m->signal[i] != NULL)
			event_free(m->signal[i]);
	memset(m->signal, 0, sizeof(m->signal));
	if (m->timer != NULL)
		event_free(m->timer);
	m->timer = NULL;
	if (m->base != NULL)
		event_base_free(m->base);
	m->base = NULL;
}

/* Makes the loop, its signals and its timer. Returns 0, or -1. */
int
master_make_events(struct master *m)
{
	const struct timeval period = {.tv_usec = WATCHDOG_PERIOD_MS * 1000};

	m->base = loop_new();
	if (m->base == NULL)
		return -1;
	for (int i = 0; i < N_SIGNALS; i++) {
		m->signal[i] = evsignal_new(m->base, signals[i], signal_cb, m);
		if (m->signal[i] == NULL || event_add(m->signal[i], NULL) == -1)
			return -1;
	}
	m->timer = event_new(m->base, -1, EV_PERSIST, timer_cb, m);
	if (m->timer == NULL || event_add(m->timer, &period) == -1)
		return -1;
	signal(SIGPIPE, SIG_IGN);
	m->watchdog.probe = watch_probe;
	m->watchdog.probe_arg = m;
	return 0;
}

/* Gives everything back. */
static void
deinit(struct master *m)
{
	const uint64_t limit_ms = clock_ms() + CHILDREN_MS;

	upgrade_end(m);
	reload_end(m);
	page_drop(m);
	if (m->control != NULL)
		control_close(m->control);
	order_drop(m);
	others_end(m, limit_ms);
	for (int i = 0; i < m->n_workers; i++)
		member_deinit(&m->member[i]);
	for (int i = 0; i < m->n_workers; i++)
		keep_end(&m->member[i], limit_ms);
	log_child_end(m);
	master_close_listeners(m);
	master_drop_events(m);
	if (m->hub.base != NULL)
		hub_destroy(&m->hub);
	pidfile_leave(&m->pidfile);
	free(m->kept.text);
	conf_free(m->conf);
	free(m);
}

struct master *
master_new(const struct options *options, struct conf *conf)
{
	struct master *m = calloc(1, sizeof(*m));

	if (m == NULL)
		return NULL;
	TAILQ_INIT(&m->orders);
	m->options = options;
	m->conf = conf;
	conf_access_settle(conf, conf);
	m->live = conf->live;
	m->ready_pipe = m->pidfile.fd = m->page = m->bundle = -1;
	m->nursery.pages = m->nursery.log = -1;
	log_child_init(m);
	m->started_ms = clock_ms();
	m->n_workers = m->wanted = conf->workers;
	for (int i = 0; i < m->n_workers; i++)
		member_init(&m->member[i], m, i);
	watchdog_init(&m->watchdog, 0, m->started_ms);
	return m;
}

int
master_loop(struct master *m)
{
	int status;

	if (m->status == 0) {
		master_check(m);
		if (!m->done)
			event_base_dispatch(m->base);
		log_info("stopped");
	}
	log_flush();
	if (m->ready_pipe != -1)
		daemon_fail(m->ready_pipe, m->failure);
	status = m->status;
	deinit(m);
	return status;
}
