/* writer: what waits is taken at once, and is due from when it was said; what
 * is asked for is listed once. */
#include "reader_fixture.h"

#include <stdlib.h>
#include <unistd.h>

#include "../../src/store/writer.h"
#include "base/clock.h"
#include "base/sparse.h"

enum { JOURNAL = 1 << 18, SAID = 600 };

static struct scene s;
static struct writer w;
static char dir[] = "/tmp/chatd-take.XXXXXX";

/* The store, in a folder of its own, and a channel that it stores. */
static int
scene_begins(void **state)
{
	static char path[64];
	const struct store_options o = {.path = path, .use = STORE_WRITES};
	struct store_mark mark;
	char error[1024];
	bool damaged;

	strcpy(dir + sizeof(dir) - 7, "XXXXXX");
	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/chat.db", dir);
	scene_begin_of(&s, JOURNAL, STORE);
	SHM_STORE(s.h.stream[scene_channel(&s, "said")], 5);
	w = (struct writer){.hub = &s.h,
	    .figures = figures_of(&s.h),
	    .turn = 1,
	    .batch = WRITER_BATCH,
	    .cap = RING,
	    .buf = malloc(RING),
	    .channel = sparse_new(s.h.n_entries, sizeof(*w.channel))};
	if (store_open(&w.store, &o, &mark, &damaged, error, sizeof(error)) ==
	    -1)
		fail_msg("%s", error);
	scene_become(&s, STORE_LINE);
	reader_init(&w.reader, &s.h, READER_STORE, 0);
	scene_become(&s, 0);
	return 0;
}

static int
scene_ends(void **state)
{
	char command[64];

	store_close(w.store);
	sparse_free(w.channel, s.h.n_entries, sizeof(*w.channel));
	free(w.buf);
	scene_end(&s);
	snprintf(command, sizeof(command), "rm -rf %s", dir);
	return system(command);
}

/* All of it is of one commit, however many wait. */
static void
test_all(void **state)
{
	bool more;

	for (int k = 0; k < SAID; k++)
		scene_say(&s, "said", "x", 1);
	scene_become(&s, STORE_LINE);
	assert_int_equal(writer_take(&w, &more), STORE_OK);
	assert_int_equal(w.taken, SAID);
	assert_false(more);
}

/* What lay there while the store slept is due so much earlier; what a hostile
 * worker says of the time makes it due neither now nor never. */
static void
take_one(int64_t time_ms, uint64_t least, uint64_t most)
{
	const uint64_t before = clock_ms();
	bool more;

	scene_become(&s, 0);
	s.pub.wall_ms = time_ms;
	scene_say(&s, "said", "x", 1);
	scene_become(&s, STORE_LINE);
	w.taken = 0;
	assert_int_equal(writer_take(&w, &more), STORE_OK);
	assert_int_equal(w.taken, 1);
	assert_in_range(w.taken_ms, before - most, clock_ms() - least);
}

static void
test_due(void **state)
{
	take_one(clock_wall_ms() - 16, 1, READER_CHILD_WAIT_MS);
	take_one(1, READER_CHILD_WAIT_MS, READER_CHILD_WAIT_MS);
	take_one(clock_wall_ms() + 3600 * 1000, 0, 0);
}

/* Asks for a channel by its entry alone. */
static void
asks(const char *name)
{
	const uint32_t e = scene_channel(&s, name);

	SHM_STORE(s.h.entry[e].flags,
	    PRESENCE_WARM(presence_flags(&s.h, e), PRESENCE_OPENING));
}

/* Channels that are asked for are opened one after the other while much is
 * unread; those that wait for that are not listed again. */
static void
test_asked(void **state)
{
	static const char text[1024];
	static struct conf_live live;
	struct child_start start = {.hub = &s.h, .live = &live};

	asks("sone");
	asks("stwo");
	for (int k = 0; k < 2 * JOURNAL / 16 / (int)sizeof(text); k++)
		scene_say(&s, "said", text, sizeof(text));
	scene_become(&s, STORE_LINE);
	start.line = s.h.mine;
	w.start = &start;
	w.begun = true;
	memset(w.child.link, -1, sizeof(w.child.link));
	for (size_t left = 2; left > 0; left--) {
		w.seek_ms = 0;
		assert_int_equal(writer_open_asked(&w, false), STORE_OK);
		assert_int_equal(w.n_asked, left - 1);
	}
	free(w.asked);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(test_all, scene_begins, scene_ends),
	    cmocka_unit_test_setup_teardown(test_due, scene_begins, scene_ends),
	    cmocka_unit_test_setup_teardown(
		test_asked, scene_begins, scene_ends)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
