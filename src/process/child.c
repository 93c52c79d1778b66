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
#include "hub/kill_list.h"
#include "net/link.h"
#include "process/process.h"
#include "process/spawn.h"

static const struct child_kind *const none[] = {NULL};
static const struct child_kind *const *kinds = none;

void
child_kinds_use(const struct child_kind *const *all)
{
	kinds = all;
}

const struct child_kind *
child_kind_of(enum child_part part, unsigned nth)
{
	for (int i = 0; kinds[i] != NULL; i++)
		if (kinds[i]->part == part && nth-- == 0)
			return kinds[i];
	return NULL;
}

const struct child_kind *
child_kind_named(const char *name)
{
	for (int i = 0; kinds[i] != NULL; i++)
		if (strcmp(kinds[i]->name, name) == 0)
			return kinds[i];
	return NULL;
}

void
child_init(struct child *c, const struct child_kind *kind, int number, int at)
{
	*c = (struct child){
	    .kind = kind, .number = number, .at = at, .link = -1};
}

const char *
child_name(const struct child *c)
{
	static char name[CHILD_NAME];

	if (c->kind == NULL)
		return "child";
	if (c->kind->part == CHILD_OTHER && c->kind->n == 1)
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

int
child_spawn(struct child *c, const struct nursery *n, const void *birth,
    uint64_t now_ms)
{
	int link;
	pid_t pid;

	c->generation++;
	c->respawn_ms = 0;
	child_show(c, WORKER_STARTING);
	if (c->line != NULL)
		SHM_STORE(c->line->started_ms, clock_ms());
	if ((pid = spawn_child(c, n, birth, &link)) == -1) {
		c->generation--; /* that one never was */
		child_show(c, WORKER_WAITING);
		return -1;
	}
	c->pid = pid;
	c->link = link;
	c->ready = c->killed = c->killed_unready = c->old = false;
	c->started_ms = now_ms;
	c->eof_ms = c->leave_ms = 0;
	if (c->line != NULL)
		SHM_STORE(c->line->pid, (uint32_t)pid);
	log_debug("%s (pid %d, generation %u) started", child_name(c), (int)pid,
	    c->generation);
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
	if ((leaving || c->leave_ms != 0) && WIFEXITED(status) &&
	    WEXITSTATUS(status) == 0)
		log_debug("%s (pid %d) left", child_name(c), (int)c->pid);
	else
		log_error("%s (pid %d) %s after %.1f s%s; %s", child_name(c),
		    (int)c->pid, process_death(status),
		    (double)(now_ms - c->started_ms) / 1000,
		    c->ready ? "" : ", before it was ready", next);
}

uint64_t
child_died(
    struct child *c, int status, bool leaving, uint64_t now_ms, bool *fault)
{
	const uint64_t age = now_ms - c->started_ms;
	uint64_t wait_ms = 0, most = c->kind->backoff_max_ms;

	*fault = c->killed_unready ||
	    (!c->killed && c->leave_ms == 0 && policy_is_fault(status));
	if (!leaving && c->leave_ms == 0)
		wait_ms =
		    policy_died(&c->policy, *fault, c->ready, age, now_ms);
	if (most != 0 && wait_ms > most)
		wait_ms = most;
	child_log_death(c, status, wait_ms, leaving, now_ms);
	if (c->line != NULL)
		SHM_STORE(
		    c->line->thread, 0); /* a lock that names it is free */
	child_unlink(c);
	c->pid = 0;
	c->ready = false;
	c->leave_ms = 0;
	return wait_ms;
}

bool
child_is_late(const struct child *c, uint64_t still_ms, uint64_t now_ms)
{
	if (c->pid == 0 || c->ready || c->killed)
		return false;
	return still_ms >= CHILD_HELLO_MS ||
	    now_ms >= c->started_ms + CHILD_HELLO_MAX * CHILD_HELLO_MS;
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

bool
child_must_leave(const struct child_start *start)
{
	struct link_datagram d[LINK_BATCH];
	const void *payload;
	const char *why;
	size_t len;
	int n = link_receive(start->link, d);
	bool leave = n == -1;

	for (int i = 0; i < n; i++) {
		if (message_check(d[i].bytes, d[i].len, d[i].n_fds,
			PARTY_MASTER, &payload, &len, &why) == MSG_STOP)
			leave = true;
		if (d[i].fd != -1)
			close(d[i].fd);
	}
	return leave;
}

void
child_tick(const struct child_start *start)
{
	if (start->hub != NULL && start->hub->mine == start->line)
		line_tick(start->hub);
	else
		SHM_COUNT(start->line->tick, 1);
}
