/* A family's keepers as children: one that dies is followed by another, which
 * the one that is left makes. */
#include "children.h"
#include "family.h"
#include "master/roles.h"
#include "member.h"
#include "private.h"
#include "renew.h"

/* The family whose keeper a child is. */
static struct family *
keeper_family(const struct child *c)
{
	return &c->master->member[c->number].family;
}

/* It is reaped; true: another one follows. */
static bool
keeper_died(struct child *c, const struct child_end *end)
{
	struct family *f = keeper_family(c);
	const unsigned j = (unsigned)(c - f->keeper);

	c->ready = true;
	if (f->page != NULL)
		family_keeper_clear(f->page, f->pair * FAMILY_KEEPERS + j);
	family_look(f);
	return true;
}

/* Has the next one made, or later, when there is a keeper that can. */
static void
keeper_start(struct child *c, uint64_t now)
{
	struct family *f = keeper_family(c);

	c->respawn_ms = 0;
	family_complete(f);
}

/* What keeps its worker from being replaced without a loss ends with it. */
static void
keeper_due(struct child *c, uint64_t now)
{
	struct family *f = keeper_family(c);

	if (c->pid == 0 && c->respawn_ms == 0 &&
	    c->master->phase < PHASE_QUITTING)
		family_complete(f);
}

const struct child_role keeper_role = {
    .start = keeper_start, .died = keeper_died, .due = keeper_due};
