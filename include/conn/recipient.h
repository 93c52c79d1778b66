/*
 * recipient: all that rooms may do with a connection. Of struct conn they read
 * `phase`, `door` and `dialect`, and `present` and `user`, which are theirs
 * while it is open, in place: it is done for each recipient. Layer 3.
 */
#ifndef CHATD_CONN_RECIPIENT_H
#define CHATD_CONN_RECIPIENT_H

#include "codec/framing.h"
#include "conn/chat.h"
#include "hub/output.h"

/* Whether connections at the door of that id are in the lobby; another worker
 * may have written the id. */
static inline bool
conn_door_lobby(const struct chat *ch, uint8_t door)
{
	return door < DOOR_IDS && ch->lobby_doors & 1u << door;
}

/* Whether its door makes a connection a member of the lobby. */
static inline bool
conn_in_lobby(const struct chat *ch, uint32_t i)
{
	return ch->lobby_doors & 1u << ch->conn[i].door;
}

/* The next connection with a slot after *i (SHM_NONE to begin); false: no
 * more. */
bool conn_next(struct chat *ch, uint32_t *i);

/* frame_build that makes room when memory is short: what can be written is
 * written, then memory is compacted, then the connection with most output
 * waiting is marked to be dropped. -1: no connection here has any. */
int conn_frame(struct chat *ch, struct frame *f, enum frame_end end,
    const struct iovec *parts, int n);

/* Whether a frame fits under the connection's bound, after what waits has been
 * written if need be. True as well if the connection is open no more: it gets
 * nothing then. */
bool conn_has_room(struct chat *ch, uint32_t i, const struct frame *f);

/* Appends a frame to an open connection under its bound; a slow reader is
 * ended. False, with nothing changed: there is no memory for it now. */
bool
conn_append(struct chat *ch, uint32_t i, const struct frame *f, uint64_t tag);

/* Where a connection's output ends, counted in bytes from its first; 0: it has
 * been given back. */
uint64_t conn_output_end(const struct chat *ch, uint32_t i);

/* Whether the kernel says that its peer has its output up to there: rather no
 * than yes. */
bool conn_has_got(const struct chat *ch, uint32_t i, uint64_t end);

/*
 * Ends a connection in order: what is pending, close frame with that code
 * (CLOSE_NONE: without a code), the client's close frame, FIN, a moment to read
 * on. It leaves presence now.
 */
void
conn_end(struct chat *ch, uint32_t i, enum close_code code, enum reason reason);

/* "alice (127.0.0.1:1234)", for logs; one static buffer. Without a user only
 * what conn_peer() says. */
const char *conn_name(struct chat *ch, uint32_t i);

#endif
