/*
 * opening: what readers of the journal (hub/reader.h) have put into it for
 * workers; and channels that a client has from the server, and that open behind
 * its connect: its own, and those of its token. Until FORMAT_OPENED is
 * delivered nothing of such a channel is; the door tells it as where the
 * channel stands. Layer 3.
 */
#ifndef CHATD_ROOM_OPENING_H
#define CHATD_ROOM_OPENING_H

#include "conn/chat.h"
#include "hub/journal.h"
#include "hub/subscription.h"

/* Tells those of an entry of FORMAT_RESULT and above whom it concerns without
 * their channels. True: it is to be delivered to who has its channel, too. */
bool opening_take(struct chat *ch, const struct publication *p);

/* Whether a subscription waits for its channel to open: its client knows that
 * it is connected, and not yet where the channel stands. */
bool opening_is_for(const struct slot *conn, const struct subscription *sub);

/* What was to be told of a connection for a publication is told; sub NULL: in
 * the user's own channel. By FORMAT_OPENED, which stands in the output, its
 * client knows where the channel stands, and gets from there on what is
 * published. One that is on its way to another worker was not told, and is not
 * this worker's to write; nor one that is told first what came while its user
 * was away. */
void opening_done(struct chat *ch, uint32_t conn, struct subscription *sub,
    const struct publication *p);

static inline void
opening_told(struct chat *ch, uint32_t conn, struct subscription *sub,
    const struct publication *p)
{
	if (p->format == FORMAT_OPENED)
		opening_done(ch, conn, sub, p);
}

/* A client waits for FORMAT_OPENED of a channel: has it asked for once more if
 * need be. True: it will not come any more: the ring has overwritten it, or the
 * channel has no reader now. */
bool opening_is_lost(struct chat *ch, uint32_t channel);

/* Every 100 ms: channels that commands wait for are asked for once more if they
 * were opened in vain, unseen, and waited for no more if they have no reader
 * now. */
void opening_sweep(struct chat *ch);

#endif
