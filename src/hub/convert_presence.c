/* Users and channels: their entries by number where there is room, the index of
 * names and what is charged made anew. */
#include <stdlib.h>
#include <string.h>

#include "base/siphash.h"
#include "bucket.h"
#include "convert.h"
#include "heads.h"
#include "hub/presence.h"
#include "name.h"

/* A kind's entries in both. */
struct kind {
	uint64_t from, from_n, ever; /* theirs: first, all, ever used */
	uint32_t to, to_n;
};

/* Theirs and ours of a kind. */
static struct kind
presence_kind(const struct convert *c, int kind)
{
	const uint8_t *heads = convert_item(c, R_HEADS, C_HEADS, 0);
	struct kind k = {.from = 1,
	    .from_n = c->count[N_USERS],
	    .to = 1,
	    .to_n = c->hub.n_users};

	if (kind != CHARGE_USERS) {
		k.from += k.from_n;
		k.from_n = c->count[N_CHANNELS];
		k.to += k.to_n;
		k.to_n = c->hub.n_channels;
	}
	/* the one in hand is counted later */
	k.ever = convert_get_of(
		     c, F_HEADS_ENTRIES, heads, (uint32_t)kind, CHARGE_KINDS) +
	    1;
	if (k.ever > k.from_n)
		k.ever = k.from_n;
	return k;
}

/* The flags of one of theirs: whom it is for. They follow from the rules
 * anew where readers of theirs are none of this program's. One that was being
 * opened is asked for once more. */
static uint8_t
presence_flags_pair(const struct convert *c, const uint8_t *p)
{
	const uint8_t flags = (uint8_t)convert_get(c, F_PRESENCE_FLAGS, p);

	if (((PRESENCE_READERS(flags) | PRESENCE_REQUIRES(flags)) &
		~c->hub.readers) != 0)
		return 0;
	if (PRESENCE_WARMTH_OF(flags) == PRESENCE_OPEN)
		return flags;
	return (uint8_t)((flags & ((1 << PRESENCE_WARMTH) - 1)) |
	    PRESENCE_COLD << PRESENCE_WARMTH);
}

/* Whether a reader still needs the name of one of theirs. */
static bool
presence_owed(const struct convert *c, const uint8_t *p)
{
	const uint8_t readers =
	    PRESENCE_READERS((uint8_t)convert_get(c, F_PRESENCE_FLAGS, p));

	return readers != 0 &&
	    convert_owed(c, readers, convert_get(c, F_PRESENCE_NEWEST, p));
}

/* Whether one of theirs is in use; *held: some worker has it, or the journal
 * may have what was said in it, or what a reader still needs. */
static bool
presence_used(const struct convert *c, uint64_t e, bool *held)
{
	const uint8_t *heads = convert_item(c, R_HEADS, C_HEADS, 0);
	const uint8_t *p = convert_item(c, R_ENTRY, C_PRESENCE, e);

	if (p == NULL || convert_get(c, F_PRESENCE_EPOCH, p) == 0)
		return false;
	*held = convert_get(c, F_PRESENCE_MASK, p) != 0 ||
	    convert_get(c, F_PRESENCE_NEWEST, p) >=
		convert_get(c, F_HEADS_OLDEST, heads) ||
	    presence_owed(c, p);
	return true;
}

uint64_t
convert_presence_held(const struct convert *c, int kind)
{
	const struct kind k = presence_kind(c, kind);
	uint64_t n = 0;
	bool held;

	for (uint64_t i = 0; i < k.ever; i++)
		n += presence_used(c, k.from + i, &held) && held;
	return n;
}

/* Copies one of their names; its length, 0 if it makes no sense. */
static uint32_t
presence_name_get(const struct convert *c, uint64_t e, const uint8_t *p,
    char name[PRESENCE_NAME_MAX + 1])
{
	const uint64_t len = convert_get(c, F_PRESENCE_LEN, p);
	const struct print_line *in = c->field[F_PRESENCE_NAME];
	const uint64_t piece = c->stride[C_PIECE];
	uint64_t got = len < in->size ? len : in->size, n;
	const uint8_t *from;

	if (len == 0 || len > PRESENCE_NAME_MAX)
		return 0;
	memcpy(name, p + in->at, got);
	for (uint64_t k = 0; got < len; k++, got += n) {
		n = len - got < piece ? len - got : piece;
		from = convert_item(
		    c, R_PIECE, C_PIECE, k * convert_entries(c) + e);
		if (from == NULL)
			return 0;
		memcpy(name + got, from, n);
	}
	return (uint32_t)len;
}

/* The epoch of the offsets of one of theirs; in an older layout its own epoch
 * is that, too. */
static uint64_t
presence_stream_get(
    const struct convert *c, uint64_t e, const struct presence_entry *new)
{
	uint64_t stream;

	if (e >= c->region_size[R_STREAM] / sizeof(stream))
		return new->epoch;
	memcpy(
	    &stream, c->region[R_STREAM] + e * sizeof(stream), sizeof(stream));
	return stream;
}

/* Copies one of theirs to that one of ours. False: the copy fails. */
static bool
presence_copy(struct convert *c, uint64_t e, uint32_t to)
{
	const uint8_t *p = convert_item(c, R_ENTRY, C_PRESENCE, e);
	struct presence_entry *new = &c->hub.entry[to];
	char name[PRESENCE_NAME_MAX + 1];
	uint32_t len = p != NULL ? presence_name_get(c, e, p, name) : 0;
	uint64_t hash;

	if (len == 0) /* corrupted: its users enter anew */
		return true;
	if (!convert_record(c, C_PRESENCE, p, new))
		return false;
	new->flags = presence_flags_pair(c, p);
	c->hub.stream[to] = presence_stream_get(c, e, new);
	hash = siphash(c->hub.hash_key, name, len);
	new->hash = (uint32_t)(hash >> 32);
	name_write(&c->hub, new, name, len);
	if (to != PRESENCE_LOBBY && !bucket_put(&c->hub, hash, to))
		return convert_fail(c, "the index of names is full");
	c->entry[e] = to + 1;
	c->result->entries++;
	KILL_POINT();
	return true;
}

/* Copies a kind's entries: by number as far as there are so many, the rest
 * where there is room. */
static bool
presence_kind_copy(struct convert *c, int kind)
{
	const struct kind k = presence_kind(c, kind);
	uint32_t free = 0;
	uint64_t i;
	bool held;

	for (i = 0; i < k.ever && i < k.to_n; i++)
		if (presence_used(c, k.from + i, &held) &&
		    !presence_copy(c, k.from + i, k.to + (uint32_t)i))
			return false;
	c->hub.heads->entries[kind] = (uint32_t)i;
	for (; i < k.ever; i++) {
		if (!presence_used(c, k.from + i, &held) || !held)
			continue;
		while (free < k.to_n && c->hub.entry[k.to + free].epoch != 0 &&
		    c->hub.entry[k.to + free].mask != 0)
			free++;
		if (free == k.to_n)
			return convert_fail(c,
			    "%s %u: more of them are connected or keep "
			    "messages",
			    kind == CHARGE_USERS ? "users" : "channels",
			    k.to_n);
		if (c->hub.entry[k.to + free].epoch != 0)
			bucket_remove(&c->hub, k.to + free);
		if (!presence_copy(c, k.from + i, k.to + free++))
			return false;
	}
	return true;
}

bool
convert_presence(struct convert *c)
{
	c->entry = calloc(convert_entries(c), sizeof(*c->entry));
	if (c->entry == NULL)
		return convert_fail(c, "no memory");
	return presence_copy(c, 0, PRESENCE_LOBBY) &&
	    presence_kind_copy(c, CHARGE_USERS) &&
	    presence_kind_copy(c, CHARGE_CHANNELS);
}
