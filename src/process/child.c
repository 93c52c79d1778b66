#include "process/child.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "codec/message.h"
#include "base/kill_list.h"
#include "net/link.h"
#include "process/process.h"
#include "process/spawn.h"

static const struct child_row none[1];
static const struct child_row *rows = none;

void
child_kinds_use(const struct child_row *all)
{
	rows = all;
}

const struct child_row *
child_row(unsigned nth)
{
	for (const struct child_row *r = rows; r->kind != NULL; r++)
		if (nth-- == 0)
			return r;
	return NULL;
}

const struct child_row *
child_row_named(const char *name)
{
	for (const struct child_row *r = rows; r->kind != NULL; r++)
		if (strcmp(r->kind->name, name) == 0)
			return r;
	return NULL;
}

const struct child_row *
child_row_of(enum child_many many)
{
	for (const struct child_row *r = rows; r->kind != NULL; r++)
		if (r->kind->n == (int)many)
			return r;
	return NULL;
}

bool
child_is_wanted(const struct child_kind *kind, const struct conf *c)
{
	return kind->wanted == NULL || kind->wanted(c);
}

/* Readers that are wanted, as bits; with events: those that want events. */
static uint8_t
readers_find(const struct conf *c, bool events)
{
	uint8_t bits = 0;

	for (const struct child_row *r = rows; r->kind != NULL; r++)
		if (r->kind->reader != 0 && child_is_wanted(r->kind, c) &&
		    (!events || r->kind->reader_events))
			bits |= (uint8_t)(1u << (r->kind->reader - 1));
	return bits;
}

uint8_t
child_readers(const struct conf *c)
{
	return readers_find(c, false);
}

uint8_t
child_readers_of_events(const struct conf *c)
{
	return readers_find(c, true);
}

uint32_t
child_others(const struct conf *c, uint64_t *bytes)
{
	uint32_t n = 0, each;

	*bytes = 0;
	for (const struct child_row *r = rows; r->kind != NULL; r++)
		if (r->kind->n > 0 && child_is_wanted(r->kind, c)) {
			each = (uint32_t)(r->kind->count != NULL
				? r->kind->count(c)
				: r->kind->n);
			n += each;
			*bytes += each * r->kind->bytes;
		}
	return n;
}

const struct child_row *
child_row_played(const struct child_role *role)
{
	for (const struct child_row *r = rows; r->kind != NULL; r++)
		if (r->role == role)
			return r;
	return NULL;
}

const struct child_row *
child_row_counted(unsigned nth)
{
	for (const struct child_row *r = rows; r->kind != NULL; r++)
		if (r->kind->n >= 0 && nth-- == 0)
			return r;
	return NULL;
}

void
child_init(struct child *c, const struct child_row *row, int number, int at)
{
	*c = (struct child){.number = number, .at = at, .link = -1};
	if (row == NULL)
		return;
	c->kind = row->kind;
	c->role = row->role;
}

const char *
child_name(const struct child *c)
{
	static char name[CHILD_NAME];

	if (c->kind == NULL)
		return "child";
	if (c->kind->n == 0 || c->kind->n == 1)
		return c->kind->name;
	snprintf(name, sizeof(name), "%s %d", c->kind->name, c->number);
	return name;
}

/* Shows in the line how it stands. */
static void
child_show(const struct child *c, enum worker_state state)
{
	if (c->line == NULL)
		return;
	SHM_STORE(c->line->generation, c->generation);
	SHM_STORE(c->line->state, state);
	SHM_STORE(c->line->pid, (uint32_t)c->pid);
}

void
child_begin(struct child *c)
{
	c->generation++;
	c->respawn_ms = 0;
	child_show(c, WORKER_STARTING);
	c->born_ms = clock_ms();
	if (c->line != NULL)
		SHM_STORE(c->line->started_ms, c->born_ms);
	c->ready = (c->kind->gets & CHILD_MUTE) != 0;
	c->killed = c->killed_unready = c->old = c->told = false;
	c->eof_ms = c->leave_ms = 0;
	c->owed = c->n_bad = 0;
	c->unlinked = 0;
}

void
child_is_made(struct child *c, pid_t pid, uint64_t now_ms)
{
	c->pid = pid;
	c->started_ms = now_ms;
	if (c->line != NULL)
		SHM_STORE(c->line->pid, (uint32_t)pid);
	log_debug("%s (pid %d, generation %u) started", child_name(c), (int)pid,
	    c->generation);
}

void
child_is_not_made(struct child *c)
{
	child_unlink(c);
	child_show(c, WORKER_WAITING);
}

int
child_spawn(struct child *c, const struct nursery *n, const void *birth,
    uint64_t now_ms)
{
	pid_t pid;

	child_begin(c);
	if ((pid = spawn_child(c, n, birth, &c->link)) == -1) {
		c->link = -1;
		log_error("cannot start %s: %s, trying again in %d ms",
		    child_name(c), strerror(errno), CHILD_RETRY_MS);
		child_is_not_made(c);
		c->respawn_ms = now_ms + CHILD_RETRY_MS;
		return -1;
	}
	child_is_made(c, pid, now_ms);
	return 0;
}

bool
child_kill(struct child *c, const char *why)
{
	char what[192];

	if (c->pid == 0 || c->killed)
		return true;
	snprintf(what, sizeof(what), "%s, which %s,", child_name(c), why);
	if (process_kill(c->pid, what) == -1)
		return false;
	log_warn("%s %s, killed", child_name(c), why);
	c->killed = true;
	return true;
}

uint64_t
child_age_ms(const struct child *c)
{
	const uint64_t now = clock_ms();

	return c->pid != 0 && now > c->born_ms ? now - c->born_ms : 0;
}

void
child_unlink(struct child *c)
{
	if (c->link != -1)
		close(c->link);
	c->link = -1;
}

/* Says in the log how it died and what follows. */
static void
child_log_death(const struct child *c, int status, uint64_t wait_ms,
    bool leaving, uint64_t now_ms)
{
	char next[64];

	if (leaving)
		strlcpy(next, "none follows", sizeof(next));
	else if (wait_ms == 0)
		strlcpy(next, "replaced at once", sizeof(next));
	else
		snprintf(next, sizeof(next), "next start in %.1f s",
		    (double)wait_ms / 1000);
	if ((leaving || c->leave_ms != 0 || c->told) && WIFEXITED(status) &&
	    WEXITSTATUS(status) == 0)
		log_debug("%s (pid %d) left", child_name(c), (int)c->pid);
	else
		log_error("%s (pid %d) %s after %.1f s%s; %s", child_name(c),
		    (int)c->pid, process_death(status),
		    (double)(now_ms - c->started_ms) / 1000,
		    c->ready ? "" : ", before it was ready", next);
}

/* Frees a dead child's line until its next process has it. */
static void
child_line_free(const struct child *c)
{
	if (c->line == NULL)
		return;
	SHM_STORE(c->line->thread, 0); /* a lock that names it is free */
	SHM_STORE(c->line->lock_state, LOCK_NONE);
	SHM_STORE(c->line->state, WORKER_WAITING);
	SHM_STORE(c->line->pid, 0);
}

void
child_died(struct child *c, struct child_end *end, uint64_t now_ms)
{
	const uint64_t age = now_ms - c->started_ms;
	const uint64_t most = c->kind->backoff_max_ms;
	const bool left = c->leave_ms != 0 ||
	    (c->told && WIFEXITED(end->status) &&
		WEXITSTATUS(end->status) == 0);

	end->unready = c->killed_unready;
	end->fault = c->killed_unready ||
	    (!c->killed && !left && policy_is_fault(end->status));
	end->wait_ms = 0;
	if (!end->leaving && !left)
		end->wait_ms =
		    policy_died(&c->policy, end->fault, c->ready, age, now_ms);
	if (most != 0 && end->wait_ms > most)
		end->wait_ms = most;
	child_log_death(c, end->status, end->wait_ms, end->leaving, now_ms);
	child_line_free(c);
	child_unlink(c);
	c->pid = 0;
	c->ready = c->told = false;
	c->leave_ms = 0;
	c->respawn_ms = end->wait_ms != 0 ? now_ms + end->wait_ms : 0;
}

bool
child_is_late(const struct child *c, uint64_t still_ms, uint64_t now_ms)
{
	const uint64_t hello_ms = c->kind->still_ms > CHILD_HELLO_MS
	    ? c->kind->still_ms
	    : CHILD_HELLO_MS;

	if (c->pid == 0 || c->ready || c->killed)
		return false;
	return still_ms >= hello_ms ||
	    now_ms >= c->started_ms + CHILD_HELLO_MAX * hello_ms;
}

void
child_save(const struct child *c, FILE *f)
{
	const struct policy *p = &c->policy;

	fprintf(f,
	    "%s %d %d %d %d %" PRIu32 " %d %" PRIu64 " %" PRIu64
	    " %d %d %" PRIu64 " %" PRIu32 " %" PRIu32 "\n",
	    c->kind->name, c->at, c->number, (int)c->pid, c->link,
	    c->generation, c->ready, c->started_ms, c->respawn_ms, c->killed,
	    c->killed_unready, c->leave_ms, p->faults, p->unready);
}

bool
child_load(struct child *c, const char *text)
{
	int pid, ready, killed, unready;

	if (sscanf(text,
		"%*s %d %d %d %d %" SCNu32 " %d %" SCNu64 " %" SCNu64
		" %d %d %" SCNu64 " %" SCNu32 " %" SCNu32,
		&c->at, &c->number, &pid, &c->link, &c->generation, &ready,
		&c->started_ms, &c->respawn_ms, &killed, &unready, &c->leave_ms,
		&c->policy.faults, &c->policy.unready) != 13)
		return false;
	c->pid = pid;
	c->ready = ready != 0;
	c->killed = killed != 0;
	c->killed_unready = unready != 0;
	return true;
}

/* Arms the kill point that a test asked for, in a line's first process. */
static void
child_kill_point(const struct child_start *start, int at)
{
#ifdef CHATD_KILL_POINTS
	const char *line = getenv("CHATD_KILL_WORKER");
	const char *nth = getenv("CHATD_KILL_NTH");
	const char *sig = getenv("CHATD_KILL_SIGNAL");

	if (line != NULL && nth != NULL && sig != NULL && atoi(line) == at &&
	    start->generation == 1) {
		kill_point_only(getenv("CHATD_KILL_FILE"));
		kill_point_arm((uint64_t)atoll(nth), atoi(sig));
	}
#endif
}

void
child_enter(struct child_start *start, int at)
{
	if (at == -1)
		return;
	child_kill_point(start, at);
	if ((start->kind->gets & CHILD_HUB) != 0) {
		hub_become(start->hub, at);
		start->line = start->hub->mine;
		return;
	}
	if (start->hub != NULL)
		start->hub->mine = start->line;
	kill_list_become(at);
}

void
child_hello(const struct child_start *start)
{
	const struct message_hello hello = {
	    (uint32_t)start->number, start->generation};

	if (link_send(start->link, MSG_HELLO, &hello, sizeof(hello), -1) == -1)
		log_fatal("master: %s", strerror(errno));
	KILL_POINT();
}

/* Goes by other settings. What their text does not mention stays. */
static void
child_reconfigure(struct child_start *start, const char *text, size_t len)
{
	static struct conf_live live;

	live = *start->live;
	if (conf_live_read(&live, text, len) != NULL)
		return;
	start->live = &live;
	log_set_verbose(live.verbose != 0);
}

bool
child_read(struct child_start *start,
    void (*other)(void *arg, int type, const void *payload, size_t len, int fd),
    void *arg)
{
	struct link_datagram d[LINK_BATCH];
	const void *payload;
	const char *why;
	size_t len;
	int n = link_receive(start->link, d), type;
	bool leave = n == -1;

	for (int i = 0; i < n; i++) {
		type = message_check(d[i].bytes, d[i].len, d[i].n_fds,
		    PARTY_MASTER, &payload, &len, &why);
		if (type == MSG_STOP)
			leave = true;
		else if (type == MSG_CONF)
			child_reconfigure(start, payload, len);
		else if (type != -1 && other != NULL) {
			other(arg, type, payload, len, d[i].fd);
			continue;
		}
		if (d[i].fd != -1)
			close(d[i].fd);
	}
	return leave;
}

bool
child_must_leave(struct child_start *start)
{
	return child_read(start, NULL, NULL);
}

void
child_tick(const struct child_start *start)
{
	if (start->hub != NULL && start->hub->mine == start->line)
		line_tick(start->hub);
	else
		SHM_COUNT(start->line->tick, 1);
}

void
child_leave(void)
{
	log_flush();
#ifdef CHATD_SANITIZED
	exit(0); /* _exit would skip the leak checker */
#else
	_exit(0);
#endif
}
