/* roles: the master's side of those kinds of children that it treats in their
 * own way (process/child.h). Layer 6. */
#ifndef CHATD_MASTER_ROLES_H
#define CHATD_MASTER_ROLES_H

#include "process/child.h"

extern const struct child_role worker_role;   /* as many as configured */
extern const struct child_role keeper_role;   /* two for each worker */
extern const struct child_role mover_role;    /* in a worker's place */
extern const struct child_role eraser_role;   /* answers MSG_ERASE */
extern const struct child_role beginner_role; /* begins with connections */

#endif
