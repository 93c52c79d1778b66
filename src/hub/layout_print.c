/* The print of what layout.c lists, and of where the regions are. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/field.h"
#include "base/siphash.h"
#include "codec/framing.h"
#include "heads.h"
#include "hub/layout.h"
#include "layout_line.h"

/* Where everything is: which region comes after which, and how much of each
 * there is. */
static const struct layout_region {
	const char *name;
	size_t at; /* of its address in a struct hub */
} layout_regions[] = {
#define REGION(field)                               \
	{                                           \
#field, offsetof(struct hub, field) \
	}
    REGION(heads),
    REGION(lock),
    REGION(line),
    REGION(worker),
    REGION(bucket),
    REGION(entry),
    REGION(stream),
    REGION(piece),
    REGION(charge),
    REGION(slot_owner),
    REGION(slot_touched),
    REGION(slot),
    REGION(socket),
    REGION(chunk_owner),
    REGION(chunk),
    REGION(segment_owner),
    REGION(arena),
    REGION(page_owner),
    REGION(page),
    REGION(subscription_owner),
    REGION(subscription),
    REGION(chain),
    REGION(stage),
    REGION(index),
    REGION(journal),
    REGION(spill),
#undef REGION
};
enum { REGIONS = sizeof(layout_regions) / sizeof(layout_regions[0]) };

const char *
framing_struct(uint8_t number, char out[FRAMING_STRUCT])
{
	const struct framing *f = framing_of(number);

	snprintf(out, FRAMING_STRUCT, "framing_%s", f != NULL ? f->name : "");
	return out;
}

/* Where a region begins; behind the last one the memory ends. */
static uint64_t
region_at(const struct hub *h, size_t r)
{
	uintptr_t at;

	if (r >= REGIONS)
		return h->size;
	memcpy(&at, (const char *)h + layout_regions[r].at, sizeof(at));
	return at - (uintptr_t)h->base;
}

/* Appends a line's bytes; returns where the next goes. */
static size_t __attribute__((format(printf, 3, 4)))
line_put(char out[LAYOUT_MAX], size_t at, const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(out + at, LAYOUT_MAX - at, fmt, ap);
	va_end(ap);
	return n < 0			   ? at
	    : at + (size_t)n >= LAYOUT_MAX ? LAYOUT_MAX - 1
					   : at + (size_t)n;
}

/* Appends a struct's size. */
static size_t
struct_put(char out[LAYOUT_MAX], size_t at, const char *name, uint64_t size)
{
	return line_put(
	    out, at, "struct %s size %llu\n", name, (unsigned long long)size);
}

/* Appends what framings keep of messages that are not complete. */
static size_t
framings_put(char out[LAYOUT_MAX], size_t at)
{
	const struct framing *f;
	const struct field *l;
	char name[FRAMING_STRUCT];
	uint8_t k;

	for (k = FRAMING_USUAL; k < FRAMINGS_MAX; k++) {
		f = framing_of(k);
		if (f == NULL || f->fields == NULL)
			continue;
		at = struct_put(
		    out, at, framing_struct(k, name), f->state_bytes);
		for (l = f->fields; l->name != NULL; l++)
			at = line_put(out, at, "%s.%s %u size %u %c\n", name,
			    l->name, l->at, l->size, l->kind);
	}
	return at;
}

/* Appends all structs, fields and values. */
static size_t
lines_put(char out[LAYOUT_MAX])
{
	const struct layout_line *l;
	size_t n, at = 0;

	for (l = layout_lines(&n); n > 0; n--, l++)
		if (l->kind == 's')
			at = struct_put(out, at, l->name, l->size);
		else if (l->kind == 'g')
			at = line_put(out, at, "%s\n", l->name);
		else if (l->kind == 'v')
			at = line_put(out, at, "%s %llu\n", l->name,
			    (unsigned long long)l->value);
		else
			at = line_put(out, at, "%s %llu size %llu %c\n",
			    l->name, (unsigned long long)l->value,
			    (unsigned long long)l->size, l->kind);
	return framings_put(out, at);
}

size_t
layout_print(char out[LAYOUT_MAX])
{
	static const struct hub_limits usual = {.connections = 65536,
	    .users = 65536,
	    .channels = 65536,
	    .journal_bytes = 64 << 20,
	    .output_bytes = 256 << 20,
	    .input_bytes = 64 << 20};
	size_t at = lines_put(out), r;
	struct hub h;

	hub_plan(&h, &usual);
	for (r = 0; r < REGIONS; r++)
		at = line_put(out, at, "region %s at %llu\n",
		    layout_regions[r].name,
		    (unsigned long long)region_at(&h, r));
	return at;
}

size_t
layout_print_memory(const struct hub *h, char out[LAYOUT_MAX])
{
	const struct {
		const char *name;
		uint64_t n;
	} counts[] = {{"users", h->n_users}, {"channels", h->n_channels},
	    {"slots", h->n_slots}, {"chunks", h->n_chunks},
	    {"segments", h->n_segments}, {"pages", h->n_pages},
	    {"subscriptions", h->n_subscriptions}, {"index", h->n_index},
	    {"journal", h->journal_size}, {"spill", h->spill_size},
	    {"readers", h->readers}};
	size_t at = lines_put(out), r;

	for (r = 0; r < REGIONS; r++)
		at = line_put(out, at, "memory %s at %llu size %llu\n",
		    layout_regions[r].name, (unsigned long long)region_at(h, r),
		    (unsigned long long)(region_at(h, r + 1) -
			region_at(h, r)));
	for (r = 0; r < sizeof(counts) / sizeof(counts[0]); r++)
		at = line_put(out, at, "count %s %llu\n", counts[r].name,
		    (unsigned long long)counts[r].n);
	return at;
}

static uint64_t number; /* 0: not known yet */

void
layout_number_is(uint64_t its)
{
	number = its;
}

uint64_t
layout_number(void)
{
	static const uint8_t key[16] = "chatd's layout";
	static char text[LAYOUT_MAX];

	if (number == 0)
		number = siphash(key, text, layout_print(text));
	return number;
}
