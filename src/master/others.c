#include "others.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "codec/message.h"
#include "net/link.h"
#include "private.h"
#include "process/executable.h"
#include "process/process.h"

enum {
	/* For MSG_STOP at an upgrade; killed after that. Larger: one that hangs
	 * delays the upgrade; smaller: one that is busy does not finish. */
	LEAVE_MS = 2000,
	/* Lines outside of shared memory. */
	PAGES_BYTES = SHM_OTHERS * SHM_PAGE
};

/* Where a child's line is: in shared memory if it may write there. */
static struct shm_line *
others_line(const struct master *m, const struct child *c)
{
	if ((c->kind->gets & CHILD_HUB) != 0)
		return &m->hub.line[c->at];
	return (
	    void *)(m->nursery.page + (size_t)(c->at - SHM_WORKERS) * SHM_PAGE);
}

/* Takes a place for the next child of a kind. */
static bool
others_place(struct master *m, const struct child_kind *kind, int number)
{
	int i = 0;

	while (i < SHM_OTHERS && m->other[i].kind != NULL)
		i++;
	if (i == SHM_OTHERS)
		return false;
	child_init(&m->other[i], kind, number, SHM_WORKERS + i);
	if (i >= m->n_others)
		m->n_others = i + 1;
	return true;
}

/* Lets the children of kinds that this program has not leave: their links end.
 */
static void
strangers_dismiss(struct master *m)
{
	for (int i = 0; i < m->n_others; i++)
		if (m->other[i].kind == NULL) {
			child_unlink(&m->other[i]);
			m->other[i].pid = 0;
		}
}

/* Whether a kind's program of its own is there. */
static int
kind_check(const struct master *m, const struct child_kind *kind, char *error,
    size_t error_len)
{
	char path[PATH_MAX];

	if (kind->executable == NULL)
		return 0;
	return executable_find(
	    kind, m->options->binary, path, error, error_len);
}

/* Maps the lines outside of shared memory, in a new file if there is none. */
static int
others_map(struct master *m)
{
	struct nursery *n = &m->nursery;
	void *p;

	if (n->pages == -1) {
		n->pages = memfd_create("chatd-lines", MFD_CLOEXEC);
		if (n->pages == -1 || ftruncate(n->pages, PAGES_BYTES) == -1)
			return -1;
	}
	p = mmap(
	    NULL, PAGES_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, n->pages, 0);
	if (p == MAP_FAILED)
		return -1;
	n->page = p;
	return 0;
}

/* The children of the program before this one keep their places, whose kinds
 * have come back by name; those of kinds that are new come behind. */
static int
others_fill(struct master *m, char *error, size_t error_len)
{
	const struct child_kind *kind;
	int have;

	for (unsigned k = 0; (kind = child_kind_of(CHILD_OTHER, k)) != NULL;
	     k++) {
		have = 0;
		for (int i = 0; i < m->n_others; i++)
			have += m->other[i].kind == kind;
		for (; have < kind->n; have++)
			if (!others_place(m, kind, have)) {
				snprintf(error, error_len,
				    "more than %d processes besides workers",
				    SHM_OTHERS);
				return -1;
			}
	}
	return 0;
}

int
others_check(const struct master *m, char *error, size_t error_len)
{
	const struct child_kind *kind;

	for (unsigned k = 0; (kind = child_kind_of(CHILD_OTHER, k)) != NULL;
	     k++)
		if (kind_check(m, kind, error, error_len) == -1)
			return -1;
	return 0;
}

int
others_init(struct master *m, char *error, size_t error_len)
{
	struct nursery *n = &m->nursery;

	n->hub = &m->hub;
	n->limits = &m->limits;
	n->identity = &m->identity;
	n->live = &m->live;
	n->endpoints = &m->endpoints;
	n->log = m->log.lines[1];
	n->binary = m->options->binary;
	n->arg = m;
	for (int i = 0; i < CONF_WORKERS_MAX; i++)
		m->member[i].child.line = &m->hub.line[i];
	strangers_dismiss(m);
	if (others_fill(m, error, error_len) == -1)
		return -1;
	if (m->n_others > 0 && others_map(m) == -1) {
		snprintf(error, error_len, "lines: %s", strerror(errno));
		return -1;
	}
	for (int i = 0; i < m->n_others; i++)
		if (m->other[i].kind != NULL)
			m->other[i].line = others_line(m, &m->other[i]);
	return 0;
}

/* Makes the next process of a child; a failure is tried again. */
static void
other_spawn(struct master *m, struct child *c, uint64_t now)
{
	m->nursery.log = m->log.lines[1];
	if (child_spawn(c, &m->nursery, NULL, now) == 0) {
		watchdog_forget(&m->watchdog, c->at);
		return;
	}
	log_error("cannot start %s: %s, trying again in %d ms", child_name(c),
	    strerror(errno), CHILD_RETRY_MS);
	c->respawn_ms = now + CHILD_RETRY_MS;
}

bool
others_died(struct master *m, pid_t pid, int status)
{
	const uint64_t now = master_clock_ms(m);
	uint64_t wait_ms;
	struct child *c;
	bool fault;

	for (int i = 0; i < m->n_others; i++) {
		c = &m->other[i];
		if (c->pid != pid)
			continue;
		wait_ms = child_died(
		    c, status, m->phase >= PHASE_QUITTING, now, &fault);
		SHM_STORE(c->line->pid, 0);
		SHM_STORE(c->line->lock_state, LOCK_NONE);
		SHM_STORE(c->line->state, WORKER_WAITING);
		if (m->phase >= PHASE_QUITTING)
			return true;
		c->respawn_ms = now + wait_ms;
		if (wait_ms == 0) {
			policy_respawned(&c->policy, now);
			other_spawn(m, c, now);
		}
		return true;
	}
	return false;
}

/* Whether a message is what its child may say, and all that it may: that it is
 * ready. */
static bool
other_hello(struct master *m, struct child *c, const struct link_datagram *d)
{
	const struct message_hello *hello;
	const void *payload;
	const char *why;
	size_t len;

	if (message_check(d->bytes, d->len, d->n_fds, PARTY_WORKER, &payload,
		&len, &why) != MSG_HELLO)
		return false;
	hello = payload;
	if (hello->generation != c->generation || c->ready)
		return false;
	c->ready = true;
	policy_ready(&c->policy);
	watchdog_forget(&m->watchdog, c->at);
	SHM_STORE(c->line->state, WORKER_RUNNING);
	log_debug("%s (pid %d) is ready", child_name(c), (int)c->pid);
	return true;
}

/* Reads what a child says. One that says anything else is replaced, or it could
 * fill the log. */
static void
other_listen(struct master *m, struct child *c, uint64_t now)
{
	struct link_datagram d[LINK_BATCH];
	int n;

	if (c->link == -1 || c->eof_ms != 0)
		return;
	if ((n = link_receive(c->link, d)) == -1)
		c->eof_ms = now;
	for (int i = 0; i < n; i++) {
		if (!other_hello(m, c, &d[i]))
			child_kill(c, "sent what it should not");
		if (d[i].fd != -1)
			close(d[i].fd);
	}
}

/* What a child's deadlines ask for. */
static void
other_time(struct master *m, struct child *c, uint64_t now)
{
	if (c->pid == 0) {
		if (now >= c->respawn_ms) {
			policy_respawned(&c->policy, now);
			other_spawn(m, c, now);
		}
		return;
	}
	other_listen(m, c, now);
	if (c->eof_ms != 0 && now >= c->eof_ms + CHILD_EOF_GRACE_MS)
		child_kill(c, "closed its link to the master");
	if (c->leave_ms != 0 && now >= c->leave_ms + LEAVE_MS)
		child_kill(c, "did not leave in time");
	if (child_is_late(c, watchdog_still_ms(&m->watchdog, c->at), now)) {
		c->killed_unready = true;
		child_kill(c, "was not ready in time");
	}
}

void
others_time(struct master *m, uint64_t now)
{
	/* the first ones come when the chat is served */
	if (m->phase != PHASE_RUNNING)
		return;
	for (int i = 0; i < m->n_others; i++)
		if (m->other[i].kind != NULL)
			other_time(m, &m->other[i], now);
}

uint32_t
others_lively(const struct master *m)
{
	uint32_t mask = 0;

	for (int i = 0; i < m->n_others; i++)
		if (m->other[i].pid != 0 && !m->other[i].killed)
			mask |= 1u << i;
	return mask;
}

uint32_t
others_starting(const struct master *m)
{
	uint32_t mask = 0;

	for (int i = 0; i < m->n_others; i++)
		if (!m->other[i].ready)
			mask |= 1u << i;
	return mask;
}

void
others_renew(struct master *m)
{
	for (int i = 0; i < m->n_others; i++)
		m->other[i].old = m->other[i].pid != 0;
}

int
others_left(const struct master *m)
{
	int n = 0;

	for (int i = 0; i < m->n_others; i++)
		n += m->other[i].old;
	return n;
}

bool
others_renew_next(struct master *m, uint64_t now)
{
	for (int i = 0; i < m->n_others; i++) {
		struct child *c = &m->other[i];

		if (!c->old)
			continue;
		if (c->leave_ms == 0 && c->link != -1 &&
		    link_send(c->link, MSG_STOP, NULL, 0, -1) == 0)
			c->leave_ms = now;
		else if (c->leave_ms == 0)
			child_kill(c, "cannot be told to leave");
		return true;
	}
	return false;
}

void
others_save(const struct master *m, FILE *f)
{
	if (m->nursery.pages != -1)
		fprintf(f, "lines %d\n", m->nursery.pages);
	for (int i = 0; i < m->n_others; i++)
		if (m->other[i].kind != NULL) {
			fputs("child ", f);
			child_save(&m->other[i], f);
		}
}

bool
others_load(struct master *m, const char *key, const char *line)
{
	char name[CHILD_NAME];
	struct child *c, in = {.link = -1};
	int i;

	if (strcmp(key, "lines") == 0)
		return sscanf(line, "%d", &m->nursery.pages) == 1;
	if (sscanf(line, "%31s", name) != 1 || !child_load(&in, line))
		return false;
	if (in.at < SHM_WORKERS || in.at >= SHM_LINES)
		return false;
	i = in.at - SHM_WORKERS;
	if (m->other[i].kind != NULL)
		return false;
	c = &m->other[i];
	*c = in;
	/* NULL: of a kind that this program has not */
	c->kind = child_kind_named(name);
	if (c->kind != NULL && c->kind->part != CHILD_OTHER)
		c->kind = NULL;
	if (i >= m->n_others)
		m->n_others = i + 1;
	return true;
}

void
others_descriptors(const struct master *m, void (*f)(int fd))
{
	if (m->nursery.pages != -1)
		f(m->nursery.pages);
	for (int i = 0; i < m->n_others; i++)
		if (m->other[i].link != -1)
			f(m->other[i].link);
}

void
others_drop(struct master *m)
{
	for (int i = 0; i < m->n_others; i++)
		child_unlink(&m->other[i]);
}

void
others_end(struct master *m, uint64_t limit_ms)
{
	for (int i = 0; i < m->n_others; i++)
		if (m->other[i].link != -1)
			(void)link_send(
			    m->other[i].link, MSG_STOP, NULL, 0, -1);
	for (int i = 0; i < m->n_others; i++) {
		if (m->other[i].pid != 0 &&
		    !process_reap(m->other[i].pid, limit_ms))
			process_end(m->other[i].pid, child_name(&m->other[i]),
			    limit_ms + CHILD_EOF_GRACE_MS);
		child_unlink(&m->other[i]);
		m->other[i].pid = 0;
	}
}
