/*
 * chat: a worker's connections and rooms, and its links to the other workers,
 * together: made, run turn by turn and looked after. Layer 6; needs no master.
 */
#ifndef CHATD_WORKER_CHAT_H
#define CHATD_WORKER_CHAT_H

#include "conn/chat.h"

/* Makes everything; returns 0, or -1 and errno. The caller sets the doors,
 * and who judges requests. */
int chat_init(struct chat *ch, struct hub *h, const struct conf_live *live,
    struct event_base *base, struct batch *batch);

/* Sets the doors that connections may be at, a list that NULL ends, and with
 * that the dialects. False: there are too many of these, or a framing is
 * missing. */
bool chat_set_doors(struct chat *ch, const struct door *const *doors);

/* Whether the loop is to look at input once more, without waiting, before the
 * turn ends: what it has to write goes to many, and more is coming. */
bool chat_gathers(struct chat *ch);

/* The end of a loop turn. Returns milliseconds until there is more to do: 0 =
 * at once, -1 = when something happens. */
int chat_turn(struct chat *ch);

/* Applies reloaded limits. */
void chat_reconfigure(struct chat *ch, const struct conf_live *live);

/* Deadlines of a part of the connections; every 100 ms. */
void chat_sweep(struct chat *ch);

/* Takes up the link to another worker, or one in place of it; owns fd. */
void chat_link(struct chat *ch, int peer, uint32_t generation, int fd);

#endif
