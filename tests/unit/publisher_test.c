/* publisher: what is accepted, under what terms, by a process that has no
 * connections of its own. */
#include "hub_fixture.h"

#include "hub/lock.h"
#include "hub/publisher.h"
#include "hub/slot.h"
#include "presence_fixture.h"

enum { RING = 16384, WRITER = 1 };

struct scene {
	struct hub h;
	struct publisher pub;
	struct publication p;
	uint64_t mask;
	int relayed;
	uint64_t relayed_mask;
};

/* For struct publisher: the lock is free again. */
static void
relay_cb(void *arg, const struct publication *p, uint64_t mask)
{
	struct scene *s = arg;

	hub_lock(&s->h);
	hub_unlock(&s->h);
	s->relayed++;
	s->relayed_mask = mask;
	assert_true(p->position == journal_tail(&s->h));
}

/* Alice's channel and a room, both of worker 0; the writer has another line. */
static void
scene_begin(struct scene *s)
{
	bool first;

	memset(s, 0, sizeof(*s));
	fixture_hub(&s->h, 16, 4, RING, 1 << 20, 1 << 20);
	hub_lock(&s->h);
	presence_enter(&s->h, "#alice", 6, &first);
	presence_enter(&s->h, "room", 4, &first);
	hub_unlock(&s->h);
	hub_become(&s->h, WRITER);
	s->pub = (struct publisher){
	    .hub = &s->h, .wall_ms = 1234, .relay = relay_cb, .arg = s};
}

/* Publishes so many bytes as the server. */
static enum publish_result
publish_bytes(struct scene *s, const char *name, enum publish_to to, size_t len)
{
	static const char bytes[RING];
	const struct publishing what = {.conn = SHM_NONE,
	    .order = 7,
	    .format = FORMAT_JSON,
	    .user = "hub",
	    .user_len = 3,
	    .data = bytes,
	    .len = len};

	return publisher_publish(
	    &s->pub, name, strlen(name), to, &what, &s->p, &s->mask);
}

/* Each result, and that only an accepted one is relayed. */
static void
test_results(void **state)
{
	struct scene s;
	char name[] = "a";

	scene_begin(&s);
	assert_int_equal(
	    publish_bytes(&s, "room", PUBLISH_KNOWN, 10), PUBLISH_OK);
	assert_true(s.p.position == 1 && s.p.offset == 1 && s.mask == 1);
	assert_true(s.p.order == 7 && s.p.sender == 0);
	assert_true(s.p.time_ms == 1234);
	assert_int_equal(s.relayed, 1);
	assert_true(s.relayed_mask == 1);
	assert_int_equal(
	    publish_bytes(&s, "#alice", PUBLISH_ONLINE, 10), PUBLISH_OK);
	assert_int_equal(
	    publish_bytes(&s, "other", PUBLISH_KNOWN, 10), PUBLISH_ABSENT);
	hub_lock(&s.h);
	presence_leave(&s.h, presence_find(&s.h, "#alice", 6), 0);
	hub_unlock(&s.h);
	assert_int_equal(
	    publish_bytes(&s, "#alice", PUBLISH_ONLINE, 10), PUBLISH_ABSENT);
	assert_int_equal(
	    publish_bytes(&s, "#alice", PUBLISH_KNOWN, 10), PUBLISH_OK);
	assert_true(s.p.offset == 2 && s.mask == 0);
	assert_int_equal(publish_bytes(&s, "room", PUBLISH_KNOWN,
			     RING / JOURNAL_SHARE - JOURNAL_HEAD - 3),
	    PUBLISH_OK);
	assert_int_equal(publish_bytes(&s, "room", PUBLISH_KNOWN,
			     RING / JOURNAL_SHARE - JOURNAL_HEAD - 2),
	    PUBLISH_TOO_BIG);
	assert_int_equal(s.relayed, 4);
	/* a worker has as many channels as there may be */
	hub_become(&s.h, 0);
	for (; name[0] < 'd'; name[0]++) {
		bool first;

		hub_lock(&s.h);
		assert_int_not_equal(
		    presence_enter(&s.h, name, 1, &first), SHM_NONE);
		hub_unlock(&s.h);
	}
	hub_become(&s.h, WRITER);
	assert_int_equal(
	    publish_bytes(&s, "more", PUBLISH_MAKE, 10), PUBLISH_FULL);
	assert_int_equal(s.relayed, 4);
	hub_destroy(&s.h);
}

/* Without a relay and a counter. */
static void
test_alone(void **state)
{
	_Atomic uint64_t count = 0;
	struct scene s;

	scene_begin(&s);
	s.pub.relay = NULL;
	assert_int_equal(
	    publish_bytes(&s, "made", PUBLISH_MAKE, 10), PUBLISH_OK);
	s.pub.count = &count;
	assert_int_equal(
	    publish_bytes(&s, "made", PUBLISH_MAKE, 10), PUBLISH_OK);
	assert_true(s.p.offset == 2 && count == 1);
	assert_int_equal(s.relayed, 0);
	hub_destroy(&s.h);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_results),
	    cmocka_unit_test(test_alone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
