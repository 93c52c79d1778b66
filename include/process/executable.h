/*
 * executable: how a child becomes a program anew, so that nobody who has
 * learned where something lies in one process knows it of another one, and
 * goes on there with its kind's main. Layer 5.
 *
 * All children execute one program, chatd-child, whose file the master has in
 * memory, so that no disk is in the way of one. A kind that needs libraries
 * that no other process shall map has a program of its own. Both lie in
 * libexec/chatd, in the folder that chatd is in (build), beside that folder
 * (sbin), or where `make install` puts it, and come from the same build as
 * chatd: they must know the same layout of shared memory.
 */
#ifndef CHATD_PROCESS_EXECUTABLE_H
#define CHATD_PROCESS_EXECUTABLE_H

#include <limits.h>
#include <stddef.h>
#include <sys/types.h>

#include "process/passport.h"

#define EXECUTABLE_CHILD "chatd-child"
/* Its options: what it is to be. */
#define EXECUTABLE_PLAIN "-C"	/* with a passport's descriptor */
#define EXECUTABLE_FAMILY "-F"	/* with a generation: process/family.h */
#define EXECUTABLE_VERSION "-V" /* prints executable_version() */
/* Of a kind that is tried (process/child.h), and its words: status 1 and lines
 * on standard error, if something is refused. A line that begins with
 * EXECUTABLE_WARNING is none of these. */
#define EXECUTABLE_TRY "-T"
#define EXECUTABLE_WARNING "warning: "

enum { EXECUTABLE_VERSION_MAX = 128 };

/* What two programs of one build have in common: version, layout, and what a
 * passport is. */
void executable_version(char out[EXECUTABLE_VERSION_MAX]);

/* In the child, while it has all that is the master's: fills in the passport,
 * with descriptors. Fatal if it cannot. */
void executable_pack(struct passport_page *page, const struct child *c,
    const struct nursery *n, const void *birth, int link, pid_t parent);

/* Where a program of that name is. Returns 0, or -1 and one line in error,
 * which names what was looked for. `binary`: chatd's own file, NULL: unknown.
 */
int executable_find(const char *name, const char *binary, char path[PATH_MAX],
    char *error, size_t error_len);

/* In the child, as its last act: becomes what the passport says. */
void
executable_run(const struct passport_page *page, const struct child_kind *kind,
    const struct nursery *n) __attribute__((noreturn));

/*
 * The program's main(): goes on with a kind's main as a fork would; kind NULL:
 * with the one that the passport names, after child_kinds_use() and
 * title_init(). It says in the log, and ends with
 * status 1, if the layout of shared memory is not this program's.
 */
int executable_main(int argc, char **argv, const struct child_kind *kind);

#endif
