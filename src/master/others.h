/* others: the children that are neither workers nor keepers: so many of each
 * kind as its row says, from the start until the daemon ends. */
#ifndef CHATD_SRC_MASTER_OTHERS_H
#define CHATD_SRC_MASTER_OTHERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

struct master;

/* Whether the kinds' own programs are there: -1 with a message. Asked while
 * there is a way back; later, one that is gone is tried again and again. */
int others_check(const struct master *m, char *error, size_t error_len);
/* What children are given, and a place for each of the other kinds' children.
 * Called once memory is there. Returns 0, or -1 with a message. */
int others_init(struct master *m, char *error, size_t error_len);
/* Whether that was one; it is replaced. */
bool others_died(struct master *m, pid_t pid, int wait_status);
void others_time(struct master *m, uint64_t now); /* every timer period */
/* Those that may be looked at by the watchdog, and those that are not ready;
 * bit 0 has the line SHM_WORKERS. */
uint32_t others_lively(const struct master *m);
uint32_t others_starting(const struct master *m);
/* After an upgrade: replaces those of the former program one by one; how many
 * are left; whether one is on its way. */
void others_renew(struct master *m);
int others_left(const struct master *m);
bool others_renew_next(struct master *m, uint64_t now);
/* Lines "child ..." and "lines ..." of the state, and such a line by its key;
 * false: it makes no sense. */
void others_save(const struct master *m, FILE *f);
bool others_load(struct master *m, const char *key, const char *line);
void others_descriptors(const struct master *m, void (*f)(int fd));
void others_drop(struct master *m); /* in a child */
/* When all workers have left: tells them to leave, and ends and reaps those
 * that have not by clock_ms() limit_ms. */
void others_end(struct master *m, uint64_t limit_ms);

#endif
