#include "beginners.h"

#include <errno.h>
#include <event2/event.h>
#include <inttypes.h>
#include <stdalign.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/bundle.h"
#include "base/log.h"
#include "base/memory_file.h"
#include "children.h"
#include "links.h"
#include "look.h"
#include "master/roles.h"
#include "owed.h"
#include "private.h"
#include "reader.h"
#include "process/passport.h"
#include "tickets.h"

enum {
	/* For a new set to be ready. Larger: who waits for a reload hears later
	 * that it does not come; smaller: files on a slow disk are refused. */
	BEGINNERS_READY_MS = 20 * 1000,
	/* For those that leave, besides the time that a peer may take: what is
	 * handed over is to be answered. */
	BEGINNERS_LAST_MS = 15 * 1000,
	/* How often their files are looked at. Larger: a new certificate is
	 * used later; smaller: more processes that look. */
	BEGINNERS_LOOK_MS = 60 * 1000
};

/* A child's place here. */
static struct beginner *
beginner_of(const struct child *c)
{
	return &c->master->beginners.at[c->at - SHM_WORKERS];
}

/* The child of a place; NULL: none that begins with connections. */
static struct child *
beginner_child(const struct master *m, int i)
{
	const struct child *c = &m->other[i];

	return c->kind != NULL && c->kind->begins ? (struct child *)c : NULL;
}

/* The kind that is served; NULL: none. */
static const struct child_kind *
beginners_kind(const struct master *m)
{
	for (int i = 0; i < m->n_others; i++)
		if (beginner_child(m, i) != NULL)
			return m->other[i].kind;
	return NULL;
}

/* Forgets what a place has read. */
static void
beginner_drop_file(struct beginner *b)
{
	if (b->kept != -1)
		close(b->kept);
	b->kept = -1;
}

/* Nobody is in that place any more. */
static void
beginner_free(struct beginner *b)
{
	beginner_drop_file(b);
	*b = (struct beginner){.kept = -1};
}

void
beginners_init(struct master *m)
{
	struct beginners *b = &m->beginners;

	for (int i = 0; i < SHM_OTHERS; i++)
		b->at[i].kept = -1;
	b->tickets = -1;
}

/* Lets go of the process that looks at files. */
static void
look_drop(struct beginners *b)
{
	if (b->readable != NULL)
		event_free(b->readable);
	b->readable = NULL;
	if (b->reader != NULL)
		reader_drop(b->reader);
}

void
beginners_deinit(struct master *m)
{
	for (int i = 0; i < SHM_OTHERS; i++)
		beginner_drop_file(&m->beginners.at[i]);
	look_drop(&m->beginners);
	free(m->beginners.reader);
	tickets_drop(&m->beginners);
	validity_free(&m->beginners.validity);
}

/* Makes the next process of a place. */
static void
beginner_start(struct child *c, uint64_t now)
{
	alignas(8) static uint8_t birth[PASSPORT_BIRTH];
	struct child_files *files = (void *)birth;
	struct beginner *b = beginner_of(c);

	b->ready = false;
	if (b->kept == -1 && (b->kept = memory_file("chatd-files")) == -1) {
		log_error(
		    "cannot start %s: %s", child_name(c), strerror(errno));
		c->respawn_ms = now + CHILD_RETRY_MS;
		return;
	}
	c->kind->birth(c->master->conf, birth);
	files->kept = b->kept;
	files->shared = c->master->beginners.tickets;
	(void)children_start(c, birth);
}

/* Tells one to end what it has begun; a place without a process is free. */
static void
beginner_leave(struct child *c)
{
	struct master *m = c->master;
	struct beginner *b = beginner_of(c);

	if (b->set == 0 || b->leaves)
		return;
	if (c->pid == 0) {
		beginner_free(b);
		return;
	}
	b->leaves = true;
	b->until_ms =
	    master_clock_ms(m) + m->live.handshake_ms + BEGINNERS_LAST_MS;
	c->told = true;
	c->old = false; /* it goes by itself */
	owed_add(c, OWED_STOP);
}

/* All of a set leave, or (others) all that are of no such set. */
static void
set_leave(struct master *m, uint32_t set, bool others)
{
	struct child *c;

	for (int i = 0; i < m->n_others; i++)
		if ((c = beginner_child(m, i)) != NULL &&
		    (m->beginners.at[i].set == set) != others)
			beginner_leave(c);
}

/* Tells how a renewal has ended, and begins with the next one. */
static void
renewal_end(struct master *m, const char *why)
{
	struct beginners *b = &m->beginners;
	const bool told = b->is_told;

	b->comes = 0;
	if (b->again) {
		(void)beginners_renew(m);
		return;
	}
	b->is_told = false;
	if (why != NULL)
		log_error("%s", why);
	if (told)
		b->told(m, why);
}

/* The coming set does not come: the one that serves stays. */
static void
renewal_fail(struct master *m, const char *what)
{
	const uint32_t set = m->beginners.comes;
	char why[256];

	m->beginners.failed = true;
	set_leave(m, set, false);
	snprintf(why, sizeof(why), "%s; those that there are stay", what);
	renewal_end(m, why);
}

/* Whether all of the coming set are ready. */
static bool
set_is_ready(const struct master *m)
{
	for (int i = 0; i < m->n_others; i++)
		if (m->beginners.at[i].set == m->beginners.comes &&
		    !m->beginners.at[i].ready)
			return false;
	return true;
}

/* It accepts. */
static void
beginner_hello(struct child *c)
{
	struct master *m = c->master;
	struct beginners *b = &m->beginners;

	links_hello(c);
	beginner_of(c)->ready = true;
	if (b->comes == 0 || beginner_of(c)->set != b->comes ||
	    !set_is_ready(m))
		return;
	if (b->serves != 0)
		log_info(
		    "%s: others with new files have taken over", c->kind->name);
	b->serves = b->comes;
	b->failed = false;
	set_leave(m, b->serves, true);
	renewal_end(m, NULL);
}

/* It says until when its files are good; a set that does not serve yet is not
 * asked. */
static const char *
beginner_message(struct child *c, int type, const void *payload)
{
	const uint32_t set = beginner_of(c)->set;
	struct message_until until;

	if (type != MSG_UNTIL)
		return "no handler";
	memcpy(&until, payload, sizeof(until));
	if (set != 0 && set == c->master->beginners.serves)
		validity_note(c->master, set, &until);
	return NULL;
}

/* None follows one that leaves. */
static bool
beginner_leaves(const struct child *c)
{
	return beginner_of(c)->leaves;
}

/* It is dead. */
static bool
beginner_died(struct child *c, const struct child_end *end)
{
	struct beginners *all = &c->master->beginners;
	struct beginner *b = beginner_of(c);
	char why[128];

	if (b->leaves || b->set == 0) {
		beginner_free(b);
		c->respawn_ms = 0;
		return false;
	}
	if (b->ready)
		return true;
	beginner_drop_file(b); /* to be read anew */
	if (b->set != all->comes || all->serves == 0 ||
	    (!end->fault && !end->unready))
		return true;
	snprintf(why, sizeof(why),
	    "%s does not start with the new files, see "
	    "the log",
	    child_name(c));
	c->respawn_ms = 0;
	renewal_fail(c->master, why);
	return false;
}

/* Whether its place is in use. */
static bool
beginner_may_start(const struct child *c)
{
	return c->master->phase >= PHASE_RUNNING && !beginner_is_idle(c);
}

bool
beginner_is_idle(const struct child *c)
{
	return c->kind->begins && beginner_of(c)->set == 0 && c->pid == 0;
}

/* Its deadline. */
static void
beginner_due(struct child *c, uint64_t now)
{
	const struct beginner *b = beginner_of(c);

	if (b->leaves && c->pid != 0 && now >= b->until_ms)
		(void)child_kill(c, "did not end what it had begun in time");
}

/* The free places of a kind: how many, and the first n of them. */
static int
places_find(const struct master *m, int n, int place[SHM_OTHERS])
{
	const struct child *c;
	int found = 0;

	for (int i = 0; i < m->n_others && found < n; i++)
		if ((c = beginner_child(m, i)) != NULL && beginner_is_idle(c))
			place[found++] = i;
	return found;
}

bool
beginners_renew(struct master *m)
{
	const struct child_kind *kind = beginners_kind(m);
	struct beginners *b = &m->beginners;
	int n, place[SHM_OTHERS];

	if (kind == NULL || m->phase != PHASE_RUNNING)
		return false;
	n = kind->count != NULL ? kind->count(m->conf) : kind->n;
	/* else when the coming set is there, or those before have left */
	b->again = b->comes != 0 || places_find(m, n, place) < n;
	if (b->again)
		return true;
	if (tickets_make(m) == -1)
		log_error("no keys for session tickets: %s", strerror(errno));
	b->comes = ++b->newest;
	b->until_ms = master_clock_ms(m) + BEGINNERS_READY_MS;
	for (int i = 0; i < n; i++) {
		b->at[place[i]].set = b->comes;
		m->other[place[i]].respawn_ms = 0;
		beginner_start(&m->other[place[i]], master_clock_ms(m));
	}
	return true;
}

bool
beginners_stamp(struct master *m, uint64_t stamp)
{
	const bool changed = stamp != 0 && stamp != m->beginners.stamp;

	if (changed)
		m->beginners.stamp = stamp;
	return changed;
}

void
beginners_tell(
    struct master *m, void (*told)(struct master *m, const char *why))
{
	m->beginners.is_told = true;
	m->beginners.told = told;
}

/* Whether one is the former program's and is to be replaced. */
static bool
beginners_are_old(const struct master *m)
{
	const struct child *c;

	for (int i = 0; i < m->n_others; i++)
		if ((c = beginner_child(m, i)) != NULL && c->old)
			return true;
	return false;
}

bool
beginners_renew_next(struct master *m)
{
	struct beginners *b = &m->beginners;
	struct child *c;

	if (!beginners_are_old(m) || b->comes != 0 || b->again)
		return b->comes != 0 || b->again;
	if (!b->tried) {
		b->tried = true;
		return beginners_renew(m);
	}
	for (int i = 0; i < m->n_others; i++)
		if ((c = beginner_child(m, i)) != NULL && c->old) {
			log_warn("%s stays the former program's: chatctl "
				 "reload tries again",
			    child_name(c));
			c->old = false;
		}
	return false;
}

/* The process that looks at files has ended, or its time is over. */
static void
look_end_cb(int fd, short what, void *arg)
{
	struct master *m = arg;
	struct beginners *b = &m->beginners;
	char stuck[512];
	struct bundle files;
	unsigned done;

	event_free(b->readable);
	b->readable = NULL;
	done = reader_end(b->reader, &files, stuck, sizeof(stuck));
	if ((done & READ_STAMP) == 0)
		log_warn("certificates: %s", stuck);
	else if (beginners_stamp(m, look_stamp(&files))) {
		log_info("certificates have changed");
		b->validity.untold = true;
		(void)beginners_renew(m);
	}
	bundle_free(&files);
}

/* Has a process look whether files have changed. */
static void
look_begin(struct master *m)
{
	const struct timeval limit = {.tv_sec = READER_MS / 1000};
	struct beginners *b = &m->beginners;
	const struct reader_job job = {.what = READ_STAMP, .conf = m->conf};

	if (b->reader != NULL && b->reader->pid != 0)
		return; /* a disk holds the one before */
	if (b->reader == NULL)
		b->reader = calloc(1, sizeof(*b->reader));
	if (b->reader == NULL ||
	    reader_start(b->reader, &job, READER_MS) == -1) {
		log_warn("certificates: %s", strerror(errno));
		return;
	}
	b->readable =
	    event_new(m->base, b->reader->pipe, EV_READ, look_end_cb, m);
	if (b->readable == NULL || event_add(b->readable, &limit) == -1)
		look_drop(b);
}

void
beginners_time(struct master *m, uint64_t now)
{
	struct beginners *b = &m->beginners;

	if (m->phase != PHASE_RUNNING || beginners_kind(m) == NULL)
		return;
	if (b->again || (b->serves == 0 && b->comes == 0))
		(void)beginners_renew(m);
	else if (b->comes != 0 && b->serves != 0 && now >= b->until_ms)
		renewal_fail(m,
		    "processes with new files are not ready in "
		    "time");
	tickets_time(m, now);
	validity_time(m, now);
	if (b->look_ms != 0 && now >= b->look_ms)
		look_begin(m);
	if (b->look_ms == 0 || now >= b->look_ms)
		b->look_ms = now + BEGINNERS_LOOK_MS;
}

void
beginners_leave(struct master *m)
{
	set_leave(m, 0, true);
}

bool
beginners_own(const struct master *m, pid_t pid)
{
	return m->beginners.reader != NULL && m->beginners.reader->pid == pid;
}

bool
beginners_died(struct master *m, pid_t pid)
{
	if (!beginners_own(m, pid))
		return false;
	m->beginners.reader->pid = 0;
	return true;
}

/* Lines of the state. */
static void
beginner_save(const struct child *c, FILE *f)
{
	const struct beginners *all = &c->master->beginners;
	const struct beginner *b = beginner_of(c);

	/* free places, too: numbers and generations are not used twice */
	fputs("child ", f);
	child_save(c, f);
	if (b->set == 0)
		return;
	fprintf(f,
	    "beginner %d %" PRIu32 " %d %d %" PRIu64 " %d %" PRIu32 " %" PRIu64
	    "\n",
	    c->at - SHM_WORKERS, b->set, b->ready, b->leaves, b->until_ms,
	    b->kept, all->serves, all->stamp);
	if (all->serves == b->set || all->serves == 0)
		tickets_save(all, f);
}

/* A line "beginner ...". */
static enum child_load
beginner_load(struct master *m, const char *key, const char *text)
{
	struct beginners *all = &m->beginners;
	struct beginner b = {.kept = -1};
	uint32_t serves;
	uint64_t stamp;
	int i, ready, leaves;

	if (strcmp(key, "tickets") == 0)
		return tickets_load(all, text) ? CHILD_LOADED : CHILD_SENSELESS;
	if (strcmp(key, "beginner") != 0)
		return CHILD_NOT_MINE;
	if (sscanf(text,
		"%d %" SCNu32 " %d %d %" SCNu64 " %d %" SCNu32 " %" SCNu64, &i,
		&b.set, &ready, &leaves, &b.until_ms, &b.kept, &serves,
		&stamp) != 8 ||
	    i < 0 || i >= SHM_OTHERS)
		return CHILD_SENSELESS;
	b.ready = ready != 0;
	b.leaves = leaves != 0;
	all->at[i] = b;
	all->serves = serves;
	all->stamp = stamp;
	if (b.set > all->newest)
		all->newest = b.set;
	return CHILD_LOADED;
}

void
beginners_descriptors(const struct master *m, void (*f)(int fd))
{
	if (m->beginners.tickets != -1)
		f(m->beginners.tickets);
	for (int i = 0; i < SHM_OTHERS; i++)
		if (m->beginners.at[i].kept != -1)
			f(m->beginners.at[i].kept);
}

const struct child_role beginner_role = {.start = beginner_start,
    .may_start = beginner_may_start,
    .hello = beginner_hello,
    .message = beginner_message,
    .leaves = beginner_leaves,
    .died = beginner_died,
    .due = beginner_due,
    .save = beginner_save,
    .load = beginner_load};
