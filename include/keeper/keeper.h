/*
 * keeper: a tiny process beside each worker that holds duplicates of its
 * client sockets and does nothing else. Layer 4; meets master and worker in
 * messages only.
 */
#ifndef CHATD_KEEPER_KEEPER_H
#define CHATD_KEEPER_KEEPER_H

#include "hub/shm.h"

/*
 * The master's word over the control link. LINK, with one end of a new custody
 * link: first the former worker's link is read to its end; then the worker at
 * the new one may ask for what is in custody (CUSTODY_ROOM) and hand over what
 * it has. CHECK, without a descriptor: whatever has ended, or has gone on at
 * another worker, is closed.
 */
enum keeper_order { KEEPER_LINK = 1, KEEPER_CHECK };

/*
 * Runs until the control link ends. Called in the child after the fork, with
 * privileges dropped and nothing inherited but control. number: see hub/kept.h.
 * In shared memory it writes the words of what it keeps and a life sign in
 * worker's line; it reads the slots.
 */
void keeper_main(struct hub *h, int worker, uint32_t number, int control)
    __attribute__((noreturn));

#endif
