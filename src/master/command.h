/* What chatctl can ask for; the master's own. */
#ifndef CHATD_MASTER_COMMAND_H
#define CHATD_MASTER_COMMAND_H

#include <stdbool.h>
#include <sys/types.h>

struct client;
struct evbuffer;
struct master;
struct order;
struct report;

/* An answer: what is in text, then the report's parts, if there is one. With an
 * order it is given when that is done, and after control_later(client) by
 * control_finish(). */
struct answer {
	struct client *client;
	bool refused;
	struct evbuffer *text;
	struct report *report;
	struct order *order;
};

/* Does what the arguments say. */
void command_run(struct master *m, bool json, int argc, char **argv, uid_t uid,
    struct answer *a);

#endif
