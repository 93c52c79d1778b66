/* reader_load: channels that a reader of the journal opens before anybody asks,
 * and that begin anew while they are open. */
#include "reader_fixture.h"

/* The entry at a position of the journal. */
static struct publication
at(struct scene *s, uint64_t position)
{
	struct publication p;

	assert_int_equal(
	    journal_read(&s->h, position, s->buf, sizeof(s->buf), &p),
	    JOURNAL_OK);
	return p;
}

/* Channels that are opened before anybody asks for them: once, and no other
 * reader's. */
static void
test_load(void **state)
{
	struct publication pub = {.offset = 7,
	    .before = 6,
	    .data = "a",
	    .data_len = 1,
	    .format = FORMAT_TEXT};
	struct reader_opening o = {.stream = 9, .top = 7, .pubs = &pub, .n = 1};
	struct scene s;
	struct reader r;
	uint32_t e;

	scene_begin(&s);
	scene_become(&s, STORE_LINE);
	reader_init(&r, &s.h, READER_STORE, 0);
	assert_true(reader_load(&r, "stored", 6, &o) == UINT64_MAX);
	assert_int_equal(at(&s, 1).format, FORMAT_TEXT);
	assert_int_equal(at(&s, 2).format, FORMAT_OPENED);
	assert_true(journal_tail(&s.h) == 2);
	hub_lock(&s.h);
	e = presence_find(&s.h, "stored", 6);
	hub_unlock(&s.h);
	assert_true(s.h.stream[e] == 9 && s.h.entry[e].offset == 7);
	assert_int_equal(PRESENCE_WARMTH_OF(s.h.entry[e].flags), PRESENCE_OPEN);
	assert_true(reader_load(&r, "stored", 6, &o) == 0);
	assert_true(reader_load(&r, "kept", 4, &o) == 0);
	assert_true(reader_load(&r, "plain", 5, &o) == 0);
	assert_true(journal_tail(&s.h) == 2);
	/* half a table is the caller's to leave; a full one takes no more */
	for (int k = 0; k < 15; k++) {
		char name[] = {'s', (char)('a' + k)};

		hub_lock(&s.h);
		e = presence_make(&s.h, name, sizeof(name));
		presence_set(&s.h, e);
		hub_unlock(&s.h);
	}
	assert_true(reader_load(&r, "stop", 4, &o) == 0);
	scene_become(&s, 0);
	assert_int_equal(scene_say(&s, "sa", "x", 1), PUBLISH_COLD);
	scene_end(&s);
}

/* A channel begins anew while it is open: another epoch, offsets that go on,
 * and a hole that all are told. */
static void
test_renew(void **state)
{
	struct publication p;
	struct scene s;
	struct reader r;
	uint32_t e, epoch;
	uint64_t tail;

	scene_begin(&s);
	e = scene_channel(&s, "stored");
	assert_int_equal(scene_say(&s, "stored", "x", 1), PUBLISH_OK);
	epoch = s.p.epoch;
	scene_become(&s, STORE_LINE);
	reader_init(&r, &s.h, READER_STORE, 0);
	assert_true(reader_renew(&r, e, epoch + 1, 9, 0) == 0);
	tail = journal_tail(&s.h);
	assert_true(reader_renew(&r, e, epoch, 9, 0) == UINT64_MAX);
	p = at(&s, tail + 1);
	assert_int_equal(p.format, FORMAT_LEAP);
	/* it names none that there is */
	assert_true(p.offset == 2 && p.before == 2);
	p = at(&s, tail + 2);
	assert_int_equal(p.format, FORMAT_OPENED);
	assert_true(p.offset == 2 && p.stream == 9);
	assert_true(s.h.stream[e] == 9 && s.h.entry[e].offset == 2);
	assert_int_equal(PRESENCE_WARMTH_OF(s.h.entry[e].flags), PRESENCE_OPEN);
	reader_renew(&r, e, epoch, 9, 1000);
	assert_true(s.h.entry[e].offset == 1001);
	e = scene_channel(&s, "kept");
	assert_true(reader_renew(&r, e, s.h.entry[e].epoch, 9, 0) == 0);
	scene_end(&s);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_load),
	    cmocka_unit_test(test_renew),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
