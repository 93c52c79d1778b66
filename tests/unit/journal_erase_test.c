/* journal_erase: what a user has published is in no history any more, and all
 * else stays as it was. */
#include "hub_fixture.h"

#include "../../src/hub/heads.h"
#include "hub/history.h"

enum { RING = 1 << 16, SAID = 200 };

static struct hub hub;
static uint32_t room;
static struct history found;

/* Somebody says something. */
static struct publication
say(const char *user, uint8_t format, uint8_t flags)
{
	struct publication p = {.channel = room,
	    .format = format,
	    .flags = flags,
	    .sender = 7,
	    .user = user,
	    .user_len = (uint8_t)strlen(user),
	    .data = "secret",
	    .data_len = 6};

	hub_lock(&hub);
	journal_append(&hub, &p);
	hub_unlock(&hub);
	return p;
}

static int
setup(void **state)
{
	bool first;

	fixture_hub_readers(
	    &hub, 16, 16, RING, 1 << 20, 1 << 20, 1 << READER_STORE, 0);
	hub_lock(&hub);
	room = presence_enter(&hub, "room", 4, &first);
	presence_flags_set(&hub, room,
	    1 << READER_STORE | 1 << (PRESENCE_REQUIRED + READER_STORE));
	hub_unlock(&hub);
	return 0;
}

static int
teardown(void **state)
{
	hub_destroy(&hub);
	return 0;
}

/* Finds all that was said after an offset. */
static void
look(uint64_t since)
{
	const struct history_query q = {.channel = room,
	    .epoch = hub.entry[room].epoch,
	    .since = since,
	    .has_since = true,
	    .limit = HISTORY_MAX,
	    .keep = HISTORY_MAX};

	assert_int_equal(history_find(&hub, &q, &found), 0);
}

/* Two users in turn; one is erased up to some position. */
static void
test_history(void **state)
{
	struct publication p[SAID + 1], q;
	char buf[RING];

	for (int k = 1; k <= SAID; k++)
		p[k] = say(k % 2 ? "alice" : "alic", FORMAT_TEXT, 0);
	say("alice", FORMAT_JOIN, 0);
	assert_int_equal(
	    journal_erase(&hub, "alice", 5, p[SAID - 2].position, 0),
	    SAID / 2 - 1);
	look(0);
	assert_false(found.gone);
	assert_int_equal(found.n, SAID / 2 + 1);
	for (uint32_t k = 0; k < found.n; k++) {
		assert_int_equal(
		    journal_read(&hub, found.position[k], buf, sizeof(buf), &q),
		    JOURNAL_OK);
		assert_true(q.offset % 2 == 0 || q.offset == SAID - 1);
	}
	/* going on behind one that is erased is going on */
	for (uint64_t since = 1; since <= SAID; since++) {
		look(since);
		assert_false(found.gone);
		assert_int_equal(
		    found.n, SAID / 2 - since / 2 + (since < SAID - 1));
	}
	/* readers find it as it was, but for its format */
	assert_int_equal(
	    journal_read(&hub, p[1].position, buf, sizeof(buf), &q),
	    JOURNAL_OK);
	assert_int_equal(q.format, FORMAT_ERASED);
	assert_int_equal(q.required, p[1].required);
	assert_int_equal(q.required, 1 << READER_STORE);
	assert_int_equal(q.before, p[1].before);
	assert_false(publication_is_event(&q));
	assert_false(publication_is_said(&q));
	/* her join is no message, and she is erased once */
	assert_int_equal(
	    journal_peek(&hub, p[SAID].position + 1, &q), JOURNAL_OK);
	assert_int_equal(q.format, FORMAT_JOIN);
	assert_int_equal(journal_erase(&hub, "alice", 5, UINT64_MAX, 0), 1);
	assert_int_equal(journal_erase(&hub, "alice", 5, UINT64_MAX, 0), 0);
	assert_int_equal(journal_erase(&hub, "", 0, UINT64_MAX, 0), 0);
	assert_int_equal(journal_erase(&hub, "al", 2, UINT64_MAX, 0), 0);
}

/* It counts as one of those that are kept, so that no more are shown than
 * before. */
static void
test_kept(void **state)
{
	struct history_query q = {.channel = room,
	    .epoch = hub.entry[room].epoch,
	    .reverse = true,
	    .limit = HISTORY_MAX,
	    .keep = 3};

	say("bob", FORMAT_TEXT, 0);
	say("bob", FORMAT_TEXT, 0);
	say("alice", FORMAT_TEXT, 0);
	say("bob", FORMAT_JSON, 0);
	assert_int_equal(journal_erase(&hub, "alice", 5, UINT64_MAX, 0), 1);
	assert_int_equal(history_find(&hub, &q, &found), 0);
	assert_int_equal(found.n, 2);
}

/* What waits for its reader still does: its flags are read as before. */
static void
test_flags(void **state)
{
	struct publication p = say("alice", FORMAT_TEXT, PUBLICATION_WAITS);
	struct publication q;

	assert_int_equal(journal_erase(&hub, "alice", 5, UINT64_MAX, 0), 1);
	assert_int_equal(journal_peek(&hub, p.position, &q), JOURNAL_OK);
	assert_int_equal(q.flags, PUBLICATION_WAITS);
	/* it may be the newest that follows from the journal again */
	hub.heads->redone = 0;
	hub_lock(&hub);
	hub_unlock(&hub);
	assert_int_equal(SHM_LOAD(hub.entry[room].offset), p.offset);
	assert_int_equal(say("bob", FORMAT_TEXT, 0).before, p.offset);
}

/* What a reader has written since, of what was said before, is erased, too; not
 * what was said since. */
static void
test_again(void **state)
{
	struct publication p = {.channel = room,
	    .format = FORMAT_TEXT,
	    .flags = PUBLICATION_AGAIN,
	    .time_ms = 50,
	    .user = "alice",
	    .user_len = 5,
	    .data = ""};
	uint64_t upto = say("alice", FORMAT_TEXT, 0).position;

	say("alice", FORMAT_TEXT, 0);
	for (int k = 0; k < 2; k++) {
		p.offset = 10 + (uint64_t)k;
		p.time_ms += k;
		hub_lock(&hub);
		journal_append_at(&hub, &p, 0, 0);
		hub_unlock(&hub);
	}
	assert_int_equal(journal_erase(&hub, "alice", 5, upto, 51), 2);
	look(0);
	assert_int_equal(found.n, 1); /* there is a gap before the repeated */
	assert_int_equal(journal_erase(&hub, "alice", 5, upto, 52), 1);
	assert_int_equal(journal_erase(&hub, "alice", 5, UINT64_MAX, 0), 1);
}

/* Heads that are corrupted lead nowhere. */
static void
test_corrupted(void **state)
{
	struct publication p = say("alice", FORMAT_TEXT, 0);
	struct entry_head *e;

	say("bob", FORMAT_TEXT, 0);
	e = (struct entry_head *)(hub.journal +
	    index_place(hub.index[p.position & (hub.n_index - 1)].at));
	e->data_len = UINT32_MAX;
	assert_int_equal(journal_erase(&hub, "alice", 5, UINT64_MAX, 0), 0);
	e->data_len = 6;
	e->position++;
	assert_int_equal(journal_erase(&hub, "alice", 5, UINT64_MAX, 0), 0);
	hub.index[p.position & (hub.n_index - 1)].at = UINT64_MAX;
	assert_int_equal(journal_erase(&hub, "alice", 5, UINT64_MAX, 0), 0);
}

int
main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {TEST(test_history), TEST(test_kept),
	    TEST(test_flags), TEST(test_again), TEST(test_corrupted)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
