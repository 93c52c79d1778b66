/* count: see count.c. */
#ifndef CHATD_TESTS_COUNT_H
#define CHATD_TESTS_COUNT_H

#include "process/child.h"

void count_main(struct child_start *start);

#endif
