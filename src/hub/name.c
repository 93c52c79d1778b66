#include <string.h>

#include "name.h"

/* The k-th piece of an entry's name. All first pieces lie together, and so on:
 * memory is touched only for names that are so long. */
static struct presence_piece *
piece_of(const struct hub *h, const struct presence_entry *e, uint32_t k)
{
	return &h->piece[(size_t)k * h->n_entries + (size_t)(e - h->entry)];
}

uint32_t
name_copy(const struct hub *h, const struct presence_entry *e,
    char out[PRESENCE_NAME_MAX + 1])
{
	uint32_t len = SHM_ONCE(e->name_len), got, n, k;

	if (len > PRESENCE_NAME_MAX) /* shared memory is corrupted */
		return 0;
	got = len < PRESENCE_INLINE ? len : PRESENCE_INLINE;
	memcpy(out, e->name, got);
	for (k = 0; got < len; k++, got += n) {
		n = len - got < NAME_PIECE ? len - got : NAME_PIECE;
		memcpy(out + got, piece_of(h, e, k)->bytes, n);
	}
	out[len] = '\0';
	return len;
}

bool
name_equals(const struct hub *h, const struct presence_entry *e,
    const char *name, size_t len)
{
	char copy[PRESENCE_NAME_MAX + 1];

	if (e->name_len != len)
		return false;
	if (len <= PRESENCE_INLINE)
		return memcmp(e->name, name, len) == 0;
	return name_copy(h, e, copy) == len && memcmp(copy, name, len) == 0;
}

void
name_write(
    struct hub *h, struct presence_entry *e, const char *name, size_t len)
{
	size_t n = len < PRESENCE_INLINE ? len : PRESENCE_INLINE;
	uint32_t k;

	e->name_len = (uint16_t)len;
	memcpy(e->name, name, n);
	for (k = 0, name += n, len -= n; len > 0; k++, name += n, len -= n) {
		n = len < NAME_PIECE ? len : NAME_PIECE;
		memcpy(piece_of(h, e, k)->bytes, name, n);
	}
}
