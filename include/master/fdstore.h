/*
 * fdstore: what the service manager keeps while chatd is dead (systemd's file
 * descriptor store): listeners, shared memory, and what it was made with. So
 * journal, offsets and epochs outlive the master, and clients that come back
 * recover what they missed. Layer 6.
 */
#ifndef CHATD_MASTER_FDSTORE_H
#define CHATD_MASTER_FDSTORE_H

#include <stdbool.h>

#include "net/listener.h"

struct master;

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

void fdstore_listeners(struct master *m); /* before any is bound */
bool fdstore_hub(struct master *m);	  /* false: nothing that is of use */
void fdstore_put(struct master *m);	  /* for the next time */
void fdstore_renew(struct master *m);	  /* other memory than before */
void fdstore_leave(void); /* nobody shall wait for the next time */

#endif
