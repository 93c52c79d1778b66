/*
 * program: the program that children execute (process/executable.h), in a
 * sealed memory file. A reader reads it, at a start or in an upgrade's
 * rehearsal, and tries it: one of another build than chatd's is refused. So
 * between a child's death and the next one no disk is asked for anything.
 */
#ifndef CHATD_SRC_MASTER_PROGRAM_H
#define CHATD_SRC_MASTER_PROGRAM_H

#include <stddef.h>

struct bundle;
struct master;

/* In a reader: puts chatd-child into the bundle, or what is wrong with it.
 * `binary`: chatd's own file, NULL: unknown. */
void program_read(const char *binary, struct bundle *b);

/* Takes it from there; m->identity is known. `stuck` says what the reader was
 * waiting for. Returns 0, or -1 with a message. */
int program_take(struct master *m, const struct bundle *b, const char *stuck,
    char *error, size_t error_len);

/* Says in the log what is not as usual with it. */
void program_log(const struct master *m);

/* Only says whether it could be taken. */
int program_check(
    const struct bundle *b, const char *stuck, char *error, size_t error_len);

#endif
