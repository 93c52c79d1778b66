/* mask: the masks of presence entries, and what is told and asked of entries in
 * the journal; private to the hub layer. */
#ifndef CHATD_SRC_HUB_MASK_H
#define CHATD_SRC_HUB_MASK_H

#include "hub/journal.h"

/* Which workers have an entry from now on, with what is charged for that: after
 * FORMAT_ONLINE, OFFLINE, OCCUPIED or VACATED. May be done again. Lock held;
 * the entry is that of the event, in the same incarnation. */
void presence_mask_redo(struct hub *h, uint32_t entry, uint64_t mask);

/* An entry comes to be had by workers, or by none any more, where readers want
 * events: this entry of the journal commits it. False: its name is corrupted,
 * nothing is told. Lock held. */
bool presence_tell(struct hub *h, uint32_t entry, uint64_t mask);

/* Asks an entry's opener where its channel stands: by FORMAT_OPEN, or, of one
 * that is too far behind, whose share questions must not fill, by the entry's
 * flags alone, where reader_opening() finds them. Lock held. */
void
presence_ask(struct hub *h, uint32_t entry, uint8_t opener, enum open_ask ask);

#endif
