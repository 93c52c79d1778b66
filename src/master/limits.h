/* limits: those of the memory that is made for a copy, as a line of text
 * between the rehearsal, the master and the child that copies. Private to the
 * master. */
#ifndef CHATD_MASTER_LIMITS_H
#define CHATD_MASTER_LIMITS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "hub/shm.h"

/* Writes the limits, and the configuration's connections, without a line feed.
 * Returns the length, as snprintf() does. */
int limits_print(
    char *out, size_t len, const struct hub_limits *l, uint32_t connections);

/* Reads what a text begins with; false: not understood. A program before
 * readers of the journal writes none of them and passes none on. */
bool limits_read(const char *text, struct hub_limits *l, uint32_t *connections);

#endif
