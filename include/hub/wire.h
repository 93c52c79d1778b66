/*
 * wire: what transports know of connections (net/transport.h): keys, and
 * records that have not come whole. It lies in a memory file of its own beside
 * the shared memory. Workers alone map it: no process that does not need a key
 * can read one.
 *
 * Each number of a connection has its places in the file, however many numbers
 * there are, so the file goes on over an upgrade as it is, also where the
 * shared memory is copied. It is as large as it can get from its start on, and
 * sparse. Layer 2.
 */
#ifndef CHATD_HUB_WIRE_H
#define CHATD_HUB_WIRE_H

#include <stdbool.h>

#include "hub/shm.h"

enum {
	/* Where the first SHM_REST bytes lie; before that is what transports
	 * know. */
	WIRE_REST_AT = 1024 * 1024 * 1024,
	WIRE_SLOTS = WIRE_REST_AT / SHM_WIRE,
	WIRE_PLACES = 64 /* bytes of wire_places() */
};

/* Makes the file, sealed against any change of its size. Returns its
 * descriptor, close-on-exec, or -1 and errno. */
int wire_create(void);

/* Where everything is in the file, as text: two programs that have the same go
 * on with one file. */
const char *wire_places(void);

/* Maps it for a hub's connections, not to be in a core dump. Returns 0, fd
 * being the caller's, or -1 and errno. */
int wire_attach(struct hub *h, int fd);

/* Keeps it out of this process's clones. Returns 0, or -1 and errno. */
int wire_own(struct hub *h);

/* Keeps what has keys from being swapped out. -1 and errno: it may be. */
int wire_lock(struct hub *h);

/* Unmaps it, if it is mapped. */
void wire_detach(struct hub *h);

#endif
