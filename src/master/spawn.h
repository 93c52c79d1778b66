/* spawn: makes the next process of a slot. */
#ifndef CHATD_SRC_MASTER_SPAWN_H
#define CHATD_SRC_MASTER_SPAWN_H

#include <signal.h>

struct master;
struct member;

void spawn_child_drop(struct master *m);
void spawn_signals_reset(const sigset_t *mask);
void spawn_worker(struct member *w);

#endif
