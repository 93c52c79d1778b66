/*
 * chat: a worker's whole state: its connections, users, allocators, links to
 * the other workers. Layer 3; one per worker process, never shared.
 *
 * A loop turn: events are handled (input is read, published, answered; relays
 * are taken in), then chat_turn() sends the relays, delivers what is new and
 * writes out everything that was appended, each connection's in one write.
 * After CHAT_TURN_MS no more events are handled: the rest waits for the next
 * turn. One connection's input has its share of a turn (CHAT_BUDGET_US); what
 * is beyond that waits until the others have been served.
 */
#ifndef CHATD_CONN_CHAT_H
#define CHATD_CONN_CHAT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "codec/name.h"
#include "conf/conf.h"
#include "conn/dialect.h"
#include "conn/door.h"
#include "hub/claim.h"
#include "hub/input.h"
#include "hub/output.h"
#include "hub/slot.h"

enum {
	CHAT_LINGER_MS = 1000, /* read on after our FIN, so that what was sent
				* arrives */
	/* Our FIN waits so long for the client's close frame. Larger: a client
	 * that answers none keeps its slot longer; smaller: browsers on slow
	 * networks call the end unclean. */
	CHAT_CLOSE_MS = 1000,
	CHAT_ENDING_MS = 5000, /* for pending output to leave before that */
	/* Longest loop turn. Larger: more output leaves in one write; smaller:
	 * accepts, ticks and other sockets wait less. */
	CHAT_TURN_MS = 50,
	/*
	 * What the input of one connection may cost in a turn: time, or bytes
	 * of output. The rest of it waits; all connections that wait are
	 * together served for as long in a turn. Larger: the worker's other
	 * clients wait longer for one that sends much at once; smaller: that
	 * one waits more often, which costs a copy of its input.
	 */
	CHAT_BUDGET_US = 2000,
#ifdef CHATD_KILL_POINTS
	CHAT_BUDGET_BYTES = 256, /* so that tests wait often */
#else
	CHAT_BUDGET_BYTES = 64 * 1024,
#endif
	CHAT_COMMANDS = 8191, /* of one message (KEY_BITS) */
	MOVE_MAX = 250,	      /* connections taken up at once */
	CHAT_SPARE = 64,      /* connections without a slot, to be told 503 */
	/* Sealed output of one batch, bytes. Larger: more private memory;
	 * smaller: less leaves in one system call. */
	CHAT_SEALED = 1024 * 1024,
	CHAT_FDS = TABLE_END /* descriptors are below */
};

enum conn_phase {
	CONN_NONE,
	CONN_START,   /* its transport's handshake; all else as CONN_REQUEST */
	CONN_REQUEST, /* reading the HTTP head: if this worker dies then, the
		       * client is closed, unless nothing was read yet */
	CONN_ANSWER,  /* gets the rest of an answer that did not fit */
	CONN_OPEN,
	CONN_ENDING,  /* gets its pending output, our close frame last */
	CONN_CLOSING, /* that is sent: reads on until the client's close frame,
		       * then sends a FIN */
	CONN_LINGER,  /* our FIN is sent; reads on until the peer's */
	CONN_MOVING,  /* frozen: on its way to another worker */
	CONN_DROPPED  /* its output is given back, nothing is appended; it is
		       * ended at the turn's end */
};

/* The private part of a connection: rooms read some of it (conn/recipient.h)
 * and know no sockets. Its number is its slot's (from n_slots on: it has no
 * slot). Its size is paid for each slot: the union is packed since it would
 * else end in four bytes of nothing. */
struct conn {
	struct output out;
	union {
		struct {
			union {
				char *bytes; /* of a body: malloc'ed, or NULL */
				struct {
					uint32_t older, newer; /* head.c */
				};
			};
			uint32_t len;	       /* bytes so far */
			uint32_t scanned : 31; /* of a head: looked at */
			uint32_t has_body : 1; /* `bytes` is a body's */
			uint32_t page;	       /* link of a head's first page */
		} __attribute__((packed, aligned(4))) request;
		struct conn_answer *answer; /* malloc'ed, see answer.c */
		struct {
			/* links: others of the same user here */
			uint32_t next, previous;
			uint32_t entry; /* the user's, in presence */
		} user;
	} __attribute__((packed, aligned(4)));
	int fd;
	uint32_t due_ms;   /* START, REQUEST, ANSWER, ENDING, CLOSING, LINGER:
			    * until when; the clock's low half */
	uint8_t phase;	   /* enum conn_phase */
	uint8_t door;	   /* id of its door, of one that is open, */
	uint8_t dialect;   /* and the dialect that it speaks */
	uint8_t transport; /* its number (net/transport.h) */
	uint8_t endpoint;  /* REQUEST: the number of the one it came through */
	bool blocked : 1;  /* the socket is full: room in it is waited for */
	bool paused : 1;   /* not reading */
	bool present : 1;  /* counted in presence */
	bool untold : 1;   /* in the list of those to be told of a gap */
	bool waits : 1;	   /* has input that waits; it is not read from */
	bool torn : 1;	   /* some of that may have been done by a worker that
			    * died over it */
	bool again : 1;	   /* REQUEST: it has had an answer already */
	bool drains : 1;   /* ends behind the message in hand: conn_drain() */
	uint8_t watched : 3; /* what its socket is watched for (net/ready.h) */
	uint8_t held : 1;    /* with `waits`: for an answer; nothing of it is
			      * looked at until then (conn/hold.h) */
	uint8_t ended : 2;   /* enum hold_end of that, until it is looked at */
	uint8_t dirty : 1;   /* in the list of those to write */
	uint8_t nth_hold;    /* how often it was held, modulo 256 */
};
_Static_assert(sizeof(struct conn) == 64,
    "a cache line, and those of a block of slots a page, so that two workers' "
    "connections share none");

/* What the input in hand may cost in this turn, see CHAT_BUDGET_US. */
struct budget {
	uint64_t from_us;     /* 0: not looked at the clock yet */
	uint64_t from_output; /* position in the connection's output */
	bool off; /* there is no room to keep the rest: it is done now, if it
		   * does not take a whole turn */
};

/* What a command waits for (conn/hold.h). */
enum hold_what { HOLD_NOTHING, HOLD_RESULT, HOLD_OPENED, HOLD_ROWS };

/* How the wait of a command ended. */
enum hold_end {
	HOLD_NOT,   /* it has not waited */
	HOLD_READY, /* what it waited for has come */
	HOLD_LATE,  /* not in time, or there was no memory to wait with */
	HOLD_ABSENT /* who knows channels knows no such one */
};

/* A reader's answer to a publication that waits: what its entry says. */
struct hold_answer {
	uint64_t position; /* of the publication */
	uint64_t sender;   /* connection; 0: a request of the server API */
	uint64_t offset;   /* in the channel: */
	uint32_t channel, epoch;
	uint8_t error; /* enum result_error (hub/slot.h) */
};

/* The command in hand: whether it is to wait, and the one that has waited. */
struct hold_hand {
	uint32_t command;	   /* its number in its message, from 0 */
	uint32_t waited;	   /* the number of the one that has waited, */
	enum hold_what waited_for; /* what for, */
	enum hold_end ended;	   /* and how that ended */
	bool again;	     /* the message in hand waited before a takeover */
	uint32_t since_ms;   /* a request: since when */
	enum hold_what what; /* what the one in hand is to wait for: */
	uint32_t entry, epoch; /* OPENED: in presence */
	uint32_t asked_ms;     /* ROWS: when they were asked for */
	uint32_t conn;	       /* whose command it is */
	bool aside;	       /* it is none, but what a connection is told */
	uint64_t position; /* RESULT of a request: its publication's, also of
			    * one that has waited */
	const struct hold_answer *answer; /* to a request; NULL: none */
};

struct chat;

/* What connections ask of rooms, of which this layer knows nothing. */
struct conn_rooms {
	/* Enters the user of a connection that is about to open. Returns the
	 * user's entry in presence, or SHM_NONE: refused (room/quota.h). */
	uint32_t (*enter)(
	    struct chat *ch, uint32_t conn, const char *user, size_t len);
	/* A connection is open. entry: as enter() returned it, or SHM_NONE:
	 * the connection has no user, or not yet. */
	void (*opened)(struct chat *ch, uint32_t conn, uint32_t entry);
	/* A request of a connection that is not open is answered, or its client
	 * is gone: what it has asked for is forgotten. */
	void (*request_ended)(struct chat *ch, uint32_t conn);
	/* Takes a connection that is ending out of all that it is in, in steps
	 * that a takeover can go on with. */
	void (*leave)(struct chat *ch, uint32_t conn);
	/* Takes one that is no more off its user's list, should the slot not
	 * have said that it is to leave: another process may have written it.
	 */
	void (*gone)(struct chat *ch, uint32_t conn);
	/* Copies the name of a connection's user; returns its length, 0: none.
	 */
	size_t (*user)(const struct chat *ch, uint32_t conn,
	    char out[NAME_SIGNED_MAX + 1]);
	/* What enter() was refused for, as its client is told: once; NULL: for
	 * nothing that rooms know of. Good until the next refusal. */
	const char *(*refused)(void);
};

/* Connections that are read together, by their ids. */
struct reads {
	uint32_t n;
	uint64_t id[STAGE_PARTS];
	/* those that had sent more than a part of the stage holds: they are
	 * read alone; 0: free */
	uint64_t large[STAGE_PARTS];
	uint32_t n_large, large_at;
};

struct batch;
struct endpoints;
struct event_base;
struct holds;
struct iovec;
struct peers;
struct moving;
struct rests;
struct rooms;
struct watch;

struct chat {
	struct hub *hub;
	struct conf_live live;
	struct event_base *base;
	struct batch *batch;
	const struct door *door[DOOR_IDS]; /* by id; NULL: there is none */
	uint32_t lobby_doors; /* bit per id: of those with the fact `lobby` */
	struct dialects dialects;
	const struct endpoints *endpoints; /* through which they come */

	struct claim slots;
	struct output_pool output;
	struct input_pool input;
	struct peers *peers;  /* links to the other workers */
	uint64_t peers_ended; /* since the turn before: mask */
	struct moving *moving;
	uint32_t n_moving;

	struct conn *conn;   /* [n_slots + CHAT_SPARE] */
	struct watch *watch; /* the set in which their sockets are watched */
	struct reads reads;  /* of this turn */
	uint64_t spare_used; /* bit per connection without a slot */
	uint64_t *here;	     /* bit per slot: its connection is here */
	uint32_t n_here;
	uint32_t *dirty; /* [2 * n_slots]: to write, if they still are dirty */
	uint32_t n_dirty;
	uint32_t *dropped; /* [2 * n_slots]: in CONN_DROPPED */
	uint32_t n_dropped;
	uint32_t *untold; /* [n_slots]: all written; to be told of a gap */
	uint32_t n_untold;
	uint32_t *waiting; /* [n_slots + CHAT_SPARE]: with input that waits for
			    * this worker, not for an answer */
	uint32_t n_waiting;
	uint32_t wait_at;   /* place of the one whose turn it is */
	uint32_t n_pending; /* in CONN_START and CONN_REQUEST */
	uint32_t n_open;    /* CONN_OPEN; with those below: all */
	uint32_t n_conns;   /* any phase */
	uint32_t max_conns; /* with slots, of all workers; 0: all slots */
	uint64_t others;    /* bit per worker that was not stopped when
			     * number_look() looked */
	uint32_t head_oldest, head_newest; /* links: kept heads */
	uint32_t head_pages;		   /* that they hold, */
	uint32_t head_pages_max;	   /* and may hold */

	uint64_t turn_us; /* clock_us() of its first event, 0: none yet */
	uint64_t now_ms;  /* clock_ms() of this turn */
	int64_t wall_ms;
	uint32_t sweep_at;   /* next block to look at */
	uint8_t *payload;    /* [SHM_STAGE] of the message being read */
	uint8_t *raw;	     /* [SHM_STAGE] that waited to be decoded */
	uint8_t *spare_wire; /* [CHAT_SPARE][SHM_WIRE], see socket.h */
	uint8_t *spare_rest; /* [CHAT_SPARE][SHM_REST] */
	struct rests *rests; /* what records take that are not whole */
	uint8_t *sealed;     /* [CHAT_SEALED]: what transports have made of the
			      * output that the batch sends */
	size_t n_sealed;     /* bytes of it */
	char *message;	     /* of one that came in several reads */
	size_t message_cap;
	uint32_t answers;	/* to the message in hand so far */
	uint32_t done_commands; /* of the message in hand, before a takeover:
				 * accepted, the last perhaps not
				 * acknowledged; a door passes over them.
				 * Or before it waited: all acknowledged */
	uint32_t rest_from;	/* commands of it after which it is to wait; 0:
				 * not */
	struct hold_hand hold;
	struct holds *holds; /* who waits for an answer */
	struct budget budget;
	uint64_t budget_us; /* CHAT_BUDGET_US, CHAT_BUDGET_BYTES */
	uint64_t budget_bytes;
	bool replaying; /* input that a dead worker read */
	bool leaving;	/* accepts no more */
	bool draining;	/* sends its connections away, takes no new */
	bool parting;	/* answers to requests close their connections */

	struct rooms *rooms;		  /* room/rooms.h */
	const struct conn_rooms *members; /* they are told by it */
	const struct route_judge *judge;  /* of requests (conn/route.h) */
	/* of a connection's socket (conn/io.h) */
	void (*on_ready)(struct chat *ch, uint32_t i, unsigned what);

	/* Connections that were given away may be other workers' by now: looks,
	 * and forgets those (takeover/give.h). */
	void (*moving_look)(struct chat *ch);
	/* Sends another worker a relay (room/relay.h). 1: sent; 0: the link is
	 * full; -1: it has ended. */
	int (*relay_send)(struct chat *ch, int to, const struct iovec *relay);
	/* Sends a question to who answers them (room/archive.h), by its line;
	 * as above. */
	int (*ask_send)(
	    struct chat *ch, int to, const void *question, size_t len);
	/* a peer sends bad messages (worker layer); NULL: not told */
	void (*accuse)(struct chat *ch, int peer, uint32_t generation);
	/* Takes a connection with which another process has begun (MSG_BEGUN);
	 * owns fd, -1: it found no room here. Returns NULL, or what is wrong
	 * with the message. NULL: nobody takes any. */
	const char *(*begun)(
	    struct chat *ch, int peer, const void *payload, size_t len, int fd);
	uint64_t beginners; /* lines of the processes that do, bits, without
			     * those of workers */
};

static inline struct slot *
conn_slot(struct chat *ch, uint32_t i)
{
	return &ch->hub->slot[i];
}

/* Milliseconds from a slot's time to now; both are the clock's low half. */
static inline uint32_t
conn_age_ms(const struct chat *ch, uint32_t then)
{
	return (uint32_t)ch->now_ms - then;
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

#endif
