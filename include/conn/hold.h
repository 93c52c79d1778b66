/*
 * hold: commands whose answer comes later. One waits for a reader's result
 * (FORMAT_RESULT), until a channel is open (FORMAT_OPENED), or for rows of
 * who has more than the ring (room/archive.h). Meanwhile its
 * connection is not read, nothing behind the command is looked at, and no
 * deadline that counts on its input runs; what is published, pings and its
 * close go on. Layer 3.
 *
 * A door's function asks for it: hold_channel() or hold_accepted() say that the
 * command waits, and the function returns at once without an answer. When that
 * has come, or the limit has passed, the message is looked at again, from the
 * command that waited on, by the same function; so it is after a takeover,
 * which has the message, too, and finds in the journal, the slot and presence
 * what is to be waited for. What is private here is only whom to look at again,
 * and when at the latest.
 */
#ifndef CHATD_CONN_HOLD_H
#define CHATD_CONN_HOLD_H

#include "codec/message.h"
#include "conn/chat.h"

enum {
	/* A result is waited for so long; then the command is answered that its
	 * outcome is unknown. Larger: clients give up themselves (5 s in
	 * Centrifugo's), and may send it again; smaller: a slow disk leaves
	 * more of them without an outcome. */
	HOLD_RESULT_MS = 4000,
	/* And for a channel to be open; then the command is refused for now.
	 * Larger: a client whose subscribe takes 5 s ends its connection;
	 * smaller: a reader that starts slowly refuses more. */
	HOLD_OPENED_MS = 3000,
	/* And for rows; then the command is refused for now. Both together may
	 * take twice as long. */
	HOLD_ROWS_MS = ASK_WAIT_MS
};

/* What is known of a publication that was accepted. */
enum hold_outcome {
	HOLD_DONE,	/* it is to be answered as usual */
	HOLD_WAITS,	/* not yet: return without an answer */
	HOLD_TEMPORARY, /* it was refused for now */
	HOLD_UNKNOWN	/* nobody can tell: it is done once, or never */
};

/* For doors. */

/* A door that finds several commands in a message says which one it begins
 * with, from 0. */
static inline void
hold_command(struct chat *ch, uint32_t command)
{
	ch->hold.command = command;
}

/* How the wait of the command in hand ended. */
static inline enum hold_end
hold_ended(const struct chat *ch)
{
	return ch->hold.command == ch->hold.waited ? ch->hold.ended : HOLD_NOT;
}

/* Whether the command in hand is to wait: the door returns. */
static inline bool
hold_is_wanted(const struct chat *ch)
{
	return ch->hold.what != HOLD_NOTHING;
}

/* The command in hand needs a channel that is not open, which has been asked
 * for: true: it waits; false: it has waited in vain, and is refused for now.
 * HOLD_ABSENT: who needs a channel that is known already is to be told so; who
 * begins it waits once more. */
bool hold_channel(struct chat *ch, uint32_t entry, uint32_t epoch);

/* The command in hand needs rows that were asked for at that time (the clock's
 * low half; 0: not yet): as above. */
bool hold_rows(struct chat *ch, uint32_t asked_ms);

/* The command in hand has published, now or before it waited, what waits for a
 * result (PUBLICATION_WAITS). After another outcome than HOLD_WAITS the command
 * is answered, and then hold_answered() is called. */
enum hold_outcome hold_accepted(struct chat *ch, uint32_t conn);
void hold_answered(struct chat *ch, uint32_t conn);

/* hold_accepted() for a request: its publication's position, and the answer
 * with HOLD_DONE. */
enum hold_outcome
hold_request(struct chat *ch, uint64_t position, struct hold_answer *out);

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
/* Rows that a connection may wait for have come; false: it waits for nothing.
 */
bool hold_arrived(struct chat *ch, uint32_t conn);
/* All who wait for rows may ask for them now. */
void hold_rows_again(struct chat *ch);
/* Such entries have been overwritten unread: all who wait look again. */
void hold_lost(struct chat *ch);

/* Calls `ask` with each channel that is waited for: as often as it is. True: it
 * need not be waited for any more: who waits looks again. */
void hold_channels(struct chat *ch,
    bool (*ask)(struct chat *ch, uint32_t entry, uint32_t epoch));

/* For connections. */

int hold_init(struct chat *ch);

/* What the command in hand asks for is noted; its message is kept, and how much
 * of it is done is stored. False: there is no memory, and it does not wait. */
bool hold_begin(struct chat *ch, uint32_t i);

/* There is no memory for the command in hand to wait with: it has waited in
 * vain when its message is looked at next. */
void hold_deny(struct chat *ch);

/* A connection whose command has waited is looked at again. */
void hold_again(struct chat *ch, uint32_t i);

/* A request that waits, and what for. */
struct hold_request {
	uint32_t conn;
	uint32_t since_ms;
	enum hold_what what;
	uint32_t entry, epoch; /* OPENED */
	uint64_t position;     /* RESULT: of its publication */
	bool is_answered;
	struct hold_answer answer;
};

/* hold_begin() for a request: *q stays until hold_request_end(), which may be
 * called of any. */
bool hold_request_begin(struct chat *ch, uint32_t i, struct hold_request *q);
void hold_request_end(struct chat *ch, uint32_t i);

/* It is looked at again; *q stays meanwhile. */
void hold_request_again(struct chat *ch, const struct hold_request *q);

/* Every 100 ms: limits, and results that went to another worker, from which a
 * connection came meanwhile. */
void hold_sweep(struct chat *ch);

#endif
