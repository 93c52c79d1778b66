/* presence_reader: entries of channels that readers of the journal have to do
 * with: their flags, which of them are cold, which are reused, and the events
 * that their masks follow from. */
#include "hub_fixture.h"

#include <stdio.h>

#include "../../src/hub/heads.h"
#include "../../src/hub/mask.h"
#include "hub/journal.h"
#include "hub/lock.h"
#include "hub/presence.h"

enum {
	STORE = 1 << READER_STORE,
	HOOKS = 1 << READER_HOOKS,
	USERS = 8,
	COLD = PRESENCE_COLD << PRESENCE_WARMTH,
	OPENING = PRESENCE_OPENING << PRESENCE_WARMTH
};

static struct hub h;
static uint8_t rule; /* what flags_cb says */

/* For struct hub. */
static uint8_t
flags_cb(void *arg, const char *name, size_t len)
{
	assert_ptr_equal(arg, &rule);
	return len > 0 && name[len - 1] == '!' ? rule : 0;
}

/* A hub with readers, some of which want events. */
static void
begin(uint8_t readers, uint8_t events)
{
	fixture_hub_readers(
	    &h, 16, USERS, 65536, 1 << 20, 1 << 20, readers, events);
	rule = STORE;
	h.flags_of = flags_cb;
	h.flags_arg = &rule;
}

/* The entry of a name, made if need be. */
static uint32_t
make(const char *name)
{
	uint32_t e;

	hub_lock(&h);
	e = presence_make(&h, name, strlen(name));
	hub_unlock(&h);
	return e;
}

/* Publishes to an entry; returns the position. */
static uint64_t
say(uint32_t e)
{
	struct publication p = {
	    .channel = e, .format = FORMAT_TEXT, .data = "x", .data_len = 1};

	hub_lock(&h);
	journal_append(&h, &p);
	hub_unlock(&h);
	return p.position;
}

/* The entry at a position of the journal, until the next call. */
static struct publication
entry_at(uint64_t position)
{
	static char buf[8192];
	struct publication p;

	assert_int_equal(
	    journal_read(&h, position, buf, sizeof(buf), &p), JOURNAL_OK);
	return p;
}

/* Has an entry looked at by who wants to use it. */
static bool
cold(uint32_t e)
{
	bool is;

	hub_lock(&h);
	is = presence_is_cold(&h, e);
	hub_unlock(&h);
	return is;
}

/* A new entry has the flags of its name, and is cold if a reader knows it. */
static void
test_new(void **state)
{
	struct presence_view v;
	uint32_t plain, kept;

	begin(STORE | HOOKS, 0);
	plain = make("plain");
	assert_int_equal(presence_flags(&h, plain), 0);
	assert_false(cold(plain));
	kept = make("kept!");
	assert_int_equal(presence_flags(&h, kept), STORE | COLD);
	assert_true(presence_read(&h, kept, &v));
	assert_int_equal(v.flags, STORE | COLD);
	assert_true(v.stream == v.epoch);
	rule = STORE | HOOKS | (STORE | HOOKS) << PRESENCE_REQUIRED;
	kept = make("both!");
	assert_int_equal(presence_flags(&h, kept), rule | COLD);
	assert_int_equal(presence_opener(rule), STORE);
	/* a reader that is not there is nobody's */
	rule = (uint8_t)(STORE | 1 << READER_ENGINE |
	    (1 << READER_ENGINE) << PRESENCE_REQUIRED);
	assert_int_equal(presence_flags(&h, make("one!")), STORE | COLD);
	rule = 1 << READER_ENGINE;
	assert_int_equal(presence_flags(&h, make("none!")), 0);
	assert_int_equal(presence_flags(&h, h.n_entries), 0);
	assert_int_equal(presence_flags(&h, SHM_NONE), 0);
	assert_false(cold(SHM_NONE));
	hub_destroy(&h);
}

/* Without readers a rule says nothing. */
static void
test_none(void **state)
{
	begin(0, 0);
	assert_int_equal(presence_flags(&h, make("kept!")), 0);
	hub_destroy(&h);
}

/* A reader is asked once, with the channel's name, and must not miss it. */
static void
test_asked(void **state)
{
	struct publication p;
	uint32_t e;

	begin(STORE, 0);
	e = make("kept!");
	assert_true(cold(e));
	assert_int_equal(presence_flags(&h, e), STORE | OPENING);
	assert_int_equal(journal_tail(&h), 1);
	p = entry_at(1);
	assert_int_equal(p.format, FORMAT_OPEN);
	assert_int_equal(p.channel, e);
	assert_int_equal(p.epoch, h.entry[e].epoch);
	assert_int_equal(p.required, STORE);
	assert_int_equal(p.data_len, 5);
	assert_memory_equal(p.data, "kept!", 5);
	assert_int_equal(journal_readers(&h, 1), STORE);
	assert_true(journal_mask(&h, 1) == 0);
	assert_true(cold(e));
	assert_int_equal(journal_tail(&h), 1);
	assert_int_equal(h.entry[e].newest, 0);
	/* states that there are not */
	h.entry[e].flags = HOOKS | OPENING;
	assert_false(cold(e));
	h.entry[e].flags = HOOKS | COLD;
	assert_false(cold(e));
	h.entry[e].flags = STORE | COLD | OPENING;
	assert_false(cold(e));
	assert_int_equal(journal_tail(&h), 1);
	/* a channel that is not there may be known to a reader */
	hub_lock(&h);
	assert_int_equal(presence_recall(&h, "absent", 6), SHM_NONE);
	e = presence_recall(&h, "absent!", 7);
	assert_int_not_equal(e, SHM_NONE);
	assert_int_equal(presence_find(&h, "absent!", 7), e);
	hub_unlock(&h);
	hub_destroy(&h);
}

/* A reader that is too far behind is asked all the same, once; only its share
 * of the journal gets nothing of it. */
static void
test_asked_behind(void **state)
{
	uint32_t e;

	begin(STORE, 0);
	e = make("kept!");
	say(PRESENCE_LOBBY);
	h.reader_share = 1;
	for (int k = 0; k < 2; k++) {
		assert_true(cold(e));
		assert_int_equal(presence_flags(&h, e), STORE | OPENING);
		assert_int_equal(journal_tail(&h), 1);
	}
	hub_destroy(&h);
}

/* Sets flags by a new rule; returns what they are then. */
static uint8_t
flags_set(uint32_t e, uint8_t flags)
{
	hub_lock(&h);
	presence_flags_set(&h, e, flags);
	hub_unlock(&h);
	return presence_flags(&h, e);
}

/* A reload changes readers, and what is open. */
static void
test_flags_set(void **state)
{
	const uint8_t required = STORE | STORE << PRESENCE_REQUIRED;
	uint32_t e, k;
	bool first;

	begin(STORE | HOOKS, 0);
	e = make("plain");
	/* nobody has it, nothing is kept: the reader is asked */
	assert_int_equal(flags_set(e, STORE), STORE | COLD);
	/* the same opener: as it was */
	assert_int_equal(flags_set(e, required), required | COLD);
	assert_true(cold(e));
	assert_int_equal(flags_set(e, STORE), STORE | OPENING);
	/* no opener */
	assert_int_equal(flags_set(e, HOOKS), HOOKS);
	/* something is kept: where it stands is known here */
	say(e);
	assert_int_equal(flags_set(e, STORE), STORE);
	assert_int_equal(flags_set(e, 0), 0);
	/* all that was kept is overwritten */
	for (k = 0; journal_oldest(&h) <= h.entry[e].newest; k++)
		say(PRESENCE_LOBBY);
	assert_int_equal(flags_set(e, STORE), STORE | COLD);
	assert_int_equal(flags_set(e, 0), 0);
	/* somebody has it: was told its offset */
	hub_lock(&h);
	assert_int_equal(presence_enter(&h, "plain", 5, &first), e);
	hub_unlock(&h);
	assert_int_equal(flags_set(e, STORE), STORE);
	assert_int_equal(flags_set(e, required), required);
	assert_int_equal(flags_set(h.n_entries, STORE), 0);
	hub_destroy(&h);
}

/* The epoch of offsets is a word of its own, for the entry's incarnation. */
static void
test_stream(void **state)
{
	uint32_t e, epoch;

	begin(STORE, 0);
	e = make("kept!");
	epoch = h.entry[e].epoch;
	assert_true(presence_stream(&h, e, epoch) == epoch);
	h.stream[e] = 0x123456789abcdefull;
	assert_true(presence_stream(&h, e, epoch) == 0x123456789abcdefull);
	assert_true(presence_stream(&h, e, epoch + 1) == epoch + 1);
	assert_true(presence_stream(&h, h.n_entries, 5) == 5);
	assert_true(presence_stream(&h, SHM_NONE, 5) == 5);
	hub_destroy(&h);
}

/* Which of all channels' entries is used for a new name. */
static uint32_t
reused(const char *name)
{
	uint32_t e = make(name);

	return e == SHM_NONE || e <= h.n_users ? SHM_NONE : e - h.n_users - 1;
}

/* All entries of channels: published to in order, none taken by any reader. */
static void
reuse_begin(void)
{
	char name[16];

	begin(STORE | HOOKS, 0);
	for (int k = 0; k < USERS; k++) {
		snprintf(name, sizeof(name), "room%d", k);
		say(make(name));
	}
	h.heads->reader[READER_STORE].taken = 0;
	h.heads->reader[READER_HOOKS].taken = 0;
}

/* What a reader has not taken is not reused; what one opens, last. */
static void
test_reuse(void **state)
{
	const uint32_t first = 1 + USERS;

	reuse_begin();
	/* a reader that may miss it: the others first */
	h.entry[first].flags = HOOKS;
	assert_int_equal(reused("a"), 1);
	say(first + 1);
	/* its opener, and one that must miss nothing, have not taken it */
	h.entry[first + 2].flags = STORE;
	h.entry[first + 3].flags = HOOKS | HOOKS << PRESENCE_REQUIRED;
	h.entry[first + 4].flags = STORE | OPENING;
	h.entry[first + 4].newest = 0;
	assert_int_equal(reused("b"), 5);
	say(first + 5);
	/* they have: as others */
	h.heads->reader[READER_STORE].taken = h.entry[first + 2].newest;
	assert_int_equal(reused("c"), 2);
	h.heads->reader[READER_HOOKS].taken = h.entry[first + 3].newest - 1;
	say(first + 2);
	assert_int_equal(reused("d"), 0); /* this is taken now */
	say(first);
	h.heads->reader[READER_HOOKS].taken = h.entry[first + 3].newest;
	assert_int_equal(reused("e"), 3);
	/* a reader that is not there holds nothing */
	h.entry[first + 3].flags =
	    1 << READER_ENGINE | (1 << READER_ENGINE) << PRESENCE_REQUIRED;
	h.entry[first + 3].newest = 1;
	h.heads->reader[READER_ENGINE].taken = 0;
	assert_int_equal(reused("f"), 3);
	hub_destroy(&h);
}

/* No reader keeps all others from the table: what it may miss goes. */
static void
test_reuse_last(void **state)
{
	const uint32_t first = 1 + USERS;
	uint32_t k;

	reuse_begin();
	for (k = 0; k < USERS; k++)
		h.entry[first + k].flags = HOOKS;
	assert_int_equal(reused("a"), 0);
	for (k = 0; k < USERS; k++)
		h.entry[first + k].flags = STORE;
	say(first);
	assert_int_equal(reused("b"), SHM_NONE);
	for (k = 0; k < USERS; k++)
		h.entry[first + k].flags = HOOKS | HOOKS << PRESENCE_REQUIRED;
	assert_int_equal(reused("b"), SHM_NONE);
	/* nor do the questions that it does not answer */
	for (k = 0; k < USERS; k++) {
		h.entry[first + k].newest = 0;
		h.entry[first + k].flags = STORE | OPENING;
	}
	assert_int_not_equal(reused("b"), SHM_NONE);
	hub_destroy(&h);
}

/* An event as it stands in the journal. */
static void
event_is(uint64_t position, enum publication_format format, const char *name,
    uint64_t mask)
{
	struct publication p = entry_at(position);

	assert_int_equal(p.format, format);
	assert_true(p.mask == mask);
	assert_true(p.sender == 0);
	assert_int_equal(p.data_len, strlen(name));
	assert_memory_equal(p.data, name, p.data_len);
	assert_int_equal(journal_readers(&h, position), HOOKS);
	assert_int_equal(p.required, 0);
	assert_true(journal_mask(&h, position) == 0);
	assert_int_equal(publication_order(&p), 0);
	assert_true(p.time_ms > 1600000000000);
}

/* A worker enters, or leaves. */
static uint32_t
worker_enter(int worker, const char *name)
{
	uint32_t e;
	bool first;

	hub_become(&h, worker);
	hub_lock(&h);
	e = presence_enter(&h, name, strlen(name), &first);
	hub_unlock(&h);
	return e;
}

static void
worker_leave(int worker, uint32_t e, bool last)
{
	hub_become(&h, worker);
	hub_lock(&h);
	assert_int_equal(presence_leave(&h, e, worker), last);
	hub_unlock(&h);
}

/* The first worker and the last one are told, no other. */
static void
test_events(void **state)
{
	uint32_t user, room;

	begin(STORE | HOOKS, HOOKS);
	user = worker_enter(0, "#alice");
	event_is(1, FORMAT_ONLINE, "#alice", 1);
	assert_true(presence_mask(&h, user) == 1);
	assert_int_equal(charge_held(&h, CHARGE_USERS), 1);
	worker_enter(1, "#alice");
	assert_int_equal(journal_tail(&h), 1);
	assert_true(presence_mask(&h, user) == 3);
	worker_leave(0, user, false);
	assert_int_equal(journal_tail(&h), 1);
	room = worker_enter(1, "room");
	event_is(2, FORMAT_OCCUPIED, "room", 2);
	assert_int_equal(charge_held(&h, CHARGE_CHANNELS), 1);
	worker_enter(0, "lobby");
	event_is(3, FORMAT_OCCUPIED, "lobby", 1);
	worker_leave(1, user, true);
	event_is(4, FORMAT_OFFLINE, "#alice", 0);
	assert_true(presence_mask(&h, user) == 0);
	assert_int_equal(charge_held(&h, CHARGE_USERS), 0);
	worker_leave(1, user, false);
	assert_int_equal(journal_tail(&h), 4);
	worker_leave(1, room, true);
	event_is(5, FORMAT_VACATED, "room", 0);
	assert_int_equal(h.entry[room].offset, 0);
	assert_true(h.entry[room].newest == 0);
	hub_destroy(&h);
}

/* For presence_clear(). */
static void
left_cb(const struct presence_view *v, void *arg)
{
	++*(uint32_t *)arg;
}

/* Whether an entry is the first user's. */
static bool
is_alice_cb(const void *arg, uint32_t e)
{
	return e == 1;
}

/* A dead worker's: those that nobody else has. */
static void
test_events_cleared(void **state)
{
	uint32_t left = 0, e;

	begin(HOOKS, HOOKS);
	worker_enter(1, "#alice");
	e = worker_enter(1, "#bob");
	worker_enter(0, "#bob");
	worker_enter(1, "room");
	hub_become(&h, 0);
	presence_clear(&h, 1, left_cb, &left);
	assert_int_equal(left, 2);
	event_is(4, FORMAT_OFFLINE, "#alice", 0);
	event_is(5, FORMAT_VACATED, "room", 0);
	assert_int_equal(journal_tail(&h), 5);
	assert_true(presence_mask(&h, e) == 1);
	/* at a takeover: one is had that nobody is said to have */
	presence_match(&h, is_alice_cb, left_cb, &left);
	event_is(6, FORMAT_ONLINE, "#alice", 1);
	event_is(7, FORMAT_OFFLINE, "#bob", 0);
	assert_int_equal(journal_tail(&h), 7);
	assert_int_equal(left, 3);
	hub_destroy(&h);
}

/* A redo may be done again; what is charged is counted once. */
static void
test_redo(void **state)
{
	uint32_t e;

	begin(HOOKS, HOOKS);
	e = make("#alice");
	hub_lock(&h);
	presence_mask_redo(&h, e, 4);
	presence_mask_redo(&h, e, 4);
	hub_unlock(&h);
	assert_true(presence_mask(&h, e) == 4);
	assert_int_equal(charge_held(&h, CHARGE_USERS), 1);
	/* a name that is corrupted is not told; the mask changes all the same
	 */
	h.entry[e].name_len = 0xffff;
	worker_leave(2, e, true);
	assert_int_equal(journal_tail(&h), 0);
	assert_true(presence_mask(&h, e) == 0);
	hub_destroy(&h);
}

/* Of entries that are held few are looked at for a name that only a reader may
 * know; who enters looks at all. */
static void
test_recall_crowd(void **state)
{
	enum { MANY = 1000 };
	char name[16];
	bool first;
	uint32_t e;

	fixture_hub_readers(&h, 16, MANY, 65536, 1 << 20, 1 << 20, STORE, 0);
	h.flags_of = flags_cb;
	h.flags_arg = &rule;
	rule = STORE;
	hub_lock(&h);
	for (int k = 0; k < MANY; k++) {
		snprintf(name, sizeof(name), "#%d", k);
		e = presence_enter(&h, name, strlen(name), &first);
		assert_int_not_equal(e, SHM_NONE);
	}
	assert_true(presence_leave(&h, e, h.self));
	for (int k = 0; k < 3; k++)
		assert_int_equal(presence_recall(&h, "#a!", 3), SHM_NONE);
	/* the next one looks at others */
	assert_int_equal(presence_recall(&h, "#a!", 3), e);
	assert_int_equal(presence_enter(&h, "#b", 2, &first), e);
	hub_unlock(&h);
	hub_destroy(&h);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_new),
	    cmocka_unit_test(test_none),
	    cmocka_unit_test(test_asked),
	    cmocka_unit_test(test_asked_behind),
	    cmocka_unit_test(test_flags_set),
	    cmocka_unit_test(test_stream),
	    cmocka_unit_test(test_reuse),
	    cmocka_unit_test(test_reuse_last),
	    cmocka_unit_test(test_events),
	    cmocka_unit_test(test_events_cleared),
	    cmocka_unit_test(test_redo),
	    cmocka_unit_test(test_recall_crowd),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
