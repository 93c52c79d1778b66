/* announce: see announce.c. */
#ifndef CHATD_TESTS_ANNOUNCE_H
#define CHATD_TESTS_ANNOUNCE_H

#include "process/child.h"

void announce_main(struct child_start *start);

#endif
