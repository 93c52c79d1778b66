/*
 * keeper: two tiny processes beside each worker that share its table of
 * descriptors (process/family.h). Layer 6.
 */
#ifndef CHATD_KEEPER_KEEPER_H
#define CHATD_KEEPER_KEEPER_H

#include "process/child.h"

extern const struct child_kind keeper_kind;

#endif
