/* page: a page of the input pool. Private to the hub layer. */
#ifndef CHATD_SRC_HUB_PAGE_H
#define CHATD_SRC_HUB_PAGE_H

#include "hub/input.h"

/* Of unfinished input: the first of a part begins with two states, of which
 * the slot says which is valid. Of a blob: next is its length. */
struct input_page {
	_Atomic uint32_t next; /* page + 1; 0: last */
	uint32_t spare;
	uint8_t bytes[INPUT_PAGE - 8];
};
_Static_assert(sizeof(struct input_page) == INPUT_PAGE, "INPUT_PAGE");

#endif
