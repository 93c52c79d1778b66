#include "master/fdstore.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "door/registry.h"
#include "hub/lock.h"
#include "hub/stats.h"
#include "master/notify.h"
#include "master/report.h"
#include "private.h"
#include "process/process.h"
#include "takeover/clean.h"
#include "state.h"

enum {
	FIRST = STDERR_FILENO + 1, /* where systemd begins */
	MAX = 1024,		   /* what is more than of use is closed */
	FORGET_MS = 5000,	   /* for the manager to close what it had */
	GONE_MS = 3000,	  /* the dead master's processes leave by then */
	CLEAN_MS = 10000, /* for sweeping what they had */
	KILLED_MS = 1000, /* that one dies by then, or is left behind */
	LOOK_MS = 10 /* these two are counted in looks: while the machine stands
			still nobody can leave or sweep */
};

static const char name_listener[] = "chatd-listener";
static const char name_hub[] = "chatd-hub";
static const char name_state[] = "chatd-state";

/* A number in the environment; 0: none. */
static long
fdstore_number(const char *variable)
{
	const char *text = getenv(variable);

	return text != NULL ? (long)strtonum(text, 0, INT32_MAX, NULL) : 0;
}

/* Takes one, or closes it. */
static void
fdstore_take(struct fdstore *s, const char *name, int fd)
{
	fcntl(fd, F_SETFD, FD_CLOEXEC);
	if (strcmp(name, name_hub) == 0 && s->hub == -1)
		s->hub = fd;
	else if (strcmp(name, name_state) == 0 && s->state == -1)
		s->state = fd;
	else if (strcmp(name, name_listener) == 0 &&
	    s->n_listeners < LISTENER_MAX)
		s->listener[s->n_listeners++] = fd;
	else
		close(fd);
}

void
fdstore_inherit(struct fdstore *s)
{
	const char *names = getenv("LISTEN_FDNAMES");
	long n = fdstore_number("LISTEN_PID") == getpid()
	    ? fdstore_number("LISTEN_FDS")
	    : 0;
	char *copy, *rest, *name;

	*s = (struct fdstore){.hub = -1, .state = -1};
	if (n > MAX || names == NULL || (copy = strdup(names)) == NULL)
		n = 0;
	closefrom(FIRST + (int)n);
	if (n == 0)
		return;
	rest = copy;
	for (int fd = FIRST; fd < FIRST + n; fd++) {
		name = strsep(&rest, ":");
		fdstore_take(s, name != NULL ? name : "", fd);
	}
	free(copy);
	unsetenv("LISTEN_PID");
	unsetenv("LISTEN_FDS");
	unsetenv("LISTEN_FDNAMES");
}

/* Whether the listeners that were kept are those that are wanted now. */
static bool
fdstore_listeners_fit(const struct conf *c, const struct state *s)
{
	if (c->n_listen != s->n_listen)
		return false;
	for (int i = 0; i < c->n_listen; i++)
		if (!conf_listen_is(c, i, s->listen[i]))
			return false;
	return true;
}

/* Whether a chatd of that pid lives: one that only waits for its parent to
 * take note of its death has let go of the memory. */
static bool
fdstore_chatd_lives(uint32_t pid)
{
	char file[64], text[64] = "", state = 'X';
	int fd;

	if (pid == 0)
		return false;
	snprintf(file, sizeof(file), "/proc/%u/stat", pid);
	if ((fd = open(file, O_RDONLY | O_CLOEXEC)) == -1)
		return false;
	if (read(fd, text, sizeof(text) - 1) == -1)
		text[0] = '\0';
	close(fd);
	return sscanf(text, "%*u (chatd) %c", &state) == 1 && state != 'Z' &&
	    state != 'X';
}

/* Waits until nobody else is in the memory. */
static bool
fdstore_wait_alone(const struct hub *h)
{
	bool lives = true;

	for (int ms = 0; lives && ms < GONE_MS; ms += LOOK_MS) {
		lives = false;
		for (int i = 0; i < SHM_LINES; i++)
			lives = lives ||
			    fdstore_chatd_lives(SHM_LOAD(h->line[i].pid));
		for (int i = 0; i < SHM_WORKERS; i++)
			lives = lives ||
			    fdstore_chatd_lives(SHM_LOAD(h->worker[i].keeper));
		if (lives)
			usleep(LOOK_MS * 1000);
	}
	return !lives;
}

/* In a child, since it takes the lock: sweeps what dead workers had. */
static void __attribute__((noreturn)) fdstore_clean_child(struct master *m)
{
	hub_become(&m->hub, 0);
	for (int i = 0; i < SHM_WORKERS; i++)
		if (SHM_LOAD(m->hub.line[i].generation) != 0)
			chat_clean(&m->hub, i);
	_exit(0);
}

/* Has the presence, slots and memory of the dead swept. */
static bool
fdstore_clean(struct master *m)
{
	pid_t pid, got;
	int status = 1, ms = 0;

	lock_reset(&m->hub);
	pid = fork();
	if (pid == 0)
		fdstore_clean_child(m);
	if (pid == -1)
		return false;
	while ((got = waitpid(pid, &status, WNOHANG)) == 0 && ms < CLEAN_MS) {
		usleep(LOOK_MS * 1000);
		ms += LOOK_MS;
	}
	if (got == 0) {
		(void)process_kill(pid, "the process that cleans up");
		(void)process_reap(pid, clock_ms() + KILLED_MS);
	}
	SHM_STORE(m->hub.line[0].thread, 0); /* the child's */
	for (int i = 0; i < SHM_WORKERS; i++) {
		report_bury(m, i);
		SHM_STORE(m->hub.line[i].generation, 0);
		SHM_STORE(m->hub.worker[i].keeper, 0);
	}
	memset(m->buried, 0, sizeof(m->buried));
	return got == pid && status == 0;
}

/* Has the manager forget all of that name. */
static void
fdstore_forget(const char *name)
{
	char text[128];

	snprintf(text, sizeof(text), "FDSTOREREMOVE=1\nFDNAME=%s", name);
	if (notify_send(text) == -1)
		log_warn("service manager not told: %s", strerror(errno));
}

/* Has listeners that are of no use closed, everywhere: they would be in the
 * way of those that are to be bound. */
static void
fdstore_forget_listeners(struct fdstore *s)
{
	if (s->n_listeners == 0)
		return;
	while (s->n_listeners > 0)
		close(s->listener[--s->n_listeners]);
	fdstore_forget(name_listener);
	if (notify_barrier(FORGET_MS) == -1)
		log_warn("service manager: %s", strerror(errno));
}

/* What was said of a listener that was kept; NULL: nothing is known of it. Who
 * kept it may not have known endpoints: then it is a usual one. */
static const struct endpoint *
fdstore_endpoint(const struct state *kept, int fd)
{
	static struct endpoints all;

	if (kept->endpoints.n == 0) {
		all.n = 1;
		(void)endpoint_parse(&all.at[0], NULL, door_words(), NULL, 0);
		return &all.at[0];
	}
	all.n = 0;
	(void)endpoints_add(&all, &kept->endpoints.at[0], fd);
	return endpoints_find(&kept->endpoints, all.at[0].name);
}

/* Whether it is known how to serve at each listener that was kept. */
static bool
fdstore_endpoints_fit(const struct fdstore *s, const struct state *kept)
{
	for (int i = 0; i < s->n_listeners; i++)
		if (fdstore_endpoint(kept, s->listener[i]) == NULL)
			return false;
	return true;
}

void
fdstore_listeners(struct master *m)
{
	struct fdstore *s = m->options->fdstore;
	struct state *kept = &m->kept;
	char error[512];

	m->kept_hub = m->kept_listeners = false;
	if (s == NULL)
		return;
	if (s->state != -1 &&
	    state_read_memory(s->state, kept, error, sizeof(error)) == -1)
		log_warn("what was kept is of no use: %s", error);
	if (kept->text == NULL || !fdstore_listeners_fit(m->conf, kept) ||
	    !fdstore_endpoints_fit(s, kept)) {
		fdstore_forget_listeners(s);
		return;
	}
	for (int i = 0; i < s->n_listeners; i++)
		(void)endpoints_add(&m->endpoints,
		    fdstore_endpoint(kept, s->listener[i]), s->listener[i]);
	s->n_listeners = 0;
	m->kept_listeners = m->endpoints.n > 0;
}

void
fdstore_leave(void)
{
	fdstore_forget(name_listener);
}

bool
fdstore_hub(struct master *m)
{
	struct fdstore *s = m->options->fdstore;
	const struct state *kept = &m->kept;
	char error[512];

	if (s == NULL || s->hub == -1 || s->state == -1 || kept->text == NULL)
		return false;
	if (!hub_limits_equal(&kept->limits, &m->limits))
		snprintf(error, sizeof(error),
		    "the configuration's sizes are "
		    "others now");
	else if (hub_attach(&m->hub, s->hub, &m->limits, kept->hash_key, false,
		     error, sizeof(error)) == 0) {
		if (fdstore_wait_alone(&m->hub) && fdstore_clean(m)) {
			m->kept_hub = true;
			s->hub = -1;
			return true;
		}
		munmap(m->hub.base, m->hub.size);
		memset(&m->hub, 0, sizeof(m->hub));
		snprintf(error, sizeof(error), "it cannot be cleaned");
	}
	log_warn("the shared memory that was kept is of no use: %s", error);
	return false;
}

/* Gives one to the manager, under a name. */
static bool
fdstore_add(const char *name, int fd)
{
	char text[128];

	/* Without FDPOLL=0 it would drop a socket that has an error. */
	snprintf(text, sizeof(text), "FDSTORE=1\nFDNAME=%s\nFDPOLL=0", name);
	return notify_send_fd(text, fd) == 1;
}

void
fdstore_renew(struct master *m)
{
	char error[512];
	int state;

	if (getenv("NOTIFY_SOCKET") == NULL)
		return;
	fdstore_forget(name_hub);
	fdstore_forget(name_state);
	state = state_write_memory(m, error, sizeof(error));
	if (state == -1) {
		log_warn("the shared memory is not kept: %s", error);
		return;
	}
	if (!fdstore_add(name_hub, m->hub.fd) ||
	    !fdstore_add(name_state, state))
		log_warn(
		    "service manager: not all is kept: %s", strerror(errno));
	close(state);
}

/* Closes what was of no use. */
static void
fdstore_close_leftover(struct fdstore *s)
{
	if (s->hub != -1)
		close(s->hub);
	if (s->state != -1)
		close(s->state);
	for (int i = 0; i < s->n_listeners; i++)
		close(s->listener[i]);
	*s = (struct fdstore){.hub = -1, .state = -1};
}

void
fdstore_put(struct master *m)
{
	char error[512];
	bool good = true;
	int state;

	if (getenv("NOTIFY_SOCKET") == NULL)
		return;
	if (m->kept_hub && m->kept_listeners) {
		log_info("goes on with the shared memory that was kept");
		fdstore_close_leftover(m->options->fdstore);
		return; /* it has all of it */
	}
	if (m->kept_hub)
		log_info("goes on with the shared memory that was kept");
	if (m->options->fdstore != NULL)
		fdstore_close_leftover(m->options->fdstore);
	fdstore_forget(name_listener);
	fdstore_forget(name_hub);
	fdstore_forget(name_state);
	state = state_write_memory(m, error, sizeof(error));
	if (state == -1) {
		log_warn("nothing is kept: %s", error);
		return;
	}
	for (int i = 0; i < m->endpoints.n && good; i++)
		good = fdstore_add(name_listener, m->endpoints.at[i].fd);
	if (!good || !fdstore_add(name_hub, m->hub.fd) ||
	    !fdstore_add(name_state, state))
		log_warn(
		    "service manager: not all is kept: %s", strerror(errno));
	close(state);
}
