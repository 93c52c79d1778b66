/* Who is connected to the control socket; the master's own. One asks, is
 * answered, and leaves. */
#ifndef CHATD_MASTER_CLIENT_H
#define CHATD_MASTER_CLIENT_H

#include <stdbool.h>
#include <sys/queue.h>

#include "master/control.h"

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
	bool handed; /* another process answers, and has the connection */
};

struct clients {
	struct master *master;
	control_run run;
	TAILQ_HEAD(, client) list;
	int n;
	int limit_ms, later_ms; /* CONTROL_CLIENT_MS, CONTROL_LATER_MS */
};

void clients_init(struct clients *all, struct master *m, control_run run);

/* Takes a connection in, or turns it away with a reason. */
void client_new(struct clients *all, int fd);

/* Its connection. */
int client_fd(const struct client *cl);

/* Whether each of them waits for something that is done later. */
bool clients_are_idle(const struct clients *all);

/* Tells those that wait for something that its end will not be told. */
void clients_settle(struct clients *all, const char *why);

/* Writes what the sockets take at once. */
void clients_flush(struct clients *all);

/* Lets all go. */
void clients_drop(struct clients *all);

#endif
