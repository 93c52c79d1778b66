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
 * Runs until the link to the master ends. number: see hub/kept.h. In shared
 * memory it writes the words of what it keeps and a life sign in its worker's
 * line; it reads the slots.
 */
void keeper_main(const struct child_start *start, uint32_t number)
    __attribute__((noreturn));

#endif
