/* children: what the master does for each of its children, of whatever kind:
 * finds it, starts and replaces it, listens to it, sees that it gets ready and
 * leaves in time. What differs is in its kind's role (process/child.h). */
#ifndef CHATD_SRC_MASTER_CHILDREN_H
#define CHATD_SRC_MASTER_CHILDREN_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

#include "process/child.h"

/* The i-th child: workers, movers, keepers, then all others; NULL: there are no
 * more. One whose kind is NULL is none. */
struct child *children_at(const struct master *m, unsigned i);
/* The one with that line. */
struct child *children_with_line(const struct master *m, int line);

/* Makes the next process of a child, with what its kind alone is told, and
 * listens to it. False: not now, it is tried again. */
bool children_start(struct child *c, const void *birth);
/* One that another process makes is there. */
void children_made(struct child *c);
/* Takes up one that the program before this one has started. Returns 0, or -1.
 */
int children_adopt(struct child *c);
/* Listens to a child's link, if it is one that is listened to. Returns 0, or
 * -1. */
int children_listen(struct child *c);
void children_ignore(struct child *c); /* listens no more */
void children_read(struct child *c);   /* its link has something to say */

/* Whether that was one; it is replaced. */
bool children_died(struct master *m, pid_t pid, int status);
void children_time(struct master *m, uint64_t now); /* every timer period */
void children_conf(struct master *m); /* there are other settings */

/* After an upgrade: those that there are are the former program's; how many of
 * these are left. */
void children_age(struct master *m);
int children_old(const struct master *m);

/* In the state for the next program: their lines, and such a line by its key.
 */
void children_save(const struct master *m, FILE *f);
enum child_load
children_load(struct master *m, const char *key, const char *text);
/* Calls f for each link that the next program goes on with. */
void children_descriptors(const struct master *m, void (*f)(int fd));

#endif
