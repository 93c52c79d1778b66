/* The kinds of children that chatd has: the one table of them. */
#include <stddef.h>

#include "keeper/keeper.h"
#include "master/roles.h"
#include "mover/mover.h"
#include "process/kinds.h"
#include "worker/worker.h"

const struct child_row kinds[] = {
    {&worker_kind, &worker_role}, {&keeper_kind, &keeper_role},
    {&mover_kind, NULL}, {NULL, NULL}};
