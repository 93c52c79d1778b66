/*
 * giver: processes outside of a place's family that have sockets of its
 * connections: a worker that was told to hold them, since its keepers are dead,
 * or since a program before this one is replaced, and a keeper of such a
 * program. The next worker gets them over a link to each.
 */
#ifndef CHATD_SRC_MASTER_GIVER_H
#define CHATD_SRC_MASTER_GIVER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct child;
struct master;
struct member;

/* In the order in which they are asked. */
enum giver { GIVER_WORKER, GIVER_KEEPER, GIVERS };

void giver_init(struct member *w);
/* The process of the worker, or of its mover, becomes one. */
void giver_hold(struct member *w, struct child *c);
/* Links to all of them, -1: there is none. False and errno: one that lives
 * cannot be reached now, and to go on without it would lose what it has. */
bool giver_link(struct member *w, int fd[GIVERS]);
void giver_unlink(int fd[GIVERS]);
/* A link to one of them. -1 and errno, 0: it is dead, and has nothing. */
int giver_connect(struct member *w, enum giver which);
bool giver_lives(const struct member *w, enum giver which);
bool giver_is(const struct member *w, pid_t pid);
/* Whether that was one, which is forgotten. */
bool giver_died(struct master *m, pid_t pid);
/* It is not needed any more. */
void giver_end(struct member *w, enum giver which);
void giver_end_all(struct member *w);
void giver_time(struct member *w, uint64_t now); /* every timer period */
/* At the daemon's end: kills and reaps all, until clock_ms() is limit_ms. */
void giver_stop(struct member *w, uint64_t limit_ms);
void giver_descriptors(const struct member *w, void (*f)(int fd));

#endif
