/* core: shared memory in a core file. Private to src/show. */
#ifndef CHATD_SRC_SHOW_CORE_H
#define CHATD_SRC_SHOW_CORE_H

#include <stdbool.h>
#include <stddef.h>

/* Whether a file is a core file. */
bool core_is(int fd);

/* Takes the memory out of it: *base, which the caller unmaps, and *size.
 * Returns 0, or -1 with a sentence. */
int core_read(int fd, void **base, size_t *size, char *error, size_t error_len);

#endif
