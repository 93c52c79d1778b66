/* reload: the configuration and the web page, read again by a reader. */
#ifndef CHATD_SRC_MASTER_RELOAD_H
#define CHATD_SRC_MASTER_RELOAD_H

#include <stdbool.h>
#include <sys/types.h>

struct control_wait;
struct master;

/* A wait (NULL: nobody asked) is finished with whole lines on what has not been
 * reloaded, if anything. */
void reload_begin(struct master *m, struct control_wait *wait);
bool reload_owns(const struct master *m, pid_t pid);
bool reload_died(struct master *m, pid_t pid); /* whether it was a reader */
void reload_end(struct master *m);

#endif
