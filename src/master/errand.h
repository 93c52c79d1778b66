/*
 * errand: children that are started for one command of chatctl's each, such as
 * a copy of the database: what takes long, or reads files, and must not stop
 * the master. Such a child gets the connection, answers by itself, and ends;
 * the master does not wait for it, and an upgrade does not end it.
 */
#ifndef CHATD_SRC_MASTER_ERRAND_H
#define CHATD_SRC_MASTER_ERRAND_H

#include <stdbool.h>
#include <stdio.h>
#include <sys/types.h>

#include "process/identity.h"

struct answer;
struct bundle;
struct master;

/* At once. Larger: more of them read the disk at the same time; smaller: who
 * asks second is refused. */
enum { ERRANDS_MAX = 4 };

struct errands {
	pid_t pid[ERRANDS_MAX];	  /* 0: none */
	struct identity identity; /* whom they become; drop: not as all do */
};

/* Whom they become. */
void errands_take_user(struct master *m, const struct bundle *b);

/* Has the client's command done by such a child, from its words. Returns NULL,
 * or why it cannot be: the client is still to be answered. */
const char *errand_begin(
    struct master *m, struct answer *a, bool json, int argc, char **argv);

/* What the next program needs, as lines, and such a line. */
void errands_save(const struct master *m, FILE *f);
bool errand_load(struct master *m, const char *text);

bool errand_owns(const struct master *m, pid_t pid);
bool errand_died(struct master *m, pid_t pid, int status);

#endif
