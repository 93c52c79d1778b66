/* publish: a worker's publications, and their delivery to its connections.
 * Layer 3. */
#ifndef CHATD_ROOM_PUBLISH_H
#define CHATD_ROOM_PUBLISH_H

#include "conn/chat.h"
#include "hub/publisher.h"

/* Prepares publishing, and following what others publish; once the hub is
 * known. */
void publish_init(struct chat *ch);

/* publisher_publish() for this worker: refusals are counted and logged, the
 * other workers are sent a relay, and deliver_settle() delivers it here. */
enum publish_result
publish(struct chat *ch, const char *name, size_t len, enum publish_to to,
    const struct publishing *what, struct publication *out, uint64_t *mask);

/* Delivers what this turn has published, if anything: an answer appended
 * afterwards comes behind it. */
void deliver_settle(struct chat *ch);

/* Reads one publication from the journal; what *p points to is good until the
 * next is read. */
enum journal_result
publication_read(struct chat *ch, uint64_t position, struct publication *p);

/* Delivers to one connection that comes from another worker what lies between
 * its newest and this worker's cursor; SLOT_MOVED is done then. */
void deliver_missed(struct chat *ch, uint32_t conn);

/* Delivers what lies between this worker's cursor and the tail, or what is left
 * of a turn's share of it, which ends the share. True if there is more. */
bool deliver(struct chat *ch);

/*
 * Before a turn writes: whether it is to look at input once more, as it writes
 * to many and more is coming. Delivers here, then relays, what there is.
 */
bool deliver_gathers(struct chat *ch);

/* Delivers all that has been accepted by now. */
void deliver_all(struct chat *ch);

#endif
