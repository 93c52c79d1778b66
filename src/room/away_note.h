/*
 * away_note: how far users have got what comes in their own channels, as their
 * peers have acknowledged it: noted in the journal (FORMAT_DELIVERED). And what
 * this worker knows of users' connections besides. Layer 3.
 */
#ifndef CHATD_ROOM_AWAY_NOTE_H
#define CHATD_ROOM_AWAY_NOTE_H

#include "hub/journal.h"
#include "room/away.h"

enum { AWAY_STORE = 1 << READER_STORE };

/* What is known of a connection. */
struct away_conn {
	uint32_t use;	   /* of its slot: of another one nothing is known */
	uint64_t looked;   /* the channel's offset that is dealt with */
	uint64_t offset;   /* all up to it has been appended, */
	uint64_t end;	   /* up to this position of its output; 0: noted */
	uint64_t tail;	   /* of the journal when it was first to be told what
			    * came */
	uint64_t upto;	   /* and the channel's offset then */
	uint32_t since_ms; /* the clock's low half then */
	bool asked;	   /* rows */
	bool held;	   /* a command waits until they can be asked for */
};

/* And of a user: what was noted here last. */
struct away_user {
	uint32_t epoch; /* of the presence entry */
	uint32_t at_ms;
	uint64_t offset;
};

struct away {
	struct away_conn *conn; /* [n_slots] */
	struct away_user *user; /* [n_users + 1] */
	uint32_t at;		/* the next slot to look at */
	uint32_t rest;		/* sweeps since anything is kept, a few */
	uint32_t *waiting;	/* connections that are to be told what came */
	uint32_t n_waiting, waiting_cap;
};

/* away_is_kept() of an own channel by its entry. */
bool away_entry_is_kept(const struct chat *ch, uint32_t entry);

/* What is known of a connection. */
struct away_conn *away_of(struct chat *ch, uint32_t conn);

/* Looks how far a connection's user has got it, and notes that; later, if there
 * was a note just now, unless it is the last look: the connection is ending. */
void away_look(struct chat *ch, uint32_t conn, bool last);

#endif
