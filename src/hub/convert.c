/* Records that two layouts name: what goes over as it is, by the rules that
 * convert_pair.c has made. */
#include "convert.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "hub/layout.h"

bool
convert_fail(struct convert *c, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(c->error, c->error_len, fmt, ap);
	va_end(ap);
	return false;
}

/* Maps the old memory. */
static bool
convert_map(struct convert *c)
{
	struct stat st;
	void *p;

	if (fstat(c->fd, &st) == -1 || st.st_size <= 0)
		return convert_fail(c, "there is no shared memory");
	c->size = (size_t)st.st_size;
	p = mmap(
	    NULL, c->size, PROT_READ, MAP_SHARED | MAP_NORESERVE, c->fd, 0);
	if (p == MAP_FAILED)
		return convert_fail(c, "shared memory: %s", strerror(errno));
	c->base = p;
	return true;
}

struct convert *
convert_open(int fd, const char *print, const char *prefix, const char *tables,
    char *error, size_t error_len)
{
	static char mine[LAYOUT_MAX + CONVERT_TABLES_MAX];
	struct convert *c = calloc(1, sizeof(*c));

	if (c == NULL) {
		snprintf(error, error_len, "no memory");
		return NULL;
	}
	c->fd = fd;
	c->error = error;
	c->error_len = error_len;
	mine[layout_print(mine)] = '\0';
	strlcat(mine, tables, sizeof(mine));
	if (convert_map(c) &&
	    print_parse(&c->theirs, print, prefix, c->size, error, error_len) ==
		0 &&
	    print_parse(&c->mine, mine, "", 0, error, error_len) == 0 &&
	    convert_pair(c)) {
		KILL_POINT();
		return c;
	}
	convert_close(c);
	return NULL;
}

void
convert_close(struct convert *c)
{
	if (c->base != NULL)
		munmap((void *)c->base, c->size);
	if (c->hub.base != NULL)
		munmap(c->hub.base, c->hub.size);
	free(c->entry);
	free(c->segment);
	free(c);
}

uint64_t
convert_bytes(const struct convert *c)
{
	struct stat st;

	return fstat(c->fd, &st) == 0 ? (uint64_t)st.st_blocks * 512 : c->size;
}

const uint8_t *
convert_item(const struct convert *c, enum convert_region r,
    enum convert_struct s, uint64_t i)
{
	const uint64_t stride = c->stride[s];

	return i < c->region_size[r] / stride ? c->region[r] + i * stride
					      : NULL;
}

uint8_t
convert_byte(const struct convert *c, enum convert_region r, uint64_t i)
{
	return i < c->region_size[r]
	    ? *(const volatile uint8_t *)(c->region[r] + i)
	    : 0;
}

/* Reads a number of a width. */
static uint64_t
number_get(const uint8_t *at, uint64_t size)
{
	uint8_t n1;
	uint16_t n2;
	uint32_t n4;
	uint64_t n8;

	switch (size) {
	case 1:
		memcpy(&n1, at, sizeof(n1));
		return n1;
	case 2:
		memcpy(&n2, at, sizeof(n2));
		return n2;
	case 4:
		memcpy(&n4, at, sizeof(n4));
		return n4;
	default:
		memcpy(&n8, at, sizeof(n8));
		return n8;
	}
}

/* Writes one; false: it does not fit. */
static bool
number_put(uint8_t *at, uint64_t size, uint64_t n)
{
	const uint8_t n1 = (uint8_t)n;
	const uint16_t n2 = (uint16_t)n;
	const uint32_t n4 = (uint32_t)n;

	switch (size) {
	case 1:
		memcpy(at, &n1, sizeof(n1));
		return n1 == n;
	case 2:
		memcpy(at, &n2, sizeof(n2));
		return n2 == n;
	case 4:
		memcpy(at, &n4, sizeof(n4));
		return n4 == n;
	default:
		memcpy(at, &n, sizeof(n));
		return true;
	}
}

uint64_t
convert_get(const struct convert *c, enum convert_field f, const uint8_t *from)
{
	const struct print_line *l = c->field[f];

	return l == NULL || l->kind == PRINT_BYTES
	    ? 0
	    : number_get(from + l->at, l->size);
}

uint64_t
convert_get_of(const struct convert *c, enum convert_field f,
    const uint8_t *from, uint32_t k, uint32_t n)
{
	const struct print_line *l = c->field[f];
	const uint64_t size = l != NULL ? l->size / n : 0;

	return size != 0 && l->kind == PRINT_BYTES && k < n &&
		(size == 1 || size == 2 || size == 4 || size == 8)
	    ? number_get(from + l->at + k * size, size)
	    : 0;
}

/* A value of an enum, by its name; one without a name as it is. */
static bool
enum_pair(struct convert *c, const struct convert_copy *p, uint64_t *n)
{
	const struct print_line *v = NULL, *w;

	while ((v = print_group_next(&c->theirs, p->from_group, v)) != NULL)
		if (v->at == *n)
			break;
	if (v == NULL)
		return true;
	w = print_group_value(&c->mine, p->to_group, v->name);
	if (w == NULL)
		return convert_fail(c,
		    "there are connections with %s, which this program does "
		    "not have; end them, or wait until they have left",
		    v->name);
	*n = w->at;
	return true;
}

/* Bits by their names; those without a name stay. */
static uint64_t
flags_pair(const struct convert *c, const struct convert_copy *p, uint64_t n)
{
	const struct print_line *v = NULL, *w;
	uint64_t out = 0, rest = n;

	while ((v = print_group_next(&c->theirs, p->from_group, v)) != NULL) {
		w = print_group_value(&c->mine, p->to_group, v->name);
		if (w == NULL || (n & v->at) == 0)
			continue;
		out |= w->at;
		rest &= ~v->at;
	}
	return out | rest;
}

bool
convert_value(struct convert *c, const struct convert_copy *p, uint64_t *n)
{
	if (p->from_group == NULL)
		return true;
	if (p->from_group->kind == PRINT_ENUM)
		return enum_pair(c, p, n);
	*n = flags_pair(c, p, *n);
	return true;
}

bool
convert_known(struct convert *c, enum convert_struct s, const uint8_t *from)
{
	const struct convert_rule *r = &c->rule[s];
	const struct print_line *l;
	bool good = true;
	uint64_t n;

	for (uint32_t i = 0; i < r->n && good; i++) {
		l = r->copy[i].from;
		if (r->copy[i].from_group == NULL)
			continue;
		n = number_get(from + l->at, l->size);
		good = convert_value(c, &r->copy[i], &n);
	}
	return good;
}

/* One number. */
static bool
number_copy(struct convert *c, const struct convert_copy *p,
    const uint8_t *from, uint8_t *to)
{
	const uint64_t size = p->from->size, to_size = p->to->size;
	const unsigned bits = (unsigned)(64 - 8 * size);
	uint64_t n = number_get(from + p->from->at, size), back;
	const bool is_signed = p->from->kind == PRINT_SIGNED;

	if (is_signed)
		n = (uint64_t)((int64_t)(n << bits) >> bits);
	if (!convert_value(c, p, &n))
		return false;
	if (is_signed != (p->to->kind == PRINT_SIGNED) && (int64_t)n < 0)
		return convert_fail(c, "%s: %lld has no sign here or there",
		    p->to->name, (long long)n);
	if (number_put(to + p->to->at, to_size, n))
		return true;
	back = number_get(to + p->to->at, to_size);
	if (is_signed &&
	    (int64_t)(back << (64 - 8 * to_size)) >> (64 - 8 * to_size) ==
		(int64_t)n)
		return true;
	return convert_fail(c, "%s: %llu does not fit into %llu bytes",
	    p->to->name, (unsigned long long)n, (unsigned long long)to_size);
}

/* An array: as much as both have; what is cut off must be empty. */
static bool
bytes_copy(struct convert *c, const struct convert_copy *p, const uint8_t *from,
    uint8_t *to)
{
	const uint64_t have = p->from->size, room = p->to->size;

	memcpy(to + p->to->at, from + p->from->at, have < room ? have : room);
	for (uint64_t i = room; i < have; i++)
		if (from[p->from->at + i] != 0)
			return convert_fail(c,
			    "%s: %llu bytes do not fit into %llu", p->to->name,
			    (unsigned long long)have, (unsigned long long)room);
	return true;
}

bool
convert_record(
    struct convert *c, enum convert_struct s, const uint8_t *from, void *to)
{
	const struct convert_rule *r = &c->rule[s];
	bool good = true;

	for (uint32_t i = 0; i < r->n && good; i++)
		good = r->copy[i].to->kind == PRINT_BYTES
		    ? bytes_copy(c, &r->copy[i], from, to)
		    : number_copy(c, &r->copy[i], from, to);
	return good;
}
