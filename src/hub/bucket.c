#include "bucket.h"
#include "name.h"

/*
 * A bucket is tag << 24 | entry + 1: eight bits of the hash's low half spare
 * most looks at entries that are not meant. The high half says the line; the
 * entry keeps it.
 */
enum {
	LINE = 16,	/* buckets in a cache line */
	LINES_MAX = 64, /* probed: never more than 8 at this load */
	EMPTY = 0
};

/* Line of the k-th probe for a hash's high half. */
static uint32_t
line_of(const struct hub *h, uint32_t high, uint32_t k)
{
	uint64_t line = ((uint64_t)high * h->n_lines >> 32) + k;

	return (uint32_t)(line >= h->n_lines ? line - h->n_lines : line);
}

static uint32_t
probe_max(const struct hub *h)
{
	return h->n_lines < LINES_MAX ? h->n_lines : LINES_MAX;
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
	_Atomic uint32_t *line;

	for (k = 0; k < probe_max(h); k++) {
		line = line_at(h, line_of(h, high, k));
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
	_Atomic uint32_t *line;
	uint32_t k, j;

	for (k = 0; k < probe_max(h); k++) {
		line = line_at(h, line_of(h, (uint32_t)(hash >> 32), k));
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
find_displaced(const struct hub *h, uint32_t line, uint32_t *from, uint32_t *at)
{
	uint32_t k, j, v, e, far;

	if (SHM_LOAD(line_at(h, line)[LINE - 1]) == EMPTY)
		return false;
	for (k = 1; k < probe_max(h); k++) {
		*from =
		    line + k < h->n_lines ? line + k : line + k - h->n_lines;
		for (j = 0; j < LINE; j++) {
			v = SHM_LOAD(line_at(h, *from)[j]);
			if (v == EMPTY)
				return false;
			e = (v & BUCKET_ENTRY) - 1;
			if (e >= h->n_entries)
				continue;
			far = *from + h->n_lines -
			    line_of(h, h->entry[e].hash, 0);
			if (far >= h->n_lines)
				far -= h->n_lines;
			if (far >= k && far < probe_max(h)) {
				*at = j;
				return true;
			}
		}
	}
	return false;
}

/* Fills the hole that a bucket leaves: with one from further on, whose hole
 * is then filled; in the end with the last one of its line. A death on the way
 * leaves a bucket twice, which does no harm. */
static void
hole_fill(struct hub *h, uint32_t line, uint32_t at)
{
	uint32_t from, j, left = h->n_lines;

	/* each step leads further on, but by hashes that may be corrupted */
	while (left-- > 0 && find_displaced(h, line, &from, &j)) {
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
	uint32_t high = h->entry[e].hash, k, j, v, line, left = LINES_MAX;

	for (k = 0; k < probe_max(h); k++) {
		line = line_of(h, high, k);
		/* what fills the hole may be the same entry once more */
		for (j = 0; j < LINE;) {
			v = SHM_LOAD(line_at(h, line)[j]);
			if (v == EMPTY)
				return;
			if ((v & BUCKET_ENTRY) != e + 1)
				j++;
			else if (left-- > 0)
				hole_fill(h, line, j);
			else
				return;
		}
	}
}
