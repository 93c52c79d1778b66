/* Readers of the journal: how far they have come, and what they still need of
 * what our ring has no room for. */
#include "convert.h"
#include "heads.h"
#include "hub/journal.h"
#include "hub/line.h"

uint64_t
convert_taken(const struct convert *c, unsigned reader)
{
	const uint8_t *heads = convert_item(c, R_HEADS, C_HEADS, 0);
	const uint64_t tail = convert_get(c, F_HEADS_TAIL, heads);
	uint64_t taken;

	/* one that has not been there begins at the end */
	if ((c->count[N_READERS] >> reader & 1) == 0 || c->mark == 0)
		return tail;
	taken = convert_get(c, F_MARK_TAKEN,
	    heads + c->field[F_HEADS_READER]->at + reader * c->mark);
	return taken < tail ? taken : tail;
}

bool
convert_owed(const struct convert *c, uint8_t readers, uint64_t position)
{
	for (unsigned r = 0; r < READERS; r++)
		if ((readers >> r & 1) != 0 && convert_taken(c, r) < position)
			return true;
	return false;
}

/* Copies one into our spill, if a reader has not taken it. */
static bool
spill_entry_copy(struct convert *c, const struct convert_found *f)
{
	const uint64_t at = c->hub.heads->spill_end;

	if (f->head == NULL || !convert_owed(c, f->required, f->position))
		return true;
	if (at + convert_found_ours(f) > c->hub.spill_size)
		return convert_fail(c,
		    "journal: a reader still needs the message at %llu and "
		    "those after it, which do not fit; raise the key "
		    "`journal`",
		    (unsigned long long)f->position);
	if (!convert_found_copy(c, f, c->hub.spill + at))
		return false;
	c->hub.heads->spill_end = at + convert_found_ours(f);
	return true;
}

/* Copies from their spill what is below a position, in its order. */
static bool
spill_copy(struct convert *c, uint64_t below)
{
	const uint8_t *heads = convert_item(c, R_HEADS, C_HEADS, 0);
	const uint64_t size = c->count[N_SPILL];
	const uint64_t begin = convert_get(c, F_HEADS_SPILL_BEGIN, heads);
	const uint64_t used = convert_get(c, F_HEADS_SPILL_END, heads) - begin;
	uint64_t n = 0, last = 0, place;
	struct convert_found f;

	if (used > size)
		return true; /* corrupted */
	while (n < used) {
		place = (begin + n) % size;
		f = convert_found_at(c, R_SPILL, place, size);
		if (f.head == NULL || f.position == 0) {
			n += size - place; /* the next one begins there */
			continue;
		}
		if (f.position > last && f.position < below &&
		    !spill_entry_copy(c, &f))
			return false;
		last = f.position > last ? f.position : last;
		n += convert_found_theirs(c, &f);
	}
	return true;
}

/* Writes how far each reader has come, in bytes of our ring. */
static void
marks_copy(struct convert *c)
{
	struct shm_heads *h = c->hub.heads;
	uint64_t taken, next;

	for (unsigned r = 0; r < READERS; r++) {
		if ((c->hub.readers >> r & 1) == 0)
			continue;
		taken = convert_taken(c, r);
		h->reader[r].taken = taken;
		next = taken + 1;
		if (next > h->tail)
			h->reader[r].end = h->end;
		else if (next >= h->oldest)
			h->reader[r].end = index_place(
			    c->hub.index[next & (c->hub.n_index - 1)].at);
		/* else all of the ring is unread */
	}
}

/* Copies what the lines of readers say. */
static void
lines_copy(struct convert *c)
{
	const uint8_t *l;

	for (unsigned k = SHM_WORKERS; k < SHM_LINES; k++) {
		if ((l = convert_item(c, R_LINE, C_LINE, k)) == NULL)
			continue;
		c->hub.line[k].cursor = convert_get(c, F_LINE_CURSOR, l);
		c->hub.line[k].settled = convert_get(c, F_LINE_SETTLED, l);
	}
}

bool
convert_readers(struct convert *c)
{
	const struct shm_heads *h = c->hub.heads;
	const uint64_t oldest = convert_oldest(c, h->tail);
	struct convert_found f;

	lines_copy(c);
	marks_copy(c);
	if (c->hub.readers == 0)
		return true;
	if (!spill_copy(c, oldest))
		return false;
	for (uint64_t k = oldest; k < h->oldest; k++) {
		f = convert_found(c, k);
		if (!spill_entry_copy(c, &f))
			return false;
	}
	KILL_POINT();
	return true;
}
