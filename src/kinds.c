/* The kinds of children that chatd has: the one table of them. */
#include <stddef.h>

#include "keeper/keeper.h"
#include "process/kinds.h"
#include "worker/worker.h"

const struct child_kind *const kinds[] = {&worker_kind, &keeper_kind, NULL};
