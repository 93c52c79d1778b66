/* Everything up to the first fork: what only one master can have, memory, the
 * log, the daemon. */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/bundle.h"
#include "base/log.h"
#include "base/title.h"
#include "door/registry.h"
#include "hub/shm.h"
#include "hub/stats.h"
#include "hub/wire.h"
#include "master/control.h"
#include "master/daemon.h"
#include "master/master.h"
#include "master/place.h"
#include "master/privilege.h"
#include "master/report.h"
#include "archive.h"
#include "boot.h"
#include "command.h"
#include "look.h"
#include "log_child.h"
#include "master/fdstore.h"
#include "page.h"
#include "program.h"
#include "others.h"
#include "own_user.h"
#include "private.h"
#include "reader.h"
#include "stranger.h"

enum {
	FILES_SPARE = 1000, /* of a worker: links, logs, handshakes */
	/* Two rings for each worker, one while it is replaced: some 100 KB
	 * each. Larger: more may be locked; smaller: the last have none. */
	LOCKED_BYTES = 2 * CONF_WORKERS_MAX * 128 * 1024
};

/* Bounds what the kernel takes of clients' output, where memory is short. */
static void
listeners_bound(const struct master *m)
{
	for (int i = 0; i < m->endpoints.n; i++)
		listener_bound(m->endpoints.at[i].fd, m->sizes.send_bytes);
}

/* Binds what a reader has found for the name of an address; as listener_bind().
 */
static int
listener_bind_found(const struct conf *c, int i, const struct bundle *b,
    int fd[LISTENER_MAX], int *n, char *error, size_t error_len)
{
	const char *address = c->listen[i];
	struct listener_targets t;
	struct bundle_piece piece;

	if (!bundle_get(b, BUNDLE_ADDRESS, address, &piece))
		snprintf(error, error_len, "%s was not looked up", address);
	else if (piece.error != 0)
		snprintf(error, error_len, "%s%.*s", conf_listen_place(c, i),
		    (int)piece.len, piece.bytes);
	else if (piece.len == sizeof(t)) {
		memcpy(&t, piece.bytes, sizeof(t));
		return listener_bind_targets(
		    address, &t, fd, n, error, error_len);
	}
	return -1;
}

/* Takes one address of the configuration, a name as a bundle has it: an
 * endpoint for each socket that it means. */
static int
listener_bind_one(struct master *m, int i, const struct bundle *b, char *error,
    size_t error_len)
{
	const char *address = m->conf->listen[i];
	int fd[LISTENER_MAX], n = m->endpoints.n, k = n, r;
	struct endpoint e = {.fd = -1};

	if (endpoint_parse(&e, m->conf->listen_words[i], door_words(), error,
		error_len) == -1)
		return -1;
	r = listener_is_literal(address)
	    ? listener_bind(address, fd, &n, error, error_len)
	    : listener_bind_found(m->conf, i, b, fd, &n, error, error_len);
	for (; k < n; k++)
		(void)endpoints_add(&m->endpoints, &e, fd[k]);
	return r;
}

/* Takes the addresses of the configuration. */
static int
listeners_bind_all(
    struct master *m, const struct bundle *b, char *error, size_t error_len)
{
	int r = 0;

	for (int i = 0; i < m->conf->n_listen && r == 0; i++)
		r = listener_bind_one(m, i, b, error, error_len);
	return r;
}

/* Takes all of them, or those that the service manager has kept. */
static int
listeners_bind(struct master *m, char *error, size_t error_len)
{
	const struct reader_job job = {.what = READ_NAMES,
	    .listen = m->conf->listen,
	    .n_listen = m->conf->n_listen};
	struct bundle b = {.bytes = NULL};
	char stuck[512];
	bool literal = true;
	int r;

	fdstore_listeners(m);
	if (m->kept_listeners)
		return 0;
	for (int i = 0; i < m->conf->n_listen; i++)
		literal = literal && listener_is_literal(m->conf->listen[i]);
	if (!literal &&
	    reader_run(&job, READER_MS, &b, stuck, sizeof(stuck)) == 0) {
		snprintf(error, error_len, "%s", stuck);
		bundle_free(&b);
		return -1;
	}
	r = listeners_bind_all(m, &b, error, error_len);
	bundle_free(&b);
	return r;
}

/* Logs each listener's address and what is served there. */
static void
listeners_log(const struct master *m)
{
	for (int i = 0; i < m->endpoints.n; i++)
		log_info("address %s", m->endpoints.at[i].name);
}

/* Takes what only one master can have: pidfile, addresses, control socket. */
static int
place_take(struct master *m, char *error, size_t error_len)
{
	static char control[PATH_MAX], pidfile[PATH_MAX];
	const char *path = m->conf->control;

	if (path == NULL) {
		place_control(control);
		path = control;
		if (place_prepare(path, true, error, error_len) == -1)
			return -1;
	}
	if (m->conf->pidfile != NULL)
		strlcpy(pidfile, m->conf->pidfile, sizeof(pidfile));
	else if (!m->options->foreground) {
		place_pidfile(path, pidfile);
		if (place_prepare(pidfile, true, error, error_len) == -1)
			return -1;
	}
	if (pidfile[0] != '\0' &&
	    pidfile_take(&m->pidfile, pidfile, error, error_len) == -1)
		return -1;
	if (listeners_bind(m, error, error_len) == -1)
		return -1;
	listeners_bound(m);
	m->control = control_open(m, command_run, path, error, error_len);
	return m->control != NULL ? 0 : -1;
}

int
boot_wire(struct master *m, char *error, size_t error_len)
{
	if (m->nursery.wire != -1 || !endpoints_keep(&m->endpoints) ||
	    (m->nursery.wire = wire_create()) != -1)
		return 0;
	snprintf(error, error_len, "no memory for what transports know: %s",
	    strerror(errno));
	return -1;
}

/* Makes the shared memory. */
static int
hub_make(struct master *m, char *error, size_t error_len)
{
	m->limits = sizes_limits(m->conf);
	if (fdstore_hub(m) || hub_create(&m->hub, &m->limits) == 0) {
		report_words_put(&m->hub);
		return boot_wire(m, error, error_len);
	}
	snprintf(error, error_len, "no shared memory: %s", strerror(errno));
	return -1;
}

void
boot_raise_limits(struct master *m)
{
	m->files =
	    daemon_raise_files((uint64_t)m->conf->connections + FILES_SPARE);
	if (m->conf->io_uring || m->nursery.wire != -1)
		daemon_raise_locked(LOCKED_BYTES +
		    (m->nursery.wire != -1
			    ? (uint64_t)m->limits.connections * SHM_WIRE
			    : 0));
}

/* Finds the user that workers become, and whether they may. */
static int
identity_take(struct master *m, const struct bundle *b, const char *stuck,
    char *error, size_t error_len)
{
	struct bundle_piece piece;

	if (!bundle_get(b, BUNDLE_USER, "", &piece)) {
		snprintf(error, error_len, "%s", stuck);
		return -1;
	}
	if (reader_identity(b, &m->identity, error, error_len) == -1)
		return -1;
	return privilege_check(&m->identity, error, error_len);
}

/* Everything up to the first fork. */
static int
boot(struct master *m, const struct bundle *b, const char *stuck, char *error,
    size_t error_len)
{
	sizes_fit_here(&m->sizes, m->conf);
	if (identity_take(m, b, stuck, error, error_len) == -1 ||
	    program_take(m, b, stuck, error, error_len) == -1 ||
	    place_take(m, error, error_len) == -1 ||
	    hub_make(m, error, error_len) == -1)
		return -1;
	if (!m->options->foreground &&
	    (m->ready_pipe = daemon_detach()) == -1) {
		snprintf(error, error_len,
		    "cannot become a daemon (fork, /dev/null): %s",
		    strerror(errno));
		return -1;
	}
	if (pidfile_tell(&m->pidfile) == -1) {
		snprintf(error, error_len, "%s: %s", m->pidfile.path,
		    strerror(errno));
		return -1;
	}
	stranger_adopt();
	if (log_child_boot(m, error, error_len) == -1)
		return -1;
	if (others_check(m, error, error_len) == -1 ||
	    others_init(m, error, error_len) == -1)
		return -1;
	own_users_take(m, b);
	errands_take_user(m, b);
	if (master_make_events(m) == -1) {
		snprintf(error, error_len, "no event loop");
		return -1;
	}
	if (control_start(m->control) == -1) {
		snprintf(
		    error, error_len, "control socket: %s", strerror(errno));
		return -1;
	}
	log_set_name("master");
	log_set_verbose(m->live.verbose != 0);
	title_set("master");
	log_info("chatd " CHATD_VERSION ", %d workers", m->n_workers);
	sizes_log(&m->sizes);
	boot_raise_limits(m);
	listeners_log(m);
	master_log_access(m);
	archive_log(m);
	look_log(b);
	(void)beginners_stamp(m, look_stamp(b));
	program_log(m);
	page_boot(m, b, stuck);
	return 0;
}

int
master_run(const struct options *options, struct conf *conf,
    struct bundle *bundle, const char *stuck)
{
	struct master *m = master_new(options, conf);

	if (m == NULL) {
		conf_free(conf);
		log_error("no memory");
		return 1;
	}
	if (boot(m, bundle, stuck, m->failure, sizeof(m->failure)) == -1) {
		m->status = 1;
		log_error("%s", m->failure);
	}
	bundle_free(bundle);
	return master_loop(m);
}
