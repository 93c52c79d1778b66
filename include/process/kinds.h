/* kinds: the one table of the kinds of children that a program has, one without
 * a kind behind the last; src/kinds.c. A main program hands it to
 * child_kinds_use(). */
#ifndef CHATD_PROCESS_KINDS_H
#define CHATD_PROCESS_KINDS_H

#include "process/child.h"

extern const struct child_row kinds[];

#endif
