#include "spawn.h"
#include "accuse.h"
#include "children.h"
#include "family.h"
#include "member.h"
#include "private.h"

void
spawn_worker(struct member *w)
{
	accuse_born(w);
	w->retire_ms = 0;
	w->holds = w->retired = false;
	w->cleaner = -1;
	w->child.respawn_ms = 0;
	family_start(&w->family, &w->child);
}
