/*
 * door: a client protocol, as the connection machine and rooms see it: what it
 * does with a message and a publication, and the facts that they ask for.
 * Layer 3. Doors lie in src/door, a folder each; which there are is said in
 * src/door/registry.c alone.
 *
 * Functions are called once a message, a publication or a deadline, never once
 * a recipient. A fact that is asked for each recipient is a bit of the chat.
 */
#ifndef CHATD_CONN_DOOR_H
#define CHATD_CONN_DOOR_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

#include "hub/slot.h"

enum {
	DOOR_IDS = 8,  /* ids are below */
	DOOR_PARTS = 8 /* of a message, see render */
};

struct chat;
struct publication;

/* What came for a user while that one was away. */
struct door_away {
	uint32_t n;	  /* messages that follow; 0: they cannot be told now */
	bool more;	  /* older ones are left out */
	int64_t since_ms; /* when the user was here before, or the oldest is
			   * from */
};

struct door {
	const char *name;
	/* That it is spoken in; NULL: each one that begins with HTTP. */
	const char *framing;
	/* The first message to a client in a framing without HTTP, shorter than
	 * BEGIN_MAX (conn/begin.h). NULL: it waits for the client's. */
	const char *greeting;
	/* In slots, so never one that another door had in any release. 0: its
	 * paths take requests alone, no connection is ever at this door. */
	uint8_t id;
	/* Facts. */
	bool binary; /* it takes binary messages */
	bool
	    lobby; /* its connections are in the lobby without a subscription */
	bool idles;	  /* `idle-timeout` closes its connections */
	bool one_command; /* a message is one command, and its answer, if any,
			   * comes last */
	bool holds_back;  /* each output answers an input: while a client does
			   * not read, nothing is read from it either, and
			   * `queue` does not bound its output */
	bool own_ping;	  /* it pings in its own way (sweep) */
	bool own_rate;	  /* it asks conn_rate() itself, for each command */
	uint32_t message_max; /* bytes of a message; 0: `message-size` */

	/*
	 * Its users are entered by a command, not with the 101: keeps the name
	 * that came with the request for a connection that is to be opened (of
	 * len 0: forgets it). False: input-memory is full. NULL: the user is
	 * entered when the connection is opened.
	 */
	bool (*keep_name)(
	    struct chat *ch, uint32_t conn, const char *name, size_t len);
	/* Carries a message out; `position` is the input position after it.
	 * One of several commands may be left in the middle once
	 * conn_is_spent(): `rest_from` of the chat is then how many are done,
	 * and the message comes again, with that in done_commands. A command
	 * that publishes, or needs a channel, may have to wait (conn/hold.h):
	 * the message comes again, too; with one_command and a done_commands
	 * of 1 only to be answered. */
	void (*message)(struct chat *ch, uint32_t conn, int kind,
	    const char *data, size_t len, uint64_t position);
	/*
	 * Describes what a publication (or join or leave) looks like here as
	 * the text of one message: parts in static memory or p's own, good
	 * until the next call. Returns how many (at most DOOR_PARTS); 0: this
	 * door does not tell it.
	 */
	int (*render)(
	    struct chat *ch, const struct publication *p, struct iovec *parts);
	/* The connection goes; it is in presence for the last time. NULL: the
	 * door does not care. */
	void (*leave)(struct chat *ch, uint32_t conn);
	/* Once a second or oftener: the door's own deadlines. NULL: none. */
	void (*sweep)(struct chat *ch, uint32_t conn);
	/* What a connection is closed with, and *text, for what was decided:
	 * the door's own code (REASON_NONE), the peer's (also REASON_NONE), or
	 * one of the chat layer. NULL: as it was decided. */
	uint16_t (*close_code)(
	    uint16_t code, enum reason reason, const char **text);
	/* Tells what came while its user was away: p NULL: how much, then each
	 * message. NULL: the door tells it in its own way, or not. */
	void (*away)(struct chat *ch, uint32_t conn,
	    const struct door_away *what, const struct publication *p);
	/* All its output is written. NULL: the door does not care. */
	void (*drained)(struct chat *ch, uint32_t conn);

	/* What it serves by HTTP: see door/door.h. NULL: nothing. */
	const struct door_route *routes; /* the last one has no path */
	const struct door_files *files;
};

#endif
