#include "others.h"

#include <errno.h>
#include <signal.h>
#include <stdalign.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/memory_file.h"
#include "base/siphash.h"
#include "codec/message.h"
#include "net/link.h"
#include "children.h"
#include "links.h"
#include "master/roles.h"
#include "private.h"
#include "process/executable.h"
#include "process/process.h"

enum {
	/* Lines outside of shared memory. */
	PAGES_BYTES = SHM_OTHERS * SHM_PAGE,
	/* At the very end, for one that may be still for long: what it has read
	 * is to be written down. Larger: a daemon whose disk hangs stops later;
	 * smaller: a commit to a slow disk is not waited for. */
	OTHERS_LAST_MS = 3000,
	/* At a start, for one that the chat waits for. Larger: a daemon whose
	 * disk hangs serves nobody for longer; smaller: clients come before
	 * their channels are there, and wait for each. */
	OTHERS_FIRST_MS = 10000
};

_Static_assert(SHM_OTHERS <= 32, "masks of them have 32 bits");

/* A child that the program before this one has started, of a kind that this one
 * does not have: its link has been closed, so that it leaves. Its line is
 * nobody else's until it has. */
static bool
other_is_stranger(const struct child *c)
{
	return c->kind == NULL && c->pid != 0;
}

/* Where a child's line is: in shared memory if it may write there. */
static struct shm_line *
others_line(const struct master *m, const struct child *c)
{
	if ((c->kind->gets & CHILD_HUB) != 0)
		return &m->hub.line[c->at];
	return (
	    void *)(m->nursery.page + (size_t)(c->at - SHM_WORKERS) * SHM_PAGE);
}

/* Whether there are to be children of a kind: the configuration wants them, and
 * the memory was made for them. */
static bool
kind_is_served(const struct master *m, const struct child_kind *kind)
{
	return child_is_wanted(kind, m->conf) &&
	    (kind->reader == 0 ||
		(m->limits.readers >> (kind->reader - 1) & 1) != 0);
}

/* Takes a place for the next child of a kind. */
static bool
others_place(struct master *m, const struct child_row *row, int number)
{
	struct child *c;
	int i = 0;

	while (i < SHM_OTHERS &&
	    (m->other[i].kind != NULL || other_is_stranger(&m->other[i])))
		i++;
	if (i == SHM_OTHERS)
		return false;
	c = &m->other[i];
	child_init(c, row, number, SHM_WORKERS + i);
	if (c->role == NULL)
		c->role = &other_role;
	c->respawn_ms = 1; /* as soon as the chat is served */
	if (i >= m->n_others)
		m->n_others = i + 1;
	return true;
}

/* Lets the children of kinds that this program has not, or the configuration
 * does not want any more, leave: their links end. */
static void
strangers_dismiss(struct master *m)
{
	struct child *c;

	for (int i = 0; i < m->n_others; i++) {
		c = &m->other[i];
		if (c->kind != NULL && !kind_is_served(m, c->kind)) {
			c->kind = NULL;
			c->role = NULL;
		}
		if (other_is_stranger(c))
			child_unlink(c);
	}
}

/* Says that a kind is missing for want of room in the memory. */
static void
kind_log_missing(const struct master *m, const struct child_kind *kind)
{
	if (kind->reader != 0 && child_is_wanted(kind, m->conf))
		log_warn("%s does not run: the shared memory has no room for "
			 "it; the next upgrade (chatctl upgrade) makes room",
		    kind->name);
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
	    kind->executable, m->options->binary, path, error, error_len);
}

/* Maps the lines outside of shared memory, in a new file if there is none. */
static int
others_map(struct master *m)
{
	struct nursery *n = &m->nursery;
	void *p;

	if (n->pages == -1 && (n->pages = memory_file("chatd-lines")) == -1)
		return -1;
	/* one of a former program may have fewer lines */
	if (ftruncate(n->pages, PAGES_BYTES) == -1)
		return -1;
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
	const struct child_row *row;
	int have;

	for (unsigned k = 0; (row = child_row_counted(k)) != NULL; k++) {
		if (!kind_is_served(m, row->kind)) {
			kind_log_missing(m, row->kind);
			continue;
		}
		have = 0;
		for (int i = 0; i < m->n_others; i++)
			have += m->other[i].kind == row->kind;
		for (; have < row->kind->n; have++)
			if (!others_place(m, row, have)) {
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
	const struct child_row *row;

	for (unsigned k = 0; (row = child_row_counted(k)) != NULL; k++)
		if (child_is_wanted(row->kind, m->conf) &&
		    kind_check(m, row->kind, error, error_len) == -1)
			return -1;
	return 0;
}

/* Has a child that was dismissed started again. */
static void
other_call(struct child *c)
{
	c->dismissed = false;
	if (c->pid == 0 && c->respawn_ms == 0)
		c->respawn_ms = 1;
}

int
others_init(struct master *m, char *error, size_t error_len)
{
	struct nursery *n = &m->nursery;

	n->hub = &m->hub;
	n->limits = &m->limits;
	n->identity = &m->identity;
	n->live = &m->live;
	n->conf = m->conf;
	n->endpoints = &m->endpoints;
	n->log = m->log.lines[1];
	n->binary = m->options->binary;
	for (int i = 0; i < CONF_WORKERS_MAX; i++)
		m->member[i].child.line = &m->hub.line[i];
	strangers_dismiss(m);
	if (others_fill(m, error, error_len) == -1)
		return -1;
	if (m->n_others > 0 && others_map(m) == -1) {
		snprintf(error, error_len, "lines: %s", strerror(errno));
		return -1;
	}
	for (int i = 0; i < m->n_others; i++) {
		m->other[i].master = m;
		if (m->other[i].kind == NULL)
			continue;
		m->other[i].line = others_line(m, &m->other[i]);
		if (m->cursor[i] != 0) /* of the memory before the copy */
			SHM_STORE(m->other[i].line->cursor, m->cursor[i]);
		other_call(&m->other[i]);
	}
	return 0;
}

int
others_adopt(struct master *m)
{
	for (int i = 0; i < m->n_others; i++)
		if (m->other[i].kind != NULL &&
		    children_adopt(&m->other[i]) == -1)
			return -1;
	return 0;
}

/* Makes the next process of a child. */
static void
other_start(struct child *c, uint64_t now)
{
	alignas(8) static uint8_t birth[PASSPORT_BIRTH];

	if (c->kind->birth == NULL) {
		(void)children_start(c, NULL);
		return;
	}
	c->kind->birth(c->master->conf, birth);
	(void)children_start(c, birth);
}

/* Whether the chat is not served before it is ready. */
static bool
other_is_first(const struct child *c)
{
	return c->kind != NULL && c->kind->first &&
	    c->master->phase == PHASE_STARTING;
}

/* The first ones come when the chat is served. */
static bool
other_may_start(const struct child *c)
{
	return c->master->phase >= PHASE_RUNNING || other_is_first(c);
}

bool
others_first(struct master *m)
{
	const uint64_t now = master_clock_ms(m);
	bool waits = false;
	struct child *c;

	if (m->first_ms == 0)
		m->first_ms = now;
	for (int i = 0; i < m->n_others; i++) {
		c = &m->other[i];
		if (!other_is_first(c) || c->ready)
			continue;
		if (c->pid == 0 && c->generation == 0)
			other_start(c, now);
		waits = waits || now < m->first_ms + OTHERS_FIRST_MS;
	}
	return waits;
}

/* It is dead. One that ends by itself before the chat is served has said why,
 * and would do so again. */
static bool
other_died(struct child *c, const struct child_end *end)
{
	erase_died(c);
	if (!other_is_first(c) || !end->fault || end->unready)
		return true;
	c->dismissed = true;
	c->master->first_failed = c->kind->name;
	return false;
}

/* A line of the state. */
static void
other_save(const struct child *c, FILE *f)
{
	fputs("child ", f);
	child_save(c, f);
}

const struct child_role other_role = {.start = other_start,
    .may_start = other_may_start,
    .hello = links_hello,
    .died = other_died,
    .save = other_save};

const struct child_role eraser_role = {.start = other_start,
    .may_start = other_may_start,
    .hello = links_hello,
    .message = erase_message,
    .died = other_died,
    .save = other_save};

bool
others_stranger_died(struct master *m, pid_t pid)
{
	for (int i = 0; i < m->n_others; i++)
		if (other_is_stranger(&m->other[i]) && m->other[i].pid == pid) {
			m->other[i].pid = 0;
			return true;
		}
	return false;
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

uint32_t
others_reading(const struct master *m)
{
	uint32_t mask = 0;

	for (int i = 0; i < m->n_others; i++)
		if (m->other[i].kind != NULL && m->other[i].kind->reader != 0)
			mask |= 1u << i;
	return mask;
}

/* Tells a child to leave; children_time() sees that it does. */
static void
other_leave(struct child *c, uint64_t now)
{
	if (c->leave_ms == 0 && c->link != -1 &&
	    link_send(c->link, MSG_STOP, NULL, 0, -1) == 0)
		c->leave_ms = now;
	else if (c->leave_ms == 0)
		child_kill(c, "cannot be told to leave");
}

void
others_dismiss(struct master *m)
{
	for (int i = 0; i < m->n_others; i++) {
		m->other[i].dismissed = true;
		if (m->other[i].kind != NULL && m->other[i].pid != 0)
			other_leave(&m->other[i], master_clock_ms(m));
	}
}

bool
others_are_gone(const struct master *m)
{
	for (int i = 0; i < m->n_others; i++)
		if (m->other[i].pid != 0)
			return false;
	return true;
}

void
others_return(struct master *m)
{
	for (int i = 0; i < m->n_others; i++)
		other_call(&m->other[i]);
}

bool
others_renew_next(struct master *m, uint64_t now)
{
	for (int i = 0; i < m->n_others; i++)
		if (m->other[i].old && !m->other[i].kind->begins) {
			other_leave(&m->other[i], now);
			return true;
		}
	return beginners_renew_next(m);
}

/* What a child would be told at its birth now; 0: nothing. */
static uint64_t
other_birth(const struct child *c)
{
	alignas(8) static uint8_t birth[PASSPORT_BIRTH];
	static const uint8_t key[16] = "chatd's births";

	if (c->kind == NULL || c->kind->birth == NULL || c->kind->begins)
		return 0;
	c->kind->birth(c->master->conf, birth);
	return siphash(key, birth, c->kind->birth_bytes);
}

void
others_change(struct master *m, struct conf *next)
{
	uint64_t before[SHM_OTHERS];

	for (int i = 0; i < m->n_others; i++)
		before[i] = other_birth(&m->other[i]);
	conf_tls_swap(m->conf, next);
	for (int i = 0; i < m->n_others; i++)
		if (m->other[i].pid != 0 &&
		    other_birth(&m->other[i]) != before[i])
			other_leave(&m->other[i], master_clock_ms(m));
}

bool
others_load(struct master *m, const char *line)
{
	char name[CHILD_NAME];
	const struct child_row *row;
	struct child *c, in = {.link = -1};
	int i;

	if (sscanf(line, "%31s", name) != 1 || !child_load(&in, line))
		return false;
	if (in.at < SHM_WORKERS || in.at >= SHM_LINES)
		return false;
	i = in.at - SHM_WORKERS;
	if (m->other[i].kind != NULL)
		return false;
	c = &m->other[i];
	*c = in;
	row = child_row_named(name);
	if (row != NULL && row->kind->n >= 0) {
		c->kind = row->kind;
		c->role = row->role != NULL ? row->role : &other_role;
	}
	if (i >= m->n_others)
		m->n_others = i + 1;
	return true;
}

void
others_end(struct master *m, uint64_t limit_ms)
{
	for (int i = 0; i < m->n_others; i++)
		if (m->other[i].link != -1)
			(void)link_send(
			    m->other[i].link, MSG_STOP, NULL, 0, -1);
	for (int i = 0; i < m->n_others; i++) {
		struct child *c = &m->other[i];
		const uint64_t last_ms = limit_ms +
		    (c->kind != NULL && c->kind->still_ms != 0 &&
				!c->kind->begins
			    ? OTHERS_LAST_MS
			    : 0);

		if (c->pid != 0 && !process_reap(c->pid, last_ms))
			process_end(c->pid, child_name(c),
			    last_ms + CHILD_EOF_GRACE_MS);
		children_ignore(c);
		child_unlink(c);
		c->pid = 0;
	}
}
