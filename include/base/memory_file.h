/* memory_file: a file in memory that another process gets by its descriptor.
 * Layer 0. */
#ifndef CHATD_BASE_MEMORY_FILE_H
#define CHATD_BASE_MEMORY_FILE_H

/* An empty one, close-on-exec, that can be sealed and not executed: some
 * machines refuse all others (vm.memfd_noexec). Returns its descriptor, or -1
 * and errno. */
int memory_file(const char *name);

/* One that can be executed; EACCES: the machine refuses that. */
int memory_file_program(const char *name);

#endif
