#include "spill.h"

/* Entries that one call frees. Larger: the lock is held for longer; smaller:
 * the spill is full for longer. It has to be more than what is spilled at a
 * time. */
enum { SPILL_FREED = 64 };

bool
spill_look(const struct hub *h, uint64_t at, uint64_t end,
    struct spill_place *out, struct entry_head *e)
{
	uint64_t place = at % h->spill_size, room = h->spill_size - place;

	*out = (struct spill_place){.at = at, .next = at + room};
	if (at % 8 != 0 || at >= end)
		return false;
	memcpy(&e->position, h->spill + place, sizeof(e->position));
	if (e->position == 0)
		return out->next > at && out->next <= end;
	if (room < JOURNAL_HEAD)
		return false;
	memcpy(e, h->spill + place, sizeof(*e));
	out->bytes = h->spill + place;
	out->len = head_size(h, e, room);
	out->next = at + out->len;
	return out->next > at && out->next <= end;
}

/* Frees what no reader that requires it still needs, some entries at a time.
 * Returns where the spill begins. */
static uint64_t
spill_free(struct hub *h)
{
	uint64_t begin = SHM_LOAD(h->heads->spill_begin), was = begin;
	uint64_t end = SHM_LOAD(h->heads->spill_end);
	struct spill_place s;
	struct entry_head e;

	if (begin > end || end - begin > h->spill_size || end % 8 != 0) {
		/* corrupted */
		begin = end &= ~(uint64_t)7;
		SHM_STORE(h->heads->spill_end, end);
	}
	for (unsigned n = 0; begin < end && n < SPILL_FREED; n++) {
		if (!spill_look(h, begin, end, &s, &e)) {
			begin = end;
			break;
		}
		if (s.bytes != NULL &&
		    readers_behind(h, entry_required(&e), e.position) != 0)
			break;
		begin = s.next;
	}
	if (begin != was)
		SHM_STORE(h->heads->spill_begin, begin);
	/* before what was freed is overwritten */
	atomic_thread_fence(memory_order_seq_cst);
	return begin;
}

/* Appends an entry, if there is room; only words that were written over lead to
 * that there is none. */
static size_t
spill_put(struct hub *h, const uint8_t *bytes, size_t n)
{
	uint64_t begin = spill_free(h), end = SHM_LOAD(h->heads->spill_end);
	uint64_t room = h->spill_size - end % h->spill_size;

	if (n > room) {
		if (end + room - begin > h->spill_size)
			return 0;
		memset(h->spill + end % h->spill_size, 0, sizeof(uint64_t));
		end += room;
	}
	if (end + n - begin > h->spill_size)
		return 0;
	memcpy(h->spill + end % h->spill_size, bytes, n);
	SHM_STORE(h->heads->spill_end, end + n);
	return n;
}

size_t
spill_keep(struct hub *h, uint64_t position)
{
	uint64_t at = SHM_LOAD(index_of(h, position)->at);
	struct entry_head e;
	const uint8_t *from;
	size_t n;

	if (readers_behind(h, index_readers(at), position) == 0)
		return 0;
	from = entry_at(h, at);
	if (from == NULL)
		return 0;
	memcpy(&e, from, sizeof(e));
	if (e.position != position ||
	    readers_behind(h, entry_required(&e), position) == 0)
		return 0;
	n = entry_size(h, at, &e);
	return n != 0 ? spill_put(h, from, n) : 0;
}

/* Bytes that may have to be copied to the spill yet: of each reader what it
 * requires, that is not more than reader_most() from where it is, and not what
 * the ring has overwritten already. */
static uint64_t
spill_owed(const struct hub *h)
{
	uint64_t end = SHM_LOAD(h->heads->end), owed = 0, from, to;
	uint64_t low = index_place(SHM_LOAD(index_of(h, ring_oldest(h))->at));

	for (unsigned r = 0; r < READERS; r++) {
		if (!(h->readers & 1u << r))
			continue;
		from = SHM_LOAD(h->heads->reader[r].end);
		to = from + reader_most(h);
		if (to > end)
			to = end;
		if (from < low)
			from = low;
		if (from < to)
			owed += to - from;
	}
	return owed;
}

bool
spill_has_room(struct hub *h, size_t bytes)
{
	uint64_t begin = SHM_LOAD(h->heads->spill_begin);

	/* an empty one has: its size is the sum of all shares, and more */
	if (begin == SHM_LOAD(h->heads->spill_end))
		return true;
	if (readers_behind(h, h->readers, ring_oldest(h) - 1) == 0) {
		SHM_STORE(h->heads->spill_begin, SHM_LOAD(h->heads->spill_end));
		return true;
	}
	begin = spill_free(h);
	/* what is behind the last entry before the ring's end may be lost */
	return SHM_LOAD(h->heads->spill_end) - begin + spill_owed(h) + bytes +
	    entry_max(h) <=
	    h->spill_size;
}
