/*
 * fdstore: what the service manager keeps while chatd is dead (systemd's file
 * descriptor store): listeners, shared memory, and what it was made with. So
 * journal, offsets and epochs outlive the master, and clients that come back
 * recover what they missed. Layer 4.
 */
#ifndef CHATD_MASTER_FDSTORE_H
#define CHATD_MASTER_FDSTORE_H

#include "net/listener.h"

struct fdstore {
	int hub, state; /* -1: none */
	int listener[LISTENER_MAX], n_listeners;
};

/*
 * Takes the descriptors that $LISTEN_FDS and $LISTEN_FDNAMES say are
 * inherited, closes all other ones above 2, and forgets the environment's
 * words.
 */
void fdstore_inherit(struct fdstore *s);

#endif
