/* upgrade: to another program, or this one again. */
#ifndef CHATD_SRC_MASTER_UPGRADE_H
#define CHATD_SRC_MASTER_UPGRADE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct evbuffer;
struct master;

/* path NULL: the program that runs. -1 with a message: refused at once; how it
 * went on is what upgrade_show() says. */
int upgrade_begin(
    struct master *m, const char *path, char *error, size_t error_len);
bool upgrade_owns(const struct master *m, pid_t pid);
bool upgrade_died(struct master *m, pid_t pid, int wait_status);
void upgrade_time(struct master *m, uint64_t now);
void upgrade_end(struct master *m); /* it is not to be executed any more */
void upgrade_show(const struct master *m, bool json, struct evbuffer *out);

#endif
