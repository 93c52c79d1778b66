/*
 * message: everything that processes say to each other over links, one
 * datagram a message. Layer 1, pure. The table knows for each type its exact
 * or bounded size, whether a descriptor comes with it, and who may send it;
 * message_check() is called before any handler sees a byte.
 *
 * Numbers are in host order: links never leave the machine.
 */
#ifndef CHATD_CODEC_MESSAGE_H
#define CHATD_CODEC_MESSAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { MESSAGE_MAX = 64 * 1024 }; /* bytes of a datagram, head included */

enum message_party {
	PARTY_MASTER,
	PARTY_WORKER,	/* speaks to its master, */
	PARTY_PEER,	/* to another worker, */
	PARTY_ASKER,	/* and to who answers questions */
	PARTY_BEGINNER, /* begins with connections, and gives them to workers */
	PARTY_TAKER,	/* a worker, to that */
	PARTY_READER,	/* reads the journal, and speaks to workers */
	PARTY_ANSWERER	/* answers workers' questions */
};

enum message_type {
	/* master to worker */
	MSG_LINK = 1, /* + one end of a link; struct message_link; to a reader
		       * of the journal, too */
	MSG_START,    /* accept connections; no payload */
	MSG_CONF,     /* text of conf_live_write() (conf/conf.h) */
	/* 4 is free: the numbers are the same on both sides of an upgrade */
	MSG_KICK = 5, /* struct message_kick; answered by MSG_DONE */
	MSG_SAY,      /* struct message_order, then 1 to MESSAGE_TEXT_MAX bytes
		       * of text, published as *server* to the lobby;
		       * answered by MSG_DONE */
	MSG_ADOPT,    /* + a link to who has a dead worker's sockets; struct
		       * message_adopt; answered by MSG_CLEANED */
	MSG_MOVE,     /* give connections away; struct message_move */
	/* 9 is free */
	MSG_CLEAN = 10, /* struct message_clean: presence of a dead worker */
	MSG_STOP,	/* close everything with 1001 and leave; no payload */
	MSG_QUIT,	/* stop accepting, leave when empty; no payload */
	MSG_RETIRE,	/* stop, everything goes on with the next one; no
			 * payload, or struct message_retire */
	MSG_DRAIN,	/* struct message_drain */
	MSG_GIVE_BACK, /* to a mover, or a worker that has retired and holds its
			* sockets: + a link to who goes on (codec/custody.h);
			* no payload */
	MSG_PAGE,      /* + the web page's image, a sealed memory file; no
			* payload */
	MSG_PART,      /* accept no connections, until MSG_START: all workers
			* retire at once, when no request is half there; no
			* payload */
	MSG_ERRAND,    /* to a child that is there for it: + a connection of
			* chatctl's; its words (master/control.h) */
	MSG_ERASE = 19, /* to a child that erases (process/child.h); struct
			 * message_erase; answered by MSG_ERASED */
	/* worker to master */
	MSG_HELLO = 32, /* initialised; struct message_hello */
	MSG_CLEANED,	/* answers MSG_CLEAN and MSG_ADOPT; struct
			 * message_cleaned */
	MSG_DONE,	/* answers an order; struct message_done */
	/* 35 and 36 are free */
	MSG_RETIRED = 37, /* answers MSG_RETIRE with `hold`: touches nothing any
			   * more, and holds its sockets until MSG_STOP; no
			   * payload */
	MSG_ACCUSE, /* that process sent bad messages over its link, which is
		     * closed; struct message_accuse */
	MSG_ERASED, /* answers MSG_ERASE; struct message_erased */
	MSG_UNTIL,  /* of who begins with connections (child_kind.begins):
		     * until when its files are good; struct message_until */
	/* worker to worker */
	MSG_RELAY = 64, /* publications, see room/relay.h; of a reader, too */
	MSG_GIVE,	/* + a connection that moves; its id, 8 bytes */
	MSG_TAKEN,	/* it has; its id, 8 bytes */
	/* worker to who answers (child_kind.answers), and back */
	MSG_ASK,       /* struct message_ask, a name, a text */
	MSG_ROWS,      /* struct message_rows, rows */
	MSG_ROWS_FILE, /* + a sealed memory file with the rows, which are too
			* many for a datagram; struct message_rows */
	/* who begins with connections (child_kind.begins) to worker, and back
	 */
	MSG_BEGUN, /* + a connection; struct message_begun, and what its
		    * transport is to know */
	MSG_ROOM   /* struct message_room; answers MSG_BEGUN, or is unasked */
};

enum { MESSAGE_TEXT_MAX = 60 * 1024, MESSAGE_ERRAND_MAX = 4096 };

/* Bad messages of one sender within a second after which it is taken for an
 * attacker: a sender that works sends none. Larger: a hostile worker costs its
 * peers more; smaller: a worker is ended for fewer of them. */
enum { MESSAGE_BAD_MAX = 100, MESSAGE_BAD_MS = 1000 };

struct message_head {
	uint32_t type;
	uint32_t length; /* of the payload that follows, bytes */
};

/* Processes that have links: workers, and behind them, by their lines, readers
 * of the journal, which hear of a worker that it is there, and send MSG_RELAY
 * alone; and who answers questions. */
enum { MESSAGE_PEERS = 96 };

struct message_link {
	uint32_t peer;	     /* line of the process at the other end */
	uint32_t generation; /* of that process */
};

enum message_links {
	LINK_ANSWERS = 1, /* it answers MSG_ASK */
	LINK_BEGINS	  /* it sends MSG_BEGUN */
};

/* MSG_LINK to one that is no worker and no reader. */
struct message_link_asked {
	struct message_link link;
	uint32_t what; /* enum message_links */
};

/*
 * A connection whose transport has come to its first byte of plaintext in
 * another process. That keeps descriptor and secrets until MSG_ROOM names it:
 * then both lie where a takeover finds them. If the worker dies before, its
 * successor gets MSG_BEGUN once more: it answers at once where the predecessor
 * had got so far, else takes the connection if nothing of it was read.
 */
struct message_begun {
	uint64_t number;   /* the sender's, never used twice by its process */
	uint32_t endpoint; /* that accepted it */
	uint32_t again;	   /* 1: another process may have taken it */
	/* Where the client is another one than the socket's peer, since a proxy
	 * has said so: its address, IPv4 as ::ffff:0:0/96, and port. Port 0: it
	 * is the peer. */
	uint8_t address[16];
	uint16_t port;
	uint16_t spare[3];
};

enum { MESSAGE_FILES = 32 }; /* CONF_CERTIFICATES_MAX */

/* Seconds since 1970, in the order of the configuration. */
struct message_until {
	uint32_t n, spare;
	int64_t certificate[MESSAGE_FILES];
	int64_t staple[MESSAGE_FILES]; /* 0: none, or not known */
};

enum { BEGUN_MAX = 512 }; /* bytes of what the transport is to know */

struct message_room {
	uint64_t number;      /* of the connection; 0: unasked */
	uint32_t taken;	      /* 1: it lies safe, or has ended; 0: it cannot be
			       * taken here, now */
	uint32_t connections; /* that the worker has */
	uint32_t room;	      /* so many more may be sent from now on; what is
			       * on its way counts */
	uint32_t spare;
};

/*
 * A worker asks for what is no more in shared memory, and goes on; who waits
 * for the answer is known to it alone. It asks again when who answers has been
 * replaced, and its successor does when it dies itself: nothing is changed by
 * an answer.
 */
enum message_what {	 /* as enum store_what (store/store.h) has them */
	ASK_PAGE = 0,	 /* of the channel `name`: publications above since, up
			  * to upto */
	ASK_MATCHES = 2, /* of that channel (none: of all): those whose texts
			  * match `text`; the channel's name is in sub_info */
	ASK_USER = 5	 /* the user `name`: what was delivered is the row's
			  * offset, when it was last seen its time */
};

struct message_ask {
	uint64_t number;      /* the asker's, from 1 */
	uint64_t stream;      /* PAGE: epoch of the channel's offsets */
	uint64_t since, upto; /* offsets; upto 0: any */
	int64_t oldest_ms;    /* nothing from before (wall clock) */
	uint32_t limit;	      /* messages at most */
	uint32_t bytes;	      /* and of their entries; one at least */
	uint32_t keep;	   /* PAGE: of the channel's newest so many; 0: any */
	uint16_t what;	   /* enum message_what */
	uint16_t reverse;  /* 1: newest first */
	uint16_t name_len; /* of what follows: a name, up to ASK_NAME_MAX, */
	uint16_t text_len; /* and a text */
	uint32_t asked_ms; /* clock_ms() of the asker, its low half: it
			    * waits for ASK_WAIT_MS */
};

enum {
	ASK_NAME_MAX = 256, /* bytes */
	ASK_TEXT_MAX = 4096,
	/* Of its words, what lies between blanks. Larger: one question costs
	 * more; smaller: long ones are refused. */
	ASK_WORDS_MAX = 64,
	ASK_MESSAGES_MAX = 1000, /* of one answer */
	/* Larger: a client whose subscribe takes 5 s ends its connection;
	 * smaller: a disk that is read slowly refuses more. */
	ASK_WAIT_MS = 2000,
	/* Bytes of one answer. Larger: one question costs a worker more memory;
	 * smaller: pages of large messages have fewer of them. */
	ASK_BYTES_MAX = 64 * 1024 * 1024
};

/* Entries as publication_encode() writes them follow, one behind the other. */
struct message_rows {
	uint64_t number; /* of the question */
	uint64_t bytes;	 /* of all entries */
	uint32_t n;	 /* entries */
	uint32_t result; /* enum message_found */
	uint32_t more;	 /* 1: there are more than those */
	uint32_t spare;
};

enum message_found {
	ROWS_FOUND,  /* all that there is of it, also nothing */
	ROWS_FAILED, /* not now */
	ROWS_ABSENT  /* MATCHES: texts are not indexed */
};

/*
 * What the master has a worker publish in its place. It is published once,
 * whichever process dies meanwhile: the entry in the journal carries the
 * number, and a worker that is asked again looks for the number behind `since`
 * first.
 */
struct message_order {
	uint64_t number; /* from 1 */
	uint64_t since;	 /* the newest position before it was given */
	uint32_t again;	 /* 1: another worker may have done it */
	uint32_t spare;
};

/* Orders that wait for an answer; clients that have left may have given up to
 * half of them. Larger: more memory in the master and each worker; smaller:
 * orders are refused sooner. */
enum { ORDERS_MAX = 64 };

struct message_done {
	uint64_t number;
	uint32_t result; /* enum message_result */
	uint32_t spare;
};

enum message_result {
	RESULT_DONE,
	RESULT_ABSENT, /* the user is not connected */
	RESULT_FULL,   /* larger than the journal's share */
	RESULT_BUSY    /* not now: a reader of the journal is too far behind,
			* or has not opened the channel yet */
};

struct message_kick {
	struct message_order order;
	uint8_t user_len;   /* 1 to 255 */
	uint8_t device_len; /* 0: all devices */
	char user[255];
	char device[32];
};

/* What a user has published is to be erased. The number comes back with the
 * answer. */
struct message_erase {
	uint64_t number;
	uint8_t user_len; /* 1 to 255 */
	char user[255];
};

/* How that went: messages in the database and events that are gone, and
 * messages in the journal. */
struct message_erased {
	uint64_t number;
	uint64_t rows, events, journal;
	uint32_t result; /* enum message_result: DONE, or BUSY: it can not be
			  * written now */
	uint32_t logged; /* 1: another process reads, so that the end of the
			  * database's log may have them still */
};

struct message_clean {
	uint32_t worker;
	uint32_t generation;
};

struct message_cleaned {
	uint32_t worker;
	uint32_t generation;
	uint32_t taken; /* connections */
	uint32_t left;	/* not taken: their slots are as they were */
	uint32_t full;	/* 1: there is no room for those here */
	uint32_t ended; /* 1: who gave them is gone and had more, perhaps */
};

/*
 * Of a worker that is to go. Without a payload it exits with status 0: its
 * sockets stay in the table that it shares. With `hold` nobody else has them:
 * it stays, says MSG_RETIRED and gives them.
 */
struct message_retire {
	uint32_t hold;
};

/* Accept no more, end connections with 1012 at that pace; 0: serve again. */
struct message_drain {
	uint32_t rate; /* connections in 1000 s */
};

struct message_adopt {
	uint32_t worker;
	uint32_t generation;
	uint32_t fault_hand; /* enum hand, if it died of its own fault */
	uint32_t last; /* 1: no other process than that at the link has any of
			* the sockets: connections without one are cleaned up
			* when it has said that it gave all */
	uint64_t fault_arg;
};

struct message_move {
	uint32_t to; /* number of a worker */
	uint32_t n;
};

struct message_accuse {
	uint32_t worker;     /* or another process with links: its line */
	uint32_t generation; /* of the accused */
};

/* Of each publication in a MSG_RELAY, see room/relay.h. */
struct relay_record {
	uint64_t position;
	uint32_t length; /* of the entry that follows, 0: none */
	uint32_t spare;
};

struct message_hello {
	uint32_t worker;
	uint32_t generation;
};

/*
 * Checks a received datagram of len bytes with n_fds descriptors from that
 * party. Returns the type with *payload and *payload_len set, or -1 with
 * *why set to what is wrong.
 */
int
message_check(const void *bytes, size_t len, int n_fds, enum message_party from,
    const void **payload, size_t *payload_len, const char **why);

/* "LINK", for logs; "?" for other numbers. */
const char *message_name(int type);

#endif
