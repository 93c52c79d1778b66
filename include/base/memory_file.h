/* memory_file: a file in memory that another process gets by its descriptor.
 * Layer 0. */
#ifndef CHATD_BASE_MEMORY_FILE_H
#define CHATD_BASE_MEMORY_FILE_H

#include <stddef.h>

/* An empty one, close-on-exec, that can be sealed and not executed: some
 * machines refuse all others (vm.memfd_noexec). Returns its descriptor, or -1
 * and errno. */
int memory_file(const char *name);

/* One that can be executed; EACCES: the machine refuses that. */
int memory_file_program(const char *name);

/* Writes all that is to be in such a file, and seals it: nobody can change it
 * any more. Returns fd; or -1 and errno, and it is closed. fd -1: there is
 * none, and errno says why. */
int memory_file_fill(int fd, const void *bytes, size_t len);

#endif
