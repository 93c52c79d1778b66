#include "conn/number.h"

#include "hub/stats.h"

bool
conn_next(struct chat *ch, uint32_t *i)
{
	uint32_t at = *i == SHM_NONE ? 0 : *i + 1, b;
	uint64_t used;

	for (b = at / SHM_BLOCK; b < ch->slots.n_blocks; b++) {
		used = ch->here[b];
		if (b == at / SHM_BLOCK)
			used &= ~0ull << at % SHM_BLOCK;
		if (used != 0) {
			*i = b * SHM_BLOCK + (uint32_t)__builtin_ctzll(used);
			return true;
		}
	}
	return false;
}

/* Whether all workers together have as many connections as are allowed; may
 * be off by as many as are accepted in the same moment. A stopped worker has
 * none: if its number says otherwise, shared memory is corrupted, and no
 * process would write there again. */
static bool
number_is_full(const struct chat *ch)
{
	const struct hub *h = ch->hub;
	uint64_t n = ch->n_here, left;
	int k;

	for (left = ch->others; left != 0; left &= left - 1) {
		k = __builtin_ctzll(left);
		if (SHM_OWN(h->line[k].state) != WORKER_STOPPED)
			n += SHM_OWN(h->worker[k].connections);
	}
	return ch->max_conns != 0 && n >= ch->max_conns;
}

void
number_look(struct chat *ch)
{
	const struct hub *h = ch->hub;
	int k;

	ch->others = 0;
	for (k = 0; k < SHM_WORKERS; k++)
		if (k != h->self && SHM_OWN(h->line[k].state) != WORKER_STOPPED)
			ch->others |= 1ull << k;
}

void
number_tell(struct chat *ch)
{
	SHM_TELL(ch->hub->me->connections, ch->n_here);
}

void
conn_number(struct chat *ch, uint32_t i, bool here)
{
	uint64_t bit = 1ull << i % SHM_BLOCK;

	if (here) {
		ch->here[i / SHM_BLOCK] |= bit;
		ch->n_here++;
	} else {
		ch->here[i / SHM_BLOCK] &= ~bit;
		ch->n_here--;
	}
	number_tell(ch);
}

uint32_t
number_take(struct chat *ch)
{
	uint32_t i =
	    number_is_full(ch) ? SHM_NONE : slot_take(ch->hub, &ch->slots);
	int bit;

	/* a connection that was given away has ended at its new worker */
	if (i != SHM_NONE && ch->conn[i].phase == CONN_MOVING)
		ch->moving_look(ch);
	/* The slot says free, but this worker has a connection there: shared
	 * memory is corrupted. The client is refused. */
	if (i != SHM_NONE && ch->conn[i].phase != CONN_NONE)
		i = SHM_NONE;
	if (i != SHM_NONE)
		conn_number(ch, i, true);
	if (i != SHM_NONE || ch->spare_used == ~0ull)
		return i;
	bit = __builtin_ctzll(~ch->spare_used);
	ch->spare_used |= 1ull << bit;
	return ch->hub->n_slots + (uint32_t)bit;
}

void
number_give(struct chat *ch, uint32_t i)
{
	if (conn_has_slot(ch, i)) {
		conn_number(ch, i, false);
		slot_release(ch->hub, &ch->slots, i);
	} else
		ch->spare_used &= ~(1ull << (i - ch->hub->n_slots));
}

void
conn_pending(struct chat *ch, int more)
{
	ch->n_pending += (uint32_t)more;
	atomic_store_explicit(
	    &ch->hub->me->pending, ch->n_pending, memory_order_relaxed);
}
