/* reader_fixture: what tests of readers of the journal share: a small hub with
 * readers, one process that publishes as worker 0 or reads as line 1 and up,
 * and channels whose readers are said by their names' first letter. */
#ifndef CHATD_TESTS_UNIT_READER_FIXTURE_H
#define CHATD_TESTS_UNIT_READER_FIXTURE_H

#include "hub_fixture.h"

#include <stdio.h>

#include "../../src/hub/heads.h"
#include "../../src/hub/ring.h"
#include "hub/line.h"
#include "hub/lock.h"
#include "hub/presence.h"
#include "hub/publisher.h"
#include "hub/reader.h"
#include "hub/slot.h"

enum {
	STORE = 1 << READER_STORE,
	HOOKS = 1 << READER_HOOKS,
	RING = 16384,
	STORE_LINE = 1, /* their lines */
	HOOKS_LINE = 2
};

struct scene {
	struct hub h;
	struct publisher pub;
	struct publication p; /* what was published, */
	uint64_t mask;	      /* and for whom */
	struct claim slots;
	char buf[RING];
};

/* The readers of a channel: of "told" HOOKS, of "kept" HOOKS, which requires
 * it; of "stored" STORE, which requires it and opens it; of "both" both. */
static inline uint8_t
scene_flags_cb(void *arg, const char *name, size_t len)
{
	switch (name[0]) {
	case 't':
		return HOOKS;
	case 'k':
		return HOOKS | HOOKS << PRESENCE_REQUIRED;
	case 's':
		return STORE | STORE << PRESENCE_REQUIRED;
	case 'b':
		return STORE | HOOKS | (STORE | HOOKS) << PRESENCE_REQUIRED;
	default:
		return 0;
	}
}

/* A hub with these readers, a ring of that size, and that part of it for each
 * reader (struct hub_limits). */
static inline void
scene_begin_share(
    struct scene *s, uint64_t ring, uint8_t readers, uint32_t share)
{
	const struct hub_limits l = {.connections = 64,
	    .users = 16,
	    .channels = 16,
	    .journal_bytes = ring,
	    .output_bytes = 1 << 20,
	    .input_bytes = 1 << 20,
	    .readers = readers,
	    .reader_share = share};

	memset(s, 0, sizeof(*s));
	assert_int_equal(hub_create(&s->h, &l), 0);
	hub_become(&s->h, 0);
	s->h.flags_of = scene_flags_cb;
	s->pub = (struct publisher){.hub = &s->h, .wall_ms = 1234};
	claim_init(&s->slots, s->h.slot_owner, s->h.n_slots, 0);
}

static inline void
scene_begin_of(struct scene *s, uint64_t ring, uint8_t readers)
{
	scene_begin_share(s, ring, readers, 0);
}

static inline void
scene_begin(struct scene *s)
{
	scene_begin_of(s, RING, STORE | HOOKS);
}

static inline void
scene_end(struct scene *s)
{
	claim_deinit(&s->slots);
	hub_destroy(&s->h);
}

/* The entry of a channel, made if need be; open, as if its reader had said
 * where it stands. */
static inline uint32_t
scene_channel(struct scene *s, const char *name)
{
	uint32_t e;
	uint8_t flags;

	hub_lock(&s->h);
	e = presence_make(&s->h, name, strlen(name));
	flags = SHM_LOAD(s->h.entry[e].flags);
	SHM_STORE(s->h.entry[e].flags, PRESENCE_WARM(flags, PRESENCE_OPEN));
	hub_unlock(&s->h);
	return e;
}

/* An open connection of worker 0. */
static inline uint32_t
scene_conn(struct scene *s)
{
	uint32_t i = slot_take(&s->h, &s->slots);

	assert_int_not_equal(i, SHM_NONE);
	s->h.slot[i].user = SHM_NONE;
	slot_set(&s->h, i, SLOT_OPEN);
	return i;
}

/* Publishes a text. */
static inline enum publish_result
scene_say(struct scene *s, const char *name, const char *text, size_t len)
{
	const struct publishing what = {.conn = SHM_NONE,
	    .format = FORMAT_TEXT,
	    .user = "hub",
	    .user_len = 3,
	    .data = text,
	    .len = len};

	return publisher_publish(
	    &s->pub, name, strlen(name), PUBLISH_MAKE, &what, &s->p, &s->mask);
}

/* Publishes as a connection, with flags. */
static inline enum publish_result
scene_ask(struct scene *s, uint32_t conn, const char *name, uint8_t flags)
{
	const struct publishing what = {.conn = conn,
	    .format = FORMAT_TEXT,
	    .flags = flags,
	    .command = conn == SHM_NONE ? 1 : 0, /* worker 0 is answered */
	    .user = "hub",
	    .user_len = 3,
	    .data = "asks",
	    .len = 4};

	return publisher_publish(
	    &s->pub, name, strlen(name), PUBLISH_MAKE, &what, &s->p, &s->mask);
}

/* The next thing that a reader is told, p being in the scene. */
static inline enum reader_result
scene_next(struct scene *s, struct reader *r)
{
	return reader_next(r, s->buf, sizeof(s->buf), &s->p);
}

/* As which process the hub is used from now on. */
static inline void
scene_become(struct scene *s, int line)
{
	hub_become(&s->h, line);
}

#endif
