/*
 * keeper: a tiny process beside each worker that holds duplicates of its
 * client sockets and does nothing else. Layer 4; meets master and worker in
 * messages only.
 */
#ifndef CHATD_KEEPER_KEEPER_H
#define CHATD_KEEPER_KEEPER_H

#include "hub/shm.h"

/*
 * The master's word over the control link, each with one end of a new custody
 * link. HAND_BACK: first the dead worker's link is read to its end, then the
 * worker at the new one gets duplicates of everything in custody and
 * CUSTODY_DONE. FILL: the worker at the new link will send what it has, or the
 * keeper before this one will, which gets HAND_BACK with the other end.
 * FORGET (no descriptor): everything in custody is closed.
 */
enum keeper_order { KEEPER_HAND_BACK = 1, KEEPER_FILL, KEEPER_FORGET };

/*
 * Runs until the control link ends. Called in the child after the fork, with
 * privileges dropped and nothing inherited but control. hub is used for its
 * number of slots and for a life sign in worker's line only.
 */
void
keeper_main(struct hub *h, int worker, int control) __attribute__((noreturn));

#endif
