/* valgrind: whether a test runs under it. It keeps limits of descriptors to
 * itself, so the kernel does not know of them, and makes system calls of its
 * own, which the keeper's filter kills. */
#ifndef CHATD_TESTS_VALGRIND_H
#define CHATD_TESTS_VALGRIND_H

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* It is loaded into the program by this variable. */
static inline bool
valgrind_runs(void)
{
	const char *preload = getenv("LD_PRELOAD");

	return preload != NULL && strstr(preload, "vgpreload") != NULL;
}

#endif
