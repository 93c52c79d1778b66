#include <string.h>

#include "heads.h"
#include "name.h"

enum {
	EXTRA_BYTES = 56,
	EXTRA_LOOK = 8192 /* extensions looked at for a free one: <= 1 ms */
};

uint32_t
name_copy(const struct hub *h, const struct presence_entry *e,
    char out[PRESENCE_NAME_MAX + 1])
{
	uint32_t len = SHM_ONCE(e->name_len), x = SHM_ONCE(e->extra), got, k;

	if (len > PRESENCE_NAME_MAX) /* shared memory is corrupted */
		return 0;
	got = len < PRESENCE_INLINE ? len : PRESENCE_INLINE;
	memcpy(out, e->name, got);
	while (got < len) {
		if (x == 0 || x > h->n_extra)
			return 0;
		k = len - got < EXTRA_BYTES ? len - got : EXTRA_BYTES;
		memcpy(out + got, h->extra[x - 1].bytes, k);
		x = SHM_ONCE(h->extra[x - 1].next);
		got += k;
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

/* Whether an entry's name goes on in that extension. */
static bool
name_has(const struct hub *h, const struct presence_entry *e, uint32_t x)
{
	uint32_t at = SHM_ONCE(e->extra), len = SHM_ONCE(e->name_len), k;

	for (k = PRESENCE_INLINE;
	     k < len && k < PRESENCE_NAME_MAX && at != 0 && at <= h->n_extra;
	     k += EXTRA_BYTES) {
		if (at == x + 1)
			return true;
		at = SHM_ONCE(h->extra[at - 1].next);
	}
	return false;
}

/* Whether an extension is in nobody's name. Its owner says only where to
 * look: that entry may have had another name since. */
static bool
extra_free(const struct hub *h, uint32_t x)
{
	uint32_t owner = SHM_LOAD(h->extra[x].owner);

	return owner == 0 || owner > h->n_entries ||
	    SHM_LOAD(h->entry[owner - 1].epoch) == 0 ||
	    !name_has(h, &h->entry[owner - 1], x);
}

/* Writes a name's tail into extensions, looking for them from x on. */
static bool
extra_write(
    struct hub *h, uint32_t e, uint32_t x, const char *bytes, size_t len)
{
	uint32_t *link = &h->entry[e].extra, looked;
	size_t k;

	for (looked = 0; len > 0 && looked < h->n_extra && looked < EXTRA_LOOK;
	     looked++, x++) {
		if (x >= h->n_extra)
			x = 0;
		if (!extra_free(h, x))
			continue;
		k = len < EXTRA_BYTES ? len : EXTRA_BYTES;
		memcpy(h->extra[x].bytes, bytes, k);
		h->extra[x].next = 0;
		SHM_STORE(h->extra[x].owner, e + 1);
		*link = x + 1;
		link = &h->extra[x].next;
		bytes += k;
		len -= k;
	}
	SHM_STORE(h->heads->extra_hand, x);
	return len == 0;
}

bool
name_write(struct hub *h, uint32_t e, const char *name, size_t len)
{
	struct presence_entry *p = &h->entry[e];
	size_t in = len < PRESENCE_INLINE ? len : PRESENCE_INLINE;
	uint32_t x = p->extra;

	p->name_len = (uint16_t)len;
	p->extra = 0;
	memcpy(p->name, name, in);
	if (in == len)
		return true;
	/* the extension of its last name first: that one is free for sure */
	x = x != 0 ? x - 1 : SHM_LOAD(h->heads->extra_hand);
	return extra_write(h, e, x, name + in, len - in);
}
