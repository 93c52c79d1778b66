/* user_here: connections of users come and go at random, against a plain table;
 * few users cost few pages. */
#include "hub_fixture.h"

#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/sparse.h"
#include "room/rooms.h"
#include "room/user.h"

enum { CONNS = 1 << 14, ENTRIES = 1 << 20 };

struct scene {
	struct hub h;
	struct rooms rooms;
	struct chat ch;
	uint32_t user[CONNS]; /* 0: not listed */
};

static void
scene_make(struct scene *s)
{
	memset(s, 0, sizeof(*s));
	s->h.n_slots = CONNS;
	s->ch.hub = &s->h;
	s->ch.rooms = &s->rooms;
	s->ch.conn = sparse_new(CONNS, sizeof(*s->ch.conn));
	assert_non_null(s->ch.conn);
	assert_int_equal(user_list_init(&s->ch), 0);
}

static void
scene_end(struct scene *s)
{
	sparse_free(s->ch.conn, CONNS, sizeof(*s->ch.conn));
	sparse_free(s->rooms.users.bucket, CONNS, sizeof(uint32_t));
}

static void
scene_add(struct scene *s, uint32_t conn, uint32_t user)
{
	user_list_add(&s->ch, conn, user);
	s->user[conn] = user;
}

/* Takes one off and says whether that was right. */
static void
scene_remove(struct scene *s, uint32_t conn)
{
	uint32_t user = s->user[conn], k, left = 0;
	bool last = user_list_remove(&s->ch, conn);

	s->user[conn] = 0;
	for (k = 0; k < CONNS; k++)
		left += s->user[k] == user;
	assert_int_equal(last, left == 0);
}

/* A user's list has exactly the user's connections. */
static void
scene_check(struct scene *s, uint32_t user)
{
	uint32_t i = user_list_first(&s->ch, user), n = 0, k;

	for (; i != SHM_NONE; i = user_list_next(&s->ch, i), n++) {
		assert_true(i < CONNS);
		assert_int_equal(s->user[i], user);
		assert_true(n < CONNS);
	}
	for (k = 0; k < CONNS; k++)
		n -= s->user[k] == user;
	assert_int_equal(n, 0);
}

/* Many connections of few users, and of many, with each stride of entries. */
static void
test_model(void **state)
{
	static const uint32_t users[] = {3, 40, 2000};
	static struct scene s;
	uint32_t kind, step, conn, user, stride;

	for (kind = 0; kind < 3; kind++) {
		scene_make(&s);
		stride = 1u << (3 * kind);
		for (step = 0; step < 20000; step++) {
			conn = fixture_random(4000);
			user = 1 + stride * fixture_random(users[kind]);
			if (s.user[conn] != 0)
				scene_remove(&s, conn);
			else
				scene_add(&s, conn, user);
			if (step % 16 == 0)
				scene_check(&s, user);
		}
		for (conn = 0; conn < CONNS; conn++)
			if (s.user[conn] != 0)
				scene_remove(&s, conn);
		assert_int_equal(s.rooms.users.n, 0);
		scene_end(&s);
	}
}

/* The last that came is the first of the list. */
static void
test_order(void **state)
{
	static struct scene s;
	uint32_t k;

	scene_make(&s);
	for (k = 0; k < 5; k++)
		scene_add(&s, k, 7);
	for (k = 5; k-- > 0;) {
		assert_int_equal(user_list_first(&s.ch, 7), k);
		scene_remove(&s, k);
	}
	scene_end(&s);
}

/* Of 64 workers' users one worker's take as much room as they are many, and
 * none of them is behind many others. */
static void
test_room(void **state)
{
	static struct scene s;
	uint32_t k, n, most = 0, pages = 0, link;
	unsigned char here[CONNS * sizeof(uint32_t) / 4096];

	if (getpagesize() != 4096)
		skip();
	scene_make(&s);
	for (k = 0; k < CONNS / 4; k++)
		scene_add(&s, k, 1 + k * 64 % ENTRIES);
	assert_int_equal(
	    mincore(s.rooms.users.bucket, sizeof(here) * 4096, here), 0);
	for (k = 0; k < sizeof(here); k++)
		pages += here[k] & 1;
	assert_int_equal(pages, sizeof(here) / 4);
	for (k = 0; k < s.rooms.users.n_buckets; k++) {
		link = s.rooms.users.bucket[k];
		for (n = 0; link != 0; n++)
			link = s.ch.conn[shm_index(link)].user.previous;
		most = n > most ? n : most;
	}
	assert_in_range(most, 1, 12);
	scene_end(&s);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_model),
	    cmocka_unit_test(test_order),
	    cmocka_unit_test(test_room),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
