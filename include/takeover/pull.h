/*
 * pull: sockets that are in another table than this worker's, of which other
 * processes give duplicates: those of a worker whose keepers have died, and of
 * workers and keepers of a program from before keepers shared a table. Layer 4.
 */
#ifndef CHATD_TAKEOVER_PULL_H
#define CHATD_TAKEOVER_PULL_H

#include "codec/birth.h"

struct chat;

/* Brings the sockets of this worker's slots into its table, as far as the
 * givers have them. Owns the links; -1: there is none. A giver has them still
 * if this worker dies meanwhile. */
void pull_all(struct chat *ch, const int giver[BIRTH_GIVERS]);

#endif
