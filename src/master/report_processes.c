/* Workers, keepers and other children: what `chatctl show processes` says. */
#include <inttypes.h>

#include "children.h"
#include "private.h"
#include "report_subject.h"

/* The head line. */
static void
processes_head(struct show *s)
{
	show_put(s, "%-15s %6s %8s %6s %-8s %9s\n", "KIND", "NUMBER", "PID",
	    "GEN", "STATE", "UPTIME/S");
}

/* "running". */
static const char *
processes_state(const struct child *c)
{
	if (c->line != NULL)
		return worker_state_name(SHM_LOAD(c->line->state));
	return worker_state_name(c->pid != 0 ? WORKER_RUNNING : WORKER_WAITING);
}

/* One child. */
static bool
processes_next(struct show *s)
{
	const struct master *m = s->from.arg;
	const struct child *c = children_at(m, s->at++);
	uint64_t age_s;

	if (c == NULL)
		return false;
	/* a mover is there when it is needed */
	if (c->kind == NULL ||
	    (c->pid == 0 && c->at != -1 && c->line == NULL) ||
	    (c->kind->begins && beginner_is_idle(c)))
		return true;
	age_s = child_age_ms(c) / 1000;
	show_comma(s);
	if (s->json)
		show_put(s,
		    "{\"kind\":\"%s\",\"number\":%d,\"pid\":%d,"
		    "\"generation\":%" PRIu32 ",\"state\":\"%s\","
		    "\"uptime_s\":%" PRIu64 ",\"cursor\":%" PRIu64 "}",
		    c->kind->name, c->number, (int)c->pid, c->generation,
		    processes_state(c), age_s,
		    c->line != NULL ? SHM_LOAD(c->line->cursor) : 0);
	else
		show_put(s, "%-15s %6d %8d %6" PRIu32 " %-8s %9" PRIu64 "\n",
		    c->kind->name, c->number, (int)c->pid, c->generation,
		    processes_state(c), age_s);
	return true;
}

const struct show_subject report_processes = {.name = "processes",
    .next = processes_next,
    .head = processes_head,
    .open = "[",
    .close = "]\n"};
