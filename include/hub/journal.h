/*
 * journal: the ring that every accepted publication is written to before
 * anything else happens, and the index, the ring of {place, worker mask} in
 * publication order. A position is a publication's number in that order, from
 * 1. Layer 2.
 *
 * A publication is committed by the store of `tail`. Overwriting: `oldest`
 * moves past the victim first, then come the bytes, then `tail`; a reader
 * copies out, then checks `oldest`, then uses the copy.
 */
#ifndef CHATD_HUB_JOURNAL_H
#define CHATD_HUB_JOURNAL_H

#include "base/other.h"
#include "hub/shm.h"

enum publication_format {
	/* UTF-8 text as typed; as JSON {"text": TEXT} */
	FORMAT_TEXT = OTHER_EITHER(1, 2),
	FORMAT_JSON = OTHER_EITHER(2, 1), /* any JSON value */
	/* not publications: they take no offset and are in no history */
	FORMAT_JOIN = 3,
	FORMAT_LEAVE = 4,
	FORMAT_KICK = 5, /* in "#user": ends the user's connections; data: the
			  * device, empty: all */
	/* between workers and readers (hub/reader.h) */
	FORMAT_RESULT = 6, /* the answer to a publication that waits */
	FORMAT_OPEN = 7,   /* asks where a cold channel stands */
	FORMAT_OPENED = 8, /* the answer: the channel is open */
	/* events, for readers that want them */
	FORMAT_ONLINE = 9,	/* a user's first connection */
	FORMAT_OFFLINE = 10,	/* the last one is gone */
	FORMAT_OCCUPIED = 11,	/* a channel has a worker, */
	FORMAT_VACATED = 12,	/* or none any more */
	FORMAT_CONNECT = 13,	/* a connection of a user's */
	FORMAT_DISCONNECT = 14, /* its end; data: struct event_end */
	FORMAT_DELIVERED = 15,	/* in "#user": its user has got all up to
				 * `offset` */
	/* 16 to 28 are free: events */
	/* Takes an offset and is in its channel's chain, but is no message: the
	 * channel's offsets go on from here; it was one whose texts are erased.
	 * Not told to anybody. */
	FORMAT_LEAP = 29,
	FORMAT_ERASED = 30,
	FORMATS = 32 /* all are below */
};

/* Whether entries of that format may be in their channel's chain. */
static inline bool
format_is_chained(uint8_t format)
{
	return format < FORMAT_JOIN || format - FORMAT_LEAP + 0u < 2;
}

/* What is asked of a cold channel. */
enum open_ask {
	OPEN_MAKE, /* where it stands; it begins now if nobody knows it */
	OPEN_KNOWN /* the same, if anybody knows it: else RESULT_NO_CHANNEL */
};

/* What is asked of readers for a publication, in its entry. */
enum publication_flag {
	/* its sender is answered when a reader has said how it went */
	PUBLICATION_WAITS = 1,
	/* nobody gets it yet: a reader appends it once more when it may be
	 * delivered, and this one is in no history */
	PUBLICATION_PROPOSED = 2,
	/* a reader has appended it: it changes nothing at its sender */
	PUBLICATION_AGAIN = 4
};

/* The processes that follow the journal beside workers, by number: bits of
 * `readers` and `required`. Tests use the last one. */
enum { READER_STORE, READER_ENGINE, READER_HOOKS, READERS };

/* One message in a channel. Used both to publish and to read. */
struct publication {
	uint64_t position; /* set by journal_append */
	uint64_t offset;   /* in the channel, from 1; set by journal_append */
	uint64_t previous; /* position of the channel's publication before it;
			    * 0: none */
	uint64_t before;   /* and that one's offset; 0: none is known */
	uint64_t sender;   /* connection id, 0: the server */
	union {
		uint64_t input_key; /* of a client: key (slot.h) of its input
				     * that is done by this */
		uint64_t order;	    /* sender 0: the master's number for it, 0:
				     * none */
		uint64_t mask;	    /* ONLINE, OFFLINE, OCCUPIED, VACATED: the
				     * channel's workers from now on */
		uint64_t answers;   /* RESULT: the position that it is for;
				     * AGAIN: that it repeats */
		uint64_t stream;    /* OPENED: epoch of the channel's offsets */
		uint64_t asks;	    /* OPEN: enum open_ask */
	};
	union {
		uint32_t command;      /* within the message that it came in */
		uint32_t subscription; /* of a join or leave: its record;
					* SHM_NONE: in the lobby or the user's
					* own channel there is none */
		uint32_t error;	       /* of a RESULT, OPENED: enum result_error
					* (hub/slot.h) */
	};
	uint32_t channel; /* presence entry */
	uint32_t epoch;	  /* of the channel; set by journal_append */
	int64_t time_ms;  /* wall clock */
	uint8_t format;	  /* enum publication_format */
	uint8_t flags;	  /* enum publication_flag; of messages alone */
	uint8_t required; /* readers that must not miss it: bits */
	uint8_t user_len;
	uint16_t info_len;
	uint16_t sub_info_len;
	uint16_t tags_len;
	uint32_t data_len;
	const char *user;     /* name that it is sent under, not terminated */
	const char *info;     /* from the sender's token: JSON */
	const char *sub_info; /* from the token of the sender's subscription */
	const char *tags;     /* JSON object */
	const char *data;
};

/* Whether it is no message, takes no offset and is in no history. */
static inline bool
publication_is_event(const struct publication *p)
{
	return p->format >= FORMAT_JOIN && p->format < FORMAT_LEAP;
}

/* Whether it is a client's or the server's, as opposed to an event or what a
 * reader has appended. */
static inline bool
publication_is_said(const struct publication *p)
{
	return p->format < FORMAT_JOIN && !(p->flags & PUBLICATION_AGAIN);
}

/* The master's number for a publication of the server's; 0: it has none. */
static inline uint64_t
publication_order(const struct publication *p)
{
	return p->sender == 0 &&
		(publication_is_said(p) || p->format == FORMAT_KICK)
	    ? p->order
	    : 0;
}

/* No publication has a larger one: 36,000 years at a million a second. */
#define JOURNAL_POSITION_MAX (1ull << 60)

enum {
	JOURNAL_HEAD =
	    OTHER_EITHER(80, 96), /* bytes of an entry before user and data */
	JOURNAL_SHARE = 8,	  /* an entry is at most 1/8 of the ring */
	/* Bytes that are copied to the spill in one hold of the lock. Larger:
	 * others wait for longer, 64 KiB are some 10 us; smaller: more turns
	 * for a large publication. */
	JOURNAL_STEP = 64 * 1024,
};

/* Bytes of an entry with so much behind its head: user, infos, tags, data. */
static inline size_t
journal_entry_bytes(size_t user_len, size_t more_len)
{
	return (JOURNAL_HEAD + user_len + more_len + 7) & ~(size_t)7;
}

/* Bytes of a publication's entry: what journal_read() needs room for. */
static inline size_t
publication_bytes(const struct publication *p)
{
	return journal_entry_bytes(p->user_len,
	    (size_t)p->info_len + p->sub_info_len + p->tags_len + p->data_len);
}

void journal_init(struct hub *h);

/*
 * Appends and commits p for the workers that have the channel, and for its
 * readers; fills in position, offset, previous, before, required and epoch.
 * Returns the workers' mask. Lock held; channel is one found under the same
 * lock. The entry must not be larger than the ring's share.
 */
uint64_t journal_append(struct hub *h, struct publication *p);

/* Appends what takes no offset, for those readers and workers; `required` is
 * the caller's. Returns the mask. As above. */
uint64_t journal_append_event(
    struct hub *h, struct publication *p, uint8_t readers, uint64_t mask);

/* Appends a message or LEAP with its own offset and `before`; `required` is the
 * caller's. Returns the mask. As above. */
uint64_t journal_append_at(
    struct hub *h, struct publication *p, uint8_t readers, uint64_t mask);

/*
 * Room for an entry of so many bytes. What a reader requires and has not read
 * is copied to the spill, which takes time: true if it is done; false: give
 * back the lock, take it, and ask again. Appending makes what room there is not
 * yet, however long it takes: entries of JOURNAL_STEP do without this function.
 * Lock held.
 */
bool journal_room(struct hub *h, size_t bytes);

/* Takes the lock when there is that room, or after so many turns that others
 * must have taken it. */
void journal_lock(struct hub *h, size_t bytes);

/* Whether one of these readers is so far behind that another entry of so many
 * bytes that it requires might be lost to it. Lock held. */
bool journal_is_behind(struct hub *h, uint8_t readers, size_t bytes);

/*
 * Records a crash while the publication at a position was delivered. The first
 * call notes the position: false. The second for the same position clears its
 * mask, so that no worker delivers it any more: true. Lock held.
 */
bool journal_fault(struct hub *h, uint64_t position);

/*
 * Called by a worker that crashes while it delivers a publication: marks the
 * publication as suspected and counts the deaths, so that other workers keep
 * off it until the crashed worker's successor has tried it (journal_fault()).
 * Takes no lock, may be called by a signal handler.
 */
void journal_suspect(struct hub *h, uint64_t position);

/* How many workers have died over a publication since it is suspected; 0: it
 * is not. */
unsigned journal_suspected(const struct hub *h, uint64_t position);

/* The publication is not suspected any more: it was delivered. */
void journal_acquit(struct hub *h, uint64_t position);

/* Mends the tail if it was written over, and redoes what follows from the last
 * committed publication: its channel's offset and newest position, its sender's
 * committed position, that others have been told of a join or leave. Lock held.
 */
void journal_redo(struct hub *h);

/* Whether the tail is the position of an entry, not before what this process
 * has seen; if it is not, shared memory is
 * corrupted: the next process that takes the lock mends that. */
bool journal_is_sound(const struct hub *h);

uint64_t journal_tail(const struct hub *h);
uint64_t journal_oldest(const struct hub *h);

/*
 * Erases what a user has published up to a position, as far as the ring has it,
 * and what a reader has repeated since that is from before until_ms: one byte
 * in each entry says that it is FORMAT_ERASED from now on. Its bytes stay until
 * they are overwritten, but nobody reads them. May be done again, as after a
 * death in between. Takes the lock, for a few entries at a time, and ticks.
 * Returns how many there were.
 */
uint64_t journal_erase(struct hub *h, const char *user, size_t len,
    uint64_t upto, int64_t until_ms);

/* The workers that position is for; 0 if it is gone or not there yet. */
uint64_t journal_mask(const struct hub *h, uint64_t position);

/* And the readers, as bits; 0 as above. */
uint8_t journal_readers(const struct hub *h, uint64_t position);

enum journal_result { JOURNAL_OK, JOURNAL_GONE, JOURNAL_BAD };

/*
 * Copies an entry into buf (cap bytes) and points p into it. GONE: the ring has
 * moved on. BAD: the entry is corrupted or does not fit into buf.
 */
enum journal_result journal_read(const struct hub *h, uint64_t position,
    void *buf, size_t cap, struct publication *p);

/* Reads an entry's head alone: the lengths of user, infos, tags and data are
 * told, their bytes are not there (NULL). */
enum journal_result
journal_peek(const struct hub *h, uint64_t position, struct publication *p);

/*
 * An entry's bytes as they are in the ring, for relays. encode: out has room
 * for journal_entry_bytes(), which is returned. decode: points p into bytes;
 * returns the entry's size, or 0 if they are not an entry.
 */
size_t publication_encode(const struct publication *p, void *out);
size_t publication_decode(const void *bytes, size_t len, struct publication *p);

/* Touches the next pages of ring and index, outside the lock, of 2 MiB where
 * the kernel has such. Call once per loop turn after publishing. */
void journal_populate(struct hub *h);

#endif
