/* others: the children that are neither workers nor keepers: so many of each
 * kind as its row says, from the start until the daemon ends. */
#ifndef CHATD_SRC_MASTER_OTHERS_H
#define CHATD_SRC_MASTER_OTHERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct child_role;
struct master;

extern const struct child_role other_role; /* of a kind that names none */

/* Whether the kinds' own programs are there: -1 with a message. Asked while
 * there is a way back; later, one that is gone is tried again and again. */
int others_check(const struct master *m, char *error, size_t error_len);
/* Before the memory is copied: has all of them leave, and starts none until
 * others_return(); whether they are gone. They go on where they were: the
 * cursors of their lines go with the state. */
void others_dismiss(struct master *m);
bool others_are_gone(const struct master *m);
void others_return(struct master *m);
/* What children are given, and a place for each of the other kinds' children.
 * Called once memory is there. Returns 0, or -1 with a message. */
int others_init(struct master *m, char *error, size_t error_len);
/* Takes up those that the program before this one started. Returns 0, or -1. */
int others_adopt(struct master *m);
/* At a start: starts those that are to be there before the chat is served;
 * whether one of them is still waited for. */
bool others_first(struct master *m);
/* Whether that was one of a kind that this program does not have. */
bool others_stranger_died(struct master *m, pid_t pid);
/* Those that may be looked at by the watchdog, and those that are not ready;
 * bit 0 has the line SHM_WORKERS. */
uint32_t others_lively(const struct master *m);
uint32_t others_starting(const struct master *m);
uint32_t others_reading(const struct master *m); /* the journal */
/* After an upgrade: replaces those of the former program one by one; whether
 * one is on its way. */
bool others_renew_next(struct master *m, uint64_t now);
/* Exchanges the keys of TLS with another configuration; who is told something
 * else at its birth from then on is replaced, but for those that begin with
 * connections. */
struct conf;
void others_change(struct master *m, struct conf *next);
/* A line "child ..." of the state; false: it makes no sense. */
bool others_load(struct master *m, const char *line);
/* When all workers have left: tells them to leave, and ends and reaps those
 * that have not by clock_ms() limit_ms. */
void others_end(struct master *m, uint64_t limit_ms);

#endif
