/* layout: what two versions of chatd must agree on to go on with each other's
 * processes: a print of it, and the print's hash. Layer 2. */
#ifndef CHATD_HUB_LAYOUT_H
#define CHATD_HUB_LAYOUT_H

#include <stddef.h>
#include <stdint.h>

enum { LAYOUT_MAX = 64 * 1024 };

/* Prints all offsets, sizes and values, a line each; returns its length. */
size_t layout_print(char out[LAYOUT_MAX]);

/* Prints what layout_print() does, but with this memory's regions and counts in
 * place of the regions of a usual size: the next program reads the memory by
 * that (hub/print.h). h need only be planned. */
struct hub;
size_t layout_print_memory(const struct hub *h, char out[LAYOUT_MAX]);

/* The print's hash: memory of another one is read by its own print only
 * (hub/convert.h). */
uint64_t layout_number(void);

/* The number is that: a process that is told so, of a program that has been
 * asked for it before, need not print its layout. */
void layout_number_is(uint64_t number);

#endif
