/*
 * print: a printed layout (layout.h), read: where another program has put what,
 * by name. Layer 2, pure.
 *
 * The text is believed in nothing: a field lies inside its struct, a region
 * inside the memory, or the print is refused; who follows it checks numbers of
 * items against the counts and regions.
 */
#ifndef CHATD_HUB_PRINT_H
#define CHATD_HUB_PRINT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	PRINT_LINES = 1024,	     /* of a print, at most */
	PRINT_NAME = 48,	     /* bytes of a name, its end included */
	PRINT_STRUCT_MAX = 64 * 1024 /* bytes of a struct, at most */
};

enum print_kind {
	PRINT_STRUCT,	/* size */
	PRINT_UNSIGNED, /* fields: at, size */
	PRINT_SIGNED,
	PRINT_BYTES, /* an array or a struct */
	PRINT_ENUM,  /* begins a group of values of one word */
	PRINT_FLAGS, /* the same, of single bits */
	PRINT_CONSTANTS,
	PRINT_VALUE,  /* value; group: the line that began it */
	PRINT_REGION, /* of a memory of a usual size: of no use here */
	PRINT_MEMORY, /* a region: at, size */
	PRINT_COUNT   /* value */
};

struct print_line {
	enum print_kind kind;
	char name[PRINT_NAME];
	uint64_t at, size; /* bytes; a value or count stands in `at` */
	uint32_t group;	   /* number of the line */
};

struct print {
	uint32_t n;
	struct print_line line[PRINT_LINES];
};

/*
 * Reads a print. With a prefix ("" for none) only the lines that begin with it
 * are the print's, without it. `memory` is the size of the memory that it is
 * of. Returns 0, or -1 with a message: it cannot be understood.
 */
int print_parse(struct print *p, const char *text, const char *prefix,
    uint64_t memory, char *error, size_t error_len);

/* A line by kind and name; a field's may be any of the three. NULL: there is
 * none. */
const struct print_line *print_struct(const struct print *p, const char *name);
const struct print_line *print_field(const struct print *p, const char *name);
const struct print_line *print_value(const struct print *p, const char *name);
const struct print_line *print_memory(const struct print *p, const char *name);
const struct print_line *print_count(const struct print *p, const char *name);

/* A group's first line by its name; NULL: there is none. */
const struct print_line *print_group(const struct print *p, const char *name);

/* The next value of a group, from its first line (v NULL) or a value on. */
const struct print_line *print_group_next(const struct print *p,
    const struct print_line *group, const struct print_line *v);

/* A value of a group by its name. */
const struct print_line *print_group_value(
    const struct print *p, const struct print_line *group, const char *name);

#endif
