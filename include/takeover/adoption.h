/*
 * adoption: connections of a dead worker that has no replacement yet go on
 * here. A mover gives their sockets, a batch at a time; what there is no room
 * for stays where it is. Layer 4; one per process.
 */
#ifndef CHATD_TAKEOVER_ADOPTION_H
#define CHATD_TAKEOVER_ADOPTION_H

#include <stdbool.h>
#include <stdint.h>

struct chat;
struct message_adopt;
struct message_clean;
struct message_cleaned;

/* What the worker does for it. */
struct adoption_host {
	/* How many more connections can go on here. */
	uint32_t (*room)(const struct chat *ch);
	/* Tells the master how an order went; false: not now, its link is full.
	 */
	bool (*cleaned)(struct chat *ch, const struct message_cleaned *done);
};

/* Before the first order; *host stays. */
void adoption_init(struct chat *ch, const struct adoption_host *host);

/* The master's orders. To adopt: `link`, owned from now on, leads to who has
 * the dead worker's sockets. Orders are carried out one after another. */
void adoption_order(const struct message_adopt *what, int link);

/* Answers an order to adopt whose link was lost on its way: there is no room
 * here. */
void adoption_refuse(const struct message_adopt *what);

/* Clears what a worker left that has no replacement yet. */
void adoption_clean(const struct message_clean *m);

/* Whether nothing is on its way here and nothing is owed to the master. */
bool adoption_is_idle(void);

/* Goes on with what had to wait; once a turn. Milliseconds after which it wants
 * to be called again, -1: not. */
int adoption_turn(void);

#endif
