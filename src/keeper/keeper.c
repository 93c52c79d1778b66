#include "keeper/keeper.h"

#include <stddef.h>

/* It has no main: what it does is in process/family_keeper.c, in an image that
 * it shares with the process that made it. */
const struct child_kind keeper_kind = {.name = "keeper",
    .n = CHILD_EACH_WORKER,
    .gets = CHILD_MUTE,
    /* longer: a worker is without one, and its death may disconnect */
    .backoff_max_ms = 1000};
