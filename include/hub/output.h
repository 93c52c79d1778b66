/*
 * output: what goes to a client. A frame is built once, in an arena in shared
 * memory; a connection's output is a list of references {offset, length, tag}
 * in chunks of three; when all is written there is no chunk. Everything is
 * appended here first: the store of the slot's `appended` commits it, `last`
 * and `answered` follow from the newest reference. How much the kernel has
 * taken is stored nowhere: the kernel counts it. Layer 2.
 */
#ifndef CHATD_HUB_OUTPUT_H
#define CHATD_HUB_OUTPUT_H

#include <sys/uio.h>

#include "base/other.h"
#include "hub/claim.h"
#include "hub/shm.h"

enum {
	OUTPUT_REFS = OTHER_EITHER(3, 2), /* references in a chunk */
	OUTPUT_SEGMENT = 64 * 1024,	  /* arena segment, bytes */
	/* Bytes of a frame besides a message's text: tags, names, infos. */
	OUTPUT_AROUND = 256 * 1024,
	/* The longest frame: JSON makes six bytes of a control character. */
	OUTPUT_ESCAPED = 6,
	OUTPUT_FRAME_MAX = OUTPUT_ESCAPED * 16 * 1024 * 1024 + OUTPUT_AROUND,
	OUTPUT_PIECES = OUTPUT_FRAME_MAX / OUTPUT_SEGMENT + 2, /* of a frame */
	OUTPUT_COST = 22, /* bytes of bookkeeping per reference */
	SPARE_MAX = 2,	  /* free segments that are kept, so that they are not
			   * claimed anew each time */
	RESERVE_FROM = 4, /* segments that a worker has before it reserves */
	/* Set apart for each worker number: segments (two ends, one for a
	 * frame, one for compacting) and blocks of chunks. Larger: more memory
	 * besides output-memory; smaller: when others have used up the rest, a
	 * worker can hold less of a turn's output. */
	OUTPUT_APART = 4,
	OUTPUT_CHUNKS_APART = 4,
	/* Free chunks that a worker keeps until output_trim(), as they are
	 * taken and given back with each publication. Larger: more blocks that
	 * others do not get for that long; smaller: more connections of which
	 * each delivery claims one, which takes 70 instructions more
	 * (callgrind). */
	OUTPUT_CHUNKS_SPARE = 1024,
	/* Of the common memory, this part is left to workers that have less
	 * than their fair share. Larger: one worker's slow readers get less. */
	OUTPUT_LOW_PART = 8,
	COMPACT_MAX = 8 /* segments emptied at once */
};

/* A reference's tag: a publication's position, or this bit and the input
 * position that it answers, or 0. */
#define OUTPUT_ANSWER (1ull << 63)
#define OUTPUT_CLOSE (1ull << 62) /* a close frame: nothing comes behind it */

struct reference {
	_Atomic uint32_t offset; /* in the arena */
	OTHER_EITHER(uint32_t, uint64_t) length;
	uint64_t tag;
};

struct chunk {
	_Atomic uint32_t next;
	OTHER_ONLY(uint64_t other);
	uint32_t base;	/* number of ref[0], low 32 bits */
	uint64_t start; /* stream position of ref[0] */
	struct reference ref[OUTPUT_REFS];
};

/* Bytes in the arena, in one piece or more. Holds its segments until
 * frame_release. */
struct frame {
	uint32_t n;
	uint32_t bytes;
	struct frame_piece {
		uint32_t offset, length;
	} piece[OUTPUT_PIECES];
};

/* Where new frames go: frames for many connections are apart from those for
 * one, so that one reader that has stopped does not pin the frames of all. */
enum frame_end { FRAME_SHARED, FRAME_OWN };

/* A worker's allocators. */
struct output_pool {
	struct hub *h;
	struct claim chunks;
	uint32_t spare_chunk[OUTPUT_CHUNKS_SPARE];
	uint32_t n_spare_chunks;
	uint32_t *segment_use; /* references into each segment */
	struct share segments;
	uint32_t spare[SPARE_MAX]; /* segments of this worker without any */
	uint32_t n_spare;
	uint32_t n_owned; /* segments of this worker */
	uint32_t reserve; /* one for compacting when the arena is full */
	bool compacting;
	bool whole;		      /* what is built now is one reference */
	struct output_copies *copies; /* of a batch that moves; NULL: none */
	struct {
		uint32_t segment; /* SHM_NONE: none */
		uint32_t used;
	} end[2];
};

/*
 * A connection's private part. Stream positions count bytes since its first. It
 * is paid for each connection, so what fits into 32 bits has no more; a list is
 * never longer than that.
 */
struct output {
	uint64_t end;	  /* stream position of the list's end */
	uint32_t pending; /* bytes before it that the kernel has not taken */
	uint32_t skip;	  /* bytes of reference `front` that it has */
	uint32_t front;	  /* number of the first not wholly written, low half */
	uint32_t chunk;	  /* of front; SHM_NONE: there is no reference */
	uint32_t newest;  /* of the newest */
} __attribute__((packed, aligned(4)));

enum { OUTPUT_CORRUPTED = -2, FRAME_TOO_BIG = -2 };

/* A count of bytes written: all that there is. */
#define OUTPUT_ALL UINT64_MAX

/* Returns 0, or -1 and errno. */
int output_pool_init(struct output_pool *pool, struct hub *h);
void output_pool_deinit(struct output_pool *pool);

/* Frees what a dead worker had. */
void output_clear(struct hub *h, int worker);

/* Tells how many living workers share the memory. */
void output_divide(struct output_pool *pool, uint32_t workers);

/* Whether this worker has more than its fair share of the memory while the
 * others may lack some: then its connections must hold less. */
bool output_is_greedy(const struct output_pool *pool);

/* The longest frame that is ever built: half of the memory that is not set
 * apart, or OUTPUT_FRAME_MAX. */
uint64_t frame_max(const struct hub *h);

/*
 * Copies the parts into the arena. Returns 0, or -1 if there is no room now (it
 * may be there when others hold less), or FRAME_TOO_BIG: it does not fit into
 * the whole arena.
 */
int frame_build(struct output_pool *pool, struct frame *f, enum frame_end end,
    const struct iovec *parts, int n);
void frame_release(struct output_pool *pool, struct frame *f);

/* Gives back the free chunks that are kept. Ten times a second. */
void output_trim(struct output_pool *pool);

/* Begins a new connection's list, with a chunk, so that its first reference has
 * room. Returns 0, or -1: no chunk left. */
int output_open(struct output_pool *pool, struct output *o, uint32_t slot);

/* Appends a frame. Returns 0, or -1 (nothing changed): no chunk left, or
 * OUTPUT_CORRUPTED: its records are, and room would not help. */
int output_append(struct output_pool *pool, struct output *o, uint32_t slot,
    const struct frame *f, uint64_t tag);

/* Describes what is not written yet, neighbours in the arena joined. Returns
 * the number of pieces (at most max) and their bytes in *asked. */
int output_gather(struct output_pool *pool, const struct output *o,
    uint32_t slot, struct iovec *iov, int max, size_t *asked);

/* Copies out what is not written yet, up to cap bytes; returns how many. */
size_t output_read(struct output_pool *pool, const struct output *o,
    uint32_t slot, uint8_t *out, size_t cap);

/* The kernel took n bytes more. */
void output_wrote(
    struct output_pool *pool, struct output *o, uint32_t slot, size_t n);

/* Drops everything, the last chunk too. */
void output_close(struct output_pool *pool, struct output *o, uint32_t slot);

/*
 * At a takeover: derives a connection's private part from its records and
 * `written`, the kernel's count of bytes taken, or OUTPUT_ALL when the peer is
 * gone and will not get the rest; marks what the records reach; redoes what
 * follows from the newest reference. Returns 0, or -1 if the records or the
 * count are corrupted: then nothing of them can be used.
 */
int output_adopt(struct output_pool *pool, struct output *o, uint32_t slot,
    uint64_t written);

/*
 * When a connection moves here from another worker, whose records stay as they
 * are: copies what is not written yet into this worker's memory. The slot's
 * `first` is to become o->chunk when the move is committed. `written` as for
 * output_adopt(). Returns 0, -1: there is no room, or OUTPUT_CORRUPTED.
 */
int output_copy(struct output_pool *pool, struct output *o, uint32_t slot,
    uint64_t written);

/* Redoes what follows from the newest reference in the slot of a dead worker,
 * which may have died before it did. A living worker writes its slot itself. */
void output_redo(
    const struct output_pool *pool, const struct output *o, uint32_t slot);

/*
 * Around the copies of a batch: bytes that several of its connections still
 * have to get are copied once and shared. From the begin to the end the
 * connections are frozen, or their worker is dead. The end frees what has no
 * reference; the rest lives as long as its references.
 */
void output_copies_begin(struct output_pool *pool);
void output_copies_end(struct output_pool *pool);

/* Drops what is private to this worker of a connection that has moved away, or
 * of a copy that is not used: the slot's fields are another worker's. */
void output_uncopy(struct output_pool *pool, struct output *o);

/* All connections are adopted: the rest of this worker's chunks and segments is
 * free. */
void output_adopted(struct output_pool *pool);

/* The newest reference's tag; 0 if there is none. */
uint64_t output_newest_tag(
    const struct output_pool *pool, const struct output *o, uint32_t slot);

/*
 * What any process can see of a connection's output, while its worker may
 * change it: the caller looks at the slot's words before and after. References
 * are dropped when they are wholly written, so what is not written begins at
 * `from` or behind it; how far the kernel is, is stored nowhere.
 */
struct output_seen {
	uint64_t references; /* that are there */
	uint64_t from, end;  /* stream positions of their bytes */
	bool whole;	     /* all were looked at, and make sense */
};
enum {
	/* References looked at. Larger: a look at a reader that has stopped
	 * takes the master longer; smaller: it is not told how much waits. */
	OUTPUT_LOOK_MAX = 64 * 1024
};
void output_look(const struct hub *h, uint32_t slot, struct output_seen *out);

static inline uint64_t
output_pending(const struct output *o)
{
	return o->pending;
}

/* The stream position up to which the kernel has taken it. */
static inline uint64_t
output_written(const struct output *o)
{
	return o->end - o->pending;
}

/*
 * Empties the segments that are least used by copying what is still
 * referenced close together; next() hands out all connections of the worker in
 * turn (false: no more). True if fewer segments are in use than before: a
 * caller that repeats this as long as it is true comes to an end. Without this
 * one slow reader's frame pins its neighbours' memory.
 */
bool output_compact(struct output_pool *pool,
    bool (*next)(void *arg, struct output **o, uint32_t *slot), void *arg);

#endif
