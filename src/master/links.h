/* links: which processes have a link with each other: each worker with each
 * other one, and each reader of the journal with each worker. */
#ifndef CHATD_SRC_MASTER_LINKS_H
#define CHATD_SRC_MASTER_LINKS_H

struct child;

/* A child is ready: it is linked with those that are, or noted to be. */
void links_hello(struct child *c);
/* Tries again what could not be done. */
void links_time(struct child *c);

#endif
