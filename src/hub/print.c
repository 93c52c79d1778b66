#include "hub/print.h"

#include <stdio.h>
#include <string.h>

enum {
	WORDS = 6,     /* of a line, at most */
	LINE_MAX = 160 /* bytes */
};

/* A line cut into words. */
struct words {
	int n;
	char *word[WORDS];
	char text[LINE_MAX];
};

/* Cuts a line at its single blanks; false: too long, or too many words. */
static bool
words_cut(struct words *w, const char *line, size_t len)
{
	char *rest = w->text, *word;

	if (len >= sizeof(w->text) || memchr(line, '\0', len) != NULL)
		return false;
	memcpy(w->text, line, len);
	w->text[len] = '\0';
	w->n = 0;
	while ((word = strsep(&rest, " ")) != NULL) {
		if (*word == '\0' || w->n == WORDS)
			return false;
		w->word[w->n++] = word;
	}
	return true;
}

/* A decimal number; false: it is none, or too large. */
static bool
print_number_read(const char *s, uint64_t *n)
{
	*n = 0;
	for (; *s >= '0' && *s <= '9'; s++)
		if (__builtin_mul_overflow(*n, 10, n) ||
		    __builtin_add_overflow(*n, (uint64_t)(*s - '0'), n))
			return false;
	return *s == '\0' && s[-1] >= '0' && s[-1] <= '9';
}

/* Copies a name of letters, digits, "_" and "."; false: it is none. */
static bool
name_read(const char *s, char name[PRINT_NAME])
{
	size_t n = strspn(s,
	    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.");

	if (n == 0 || n >= PRINT_NAME || s[n] != '\0')
		return false;
	memcpy(name, s, n + 1);
	return true;
}

/* Whether a part lies inside a whole. */
static bool
is_inside(uint64_t at, uint64_t size, uint64_t whole)
{
	return size <= whole && at <= whole - size;
}

/* "slot.life 0 size 8 u": a field of the struct that was read last. */
static bool
field_read(
    const struct print *p, uint32_t last, struct words *w, struct print_line *l)
{
	const struct print_line *s = &p->line[last];
	size_t n = strlen(s->name);

	l->kind = w->word[4][0] == 'u' ? PRINT_UNSIGNED
	    : w->word[4][0] == 'i'     ? PRINT_SIGNED
				       : PRINT_BYTES;
	if (strcmp(w->word[2], "size") != 0 || w->word[4][1] != '\0' ||
	    strchr("uib", w->word[4][0]) == NULL ||
	    !name_read(w->word[0], l->name) ||
	    !print_number_read(w->word[1], &l->at) ||
	    !print_number_read(w->word[3], &l->size))
		return false;
	if (l->kind != PRINT_BYTES && l->size != 1 && l->size != 2 &&
	    l->size != 4 && l->size != 8)
		return false;
	return p->n > 0 && s->kind == PRINT_STRUCT && l->size > 0 &&
	    strncmp(l->name, s->name, n) == 0 && l->name[n] == '.' &&
	    is_inside(l->at, l->size, s->size);
}

/* "struct slot size 192". */
static bool
struct_read(struct words *w, struct print_line *l)
{
	l->kind = PRINT_STRUCT;
	return strcmp(w->word[0], "struct") == 0 &&
	    strcmp(w->word[2], "size") == 0 && name_read(w->word[1], l->name) &&
	    print_number_read(w->word[3], &l->size) && l->size > 0 &&
	    l->size <= PRINT_STRUCT_MAX;
}

/* "memory slot at 4096 size 8192". */
static bool
memory_read(struct words *w, uint64_t memory, struct print_line *l)
{
	l->kind = PRINT_MEMORY;
	return strcmp(w->word[0], "memory") == 0 &&
	    strcmp(w->word[2], "at") == 0 && strcmp(w->word[4], "size") == 0 &&
	    name_read(w->word[1], l->name) &&
	    print_number_read(w->word[3], &l->at) &&
	    print_number_read(w->word[5], &l->size) &&
	    is_inside(l->at, l->size, memory);
}

/* "region slot at 4096", of a usual memory. */
static bool
region_read(struct words *w, struct print_line *l)
{
	l->kind = PRINT_REGION;
	return strcmp(w->word[0], "region") == 0 &&
	    strcmp(w->word[2], "at") == 0 && name_read(w->word[1], l->name) &&
	    print_number_read(w->word[3], &l->at);
}

/* "count slots 128". */
static bool
count_read(struct words *w, struct print_line *l)
{
	l->kind = PRINT_COUNT;
	return strcmp(w->word[0], "count") == 0 &&
	    name_read(w->word[1], l->name) &&
	    print_number_read(w->word[2], &l->at);
}

/* "enum slot_state", "flags ...", "values ...", or "SLOT_OPEN 1". */
static bool
value_read(const struct print *p, uint32_t group, struct words *w,
    struct print_line *l)
{
	static const struct {
		const char *word;
		enum print_kind kind;
	} groups[] = {{"enum", PRINT_ENUM}, {"flags", PRINT_FLAGS},
	    {"values", PRINT_CONSTANTS}};

	l->kind = PRINT_VALUE;
	for (size_t i = 0; i < sizeof(groups) / sizeof(groups[0]); i++)
		if (strcmp(w->word[0], groups[i].word) == 0)
			l->kind = groups[i].kind;
	if (l->kind != PRINT_VALUE)
		return name_read(w->word[1], l->name);
	l->group = group;
	return group < p->n && p->line[group].kind >= PRINT_ENUM &&
	    p->line[group].kind <= PRINT_CONSTANTS &&
	    name_read(w->word[0], l->name) &&
	    print_number_read(w->word[1], &l->at);
}

/* One line; last: the struct or group before it. */
static bool
line_read(const struct print *p, uint32_t last, struct words *w,
    uint64_t memory, struct print_line *l)
{
	switch (w->n) {
	case 2:
		return value_read(p, last, w, l);
	case 3:
		return count_read(w, l);
	case 4:
		return struct_read(w, l) || region_read(w, l);
	case 5:
		return field_read(p, last, w, l);
	case 6:
		return memory_read(w, memory, l);
	default:
		return false;
	}
}

int
print_parse(struct print *p, const char *text, const char *prefix,
    uint64_t memory, char *error, size_t error_len)
{
	size_t skip = strlen(prefix), len;
	uint32_t last = 0;
	struct words w;

	p->n = 0;
	for (; *text != '\0'; text += len + (text[len] == '\n')) {
		struct print_line *l = &p->line[p->n];

		len = strcspn(text, "\n");
		if (len < skip || strncmp(text, prefix, skip) != 0)
			continue;
		*l = (struct print_line){.kind = PRINT_STRUCT};
		if (!words_cut(&w, text + skip, len - skip) ||
		    !line_read(p, last, &w, memory, l)) {
			snprintf(error, error_len,
			    "its layout is not understood: `%.*s`",
			    (int)(len < LINE_MAX ? len : LINE_MAX), text);
			return -1;
		}
		if (l->kind == PRINT_STRUCT ||
		    (l->kind >= PRINT_ENUM && l->kind <= PRINT_CONSTANTS))
			last = p->n;
		if (++p->n == PRINT_LINES) {
			snprintf(error, error_len,
			    "its layout has %d lines or more", PRINT_LINES);
			return -1;
		}
	}
	if (p->n > 0)
		return 0;
	snprintf(error, error_len, "it does not print its layout");
	return -1;
}

/* The first line of a kind between two, by its name. */
static const struct print_line *
line_find(const struct print *p, enum print_kind from, enum print_kind to,
    const char *name)
{
	for (uint32_t i = 0; i < p->n; i++)
		if (p->line[i].kind >= from && p->line[i].kind <= to &&
		    strcmp(p->line[i].name, name) == 0)
			return &p->line[i];
	return NULL;
}

const struct print_line *
print_struct(const struct print *p, const char *name)
{
	return line_find(p, PRINT_STRUCT, PRINT_STRUCT, name);
}

const struct print_line *
print_field(const struct print *p, const char *name)
{
	return line_find(p, PRINT_UNSIGNED, PRINT_BYTES, name);
}

const struct print_line *
print_value(const struct print *p, const char *name)
{
	return line_find(p, PRINT_VALUE, PRINT_VALUE, name);
}

const struct print_line *
print_memory(const struct print *p, const char *name)
{
	return line_find(p, PRINT_MEMORY, PRINT_MEMORY, name);
}

const struct print_line *
print_count(const struct print *p, const char *name)
{
	return line_find(p, PRINT_COUNT, PRINT_COUNT, name);
}

const struct print_line *
print_group(const struct print *p, const char *name)
{
	return line_find(p, PRINT_ENUM, PRINT_CONSTANTS, name);
}

const struct print_line *
print_group_next(const struct print *p, const struct print_line *group,
    const struct print_line *v)
{
	uint32_t i = (uint32_t)((v != NULL ? v : group) - p->line) + 1;

	for (; i < p->n; i++)
		if (p->line[i].kind == PRINT_VALUE &&
		    &p->line[p->line[i].group] == group)
			return &p->line[i];
	return NULL;
}

const struct print_line *
print_group_value(
    const struct print *p, const struct print_line *group, const char *name)
{
	const struct print_line *v = NULL;

	while ((v = print_group_next(p, group, v)) != NULL)
		if (strcmp(v->name, name) == 0)
			return v;
	return NULL;
}
