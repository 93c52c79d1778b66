/* drop: what a child gives up of the master's (struct nursery). */
#ifndef CHATD_SRC_MASTER_DROP_H
#define CHATD_SRC_MASTER_DROP_H

void drop_all(void *master);

#endif
