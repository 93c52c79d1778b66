/* store: what is written. */
#include "store_fixture.h"

/* Of a channel, as `what` finds it. */
static const char *
found(struct store *s, enum store_what what, const char *name)
{
	const struct store_query q = {
	    .what = what, .name = name, .name_len = strlen(name)};

	return find(s, &q);
}

static struct publication seen;
static bool seen_erased;

/* Notes one row whole; its texts must be as long as `full` says. */
static bool
see(void *arg, const struct store_row *r)
{
	const struct publication *want = arg;

	seen = r->pub;
	seen_erased = r->erased;
	assert_int_equal(seen.user_len, want->user_len);
	assert_memory_equal(seen.user, want->user, want->user_len);
	assert_int_equal(seen.info_len, want->info_len);
	assert_memory_equal(seen.info, want->info, want->info_len);
	assert_int_equal(seen.sub_info_len, want->sub_info_len);
	assert_memory_equal(seen.sub_info, want->sub_info, want->sub_info_len);
	assert_int_equal(seen.tags_len, want->tags_len);
	assert_memory_equal(seen.tags, want->tags, want->tags_len);
	assert_int_equal(seen.data_len, want->data_len);
	assert_memory_equal(seen.data, want->data, want->data_len);
	return true;
}

/* A row comes back as it went, all of its numbers and texts. */
static void
row_comes_back(void **state)
{
	struct store *s = writer();
	struct store_channel c = channel(s, "room:a");
	const struct publication p = {.offset = UINT32_MAX + 5ull,
	    .before = UINT32_MAX + 2ull,
	    .time_ms = 1700000000123,
	    .sender = UINT64_MAX - 7,
	    .format = FORMAT_JSON,
	    .user = "\xc3\xa4 b",
	    .user_len = 4,
	    .info = "{\"i\":1}",
	    .info_len = 7,
	    .sub_info = "{\"s\":22}",
	    .sub_info_len = 8,
	    .tags = "{\"t\":\"333\"}",
	    .tags_len = 11,
	    .data = "{\"a\":\"\0b\"}",
	    .data_len = 10};
	const struct store_query q = {
	    .what = STORE_PAGE, .name = "room:a", .name_len = 6};

	assert_int_equal(store_take(s, &c, &p), STORE_OK);
	assert_int_equal(c.top, p.offset);
	assert_int_equal(c.newest, p.offset);
	commit(s, 1);
	assert_int_equal(store_find(s, &q, see, (void *)&p), STORE_OK);
	assert_int_equal(seen.offset, p.offset);
	assert_int_equal(seen.before, p.before);
	assert_int_equal(seen.time_ms, p.time_ms);
	assert_int_equal(seen.sender, p.sender);
	assert_int_equal(seen.format, FORMAT_JSON);
	assert_int_equal(seen.position, 0);
	assert_false(seen_erased);
	store_close(s);
}

/* A row without texts has none, and is there. */
static void
empty_row_comes_back(void **state)
{
	struct store *s = writer();
	struct store_channel c = channel(s, "room:a");
	const struct publication p = {
	    .offset = 1, .format = FORMAT_TEXT, .data = ""};
	const struct store_query q = {
	    .what = STORE_PAGE, .name = "room:a", .name_len = 6};

	assert_int_equal(store_take(s, &c, &p), STORE_OK);
	assert_int_equal(store_find(s, &q, see, (void *)&p), STORE_OK);
	assert_int_equal(seen.offset, 1);
	store_close(s);
}

/* What was not committed is not there, for another process before, and for all
 * after the end; what was is. */
static void
commit_is_all_or_nothing(void **state)
{
	struct store *s = writer(), *r;
	struct store_channel c = channel(s, "room:a");
	struct store_figures f;

	say(s, &c, "one");
	commit(s, 5);
	r = try(STORE_READS);
	assert_non_null(r);
	say(s, &c, "two");
	assert_string_equal(
	    page(s, "room:a"), "room:a 1<0 one\nroom:a 2<1 two\n");
	assert_string_equal(page(r, "room:a"), "room:a 1<0 one\n");
	store_figures(s, &f);
	assert_int_equal(f.rows, 1);
	assert_true(f.wal_bytes > 0);
	store_close(s);
	assert_string_equal(page(r, "room:a"), "room:a 1<0 one\n");
	store_close(r);
	s = writer();
	assert_int_equal(mark.position, 5);
	assert_int_equal(channel(s, "room:a").top, 1);
	store_figures(s, &f);
	assert_int_equal(f.rows, 1);
	store_close(s);
}

/* Another message with the offset of one that is there is an error, not
 * dropped; a channel goes on above all that is there, whatever its top says. */
static void
row_is_written_once(void **state)
{
	struct store *s = writer();
	struct store_channel c = channel(s, "room:a"), again = c;
	const struct publication other = message(&again, "other");
	struct store_figures f;

	say(s, &c, "one");
	commit(s, 1);
	assert_int_equal(store_take(s, &again, &other), STORE_FAILED);
	assert_non_null(strstr(store_error(s), "nobody but chatd"));
	sql(path, "UPDATE channel SET top = 0");
	assert_int_equal(channel(s, "room:a").top, 1);
	commit(s, 1);
	assert_string_equal(page(s, "room:a"), "room:a 1<0 one\n");
	store_figures(s, &f);
	assert_int_equal(f.rows, 1);
	store_close(s);
}

/* A channel is found with what the transaction has changed, and keeps the
 * stream that it was made with. */
static void
channel_has_one_stream(void **state)
{
	struct store *s = writer();
	struct store_channel c, d;

	assert_int_equal(store_channel(s, "room:a", 6, 0, &c), STORE_NONE);
	assert_int_equal(
	    store_channel(s, "room:a", 6, UINT64_MAX - 1, &c), STORE_OK);
	say(s, &c, "one");
	assert_int_equal(store_channel(s, "room:a", 6, 0, &d), STORE_OK);
	assert_memory_equal(&d, &c, sizeof(c));
	commit(s, 1);
	assert_int_equal(store_channel(s, "room:a", 6, 8, &d), STORE_OK);
	assert_memory_equal(&d, &c, sizeof(c));
	store_close(s);
}

/* More channels in a transaction than are noted at once: each has its top. */
static void
many_channels_have_tops(void **state)
{
	enum { MANY = 3 * STORE_DIRTY };
	static struct store_channel c[MANY];
	struct store *s = writer();
	struct store_channel d;
	char name[32];

	for (int k = 0; k < MANY; k++) {
		snprintf(name, sizeof(name), "room:%d", k);
		c[k] = channel(s, name);
	}
	for (int n = 0; n < 2; n++)
		for (int k = 0; k < MANY; k++)
			say(s, &c[k], "text");
	commit(s, 2 * MANY);
	store_close(s);
	s = writer();
	for (int k = 0; k < MANY; k += 97) {
		snprintf(name, sizeof(name), "room:%d", k);
		d = channel(s, name);
		assert_memory_equal(&d, &c[k], sizeof(d));
		assert_int_equal(d.top, 2);
	}
	store_close(s);
}

/* A leap is a link of the chain; all channels go on higher after an end that
 * was not clean, but for those that never told an offset. */
static void
offsets_leap(void **state)
{
	struct store *s = writer();
	struct store_channel a = channel(s, "a"), b = channel(s, "b");
	struct publication p;

	say(s, &a, "one");
	assert_int_equal(store_leap(s, 1000), STORE_OK);
	assert_int_equal(channel(s, "a").top, 1001);
	assert_int_equal(channel(s, "a").newest, 1);
	assert_int_equal(channel(s, "b").top, 0);
	a = channel(s, "a");
	p = (struct publication){
	    .format = FORMAT_LEAP, .offset = a.top, .before = a.newest};
	assert_int_equal(store_take(s, &a, &p), STORE_OK);
	assert_int_equal(a.newest, 1001);
	say(s, &a, "two");
	assert_string_equal(
	    page(s, "a"), "a 1<0 one\na 1001<1 \na 1002<1001 two\n");
	(void)b;
	store_close(s);
}

/* A hole moves the channel on, and is counted when it is there for good. */
static void
hole_is_written(void **state)
{
	struct store *s = writer();
	struct store_channel c = channel(s, "room:a");
	struct store_figures f;

	say(s, &c, "one");
	assert_int_equal(
	    store_hole(s, &c, 1, 9, 1700000000000, "behind"), STORE_OK);
	assert_int_equal(c.top, 9);
	assert_int_equal(c.newest, 1);
	assert_int_equal(
	    store_hole(s, NULL, 100, 200, 1700000000000, "bad"), STORE_OK);
	store_figures(s, &f);
	assert_int_equal(f.holes, 0);
	commit(s, 1);
	store_figures(s, &f);
	assert_int_equal(f.holes, 2);
	store_close(s);
	s = writer();
	store_figures(s, &f);
	assert_int_equal(f.holes, 2);
	assert_int_equal(channel(s, "room:a").top, 9);
	store_close(s);
	assert_int_equal(number(path,
			     "SELECT after + before FROM hole WHERE channel"
			     " NOT NULL AND why = 'behind'"),
	    10);
}

/* Takes a proposal at that position. */
static void
propose(struct store *s, struct store_channel *c, uint64_t position,
    const char *text)
{
	struct publication p = message(c, text);

	p.flags = PUBLICATION_PROPOSED | PUBLICATION_WAITS;
	p.position = position;
	p.before = 0; /* as all had it when they were proposed */
	assert_int_equal(store_take(s, c, &p), STORE_OK);
}

static uint64_t proposal[8];
static unsigned n_proposals;

/* Notes the position of each. */
static bool
note_proposal(void *arg, const struct store_row *r)
{
	proposal[n_proposals++] = r->pub.position;
	return true;
}

/* The positions of those that are not known to be delivered. */
static unsigned
proposals(struct store *s)
{
	const struct store_query q = {.what = STORE_PROPOSALS};

	n_proposals = 0;
	assert_int_equal(store_find(s, &q, note_proposal, NULL), STORE_OK);
	return n_proposals;
}

/* What is proposed is known until it is delivered or answered; it is written
 * once, and the chain goes over those that were proposed at once. */
static void
proposals_are_known(void **state)
{
	struct store *s = writer();
	struct store_channel c = channel(s, "room:a");

	for (unsigned k = 0; k < 4; k++)
		propose(s, &c, 10 + k, "text");
	commit(s, 13);
	store_close(s);
	s = writer();
	assert_int_equal(proposals(s), 4);
	assert_int_equal(proposal[0], 10);
	assert_string_equal(found(s, STORE_PROPOSALS, ""),
	    "room:a 1<0 text\nroom:a 2<1 text\nroom:a 3<2 text\n"
	    "room:a 4<3 text\n");
	assert_int_equal(store_answered(s, 12), STORE_OK);
	assert_int_equal(proposals(s), 1);
	assert_int_equal(proposal[0], 13);
	assert_int_equal(store_answered(s, UINT64_MAX), STORE_OK);
	assert_int_equal(proposals(s), 0);
	store_close(s);
}

/* A new channel on a disk that is nearly full: that is said, whatever was wrong
 * before. */
static void
full_disk_is_no_damage(void **state)
{
	struct store *s = writer();
	struct store_channel c;

	s->failed = STORE_DAMAGED;
	fs_is_full = true;
	assert_int_equal(store_channel(s, "room:a", 6, 7, &c), STORE_FULL);
	s->failed = STORE_OK;
	assert_int_equal(store_channel(s, "room:a", 6, 7, &c), STORE_FULL);
	assert_int_equal(s->failed, STORE_FULL);
	fs_is_full = false;
	assert_int_equal(store_channel(s, "room:a", 6, 7, &c), STORE_OK);
	store_close(s);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(row_comes_back),
	    TEST(empty_row_comes_back),
	    TEST(commit_is_all_or_nothing),
	    TEST(row_is_written_once),
	    TEST(channel_has_one_stream),
	    TEST(many_channels_have_tops),
	    TEST(offsets_leap),
	    TEST(hole_is_written),
	    TEST(proposals_are_known),
	    TEST(full_disk_is_no_damage),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
