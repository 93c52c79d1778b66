/*
 * keeper: a tiny process beside each worker that holds duplicates of its
 * client sockets and does nothing else. Layer 6; meets master and worker in
 * messages only.
 */
#ifndef CHATD_KEEPER_KEEPER_H
#define CHATD_KEEPER_KEEPER_H

#include "codec/custody.h"
#include "hub/shm.h"
#include "process/child.h"

extern const struct child_kind keeper_kind;

/*
 * Runs until the control link ends. Called in the child after the fork, with
 * privileges dropped and nothing inherited but control. number: see hub/kept.h.
 * In shared memory it writes the words of what it keeps and a life sign in
 * worker's line; it reads the slots.
 */
void keeper_main(struct hub *h, int worker, uint32_t number, int control)
    __attribute__((noreturn));

#endif
