/* problem: what SQLite's errors are to people. */
#ifndef CHATD_STORE_PROBLEM_H
#define CHATD_STORE_PROBLEM_H

#include <stddef.h>

#include "store/store.h"

/* rc: an extended code of SQLite's; system: the errno that came with it, 0:
 * none. */
enum store_result problem_result(int rc, int system);

/* One line: which file, what was done, what is wrong, what to do. */
void problem_text(char *out, size_t out_len, const char *path,
    const char *doing, int rc, int system);

#endif
