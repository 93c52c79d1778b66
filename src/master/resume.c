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
#include "base/machine.h"
#include "base/title.h"
#include "hub/convert.h"
#include "master/control.h"
#include "master/daemon.h"
#include "master/fdstore.h"
#include "master/report.h"
#include "boot.h"
#include "command.h"
#include "conversion.h"
#include "limits.h"
#include "log_child.h"
#include "member.h"
#include "page.h"
#include "program.h"
#include "others.h"
#include "own_user.h"
#include "private.h"
#include "process/spawn.h"
#include "reload.h"
#include "renew.h"
#include "resize.h"
#include "spawn.h"
#include "stranger.h"
#include "reader.h"
#include "state.h"
#include "tables.h"
#include "wires.h"

enum {
	CONF_WAIT_MS = 10 * 1000, /* for an error in the configuration to go */
	CONF_LOOK_MS = 100,
	LOOK_MS = READER_MS - 1000, /* in a rehearsal, which has 5 s itself */
	STUCK_LEN = 512,
	/* A copy takes so much more than what is copied: a part of it, since
	 * records may be larger, and processes that live side by side for a
	 * moment. Larger: an upgrade is refused that would fit. */
	COPY_MORE = 8,
	COPY_BYTES = 4 << 20
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

/* Keeps a size of the memory that is there: all, or what the file does not
 * name. */
#define CONF_KEEP(c, all, key, field, value)                 \
	do {                                                 \
		if ((all) || conf_where((c), (key)) == NULL) \
			(c)->field = (value);                \
	} while (0)

/* Overrides the sizes in the file with those of the memory that there is. */
static void
conf_keep_sizes(struct conf *c, const struct state *s, bool all)
{
	const struct hub_limits *l = &s->limits;

	CONF_KEEP(c, all, "connections", connections, s->connections);
	CONF_KEEP(c, all, "users", users, l->users);
	CONF_KEEP(c, all, "channels", channels, l->channels);
	CONF_KEEP(c, all, "subscriptions", subscriptions, l->subscriptions);
	CONF_KEEP(c, all, "journal", journal_bytes, l->journal_bytes);
	CONF_KEEP(c, all, "reader-share", reader_share, l->reader_share);
	CONF_KEEP(c, all, "output-memory", output_bytes, l->output_bytes);
	CONF_KEEP(c, all, "input-memory", input_bytes, l->input_bytes);
}

/* Overrides what the file says now with what cannot change: the addresses.
 * False: no memory. */
static bool
conf_keep_listen(struct conf *c, const struct state *s)
{
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
	    .what = READ_CONF | READ_USER | READ_PROGRAM | READ_PAGE,
	    .options = m->options};

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
	if (s->bundle != -1 && reader_restore(s->bundle, b) == 0) {
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

/* Whether the copy of the memory would go well: with figures if not. Last of
 * all: workers may have written anything into that memory, so it is read as the
 * user that they are. */
static int
copy_judge(struct master *m, const struct state *s, const char *why,
    char *error, size_t error_len)
{
	const uint64_t left = machine_left("");
	struct convert *c;
	char reason[1100];
	uint64_t need;
	int r = -1;

	if (spawn_assume(&m->identity) == -1) {
		snprintf(error, error_len, "user: %s", strerror(errno));
		return -1;
	}
	c = convert_open(
	    s->hub, s->print, STATE_LAYOUT, tables_print(), error, error_len);
	if (c == NULL) {
		snprintf(reason, sizeof(reason), "%s%s%s", why,
		    why[0] != '\0' ? "; " : "", error);
		snprintf(error, error_len, "%s", reason);
		return -1;
	}
	need = convert_bytes(c);
	need += need / COPY_MORE + COPY_BYTES;
	if (need > left)
		snprintf(error, error_len,
		    "memory: the copy of the shared memory takes %llu MiB, and "
		    "%llu MiB are left of the machine's or its control group's",
		    (unsigned long long)(need >> 20),
		    (unsigned long long)(left >> 20));
	else if (convert_fits(c, &m->limits, error, error_len))
		r = 0;
	convert_close(c);
	return r;
}

/* In a rehearsal: whether this program goes on with the memory as it is, or
 * with a copy (*copies), since it has another layout or other tables of doors,
 * framings or transports, or the configuration names other sizes. `why` is
 * what keeps it from going on with that memory, if anything does. */
static void
memory_judge(struct master *m, const struct state *s, struct conf *c,
    bool *copies, char *why, size_t why_len)
{
	bool fits;

	conf_keep_sizes(c, s, false);
	m->limits = sizes_limits(c);
	fits = hub_attach(&m->hub, s->hub, &s->limits, s->hash_key, true, why,
		   why_len) == 0;
	*copies = !fits || !hub_limits_equal(&m->limits, &s->limits) ||
	    convert_tables_differ(s->print, STATE_LAYOUT, tables_print());
	if (*copies)
		hub_plan(&m->hub, &m->limits);
}

/* In earnest: goes on with the memory that the program before this one has
 * named, a copy or not. */
static int
memory_take(struct master *m, const struct state *s, struct conf *c,
    char *error, size_t error_len)
{
	conf_keep_sizes(c, s, true);
	m->limits = s->limits;
	if (hub_attach(&m->hub, s->hub, &s->limits, s->hash_key, false, error,
		error_len) == -1)
		return -1;
	report_words_put(&m->hub);
	return boot_wire(m, error, error_len);
}

/* In a rehearsal: whether this program finds, and understands, what transports
 * know of the connections that there are. It goes by endpoints: where one keeps
 * something, connections may come until this program is executed. */
static bool
wire_judge(const struct master *m, const struct state *s, char *error,
    size_t error_len)
{
	const char *theirs = s->wire_text;

	if (wires_fit(theirs, &m->endpoints))
		return true;
	snprintf(error, error_len,
	    "an address has a transport with memory of its own, which this "
	    "program has in another way (bytes of each connection, and "
	    "versions: %s; the program that runs has %s): start chatd anew",
	    wires_print(), theirs != NULL ? theirs : "none");
	return false;
}

/* Everything that can go wrong: state, configuration, memory, user. With copies
 * (NULL: in earnest) it only looks. Returns the number of workers that the
 * configuration asks for, or -1 with a message. */
static int
prepare(struct master *m, struct state *s, int fd, bool *copies,
    struct bundle *b, char *stuck, char *error, size_t error_len)
{
	const bool look = copies != NULL;
	char why[512] = "";
	struct conf *c;
	const char *wrong;
	int workers;

	if (state_read(fd, m, s, error, error_len) == -1 ||
	    (look && !wire_judge(m, s, error, error_len)))
		return -1;
	if (!look) { /* only a rehearsal compares layouts */
		free(s->print);
		s->print = NULL;
	}
	if (!look && !m->options->foreground)
		log_open(LOG_TO_SYSLOG, NULL); /* until a log-file is known */
	if (!look && m->log.lines[1] != -1)
		log_send_to(m->log.lines[1]); /* its reader still runs */
	if ((c = conf_read(m, s, look, b, stuck, error, error_len)) == NULL)
		return -1;
	m->conf = c;
	workers = c->workers;
	c->workers = m->n_workers;
	if (!conf_keep_listen(c, s)) {
		snprintf(error, error_len, "no memory");
		return -1;
	}
	if (look)
		memory_judge(m, s, c, copies, why, sizeof(why));
	else if (memory_take(m, s, c, error, error_len) == -1)
		return -1;
	if ((look && others_check(m, error, error_len) == -1) ||
	    !master_live_fits(m, &c->live, error, error_len) ||
	    reader_identity(b, &m->identity, error, error_len) == -1 ||
	    (look ? program_check(b, stuck, error, error_len)
		  : program_take(m, b, stuck, error, error_len)) == -1)
		return -1;
	if ((wrong = conf_access_judge(c, c)) != NULL) {
		snprintf(error, error_len, "%s", wrong);
		return -1;
	}
	conf_access_settle(c, c);
	m->live = c->live;
	if (s->verbose)
		m->live.verbose = 1;
	if (look && *copies && copy_judge(m, s, why, error, error_len) == -1)
		return -1;
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
	bool copies = false;
	bool good = prepare(&m, &s, state, &copies, &b, stuck, error,
			sizeof(error)) != -1;
	int len;

	if (good && s.bundle != -1 && reader_save(s.bundle, &b) == -1) {
		snprintf(
		    error, sizeof(error), "configuration: %s", strerror(errno));
		good = false;
	}
	if (good && copies) {
		len = snprintf(answer, sizeof(answer), RESUME_COPIES "%s\n",
		    CHATD_VERSION);
		len += limits_print(answer + len, sizeof(answer) - (size_t)len,
		    &m.limits, m.conf->connections);
	} else if (good)
		len = snprintf(
		    answer, sizeof(answer), RESUME_OK "%s", CHATD_VERSION);
	else
		len = snprintf(answer, sizeof(answer), "no %s", error);

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

/* After a copy all workers are new at once, and `connections` may be larger. */
static void
workers_start(struct master *m)
{
	boot_raise_limits(m);
	for (int i = 0; i < m->n_workers; i++)
		if (!member_is_there(&m->member[i]) &&
		    m->member[i].child.respawn_ms == 0)
			spawn_worker(&m->member[i]);
	fdstore_renew(m);
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
		 m, &s, state, NULL, &b, stuck, error, sizeof(error))) == -1)
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
	if (others_init(m, error, sizeof(error)) == -1)
		log_fatal("upgrade: %s", error);
	own_users_take(m, &b);
	errands_take_user(m, &b);
	log_set_verbose(m->live.verbose != 0);
	page_boot(m, &b, stuck);
	program_log(m);
	bundle_free(&b);
	title_set("master");
	m->phase = PHASE_RUNNING;
	watchdog_init(&m->watchdog, m->watchdog.clock_ms, clock_ms());
	stranger_adopt();
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
	if (s.converted)
		workers_start(m);
	m->wanted = m->n_workers;
	resize(m, workers);
	return master_loop(m);
}

int
resume_main(const char *what)
{
	int state, pipe, memory;

	if (sscanf(what, RESUME_CONVERT, &state, &pipe, &memory) == 3)
		return conversion_child(state, pipe, memory);
	if (sscanf(what, RESUME_REHEARSE, &state, &pipe) == 2)
		rehearse(state, pipe);
	if (sscanf(what, RESUME_TAKE, &state) == 1)
		return take(state);
	return 2;
}
