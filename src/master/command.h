/* What chatctl can ask for; the master's own. */
#ifndef CHATD_MASTER_COMMAND_H
#define CHATD_MASTER_COMMAND_H

#include <stdbool.h>
#include <sys/types.h>

struct evbuffer;
struct master;
struct report;

/* An answer: what is in text, then the report's parts, if there is one. */
struct answer {
	bool refused;
	struct evbuffer *text;
	struct report *report;
};

/* Does what the arguments say. */
void command_run(struct master *m, bool json, int argc, char **argv, uid_t uid,
    struct answer *a);

#endif
