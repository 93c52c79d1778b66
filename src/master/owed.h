/* owed: messages to a child that must not get lost, whether or not its link has
 * room for them now. */
#ifndef CHATD_SRC_MASTER_OWED_H
#define CHATD_SRC_MASTER_OWED_H

struct child;

/* Sent in this order. */
enum owed {
	OWED_CONF = 1,
	OWED_DRAIN = 2, /* before START: a worker that drains never accepts */
	OWED_START = 4,
	OWED_RETIRE = 8,
	OWED_QUIT = 16,
	OWED_STOP = 32,
	OWED_PAGE = 64,
	OWED_PART = 128,
	OWED_HOLD = 256 /* to retire, and to hold its sockets then */
};

/* Owes a child that, and sends it if its link has room. */
void owed_add(struct child *c, unsigned what);
void owed_send(struct child *c); /* what is owed, as far as there is room */

#endif
