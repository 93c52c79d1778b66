/*
 * large: memory in pages of 2 MiB instead of many small ones. Where a
 * hypervisor keeps tables of its own, each process pays 10 us for its first
 * access to a page of 4 KiB, touched ahead or not, but only once for one of
 * 2 MiB, which takes 0.3 ms to make. Private to the hub layer.
 */
#ifndef CHATD_SRC_HUB_LARGE_H
#define CHATD_SRC_HUB_LARGE_H

#include <stdbool.h>
#include <stdint.h>

/* Has one at an address that is a multiple of HUB_ALIGN; false: the kernel does
 * not. */
bool large_page(uint8_t *at);

#endif
