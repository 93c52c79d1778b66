/*
 * mover: acts for a place that has no worker for a while. It is a process of
 * the family like a worker, so that the sockets stay where they are; it gives
 * them, as they are asked for, to living workers that go on with the
 * connections, and closes those that go on elsewhere. Layer 6; meets the master
 * in messages only.
 *
 * It reads no client's byte, and of shared memory it writes its place's line
 * alone.
 */
#ifndef CHATD_MOVER_MOVER_H
#define CHATD_MOVER_MOVER_H

#include "process/child.h"

extern const struct child_kind mover_kind;

#endif
