#include "spawn.h"
#include "children.h"
#include "family.h"
#include "member.h"
#include "private.h"

void
spawn_worker(struct member *w)
{
	w->child.respawn_ms = 0;
	member_born(w);
	/* its generations are the mover's, too */
	family_start(&w->family, &w->child);
}
