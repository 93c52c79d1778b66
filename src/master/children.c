#include "children.h"

#include <event2/event.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "codec/message.h"
#include "hub/line.h"
#include "links.h"
#include "net/link.h"
#include "owed.h"
#include "private.h"
#include "process/child.h"

enum {
	/* Messages of one child per timer period. Larger: a child that floods
	 * the master keeps it from others for longer; smaller: a worker that
	 * answers many orders is read with a delay. */
	CHILDREN_BUDGET = 256,
	/* For MSG_STOP at an upgrade; killed after that. Larger: one that hangs
	 * delays the upgrade; smaller: one that is busy does not finish. */
	CHILDREN_LEAVE_MS = 2000
};

struct child *
children_at(const struct master *m, unsigned i)
{
	const unsigned n = (unsigned)m->n_workers;
	struct master *all = (struct master *)m;

	if (i < n)
		return &all->member[i].child;
	if (i < 2 * n)
		return &all->member[i - n].mover;
	i -= 2 * n;
	if (i < FAMILY_KEEPERS * n)
		return &all->member[i / FAMILY_KEEPERS]
			    .family.keeper[i % FAMILY_KEEPERS];
	i -= FAMILY_KEEPERS * n;
	return i < (unsigned)m->n_others ? &all->other[i] : NULL;
}

struct child *
children_with_line(const struct master *m, int line)
{
	struct master *all = (struct master *)m;

	if (line >= SHM_WORKERS)
		return &all->other[line - SHM_WORKERS];
	return all->member[line].mover.pid != 0 ? &all->member[line].mover
						: &all->member[line].child;
}

/* The link can be read. */
static void
children_read_cb(int fd, short what, void *arg)
{
	children_read(arg);
}

int
children_listen(struct child *c)
{
	c->budget = CHILDREN_BUDGET;
	if (c->link == -1 || (c->kind->gets & CHILD_MUTE) != 0)
		return 0;
	c->event = event_new(c->master->base, c->link, EV_READ | EV_PERSIST,
	    children_read_cb, c);
	if (c->event == NULL)
		return -1;
	return c->eof_ms != 0 ? 0 : event_add(c->event, NULL);
}

/* Its process is another one, or got ready: it is alive as of now. */
static void
children_alive(const struct child *c)
{
	if (c->at != -1)
		watchdog_forget(&c->master->watchdog, c->at);
}

void
children_made(struct child *c)
{
	const enum phase phase = c->master->phase;

	children_alive(c);
	if (phase >= PHASE_QUITTING)
		owed_add(c, phase == PHASE_STOPPING ? OWED_STOP : OWED_QUIT);
}

int
children_adopt(struct child *c)
{
	children_alive(c);
	if (c->line != NULL)
		c->born_ms = SHM_LOAD(c->line->started_ms);
	return children_listen(c);
}

void
children_ignore(struct child *c)
{
	if (c->event != NULL)
		event_free(c->event);
	c->event = NULL;
}

bool
children_start(struct child *c, const void *birth)
{
	struct master *m = c->master;

	m->nursery.log = m->log.lines[1];
	if (child_spawn(c, &m->nursery, birth, master_clock_ms(m)) == -1)
		return false;
	children_alive(c);
	if (children_listen(c) == -1)
		(void)child_kill(c, "cannot be listened to");
	return true;
}

/* Says what a child sent that it should not have. One that sends too much of
 * it is replaced, before it fills the log: a worker that does so has been taken
 * over by an attacker, or writes anywhere by its own fault. */
static void
children_complain(struct child *c, const char *what)
{
	const uint64_t now = master_clock_ms(c->master);
	char why[64];

	if (c->role->message == NULL) {
		(void)child_kill(c, "sent what it should not");
		return;
	}
	log_warn("%s: message ignored: %s", child_name(c), what);
	if (c->n_bad == 0 || now >= c->bad_ms + MESSAGE_BAD_MS) {
		c->bad_ms = now;
		c->n_bad = 0;
	}
	if (++c->n_bad != MESSAGE_BAD_MAX)
		return;
	snprintf(why, sizeof(why), "sent %d bad messages within %d ms",
	    MESSAGE_BAD_MAX, MESSAGE_BAD_MS);
	(void)child_kill(c, why);
}

/* A child is ready. Returns NULL, or what is wrong. */
static const char *
children_hello(struct child *c, const struct message_hello *hello)
{
	if (c->ready)
		return "HELLO again";
	if (hello->worker != (uint32_t)c->number ||
	    hello->generation != c->generation)
		return "HELLO of another";
	if (c->pid == 0 && c->role->look != NULL)
		c->role->look(c); /* it is faster than that */
	c->ready = true;
	policy_ready(&c->policy);
	children_alive(c);
	if (c->line != NULL)
		SHM_STORE(c->line->state, WORKER_RUNNING);
	log_debug("%s (pid %d) is ready", child_name(c), (int)c->pid);
	if (c->role->hello != NULL)
		c->role->hello(c);
	return NULL;
}

/* Judges one datagram and acts on it. */
static void
children_handle(struct child *c, struct link_datagram *d)
{
	const void *payload;
	const char *why = NULL;
	size_t len;
	int type = message_check(
	    d->bytes, d->len, d->n_fds, PARTY_WORKER, &payload, &len, &why);

	if (type == MSG_HELLO)
		why = children_hello(c, payload);
	else if (type != -1)
		why = c->role->message != NULL
		    ? c->role->message(c, type, payload)
		    : "no handler";
	if (why != NULL)
		children_complain(c, why);
	if (d->fd != -1)
		close(d->fd);
}

/* Listens no more until the next timer period, or for good. */
static void
children_pause(struct child *c)
{
	if (c->event != NULL)
		event_del(c->event);
}

void
children_read(struct child *c)
{
	struct link_datagram d[LINK_BATCH];
	const int fd = c->link;
	int n = link_receive(fd, d);

	if (n == -1) {
		/* Its death follows, or it has gone wrong: children_time(). */
		c->eof_ms = master_clock_ms(c->master);
		children_pause(c);
		return;
	}
	for (int i = 0; i < n; i++)
		if (c->link == fd)
			children_handle(c, &d[i]);
		else if (d[i].fd != -1)
			close(d[i].fd);
	if (c->link != fd)
		return; /* it has retired */
	c->budget -= (uint32_t)n < c->budget ? (uint32_t)n : c->budget;
	if (c->budget == 0) {
		children_complain(
		    c, "more of them than make sense, reading slowly");
		children_pause(c);
	}
}

/* Starts the next process of a child. */
static void
children_follow(struct child *c, uint64_t now)
{
	policy_respawned(&c->policy, now);
	c->role->start(c, now);
}

/* Whether a child that dies is replaced, as things stand: a reader of the
 * journal until the end, since there is more for it to read while the last
 * workers serve. */
static bool
children_go_on(const struct child *c)
{
	return c->master->phase < PHASE_QUITTING || c->kind->reader != 0;
}

bool
children_died(struct master *m, pid_t pid, int status)
{
	const uint64_t now = master_clock_ms(m);
	struct child_end end = {.pid = pid, .status = status};
	struct child *c;
	unsigned i = 0;

	while ((c = children_at(m, i++)) != NULL && c->pid != pid)
		;
	if (c == NULL || c->kind == NULL)
		return false;
	children_ignore(c);
	end.leaving = !children_go_on(c) || c->dismissed ||
	    (c->role->leaves != NULL && c->role->leaves(c));
	child_died(c, &end, now);
	if ((c->role->died == NULL || c->role->died(c, &end)) && !end.leaving &&
	    end.wait_ms == 0)
		children_follow(c, now);
	return true;
}

/* What the deadlines of a process ask for. */
static void
children_judge(struct child *c, uint64_t now)
{
	const struct watchdog *d = &c->master->watchdog;

	if (c->eof_ms != 0 && now >= c->eof_ms + CHILD_EOF_GRACE_MS &&
	    c->master->phase < PHASE_QUITTING)
		(void)child_kill(c, "closed its link to the master");
	if (c->leave_ms != 0 && now >= c->leave_ms + CHILDREN_LEAVE_MS)
		(void)child_kill(c, "did not leave in time");
	if (c->at != -1 && child_is_late(c, watchdog_still_ms(d, c->at), now)) {
		c->killed_unready = true;
		(void)child_kill(c, "was not ready in time");
	}
}

/* One child's timer period. */
static void
children_time_one(struct child *c, uint64_t now)
{
	if (c->pid != 0) {
		if (c->budget == 0 && c->eof_ms == 0 && c->event != NULL)
			event_add(c->event, NULL);
		c->budget = CHILDREN_BUDGET;
		owed_send(c);
		if (c->unlinked != 0)
			links_time(c);
	}
	if (c->role->due != NULL)
		c->role->due(c, now);
	if (c->pid != 0)
		children_judge(c, now);
	else if (c->respawn_ms != 0 && now >= c->respawn_ms && !c->dismissed &&
	    children_go_on(c) &&
	    (c->role->may_start == NULL || c->role->may_start(c)))
		children_follow(c, now);
}

void
children_time(struct master *m, uint64_t now)
{
	struct child *c;

	for (unsigned i = 0; (c = children_at(m, i)) != NULL; i++)
		if (c->kind != NULL)
			children_time_one(c, now);
}

void
children_conf(struct master *m)
{
	struct child *c;

	for (unsigned i = 0; (c = children_at(m, i)) != NULL; i++)
		if (c->kind != NULL && (c->kind->gets & CHILD_MUTE) == 0)
			owed_add(c, OWED_CONF);
}

void
children_age(struct master *m)
{
	struct child *c;

	for (unsigned i = 0; (c = children_at(m, i)) != NULL; i++)
		c->old = c->pid != 0;
}

int
children_old(const struct master *m)
{
	const struct child *c;
	int n = 0;

	for (unsigned i = 0; (c = children_at(m, i)) != NULL; i++)
		n += c->old;
	return n;
}

void
children_save(const struct master *m, FILE *f)
{
	const struct child *c;

	for (unsigned i = 0; (c = children_at(m, i)) != NULL; i++)
		if (c->role != NULL && c->role->save != NULL)
			c->role->save(c, f);
}

enum child_load
children_load(struct master *m, const char *key, const char *text)
{
	const struct child_role *role;
	enum child_load load = CHILD_NOT_MINE;

	for (unsigned i = 0; load == CHILD_NOT_MINE && child_row(i) != NULL;
	     i++) {
		role = child_row(i)->role;
		if (role != NULL && role->load != NULL)
			load = role->load(m, key, text);
	}
	return load;
}

void
children_descriptors(const struct master *m, void (*f)(int fd))
{
	const struct child *c;

	for (unsigned i = 0; (c = children_at(m, i)) != NULL; i++)
		if (c->link != -1)
			f(c->link);
}
