/* kill_scene: what a worker does in the hub, noted down in memory that
 * outlives it, and what must be true wherever it died. */
#ifndef CHATD_TESTS_KILL_SCENE_H
#define CHATD_TESTS_KILL_SCENE_H

#include "../unit/hub_fixture.h"

#include "hub/input.h"
#include "hub/journal.h"
#include "hub/output.h"
#include "hub/slot.h"

enum {
	SCENE_NAMES = 60,
	SCENE_USERS = 40, /* and as many channels, which the names are */
	SCENE_ENTRIES = 2 * SCENE_USERS + 1,
	SCENE_CONNS = 2,
	SCENE_WORKERS = 4,
	SCENE_SLOTS = 256,
	SCENE_JOURNAL = 8192
};

enum scene_op { OP_NONE, OP_ENTER, OP_LEAVE, OP_PUBLISH, OP_APPEND, OP_INPUT };

/* A connection as it ought to be. */
struct scene_conn {
	uint64_t id; /* 0: none */
	uint64_t committed, in_end, in_bytes;
	uint64_t appended, out_bytes, out_taken;
};

/* Shared by all processes. Everything in `op` is what will be true if the
 * operation got through: so it can be settled after a death, or twice. */
struct scene_note {
	uint64_t mask[SCENE_NAMES], count[SCENE_NAMES];
	uint64_t published;
	struct scene_conn conn[SCENE_WORKERS][SCENE_CONNS];
	struct {
		_Atomic int kind; /* enum scene_op */
		uint32_t name, c;
		uint64_t count, published;
		struct scene_conn conn;
	} op[SCENE_WORKERS];
};

/* A process's own. */
struct scene {
	struct hub h;
	struct scene_note *note;
	struct claim slots;
	struct output_pool output;
	struct input_pool input;
	struct output out[SCENE_CONNS];
	uint32_t slot[SCENE_CONNS];
};

/* Makes hub and notes, with names that were there and some that are; this
 * process is worker 0, whom nobody kills. */
void scene_new(struct scene *s);
void scene_free(struct scene *s);

/* Becomes a worker with nothing of its own yet. */
void scene_become(struct scene *s, int worker);

/* Does so many random things. */
void scene_act(struct scene *s, uint32_t n);

/* Makes the notes true of what a worker was at: it got through, or it did
 * not, but nothing between. */
void scene_settle(struct scene *s, int worker);

/* Compares the hub with the notes. */
void scene_check(struct scene *s);

/* Cleans up after a dead worker, as the daemon does; then nothing of it is
 * left. */
void scene_clean(struct scene *s, int dead);
void scene_check_gone(struct scene *s, int dead);

/* Takes all that there is and gives it back: nothing has been lost. */
void scene_exhaust(struct scene *s);

/* A name by its number; its entry, lock held. */
size_t scene_name(uint32_t i, char *out);
uint32_t scene_find(struct scene *s, uint32_t i);

/* Byte of every stream at a position. */
static inline uint8_t
scene_byte(uint64_t position)
{
	return (uint8_t)(position * 31 + position / 251);
}

#endif
