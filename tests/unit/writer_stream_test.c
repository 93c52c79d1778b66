/* writer: a channel whose stream was overwritten by a hostile worker costs
 * nobody else anything. */
#include "reader_fixture.h"

#include <stdlib.h>
#include <unistd.h>

#include "../../src/store/writer.h"
#include "base/sparse.h"

static struct scene s;
static struct writer w;
static char dir[] = "/tmp/chatd-stream.XXXXXX";

/* The store, in a folder of its own. */
static void
writer_begins(void)
{
	static char path[64];
	const struct store_options o = {.path = path, .use = STORE_WRITES};
	struct store_mark mark;
	char error[1024];
	bool damaged;

	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/chat.db", dir);
	w.hub = &s.h;
	w.figures = figures_of(&s.h);
	w.turn = 1;
	w.batch = WRITER_BATCH;
	w.cap = RING;
	w.buf = malloc(RING);
	w.channel = sparse_new(s.h.n_entries, sizeof(*w.channel));
	if (store_open(&w.store, &o, &mark, &damaged, error, sizeof(error)) ==
	    -1)
		fail_msg("%s", error);
	scene_become(&s, STORE_LINE);
	reader_init(&w.reader, &s.h, READER_STORE, 0);
}

/* All others' are taken, who asks is answered, and it is noted. */
static void
test_stream(void **state)
{
	char command[64];
	uint32_t good, bad;
	bool more;

	scene_begin(&s);
	good = scene_channel(&s, "sgood");
	bad = scene_channel(&s, "sbad");
	SHM_STORE(s.h.stream[good], 5);
	SHM_STORE(s.h.stream[bad], 0);
	writer_begins();
	scene_become(&s, 0);
	for (int k = 0; k < 3; k++)
		scene_say(&s, "sgood", "x", 1);
	scene_ask(&s, SHM_NONE, "sbad", PUBLICATION_WAITS);
	for (int k = 0; k < 3; k++)
		scene_say(&s, "sgood", "x", 1);
	scene_become(&s, STORE_LINE);
	assert_int_equal(writer_take(&w, &more), STORE_OK);
	assert_false(more);
	assert_int_equal(w.rows, 6);
	assert_int_equal(w.holes, 1);
	assert_int_equal(w.n_owed, 1);
	store_close(w.store);
	sparse_free(w.channel, s.h.n_entries, sizeof(*w.channel));
	free(w.buf);
	free(w.owed);
	scene_end(&s);
	snprintf(command, sizeof(command), "rm -rf %s", dir);
	assert_int_equal(system(command), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_stream)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
