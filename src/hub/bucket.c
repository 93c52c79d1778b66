#include "bucket.h"
#include "name.h"

/*
 * A bucket is tag << 24 | entry + 1: with eight bits of the hash's low half
 * most entries of other names need not be looked at. The high half chooses the
 * line; the entry has it, too.
 */
enum {
	LINE = 16,	/* buckets in a cache line */
	LINES_MAX = 64, /* probed: never more than 8 at this load */
	EMPTY = 0
};

/* The lines of one kind's index. Channels have lines of their own, so that a
 * few channels touch few pages. */
struct section {
	uint32_t begin, n;
};

/* The section of users, or of channels. */
static struct section
section_of(const struct hub *h, bool user)
{
	return user
	    ? (struct section){0, h->n_user_lines}
	    : (struct section){h->n_user_lines, h->n_lines - h->n_user_lines};
}

/* The line that comes k lines after another one in its section, and round. */
static uint32_t
line_after(struct section s, uint32_t line, uint32_t k)
{
	return line + k < s.begin + s.n ? line + k : line + k - s.n;
}

/* Line of the k-th probe for a hash's high half. */
static uint32_t
bucket_line_of(struct section s, uint32_t high, uint32_t k)
{
	return line_after(
	    s, s.begin + (uint32_t)((uint64_t)high * s.n >> 32), k);
}

static uint32_t
probe_max(struct section s)
{
	return s.n < LINES_MAX ? s.n : LINES_MAX;
}

static uint32_t
bucket_value(uint64_t hash, uint32_t entry)
{
	return (uint32_t)(hash >> 8 & 0xff) << 24 | (entry + 1);
}

static _Atomic uint32_t *
line_at(const struct hub *h, uint32_t line)
{
	return &h->bucket[(size_t)line * LINE];
}

uint32_t
bucket_find(const struct hub *h, uint64_t hash, const char *name, size_t len)
{
	uint32_t high = (uint32_t)(hash >> 32), k, j, v, e;
	uint32_t tag = bucket_value(hash, 0) & ~BUCKET_ENTRY;
	struct section s = section_of(h, presence_name_is_user(name, len));
	_Atomic uint32_t *line;

	for (k = 0; k < probe_max(s); k++) {
		line = line_at(h, bucket_line_of(s, high, k));
		for (j = 0; j < LINE; j++) {
			v = SHM_LOAD(line[j]);
			if (v == EMPTY)
				return SHM_NONE;
			if ((v & ~BUCKET_ENTRY) != tag)
				continue;
			e = (v & BUCKET_ENTRY) - 1;
			if (e < h->n_entries && h->entry[e].hash == high &&
			    SHM_LOAD(h->entry[e].epoch) != 0 &&
			    name_equals(h, &h->entry[e], name, len))
				return e;
		}
	}
	return SHM_NONE;
}

bool
bucket_put(struct hub *h, uint64_t hash, uint32_t e)
{
	struct section s = section_of(h, presence_is_user(h, e));
	_Atomic uint32_t *line;
	uint32_t k, j;

	for (k = 0; k < probe_max(s); k++) {
		line = line_at(h, bucket_line_of(s, (uint32_t)(hash >> 32), k));
		for (j = 0; j < LINE; j++)
			if (SHM_LOAD(line[j]) == EMPTY) {
				SHM_STORE(line[j], bucket_value(hash, e));
				return true;
			}
	}
	return false;
}

/* Looks beyond a full line for a bucket that would rather be in it. */
static bool
find_displaced(const struct hub *h, struct section s, uint32_t line,
    uint32_t *from, uint32_t *at)
{
	uint32_t k, j, v, e, far;

	if (SHM_LOAD(line_at(h, line)[LINE - 1]) == EMPTY)
		return false;
	for (k = 1; k < probe_max(s); k++) {
		*from = line_after(s, line, k);
		for (j = 0; j < LINE; j++) {
			v = SHM_LOAD(line_at(h, *from)[j]);
			if (v == EMPTY)
				return false;
			e = (v & BUCKET_ENTRY) - 1;
			if (e >= h->n_entries)
				continue;
			far = *from + s.n -
			    bucket_line_of(s, h->entry[e].hash, 0);
			if (far >= s.n)
				far -= s.n;
			if (far >= k && far < probe_max(s)) {
				*at = j;
				return true;
			}
		}
	}
	return false;
}

/* Fills the hole that a bucket leaves: with one from further on, whose hole is
 * then filled; in the end with the last one of its line. A process that dies on
 * the way leaves a bucket twice, which does no harm. */
static void
hole_fill(struct hub *h, struct section s, uint32_t line, uint32_t at)
{
	uint32_t from, j, left = s.n;

	/* each step leads further on, but by hashes that may be corrupted */
	while (left-- > 0 && find_displaced(h, s, line, &from, &j)) {
		SHM_STORE(line_at(h, line)[at], SHM_LOAD(line_at(h, from)[j]));
		line = from;
		at = j;
	}
	for (j = LINE - 1; j > at && SHM_LOAD(line_at(h, line)[j]) == EMPTY;)
		j--;
	if (j != at)
		SHM_STORE(line_at(h, line)[at], SHM_LOAD(line_at(h, line)[j]));
	SHM_STORE(line_at(h, line)[j], EMPTY);
}

void
bucket_remove(struct hub *h, uint32_t e)
{
	struct section s = section_of(h, presence_is_user(h, e));
	uint32_t high = h->entry[e].hash, k, j, v, line, left = LINES_MAX;

	for (k = 0; k < probe_max(s); k++) {
		line = bucket_line_of(s, high, k);
		/* what fills the hole may be the same entry once more */
		for (j = 0; j < LINE;) {
			v = SHM_LOAD(line_at(h, line)[j]);
			if (v == EMPTY)
				return;
			if ((v & BUCKET_ENTRY) != e + 1)
				j++;
			else if (left-- > 0)
				hole_fill(h, s, line, j);
			else
				return;
		}
	}
}
