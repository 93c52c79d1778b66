/*
 * hold: commands whose answer comes later. One waits for a reader's result
 * (FORMAT_RESULT), or until a channel is open (FORMAT_OPENED). Meanwhile its
 * connection is not read, nothing behind the command is looked at, and no
 * deadline that counts on its input runs; what is published, pings and its
 * close go on. Layer 3.
 *
 * A door's function asks for it: hold_channel() or hold_accepted() say that the
 * command waits, and the function returns at once without an answer. When that
 * has come, or the limit has passed, the message is looked at again, from the
 * command that waited on, by the same function; so it is after a takeover, which
 * has the message, too, and finds in the journal, the slot and presence what is
 * to be waited for. What is private here is only whom to look at again, and
 * when at the latest.
 */
#ifndef CHATD_CONN_HOLD_H
#define CHATD_CONN_HOLD_H

#include <stdbool.h>
#include <stdint.h>

struct chat;

enum {
	/* A result is waited for so long; then the command is answered that its
	 * outcome is unknown. Larger: clients give up themselves (5 s in
	 * Centrifugo's), and may send it again; smaller: a slow disk leaves more
	 * of them without an outcome. */
	HOLD_RESULT_MS = 4000,
	/* And for a channel to be open; then the command is refused for now.
	 * Larger: a client whose subscribe takes 5 s ends its connection;
	 * smaller: a reader that starts slowly refuses more. */
	HOLD_OPENED_MS = 3000
};

/* What a command waits for. */
enum hold_what { HOLD_NOTHING, HOLD_RESULT, HOLD_OPENED };

/* How the wait of a command ended. */
enum hold_end {
	HOLD_NOT,   /* it has not waited */
	HOLD_READY, /* what it waited for has come */
	HOLD_LATE   /* not in time, or there was no memory to wait with */
};

/* What is known of a publication that was accepted. */
enum hold_outcome {
	HOLD_DONE,	/* it is to be answered as usual */
	HOLD_WAITS,	/* not yet: return without an answer */
	HOLD_TEMPORARY, /* it was refused for now */
	HOLD_UNKNOWN	/* nobody can tell: it is done once, or never */
};

/* A reader's answer to a publication that waits: what its entry says. */
struct hold_answer {
	uint64_t position; /* of the publication */
	uint64_t sender;   /* connection; 0: a request of the server API */
	uint64_t offset;   /* in the channel, */
	uint64_t stream;   /* and the channel's stream epoch */
	uint64_t at;	   /* the answer's own position */
	uint8_t error;	   /* enum result_error (hub/reader.h) */
};

/* For doors. */

/* A door that finds several commands in a message says which one it begins
 * with, from 0. */
void hold_command(struct chat *ch, uint32_t command);

/* How the wait of the command in hand ended. */
enum hold_end hold_ended(const struct chat *ch);

/* The command in hand needs a channel that is not open, which has been asked
 * for: true: it waits; false: it has waited in vain, and is refused for now. */
bool hold_channel(struct chat *ch, uint32_t entry, uint32_t epoch);

/* The command in hand has published, now or before it waited, what waits for a
 * result (PUBLICATION_WAITS). After another outcome than HOLD_WAITS the command
 * is answered, and then hold_answered() is called. */
enum hold_outcome hold_accepted(struct chat *ch, uint32_t conn);
void hold_answered(struct chat *ch, uint32_t conn);

/* The reader's answer to what a connection waits for, or has waited for: its
 * offset is the publication's, which may have been only proposed. False: it is
 * not there any more. */
bool hold_answer_find(
    const struct chat *ch, uint32_t conn, struct hold_answer *out);

/* hold_accepted() for a request: its publication's position, and the answer
 * with HOLD_DONE. */
enum hold_outcome hold_request(
    struct chat *ch, uint64_t position, struct hold_answer *out);

/* The position of what the request in hand has published before it waited; 0:
 * nothing. */
uint64_t hold_published(const struct chat *ch);

/* For rooms: what the journal says. Connections are looked at again at the end
 * of the turn, not before. Entries for connections that are not here, or do not
 * wait, are passed over. */
void hold_result(struct chat *ch, const struct hold_answer *answer);
/* error: the channel was not opened. */
void
hold_opened(struct chat *ch, uint32_t entry, uint32_t epoch, uint8_t error);
/* Such entries have been overwritten unread: all who wait look again. */
void hold_lost(struct chat *ch);

#endif
