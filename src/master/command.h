/* What chatctl can ask for; the master's own. */
#ifndef CHATD_MASTER_COMMAND_H
#define CHATD_MASTER_COMMAND_H

#include <stdbool.h>
#include <sys/types.h>

struct answer;
struct master;

/* Carries out a command, given as arguments. */
void command_run(struct master *m, bool json, int argc, char **argv, uid_t uid,
    struct answer *a);

#endif
