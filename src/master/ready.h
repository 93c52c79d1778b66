/* ready: what is said when all workers are ready. */
#ifndef CHATD_SRC_MASTER_READY_H
#define CHATD_SRC_MASTER_READY_H

struct master;

void ready_log_room(const struct master *m);
void ready_log_address(const struct master *m);

#endif
