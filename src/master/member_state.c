/* What the master of one program leaves to the next one of a worker and of its
 * keepers. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "member.h"
#include "member_state.h"
#include "members.h"
#include "private.h"

void
member_save(const struct child *c, FILE *f)
{
	const struct member *w = &c->master->member[c->number];
	const struct policy *p = &c->policy;

	fprintf(f,
	    "member %d %d %" PRIu32 " %d %d %" PRIu64 " %" PRIu64
	    " %d %d %" PRIu64 " %d %d %" PRIu64 " %u %d %d %" PRIu32 " %" PRIu64
	    " %" PRIu64 "\n",
	    w->place, (int)w->child.pid, w->child.generation, w->child.ready,
	    w->child.link, w->child.started_ms, w->child.eof_ms,
	    w->child.killed, w->child.killed_unready, w->child.respawn_ms,
	    w->unclean, w->cleaner, w->clean_ms, w->child.owed,
	    (int)w->keeper.pid, w->keeper.link, w->fault_hand, w->fault_arg,
	    w->retire_ms);
	fprintf(f, "policy %d %" PRIu32 " %" PRIu32 " %" PRIu32, w->place,
	    p->faults, p->unready, p->next);
	for (int i = 0; i < POLICY_BURST; i++)
		fprintf(f, " %" PRIu64, p->respawn_ms[i]);
	fputc('\n', f);
}

void
keep_save(const struct child *c, FILE *f)
{
	const struct member *w = &c->master->member[c->number];

	fprintf(f,
	    "keep %d %" PRIu32 " %d %d %" PRIu64 " %d %" PRIu64 " %" PRIu32
	    " %" PRIu64 "\n",
	    w->place, w->custody, w->keeper_filled, w->keeper_linked,
	    w->keeper_wait_ms != 0 ? w->keeper_wait_ms : w->keeper.respawn_ms,
	    (int)w->cleaner_from, w->keeper.started_ms, w->keeper_generation,
	    w->keeper.born_ms);
}

/* A line "member ...". */
static bool
member_line(struct master *m, const char *line)
{
	const int place = m->n_workers;
	struct member in;
	int n, pid, ready, killed, unready, unclean, keeper, said;

	member_init(&in, m, place);
	n = sscanf(line,
	    "%d %d %" SCNu32 " %d %d %" SCNu64 " %" SCNu64 " %d %d %" SCNu64
	    " %d %d %" SCNu64 " %u %d %d %" SCNu32 " %" SCNu64 " %" SCNu64,
	    &said, &pid, &in.child.generation, &ready, &in.child.link,
	    &in.child.started_ms, &in.child.eof_ms, &killed, &unready,
	    &in.child.respawn_ms, &unclean, &in.cleaner, &in.clean_ms,
	    &in.child.owed, &keeper, &in.keeper.link, &in.fault_hand,
	    &in.fault_arg, &in.retire_ms);
	if (n != 19 || place == CONF_WORKERS_MAX || said != place ||
	    in.cleaner < -1 || in.cleaner >= CONF_WORKERS_MAX)
		return false;
	in.child.pid = pid;
	in.child.ready = ready != 0;
	in.child.killed = killed != 0;
	in.child.killed_unready = unready != 0;
	in.unclean = unclean != 0;
	in.keeper.pid = keeper;
	in.keeper.ready = keeper != 0; /* from its start on, see keep.c */
	in.cleaner_left = UINT32_MAX;  /* is counted anew */
	m->member[m->n_workers++] = in;
	return true;
}

/* A line "keep ...", after its place's "member"; older ones end before the time
 * of the keeper's start, or before its generation. */
static bool
keep_line(struct master *m, const char *line)
{
	uint64_t wait_ms, started_ms = m->started_ms;
	uint64_t born_ms = m->started_ms;
	int place, filled, linked, from;
	struct member *w;
	uint32_t number, generation = 0;

	if (sscanf(line,
		"%d %" SCNu32 " %d %d %" SCNu64 " %d %" SCNu64 " %" SCNu32
		" %" SCNu64,
		&place, &number, &filled, &linked, &wait_ms, &from, &started_ms,
		&generation, &born_ms) < 6 ||
	    place < 0 || place >= m->n_workers || from < 0 ||
	    from > KEEP_SOURCES)
		return false;
	w = &m->member[place];
	w->custody = number;
	w->keeper.generation = w->keeper_generation = generation;
	w->keeper.started_ms = started_ms;
	w->keeper.born_ms = born_ms;
	w->keeper_filled = filled != 0;
	w->keeper_linked = linked != 0;
	w->keeper_wait_ms = wait_ms;
	w->cleaner_from = (enum keep_source)from;
	return true;
}

/* A line "policy ...", after its place's "member". */
static bool
policy_line(struct master *m, const char *line)
{
	struct policy *p;
	int place, used;

	if (sscanf(line, "%d%n", &place, &used) != 1 || place < 0 ||
	    place >= m->n_workers)
		return false;
	p = &m->member[place].child.policy;
	line += used;
	if (sscanf(line, "%" SCNu32 "%" SCNu32 "%" SCNu32 "%n", &p->faults,
		&p->unready, &p->next, &used) != 3)
		return false;
	p->next %= POLICY_BURST;
	line += used;
	for (int i = 0; i < POLICY_BURST; i++, line += used)
		if (sscanf(line, "%" SCNu64 "%n", &p->respawn_ms[i], &used) !=
		    1)
			break;
	return true;
}

enum child_load
member_load(struct master *m, const char *key, const char *text)
{
	const bool is_policy = strcmp(key, "policy") == 0;

	if (!is_policy && strcmp(key, "member") != 0)
		return CHILD_NOT_MINE;
	return (is_policy ? policy_line : member_line)(m, text)
	    ? CHILD_LOADED
	    : CHILD_SENSELESS;
}

enum child_load
keep_load(struct master *m, const char *key, const char *text)
{
	if (strcmp(key, "keep") != 0)
		return CHILD_NOT_MINE;
	return keep_line(m, text) ? CHILD_LOADED : CHILD_SENSELESS;
}
