/* conn: one client connection from accept to close. Layer 3. */
#ifndef CHATD_CONN_CONN_H
#define CHATD_CONN_CONN_H

#include "conn/chat.h"
#include "conn/turn.h"
#include "codec/framing.h"

static inline struct slot *
conn_slot(struct chat *ch, uint32_t i)
{
	return &ch->hub->slot[i];
}

static inline bool
conn_has_slot(const struct chat *ch, uint32_t i)
{
	return i < ch->hub->n_slots;
}

/* How a connection that is open speaks. */
static inline const struct framing *
conn_framing(const struct chat *ch, uint32_t i)
{
	return ch->dialects.at[ch->conn[i].dialect].codec;
}

/* How a connection is spoken with. */
struct conn_stations {
	uint8_t transport, door, dialect;
};

/* What a slot that another process wrote says of that; false: nonsense. */
bool
conn_stations_of(const struct chat *ch, uint32_t i, struct conn_stations *out);

/* What a connection in CONN_REQUEST came through. */
static inline const struct endpoint *
conn_endpoint(const struct chat *ch, uint32_t i)
{
	return &ch->endpoints->at[ch->conn[i].endpoint];
}

/* More, or fewer, connections are here whose requests are not answered yet:
 * the report tells how many. */
void conn_pending(struct chat *ch, int more);

/*
 * Takes up a socket in CONN_REQUEST that an endpoint has accepted. Owns fd from
 * then on. Returns its number, or SHM_NONE (fd is untouched) when not even a
 * spare connection is left.
 */
uint32_t conn_accept(
    struct chat *ch, uint8_t endpoint, int fd, const struct sockaddr *peer);

/*
 * Makes it a WebSocket connection: the 101 is its first output. `used` bytes
 * of input were the request. user_len 0: nobody (/echo). Returns 0, or -1
 * when a table is full (it is still in CONN_REQUEST then).
 */
int conn_open(struct chat *ch, uint32_t i, enum slot_door door,
    const char *user, size_t user_len, const char *device, size_t device_len,
    const void *answer, size_t answer_len, uint64_t used);

/* Keeps nothing of what has come of a request. */
void conn_request_clear(struct chat *ch, uint32_t i);

/* Lets go of what a connection has only before it is open. */
void conn_forget_request(struct chat *ch, uint32_t i);

/* Sends bytes to a connection in CONN_REQUEST and ends it. What the socket
 * does not take at once is copied and follows as it does, for as long as a
 * request may take to come. */
void conn_refuse(struct chat *ch, uint32_t i, const void *answer, size_t len);

/*
 * Sends the answer to a request; with `keep` another one may come. True: all is
 * sent, and the caller goes on with the input behind the request. False: that
 * input, `next`, is kept and handled (request_next) once the rest of the answer
 * has left, or the connection is ended. The request's bytes may be freed by
 * then.
 */
bool conn_reply(struct chat *ch, uint32_t i, const void *answer, size_t len,
    bool keep, const char *next, size_t next_len);

/* The socket of one in CONN_ANSWER takes more. */
void conn_answer_more(struct chat *ch, uint32_t i);

/* The worker is about to go: connections that are between two requests are
 * ended, and no other is kept for another request. */
void conn_part(struct chat *ch);

/* Whether a frame fits under the connection's bound, after what waits has been
 * written if need be. True as well if the connection is open no more: it gets
 * nothing then. */
bool conn_has_room(struct chat *ch, uint32_t i, const struct frame *f);

/* Appends a frame to an open connection under its bound; a slow reader is
 * ended. False, with nothing changed: there is no memory for it now. */
bool
conn_append(struct chat *ch, uint32_t i, const struct frame *f, uint64_t tag);

/* Builds and appends one message for one connection that answers the input up
 * to `position` (0: none); parts as for frame_build, without the head. A
 * connection whose answer is longer than any frame or finds no memory is closed
 * with 1009 or 1013. */
void conn_answer(struct chat *ch, uint32_t i, enum framing_kind kind,
    const struct iovec *parts, int n, uint64_t position);

/* The same from a format, as text. */
void conn_tell(struct chat *ch, uint32_t i, uint64_t position, const char *fmt,
    ...) __attribute__((format(printf, 4, 5)));

/*
 * Ends a connection in order: what is pending, close frame with that code
 * (CLOSE_NONE: without a code), the client's close frame, FIN, a moment to read
 * on. It leaves presence now.
 */
void
conn_end(struct chat *ch, uint32_t i, enum close_code code, enum reason reason);

/* Ends an open connection for a drain; one whose input waits behind the message
 * in hand, however much it has sent besides. */
void conn_drain(struct chat *ch, uint32_t i);

/* Takes one that is ending, if it has not left, out of its channels and of
 * presence. After a takeover: goes on with that. */
void conn_leave(struct chat *ch, uint32_t i);

/* The close frame alone, of a connection that is ending already. */
void conn_append_close(struct chat *ch, uint32_t i);

/* Ends it at once; the number is free afterwards. Not where a function up the
 * stack may go on with it, or with a list that it is in: only for what an event
 * of its own, its deadline, or the turn's end asks for. */
void conn_drop(struct chat *ch, uint32_t i, const char *why);

/* Ends at once, by a reset, one whose peer has not taken all of its output:
 * what the kernel has of that goes, too. After a mere close it would keep it
 * for a peer that reads nothing for minutes. */
void conn_reset(struct chat *ch, uint32_t i);

/*
 * conn_drop() from anywhere: an open or ending connection becomes CONN_DROPPED.
 * Its output is given back at once, so that there is room; nothing more is
 * read, written or appended; it stays in its lists and channels until the
 * turn's end.
 */
void conn_drop_later(struct chat *ch, uint32_t i, const char *why);

/* Ends those; at the turn's end. */
void conn_drop_marked(struct chat *ch);

/* Sends our FIN and reads on for a moment. */
void conn_linger(struct chat *ch, uint32_t i);

/* closing.c: our close frame is sent: waits for the client's, unless that has
 * come, and then sends our FIN. */
void closing_begin(struct chat *ch, uint32_t i);

/* Reads in CONN_CLOSING and CONN_LINGER: of what still comes only the client's
 * close frame is looked for, in the former. */
void closing_read(struct chat *ch, uint32_t i);

/* Looks for the client's close frame at the end of bytes that are not decoded
 * any more, as the connection is ending. */
void
closing_look(struct chat *ch, uint32_t i, const uint8_t *bytes, size_t len);

/* Input has come, or the socket takes output again (libevent callback). */
void conn_event_cb(int fd, short what, void *arg);

/* Watches the socket for what the connection's state asks for. */
void conn_watch(struct chat *ch, uint32_t i);

/* Stops or resumes reading. */
void conn_pause(struct chat *ch, uint32_t i, bool paused);

/* Reads once and handles what came. */
void conn_read(struct chat *ch, uint32_t i);

/* Whether something that it has sent is still to be read, as after a pause of
 * this worker, or to be done: then it is not silent. Asks the kernel. */
bool conn_unread(struct chat *ch, uint32_t i);

/* Handles bytes that begin at an input position (reader.c). */
void conn_input(struct chat *ch, uint32_t i, uint64_t start,
    const uint8_t *bytes, size_t len);

/* Goes on with input that waits. True: there is more of it. */
bool conn_input_rest(struct chat *ch, uint32_t i);

/* Notes that a connection has input that waits, or no more: meanwhile it is not
 * read from. */
void conn_wait(struct chat *ch, uint32_t i, bool waits);

/* The same of one that has just come to this worker, or back to it: what waits
 * is in its records. `torn`: a worker may have died over it. */
void conn_wait_again(struct chat *ch, uint32_t i, bool torn);

/* Serves those whose input waits, one after another, for their share of a turn;
 * false if there are none. */
bool conn_serve_waiting(struct chat *ch);

/* Begins to count what a connection's input costs; is_long: it may cost much,
 * so the clock is looked at already now. */
void conn_budget_begin(struct chat *ch, uint32_t i, bool is_long);

/* Whether a connection has had its share of this turn. */
bool conn_is_spent(struct chat *ch, uint32_t i);

/* Takes one message from the connection's allowance; false if it is over its
 * rate. */
bool conn_rate(struct chat *ch, uint32_t i);

/* Writes out what was appended to all connections, and tells those whose
 * output is all written of what they have missed. */
void conn_flush(struct chat *ch);

/* The first half of that, from anywhere: no connection is gone afterwards. */
void conn_write(struct chat *ch);

/* Marks for conn_flush. */
void conn_dirty(struct chat *ch, uint32_t i);

/* Notes that a slot's connection is here, or no more, and tells the other
 * workers how many are. */
void conn_number(struct chat *ch, uint32_t i, bool here);

/* The next connection with a slot after *i (SHM_NONE to begin); false: no
 * more. */
bool conn_next(struct chat *ch, uint32_t *i);

/* "alice (127.0.0.1:1234)", for logs; one static buffer. Without a user only
 * what conn_peer() says. */
const char *conn_name(struct chat *ch, uint32_t i);

/* "127.0.0.1:1234"; one static buffer. */
const char *conn_peer(const struct chat *ch, uint32_t i);

/* Deadlines of a part of the connections; every 100 ms. */
void conn_sweep(struct chat *ch);

/* frame_build that makes room when memory is short: what can be written is
 * written, then memory is compacted, then the connection with most output
 * waiting is marked to be dropped. -1: no connection here has any. */
int conn_frame(struct chat *ch, struct frame *f, enum frame_end end,
    const struct iovec *parts, int n);

/* Ten times a second: a worker that has more than its fair share of the output
 * memory makes room when others may go short. */
void conn_relieve(struct chat *ch);

#endif
