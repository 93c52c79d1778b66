/*
 * shm: the shared memory of all processes: one memfd, mapped by the master
 * before its first fork. Layer 2.
 *
 * Offsets and indexes, never pointers. A process checks the range of each value
 * that another process could have written, before use: a worker parses hostile
 * bytes and may write anywhere. Sizes and addresses of the regions are read
 * once, into each process's own struct hub, and never from shared memory.
 *
 * The rule: exactly one store commits each change; what follows from it is
 * derived from it and redone, as stores that may be repeated, by the process
 * that comes next. Stores that this relies on go through SHM_STORE, which is a
 * kill point in test builds (VARIANT=kill).
 */
#ifndef CHATD_HUB_SHM_H
#define CHATD_HUB_SHM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/other.h"
#include "base/shared.h"

enum {
	SHM_WORKERS = 64, /* a presence mask is one 64-bit word */
	SHM_OTHERS = 32,  /* processes besides workers that have a line */
	SHM_LINES = SHM_WORKERS + SHM_OTHERS,
	SHM_PAGE = 4096,	     /* the memory's pages, bytes */
	HUB_ALIGN = 2 * 1024 * 1024, /* it is mapped at a multiple of that, the
				      * size of a large page */
	SHM_STAGE = 64 * 1024,	     /* a worker's receive buffer, bytes */
	STAGE_PARTS = 16, /* of it. More: more are read by one system call;
			   * fewer: what one has sent is done in fewer turns */
	/* For what a connection's transport knows (net/transport.h), and for a
	 * record that has not come whole, bytes. Only those that it uses cost
	 * memory. All programs have the same two, see wire.h. */
	SHM_WIRE = 512,
	SHM_REST = 40 * 1024,
	SHM_BLOCK = 64,	      /* items per claimable block, see claim.h */
	SHM_NONE = 0xffffffff /* no index */
};

/*
 * One null: the index of nothing is SHM_NONE. Memory begins as zero, and
 * filling it in would cost every page of it, so a word there that names an item
 * is a *link*: the item's index + 1, and 0 is the link of SHM_NONE. Private
 * tables that are as sparse (base/sparse.h) have links, too. Owner bytes are
 * worker + 1 for the same reason (claim.h). A reader of a link checks its index
 * against the table's size: SHM_NONE is never below that.
 */
static inline uint32_t
shm_link(uint32_t index)
{
	return index + 1;
}

/* The index that a link stands for; SHM_NONE: none. */
static inline uint32_t
shm_index(uint32_t link)
{
	return link - 1;
}

struct hub_limits {
	uint32_t connections; /* slots */
	uint32_t users;	      /* presence entries of users */
	uint32_t channels;    /* and of channels: neither takes the other's */
	uint64_t journal_bytes;
	uint64_t output_bytes;
	uint64_t input_bytes;
	uint32_t subscriptions;
	/* Readers of the journal that there are (bits, journal.h), and those of
	 * them that want events. With none the spill has no room. */
	uint8_t readers, events;
	/* Which part of the journal one reader may leave unread: one of so
	 * many; 0: of READER_SHARE. Larger: the chat is refused earlier when a
	 * reader is slow; smaller: the spill is larger. */
	uint32_t reader_share;
};

enum { READER_SHARE = 4, READER_SHARES = 2 /* all together: one of so many */ };

struct shm_lock;
struct shm_heads;
struct shm_line;
struct shm_worker;
struct presence_entry;
struct presence_piece;
struct slot;
struct chunk;
struct input_page;
struct subscription;
struct index_entry;

/* A process's own view: where everything is and how much of it there is. */
struct hub {
	int fd;		 /* of the file; -1 in workers and keepers: closed */
	int self;	 /* this process's line, which is a worker's number
			  * too; -1 in the master */
	uint32_t thread; /* id of its thread; 0 in the master */
	uint32_t table;	 /* number of its table of descriptors (table.h); 0: of
			  * no family */
	uint8_t *base;
	size_t size;
	uint8_t hash_key[16];
	struct shm_lock *lock;
	struct shm_heads *heads;
	struct shm_line *line;	   /* [SHM_LINES], see line.h */
	struct shm_line *mine;	   /* &line[self] */
	struct shm_worker *worker; /* [SHM_WORKERS] */
	struct shm_worker *me;	   /* &worker[self]; NULL: this is no worker */

	_Atomic uint32_t *bucket; /* presence's index, 16 to a cache line: */
	uint32_t n_user_lines;	  /* of users, */
	uint32_t n_lines;	  /* and with that of channels */
	struct presence_entry *entry;
	uint32_t n_users, n_channels; /* entries behind the lobby's: those of
				       * users, then those of channels */
	uint32_t n_entries;
	_Atomic uint64_t *stream;     /* [n_entries]: epochs of offsets */
	struct presence_piece *piece; /* [NAME_PIECES][n_entries], see name.h */
	_Atomic uint32_t *charge; /* [CHARGE_COPIES][n_charge], see charge.c */
	uint32_t n_charge;
	uint32_t payer_bits; /* its counters by user: a row has 2^n */

	struct slot *slot;
	_Atomic uint64_t *socket;      /* [n_slots]: slot_socket() */
	_Atomic uint8_t *slot_owner;   /* per block: worker + 1; 0: free */
	_Atomic uint8_t *slot_touched; /* per block: ever used */
	uint32_t n_slots;

	struct chunk *chunk;
	_Atomic uint8_t *chunk_owner;
	uint32_t n_chunks;

	uint8_t *arena;
	_Atomic uint8_t *segment_owner;
	uint32_t n_segments;

	struct input_page *page;
	_Atomic uint8_t *page_owner;
	uint32_t n_pages;

	struct subscription *subscription;
	_Atomic uint8_t *subscription_owner;
	uint32_t n_subscriptions;
	_Atomic uint32_t *chain; /* [SHM_WORKERS][n_entries]: links */

	uint8_t *stage; /* [SHM_WORKERS][SHM_STAGE] */

	/* In a file of their own (wire.h), which workers alone have; NULL: this
	 * is none, or no transport keeps anything. */
	uint8_t *wire; /* [n_slots][SHM_WIRE]: state of transports */
	uint8_t *rest; /* [n_slots][SHM_REST] */

	struct index_entry *index;
	uint64_t n_index; /* a power of two */
	uint8_t *journal;
	uint64_t journal_size; /* a power of two */
	uint64_t tail;	       /* as seen when this process last had the lock */
	unsigned staged;       /* parts of the stage in use, see stage.h */
	uint64_t touched_journal, touched_index; /* see journal_populate() */
	uint8_t *spill;
	uint64_t spill_size;   /* 0: there are no readers */
	uint8_t readers;       /* that there are: bits */
	uint8_t events;	       /* those that want events */
	uint64_t reader_share; /* bytes of the ring that one may leave unread */
	/* The flags of a new presence entry by its name (presence.h); NULL: 0.
	 * Called under the lock. */
	uint8_t (*flags_of)(void *arg, const char *name, size_t len);
	void *flags_arg;
};

/*
 * Makes the memory (touching only what must not be zero), sealed against any
 * change of its size, and enters the lobby as presence entry 0. Called once, by
 * the master. Returns 0, or -1 and errno.
 */
int hub_create(struct hub *h, const struct hub_limits *limits);

/* Only where everything would be, as if the memory began at 0. */
void hub_plan(struct hub *h, const struct hub_limits *limits);

/* Makes it in an empty memory file that may be sealed, with that key, as
 * hub_create(); the file stays the caller's if it fails. */
int hub_create_in(struct hub *h, int fd, const struct hub_limits *limits,
    const uint8_t hash_key[16]);

/* Bytes of shared memory that are touched when all of it is in use, without
 * what transports keep: SHM_WIRE for each connection of one that does. */
struct hub_bytes {
	uint64_t connections, users, channels, subscriptions; /* tables */
	uint64_t journal, output, input;
	uint64_t workers; /* what each of them has, in all */
};

/* What memory made with these limits takes when so many workers use all of it,
 * by the limit that it grows with. */
void hub_measure(
    struct hub_bytes *b, const struct hub_limits *limits, uint32_t workers);

/* Whether memory made with the one is as large, everywhere, as with the other.
 * Padding does not count. */
bool hub_limits_equal(const struct hub_limits *a, const struct hub_limits *b);

/*
 * Maps memory that another program made with these limits and this key: after
 * an upgrade. With look, for reading only. Returns 0, h->fd being fd, or -1
 * with a message: it is not sealed, it has another layout, or other sizes than
 * this program would give it.
 */
int hub_attach(struct hub *h, int fd, const struct hub_limits *limits,
    const uint8_t hash_key[16], bool look, char *error, size_t error_len);

/* Writes what hub_attach() looks at, in case a worker has written over it. */
void hub_sign(struct hub *h);

/* Closes the file, which stays mapped: a process that needs to hand it on to
 * no other program does not keep what it could be resized with. */
void hub_close_file(struct hub *h);

/* Unmaps; the memory goes with its last process. */
void hub_destroy(struct hub *h);

/* Says which line this process has; in each process anew, or the lock would be
 * taken in its parent's name. A worker's line is its number. */
void hub_become(struct hub *h, int line);

#endif
