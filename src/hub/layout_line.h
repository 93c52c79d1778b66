/* layout_line: what layout.c lists and layout_print.c prints. Private to the
 * hub layer. */
#ifndef CHATD_SRC_HUB_LAYOUT_LINE_H
#define CHATD_SRC_HUB_LAYOUT_LINE_H

#include <stddef.h>
#include <stdint.h>

/* A line of the print: a struct's size; a field's offset, size and kind; the
 * begin of a group of values; a value. */
struct layout_line {
	const char *name;
	uint64_t value, size;
	char kind;
};

/* All of them; their number in *n. */
const struct layout_line *layout_lines(size_t *n);

enum { FRAMING_STRUCT = 64 };
/* The name, in the print, of the state that a framing keeps; "framing_": there
 * is no such framing. */
const char *framing_struct(uint8_t number, char out[FRAMING_STRUCT]);

#endif
