/* kinds: the processes of the database, as the master knows them; what they do
 * is in the program that they execute, chatd-store. Layer 6. */
#ifndef CHATD_STORE_KINDS_H
#define CHATD_STORE_KINDS_H

#include "process/child.h"

/* As the configuration has them; without main. */
extern const struct child_kind store_kind, store_read_kind, store_task_kind;

/* Their mains: the one that writes; the one that finds pages for workers; one
 * that is started for a single task of chatctl's. */
void store_main(struct child_start *start);
void store_read_main(struct child_start *start);
void store_task_main(struct child_start *start);

#endif
