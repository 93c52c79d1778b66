/* move: connections go on at another worker that lives. */
#ifndef CHATD_SRC_MASTER_MOVE_H
#define CHATD_SRC_MASTER_MOVE_H

#include <stdint.h>

struct member;

/* Of n connections. Returns 0, or -1 and errno. */
int move_connections(struct member *from, struct member *to, uint32_t n);

#endif
