/* writes: by which way workers send. */
#ifndef CHATD_SRC_MASTER_WRITES_H
#define CHATD_SRC_MASTER_WRITES_H

#include <stdbool.h>

struct master;

/* Says so, and once if io_uring is wanted and some worker has it not: when all
 * are ready, and when a later one is. */
void writes_tell(struct master *m, bool starting);

#endif
