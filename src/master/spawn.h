/* spawn: makes the next process of a place. */
#ifndef CHATD_SRC_MASTER_SPAWN_H
#define CHATD_SRC_MASTER_SPAWN_H

struct member;

/* Has the next worker of a place made, be it the first one. What cannot be made
 * now is tried again later. */
void spawn_worker(struct member *w);

#endif
