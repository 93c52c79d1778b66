/*
 * kept: which channels are readers' (hub/presence.h: flags), and what a
 * publication in them waits for, by the rules of the configuration. Layer 3.
 *
 * READER_STORE has those whose rule says `store`. In kill builds with
 * READER_HOOKS the name says what that does, or the user's name of a user's own
 * channel: one that begins with "told" is read, "kept" must be read, in "acked"
 * the sender waits until it is, in "strict" all others do, too.
 */
#ifndef CHATD_ROOM_KEPT_H
#define CHATD_ROOM_KEPT_H

#include "conn/chat.h"

/* The rules that a process goes by. */
struct kept_rules {
	const struct hub *hub;
	const struct conf_live *live;
	bool settles; /* a publication may have to wait for some of them */
};

/* New presence entries that this process makes have their flags by these
 * settings; k stays where it is. */
void
kept_use(struct kept_rules *k, struct hub *h, const struct conf_live *live);

/* New presence entries have their flags by the rules from now on; those that
 * are there are looked at by kept_sweep(). Once the hub is known. */
void kept_init(struct chat *ch);

/* The rules have changed: kept_sweep() begins anew. */
void kept_redo(struct chat *ch);

/* Gives entries that are there the flags that the rules say, some in each call,
 * and all again each minute; ten times a second. */
void kept_sweep(struct chat *ch);

/* What a message to a channel of that name waits for: enum publication_flag, of
 * WAITS and PROPOSED. */
uint8_t kept_settle(const struct chat *ch, const char *name, size_t len);

#endif
