/* What the master of one program leaves to the next one of a worker's place. */
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
	    w->unclean, w->cleaner, w->clean_ms, w->child.owed, 0, -1,
	    w->fault_hand, w->fault_arg, w->retire_ms);
	fprintf(f, "policy %d %" PRIu32 " %" PRIu32 " %" PRIu32, w->place,
	    p->faults, p->unready, p->next);
	for (int i = 0; i < POLICY_BURST; i++)
		fprintf(f, " %" PRIu64, p->respawn_ms[i]);
	fputc('\n', f);
	for (int i = 0; i < GIVERS; i++)
		if (w->giver[i].pid != 0)
			fprintf(f, "giver %d %d %d %d\n", w->place, i,
			    (int)w->giver[i].pid, w->giver[i].link);
	fprintf(f, "retired %d %d %d %" PRIu32 "\n", w->place, w->retired,
	    (int)w->cleaner_from, w->cleaner_generation);
	if (w->family.table != 0)
		family_save(&w->family, f);
}

void
mover_save(const struct child *c, FILE *f)
{
	if (c->pid == 0)
		return;
	fputs("mover ", f);
	child_save(c, f);
}

/* A line "member ...". */
static bool
member_line(struct master *m, const char *line)
{
	const int place = m->n_workers;
	struct member in;
	int n, pid, ready, killed, unready, unclean, keeper, link, said;

	if (place == CONF_WORKERS_MAX)
		return false;
	member_init(&in, m, place);
	n = sscanf(line,
	    "%d %d %" SCNu32 " %d %d %" SCNu64 " %" SCNu64 " %d %d %" SCNu64
	    " %d %d %" SCNu64 " %u %d %d %" SCNu32 " %" SCNu64 " %" SCNu64,
	    &said, &pid, &in.child.generation, &ready, &in.child.link,
	    &in.child.started_ms, &in.child.eof_ms, &killed, &unready,
	    &in.child.respawn_ms, &unclean, &in.cleaner, &in.clean_ms,
	    &in.child.owed, &keeper, &link, &in.fault_hand, &in.fault_arg,
	    &in.retire_ms);
	if (n != 19 || said != place || in.cleaner < -1 ||
	    in.cleaner >= CONF_WORKERS_MAX)
		return false;
	in.child.pid = pid;
	in.child.ready = ready != 0;
	in.child.killed = killed != 0;
	in.child.killed_unready = unready != 0;
	in.unclean = unclean != 0;
	/* of a program without families */
	in.giver[GIVER_KEEPER].pid = keeper;
	in.giver[GIVER_KEEPER].link = link;
	in.cleaner_left = UINT32_MAX; /* is counted anew */
	m->member[place] = in;
	m->member[place].family.member = &m->member[place];
	m->n_workers++;
	return true;
}

/* The place that such a line is of, whose "member" was before it; NULL: it
 * makes no sense. *used: bytes of its number. */
static struct member *
place_parse(struct master *m, const char *line, int *used)
{
	int place;

	if (sscanf(line, "%d%n", &place, used) != 1 || place < 0 ||
	    place >= m->n_workers)
		return NULL;
	return &m->member[place];
}

/* A line "giver ...". */
static bool
giver_line(struct master *m, const char *line)
{
	int used, which, pid, link;
	struct member *w = place_parse(m, line, &used);

	if (w == NULL ||
	    sscanf(line + used, "%d %d %d", &which, &pid, &link) != 3 ||
	    which < 0 || which >= GIVERS)
		return false;
	w->giver[which].pid = pid;
	w->giver[which].link = link;
	return true;
}

/* A line "retired ...". */
static bool
retired_line(struct master *m, const char *line)
{
	int used, retired, from;
	struct member *w = place_parse(m, line, &used);

	if (w == NULL ||
	    sscanf(line + used, "%d %d %" SCNu32, &retired, &from,
		&w->cleaner_generation) != 3 ||
	    from < 0 || from > GIVERS)
		return false;
	w->retired = retired != 0;
	w->cleaner_from = (enum giver)from;
	return true;
}

/* A line "family ...". */
static bool
family_line(struct master *m, const char *line)
{
	int used;
	struct member *w = place_parse(m, line, &used);

	return w != NULL && family_load(&w->family, line + used);
}

/* A line "mover ...". */
static bool
mover_line(struct master *m, const char *line)
{
	struct child in = {.link = -1};
	struct child *c;

	if (!child_load(&in, line) || in.number < 0 ||
	    in.number >= m->n_workers || in.at != in.number)
		return false;
	c = &m->member[in.number].mover;
	in.kind = c->kind;
	in.role = c->role;
	in.master = m;
	*c = in;
	return true;
}

/* A line "policy ...", after its place's "member". */
static bool
policy_line(struct master *m, const char *line)
{
	int used;
	struct member *w = place_parse(m, line, &used);
	struct policy *p;

	if (w == NULL)
		return false;
	p = &w->child.policy;
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
	static const struct {
		const char *key;
		bool (*load)(struct master *m, const char *line);
	} lines[] = {{"member", member_line}, {"policy", policy_line},
	    {"giver", giver_line}, {"retired", retired_line},
	    {"family", family_line}, {"mover", mover_line}};

	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
		if (strcmp(key, lines[i].key) == 0)
			return lines[i].load(m, text) ? CHILD_LOADED
						      : CHILD_SENSELESS;
	/* of a keeper, by a program that had no families */
	return strcmp(key, "keep") == 0 ? CHILD_LOADED : CHILD_NOT_MINE;
}
