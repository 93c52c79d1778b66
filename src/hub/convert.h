/* convert: what the files of the copy share. Private to the hub layer. */
#ifndef CHATD_SRC_HUB_CONVERT_H
#define CHATD_SRC_HUB_CONVERT_H

#include "codec/framing.h"
#include "hub/convert.h"
#include "hub/print.h"

/* The structs of shared memory that are read. */
enum convert_struct {
	C_HEADS,
	C_LINE,
	C_WORKER,
	C_INDEX,
	C_ENTRY,
	C_PRESENCE,
	C_PIECE,
	C_SLOT,
	C_CHUNK,
	C_REFERENCE,
	C_PAGE,
	C_BLOB,
	C_PART,
	C_STATE, /* of any framing, as bytes */
	C_SUBSCRIPTION,
	C_FRAMING, /* and this + its number: by the names of its fields */
	C_STRUCTS = C_FRAMING + FRAMINGS_MAX
};

/* The fields of theirs that the copy itself reads: each must be there. */
#define CONVERT_FIELDS(F)                               \
	F(HEADS_TAIL, "shm_heads.tail")                 \
	F(HEADS_OLDEST, "shm_heads.oldest")             \
	F(HEADS_REDONE, "shm_heads.redone")             \
	F(HEADS_ENTRIES, "shm_heads.entries")           \
	F(LINE_CURSOR, "shm_line.cursor")               \
	F(WORKER_USED, "shm_worker.used")               \
	F(INDEX_AT, "index_entry.at")                   \
	F(INDEX_MASK, "index_entry.mask")               \
	F(ENTRY_POSITION, "entry_head.position")        \
	F(ENTRY_OFFSET, "entry_head.offset")            \
	F(ENTRY_FORMAT, "entry_head.format")            \
	F(ENTRY_CHANNEL, "entry_head.channel")          \
	F(ENTRY_DATA, "entry_head.data_len")            \
	F(ENTRY_USER, "entry_head.user_len")            \
	F(ENTRY_SUB_INFO, "entry_head.sub_info_len")    \
	F(ENTRY_INFO, "entry_head.info_len")            \
	F(ENTRY_TAGS, "entry_head.tags_len")            \
	F(PRESENCE_MASK, "presence_entry.mask")         \
	F(PRESENCE_NEWEST, "presence_entry.newest")     \
	F(PRESENCE_EPOCH, "presence_entry.epoch")       \
	F(PRESENCE_LEN, "presence_entry.name_len")      \
	F(PRESENCE_NAME, "presence_entry.name")         \
	F(SLOT_LIFE, "slot.life")                       \
	F(SLOT_APPENDED, "slot.appended")               \
	F(SLOT_COMMITTED, "slot.committed")             \
	F(SLOT_PART, "slot.part")                       \
	F(SLOT_USER, "slot.user")                       \
	F(SLOT_SUBSCRIPTIONS, "slot.subscriptions")     \
	F(SLOT_INFO, "slot.info")                       \
	F(CHUNK_NEXT, "chunk.next")                     \
	F(CHUNK_BASE, "chunk.base")                     \
	F(CHUNK_START, "chunk.start")                   \
	F(CHUNK_REF, "chunk.ref")                       \
	F(REFERENCE_OFFSET, "reference.offset")         \
	F(REFERENCE_LENGTH, "reference.length")         \
	F(PAGE_NEXT, "input_page.next")                 \
	F(PAGE_OWNER, "input_page.owner")               \
	F(PAGE_BYTES, "input_page.bytes")               \
	F(BLOB_SLOT, "blob_head.slot")                  \
	F(BLOB_LEN, "blob_head.len")                    \
	F(PART_END, "input_part.end")                   \
	F(PART_BYTES, "input_part.bytes")               \
	F(PART_RAW, "input_part.raw")                   \
	F(PART_STATE, "input_part.state")               \
	F(SUBSCRIPTION_CHANNEL, "subscription.channel") \
	F(SUBSCRIPTION_SLOT, "subscription.slot")       \
	F(SUBSCRIPTION_NEXT, "subscription.slot_next")  \
	F(SUBSCRIPTION_INFO, "subscription.info")       \
	F(SUBSCRIPTION_USE, "subscription.use")
/* And those that an older or a newer layout does not have: read as 0. */
#define CONVERT_LATER(F)                              \
	F(SLOT_CHUNK, "slot.chunk")                   \
	F(SLOT_FIRST, "slot.first")                   \
	F(HEADS_READER, "shm_heads.reader")           \
	F(MARK_TAKEN, "reader_mark.taken")            \
	F(HEADS_SPILL_BEGIN, "shm_heads.spill_begin") \
	F(HEADS_SPILL_END, "shm_heads.spill_end")     \
	F(LINE_SETTLED, "shm_line.settled")           \
	F(ENTRY_BEFORE, "entry_head.before")          \
	F(PRESENCE_FLAGS, "presence_entry.flags")
#define CONVERT_FIELD(id, name) F_##id,
enum convert_field {
	CONVERT_FIELDS(CONVERT_FIELD) F_LATER,
	F_BEFORE_LATER = F_LATER - 1,
	CONVERT_LATER(CONVERT_FIELD) F_FIELDS
};
#undef CONVERT_FIELD

/* Their regions, and how many items each has: by count and by its bytes. */
enum convert_region {
	R_HEADS,
	R_LINE,
	R_WORKER,
	R_ENTRY,
	R_PIECE,
	R_SLOT_OWNER,
	R_SLOT_TOUCHED,
	R_SLOT,
	R_CHUNK_OWNER,
	R_CHUNK,
	R_SEGMENT_OWNER,
	R_ARENA,
	R_PAGE_OWNER,
	R_PAGE,
	R_SUBSCRIPTION_OWNER,
	R_SUBSCRIPTION,
	R_INDEX,
	R_JOURNAL,
	/* an older layout has none of these: */
	R_SOCKET, /* then sockets are given by who has them */
	R_STREAM,
	R_SPILL,
	R_REGIONS
};
enum convert_count {
	N_USERS,
	N_CHANNELS,
	N_SLOTS,
	N_CHUNKS,
	N_SEGMENTS,
	N_PAGES,
	N_SUBSCRIPTIONS,
	N_INDEX,
	N_JOURNAL,
	N_SPILL, /* an older layout has none of these: 0 */
	N_READERS,
	N_COUNTS
};

/* How one field of both is copied. */
struct convert_copy {
	const struct print_line *from, *to;
	const struct print_line *from_group, *to_group; /* NULL: as it is */
};

enum { CONVERT_COPIES = 96 }; /* fields of a struct, at most */

struct convert {
	struct print theirs, mine;
	const uint8_t *base;
	size_t size;
	int fd;
	uint32_t stride[C_STRUCTS]; /* bytes of one of theirs */
	struct convert_rule {
		uint32_t n;
		struct convert_copy copy[CONVERT_COPIES];
	} rule[C_STRUCTS];
	struct convert_copy format; /* of an entry: a part of a byte */
	const struct print_line *field[F_FIELDS];
	const uint8_t *region[R_REGIONS];
	uint64_t region_size[R_REGIONS];
	uint64_t count[N_COUNTS];
	uint64_t mark;	       /* bytes of one of theirs; 0: there is none */
	uint8_t slot_state[8]; /* theirs to ours */

	struct hub hub;	   /* the new memory; base NULL: there is none yet */
	uint32_t *entry;   /* [theirs] ours + 1; 0: it does not go over */
	uint32_t *segment; /* the same of arena segments */
	struct convert_result *result;
	char *error;
	size_t error_len;
};

/* Says what went wrong; returns false. */
bool convert_fail(struct convert *c, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/* Pairs the two layouts; false: this one cannot read the other's. */
bool convert_pair(struct convert *c);

/* Item i of a region of theirs; NULL: there is none. */
const uint8_t *convert_item(const struct convert *c, enum convert_region r,
    enum convert_struct s, uint64_t i);

/* A byte of a region of theirs, such as an owner; 0 where there is none. */
uint8_t
convert_byte(const struct convert *c, enum convert_region r, uint64_t i);

/* A number in one of theirs. */
uint64_t
convert_get(const struct convert *c, enum convert_field f, const uint8_t *from);

/* Number k of an array field of theirs of so many numbers. */
uint64_t convert_get_of(const struct convert *c, enum convert_field f,
    const uint8_t *from, uint32_t k, uint32_t n);

/* A value of a field's group in this program's numbers; false: it has none. */
bool
convert_value(struct convert *c, const struct convert_copy *p, uint64_t *n);

/* Copies what both name of a struct. False: something does not fit. */
bool convert_record(
    struct convert *c, enum convert_struct s, const uint8_t *from, void *to);

/* Whether this program has what the values of one of theirs name; false: it
 * lacks one. */
bool
convert_known(struct convert *c, enum convert_struct s, const uint8_t *from);

/* How many entries of presence they have. */
static inline uint64_t
convert_entries(const struct convert *c)
{
	return c->count[N_USERS] + c->count[N_CHANNELS] + 1;
}

/* Our entry of one of theirs; SHM_NONE: it did not go over. */
static inline uint32_t
convert_entry(const struct convert *c, uint64_t e)
{
	return e < convert_entries(c) ? c->entry[e] - 1 : SHM_NONE;
}

/* The parts of the copy, in this order; false: it fails. */
bool convert_presence(struct convert *c);
bool convert_journal(struct convert *c);
bool convert_readers(struct convert *c);
bool convert_slots(struct convert *c);
/* The newest entry names a subscription by its new number, so that what follows
 * from it can be redone, if that was not done. */
void convert_newest(struct convert *c);
bool convert_prove(struct convert *c);

/* An entry of the journal or of the spill of theirs. */
struct convert_found {
	const uint8_t *head; /* NULL: it makes no sense */
	size_t more;	     /* bytes behind its head */
	uint64_t position;
	uint64_t mask;	  /* of one in the journal */
	uint8_t readers;  /* bits: it is for these, */
	uint8_t required; /* and these require it */
};

/* The entry of theirs at a place of a ring of so many bytes. */
struct convert_found convert_found_at(const struct convert *c,
    enum convert_region r, uint64_t place, uint64_t ring);

/* The entry of theirs of that position. */
struct convert_found convert_found(const struct convert *c, uint64_t position);

/* Bytes that one takes in a ring of theirs and of ours. */
uint64_t
convert_found_theirs(const struct convert *c, const struct convert_found *f);
uint64_t convert_found_ours(const struct convert_found *f);

/* Writes one there. */
bool convert_found_copy(
    struct convert *c, const struct convert_found *f, uint8_t *to);

/* The oldest position that their ring has. */
uint64_t convert_oldest(const struct convert *c, uint64_t tail);

/* Up to which position a reader of this program has taken the journal. */
uint64_t convert_taken(const struct convert *c, unsigned reader);

/* Whether one of those readers (bits) has not taken that position. */
bool convert_owed(const struct convert *c, uint8_t readers, uint64_t position);

/* How many entries of a kind (0: users, 1: channels) have to go over. */
uint64_t convert_presence_held(const struct convert *c, int kind);

/* Where blocks, or segments, are taken from for each worker. */
struct convert_pool {
	_Atomic uint8_t *owner;
	uint32_t n_items, per_block; /* items */
	uint32_t n, common, apart;   /* blocks: all, and set apart for each */
	uint32_t hint;
	struct {
		uint32_t block, used; /* of it; block SHM_NONE: none */
	} at[SHM_WORKERS];
};

/* A pool of items in blocks that nobody has. */
void convert_pool_init(struct convert_pool *p, _Atomic uint8_t *owner,
    uint32_t n_items, uint32_t per_block, uint32_t apart);

/* The next item for a worker; SHM_NONE: all are taken. */
uint32_t convert_pool_take(struct convert_pool *p, int worker);

/* Output and input of one connection that goes over: fills what its slot says
 * of them. False: the copy fails; a connection whose records make no sense is
 * left to be closed by its next worker. */
struct convert_pools {
	struct convert_pool chunks, segments, pages, subscriptions;
	uint32_t serial; /* of blobs */
};
struct slot;
bool convert_output(struct convert *c, struct convert_pools *p, uint32_t i,
    const uint8_t *from, struct slot *to, int worker);
bool convert_input(struct convert *c, struct convert_pools *p, uint32_t i,
    const uint8_t *from, struct slot *to, int worker);

/* Our blob of one of theirs (+ 1; 0: none) of the connection of that id. False:
 * there is no page left. */
bool convert_blob(struct convert *c, struct convert_pools *p, uint64_t blob,
    uint64_t conn, int worker, uint32_t *out);

#endif
