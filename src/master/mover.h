/* mover: the process that gives away what a place without a worker has. */
#ifndef CHATD_SRC_MASTER_MOVER_H
#define CHATD_SRC_MASTER_MOVER_H

#include <stdbool.h>

struct member;

void mover_init(struct member *w);
/* Whether there is one, or one is being made. */
bool mover_is_there(const struct member *w);
/* A link over which it gives; it is made if need be. -1 and errno: not now. */
int mover_connect(struct member *w);
void mover_leave(struct member *w);    /* it is not needed any more */
void mover_make_way(struct member *w); /* a worker is to follow */

#endif
