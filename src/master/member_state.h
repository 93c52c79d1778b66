/* member_state: a worker's place in the state for the next program
 * (process/child.h: save, load). All lines of a place come after its
 * "member". */
#ifndef CHATD_SRC_MASTER_MEMBER_STATE_H
#define CHATD_SRC_MASTER_MEMBER_STATE_H

#include <stdio.h>

#include "process/child.h"

void member_save(const struct child *c, FILE *f);
enum child_load
member_load(struct master *m, const char *key, const char *text);
void mover_save(const struct child *c, FILE *f);

#endif
