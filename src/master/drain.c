/* Draining: no new connections, and those that are there end one by one, so
 * that they come back elsewhere at a pace that elsewhere can bear. */
#include "hub/stats.h"
#include "drain.h"
#include "member.h"
#include "private.h"

void
drain_set(struct master *m, uint32_t rate)
{
	if (rate == m->drain_rate)
		return;
	m->drain_rate = rate;
	for (int i = 0; i < m->n_workers; i++)
		if (m->member[i].child.ready) {
			owed_add(&m->member[i].child, OWED_DRAIN);
			member_show(&m->member[i]);
		}
}

uint32_t
drain_left(const struct master *m)
{
	uint32_t n = 0;

	for (int i = 0; i < m->n_workers; i++)
		if (m->member[i].child.pid != 0)
			n += SHM_LOAD(m->hub.worker[i].connections);
	return n;
}
