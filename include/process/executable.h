/*
 * executable: a kind of child that is a program of its own, since it needs
 * libraries that no other process shall map. Built from the same tree: it must
 * know the same layout of shared memory. Layer 5.
 *
 * It lies in libexec/chatd, beside the folder that chatd is in (sbin, or
 * build), or where `make install` puts it. The child executes it with its
 * descriptors at fixed numbers and a passport: a file with what it is.
 */
#ifndef CHATD_PROCESS_EXECUTABLE_H
#define CHATD_PROCESS_EXECUTABLE_H

#include <limits.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct child;
struct child_kind;
struct nursery;

/* Descriptors of the child's that cross the exec. */
struct passport {
	int file, link, log, hub, page; /* -1: none */
};

/* In the child, while it has all that is the master's. Fatal if it cannot. */
void passport_write(struct passport *p, const struct child *c,
    const struct nursery *n, int link, pid_t parent);

/* Where the kind's executable is. Returns 0, or -1 and one line in error, which
 * names what was looked for. `binary`: chatd's own file, NULL: unknown. */
int executable_find(const struct child_kind *kind, const char *binary,
    char path[PATH_MAX], char *error, size_t error_len);

/* In the child, as its last act. */
void executable_run(const struct passport *p, const struct child_kind *kind,
    const char *binary) __attribute__((noreturn));

/*
 * The executable's main(): goes on with the kind's main as a fork would. It
 * says in the log, and ends with status 1, if the layout of shared memory is
 * not this program's.
 */
int executable_main(int argc, char **argv, const struct child_kind *kind);

#endif
