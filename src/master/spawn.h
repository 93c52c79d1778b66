/* spawn: makes the next process of a place. */
#ifndef CHATD_SRC_MASTER_SPAWN_H
#define CHATD_SRC_MASTER_SPAWN_H

struct member;

/* Start and respawn in one. A failure is tried again later; so is what would
 * lose the connections of the one before. */
void spawn_worker(struct member *w);

#endif
