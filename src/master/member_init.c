/* A worker's place, before it has a process and after. */
#include <string.h>

#include "children.h"
#include "family.h"
#include "giver.h"
#include "member.h"
#include "mover.h"
#include "private.h"

/* Prepares a place that has no process yet. */
void
member_init(struct member *w, struct master *m, int place)
{
	memset(w, 0, sizeof(*w));
	w->master = m;
	w->place = place;
	child_init(&w->child, child_row_of(CHILD_CONFIGURED), place, place);
	w->child.master = m;
	w->child.line = m->hub.base != NULL ? &m->hub.line[place] : NULL;
	w->cleaner = -1;
	family_init(&w->family, w);
	mover_init(w);
	giver_init(w);
}

/* Gives up the links. */
void
member_deinit(struct member *w)
{
	children_ignore(&w->child);
	child_unlink(&w->child);
	children_ignore(&w->mover);
	child_unlink(&w->mover);
}
