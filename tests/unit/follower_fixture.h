/* follower_fixture: a small hub with three channels, and a follower. */
#ifndef CHATD_TESTS_FOLLOWER_FIXTURE_H
#define CHATD_TESTS_FOLLOWER_FIXTURE_H

#include "hub_fixture.h"

#include <unistd.h>

#include "hub/follower.h"
#include "hub/lock.h"
#include "presence_fixture.h"

enum { RING = 16384, SECONDS = 20 };

/* A hub with three channels: of worker 0, of worker 1, of no worker. */
struct scene {
	struct hub h;
	uint32_t channel[3];
	_Atomic uint64_t cursor;
	struct follower f;
};

static inline void
scene_begin(struct scene *s, uint64_t bits)
{
	alarm(SECONDS); /* a loop without end ends the test */
	memset(s, 0, sizeof(*s));
	fixture_hub(&s->h, 16, 16, RING, 1 << 20, 1 << 20);
	presence_three(&s->h, s->channel);
	follower_init(&s->f, &s->h, &s->cursor, bits);
}

static inline void
scene_end(struct scene *s)
{
	alarm(0);
	hub_destroy(&s->h);
}

/* Publishes its own position; returns that. */
static inline uint64_t
publish_at(struct hub *h, uint32_t channel)
{
	uint64_t position;
	struct publication p = {.channel = channel,
	    .user = "",
	    .format = FORMAT_TEXT,
	    .data = (const char *)&position,
	    .data_len = sizeof(position)};

	hub_lock(h);
	position = h->tail + 1;
	journal_append(h, &p);
	hub_unlock(h);
	assert_true(p.position == position);
	return position;
}

/* Publishes so many to one of the channels. */
static inline void
publish_many(struct scene *s, uint32_t k, uint64_t n)
{
	while (n-- > 0)
		publish_at(&s->h, s->channel[k]);
}

/* The copy of what was found is that of its position. */
static inline void
read_right(struct follower *f)
{
	char buf[RING / JOURNAL_SHARE];
	struct publication p;
	uint64_t position;

	assert_int_equal(follower_read(f, buf, sizeof(buf), &p), JOURNAL_OK);
	assert_true(p.position == f->position);
	assert_int_equal(p.data_len, sizeof(position));
	memcpy(&position, p.data, sizeof(position));
	assert_true(position == f->position);
}

/* The next is that position. */
static inline void
expect(struct follower *f, uint64_t position)
{
	assert_int_equal(follower_next(f), FOLLOWER_FOUND);
	assert_true(f->position == position);
	read_right(f);
	follower_done(f);
	assert_true(SHM_OWN(*f->cursor) == position);
}

/* There is no more for now. */
static inline void
expect_end(struct follower *f)
{
	assert_int_equal(follower_next(f), FOLLOWER_END);
	assert_int_equal(follower_next(f), FOLLOWER_END);
	assert_false(follower_end(f));
	assert_true(SHM_OWN(*f->cursor) == journal_tail(f->h));
}

#endif
