/* store: what is found, and in which order. */
#include "store_fixture.h"

/* Three rooms with rows, by two users; room:b was published to last. */
static struct store *
rows(void)
{
	struct store *s = writer();
	struct store_channel a = channel(s, "room:a"), b = channel(s, "room:b");
	struct publication p;
	char text[16];

	(void)channel(s, "room:c");
	for (int k = 1; k <= 9; k++) {
		snprintf(text, sizeof(text), "%d", k);
		p = message(&a, text);
		p.time_ms = 1000 + k;
		if (k % 3 == 0) {
			p.user = "bob";
			p.user_len = 3;
		}
		assert_int_equal(store_take(s, &a, &p), STORE_OK);
	}
	p = message(&b, "b");
	p.time_ms = 5000;
	assert_int_equal(store_take(s, &b, &p), STORE_OK);
	commit(s, 10);
	return s;
}

/* The texts of room:a's rows that a query finds. */
static const char *
texts(struct store *s, struct store_query q)
{
	static char out[64];
	const char *line;

	q.what = STORE_PAGE;
	q.name = "room:a";
	q.name_len = 6;
	out[0] = '\0';
	for (line = find(s, &q); *line != '\0'; line = strchr(line, '\n') + 1)
		strncat(out, strchr(line, '\n') - 1, 1);
	return out;
}

/* A page: bounds by offset, by time, by number, from either end. */
static void
page_has_bounds(void **state)
{
	struct store *s = rows();

	assert_string_equal(texts(s, (struct store_query){0}), "123456789");
	assert_string_equal(
	    texts(s, (struct store_query){.reverse = true}), "987654321");
	assert_string_equal(
	    texts(s, (struct store_query){.since = 3, .upto = 6}), "456");
	assert_string_equal(
	    texts(s,
		(struct store_query){.upto = 6, .limit = 2, .reverse = true}),
	    "65");
	assert_string_equal(texts(s, (struct store_query){.limit = 2}), "12");
	assert_string_equal(
	    texts(s, (struct store_query){.oldest_ms = 1008}), "89");
	assert_string_equal(
	    texts(s, (struct store_query){.upto = UINT64_MAX}), "123456789");
	assert_string_equal(
	    texts(s, (struct store_query){.since = UINT64_MAX}), "");
	store_close(s);
}

/* Of its newest rows alone, whatever else is asked. */
static void
page_keeps_to_the_newest(void **state)
{
	struct store *s = rows();

	assert_string_equal(texts(s, (struct store_query){.keep = 4}), "6789");
	assert_string_equal(
	    texts(s, (struct store_query){.keep = 4, .reverse = true}), "9876");
	assert_string_equal(
	    texts(s,
		(struct store_query){.keep = 4, .limit = 3, .reverse = true}),
	    "987");
	assert_string_equal(
	    texts(
		s, (struct store_query){.keep = 4, .upto = 7, .reverse = true}),
	    "76");
	assert_string_equal(
	    texts(s, (struct store_query){.keep = 4, .since = 7}), "89");
	assert_string_equal(
	    texts(s, (struct store_query){.keep = 9}), "123456789");
	assert_string_equal(
	    texts(s, (struct store_query){.keep = 100}), "123456789");
	store_close(s);
}

/* So is it where offsets jump. */
static void
newest_are_counted_over_a_leap(void **state)
{
	struct store *s = rows();
	struct store_channel a = channel(s, "room:a");
	struct publication p;

	a.top = 100000;
	p = message(&a, "x");
	assert_int_equal(store_take(s, &a, &p), STORE_OK);
	assert_string_equal(texts(s, (struct store_query){.keep = 3}), "89x");
	/* which is no message itself, however many of them there are */
	for (int k = 0; k < 3; k++) {
		a.top += 100000;
		p = message(&a, "-");
		p.format = FORMAT_LEAP;
		assert_int_equal(store_take(s, &a, &p), STORE_OK);
	}
	assert_string_equal(
	    texts(s, (struct store_query){.keep = 3}), "89x---");
	assert_string_equal(texts(s, (struct store_query){.keep = 1}), "x---");
	store_close(s);
}

/* Channels, the last one first; one that lost its name is none. */
static void
channels_are_found(void **state)
{
	struct store *s = rows();
	struct store_query q = {.what = STORE_CHANNELS};
	struct store_channel c;

	assert_int_equal(sqlite3_exec(s->db,
			     "UPDATE channel SET name = NULL"
			     " WHERE name = 'room:b'",
			     NULL, NULL, NULL),
	    SQLITE_OK);
	c = channel(s, "room:b");
	say(s, &c, "new"); /* in this transaction */
	/* room:c was made just now, what was said is older */
	assert_string_equal(
	    find(s, &q), "room:c 0<0 \nroom:b 0<0 \nroom:a 0<0 \n");
	q.limit = 1;
	assert_string_equal(find(s, &q), "room:c 0<0 \n");
	store_close(s);
}

static struct store_channel stands;

static bool
note_stand(void *arg, const struct store_row *r)
{
	stands = r->channel;
	return false; /* the first one */
}

/* Each with where it stands; who has enough says so. */
static void
channel_stands(void **state)
{
	struct store *s = rows();
	const struct store_query q = {.what = STORE_CHANNELS, .oldest_ms = 1};
	struct store_channel b;

	assert_int_equal(store_leap(s, 100), STORE_OK);
	b = channel(s, "room:b");
	say(s, &b, "more");
	assert_int_equal(store_find(s, &q, note_stand, NULL), STORE_OK);
	/* room:c was made just now, and nothing was said there */
	assert_int_equal(stands.top, 0);
	sqlite3_exec(s->db, "DELETE FROM channel WHERE name = 'room:c'", NULL,
	    NULL, NULL);
	assert_int_equal(store_find(s, &q, note_stand, NULL), STORE_OK);
	assert_int_equal(stands.id, b.id);
	assert_int_equal(stands.stream, 7);
	assert_int_equal(stands.top, 102);
	assert_int_equal(stands.newest, 102);
	store_close(s);
}

/* What is not there is told from what has no rows. */
static void
nothing_is_told(void **state)
{
	struct store *s = rows();
	struct store_query q = {
	    .what = STORE_PAGE, .name = "room:d", .name_len = 6};
	struct found f = {.n = 0};

	assert_int_equal(store_find(s, &q, note, &f), STORE_NONE);
	q.name = "room:c";
	assert_int_equal(store_find(s, &q, note, &f), STORE_OK);
	q.what = STORE_USER;
	assert_int_equal(store_find(s, &q, note, &f), STORE_NONE);
	assert_int_equal(f.n, 0);
	store_close(s);
}

/* All that a user has published, in the order in which it was. */
static void
user_is_found(void **state)
{
	struct store *s = rows();
	const struct store_query q = {
	    .what = STORE_OF_USER, .name = "bob", .name_len = 3};

	assert_string_equal(
	    find(s, &q), "room:a 3<2 3\nroom:a 6<5 6\nroom:a 9<8 9\n");
	store_close(s);
}

/* A reader's page is of one moment, and a damaged one is told. */
static void
damage_is_told(void **state)
{
	const struct store_query q = {
	    .what = STORE_PAGE, .name = "room:a", .name_len = 6};
	struct found f = {.n = 0};
	struct store *s = rows();
	char bytes[4096];
	long long root;
	FILE *file;

	assert_int_equal(store_checkpoint(s, true), STORE_OK);
	store_close(s);
	root = number(path,
	    "SELECT rootpage FROM sqlite_schema WHERE name = 'publication'");
	memset(bytes, 0xee, sizeof(bytes));
	file = fopen(path, "r+");
	assert_non_null(file);
	assert_int_equal(fseek(file, (long)(root - 1) * 4096, SEEK_SET), 0);
	assert_int_equal(fwrite(bytes, sizeof(bytes), 1, file), 1);
	fclose(file);
	s = try(STORE_READS);
	assert_non_null(s);
	assert_int_equal(store_find(s, &q, note, &f), STORE_DAMAGED);
	assert_non_null(strstr(store_error(s), "DAMAGE in chatd-store(5)"));
	store_close(s);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(page_has_bounds),
	    TEST(page_keeps_to_the_newest),
	    TEST(newest_are_counted_over_a_leap),
	    TEST(channels_are_found),
	    TEST(channel_stands),
	    TEST(nothing_is_told),
	    TEST(user_is_found),
	    TEST(damage_is_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
