/* convert_journal: what the newest entry and workers need goes over. */
#include "convert_fixture.h"

/* Who had the lock last died before it had done what follows from the newest
 * entry: the copy does. */
static void
test_newest(void **state)
{
	struct publication join = {
	    .format = FORMAT_JOIN, .user = "u", .user_len = 1};
	struct subscription *sub, again = {.channel = 0};
	struct presence_view v;
	struct claim claim;
	struct scene s;
	struct hub *h;
	uint32_t i;

	scene_make(&s);
	s.h.heads->redone = s.tail - 1;
	s.h.entry[s.room].offset = 1;
	s.h.entry[s.room].newest = s.tail - 1;
	h = copy(&s, &usual);
	assert_non_null(h);
	i = h->subscription[0].channel - 1;
	assert_true(presence_read(h, i, &v));
	assert_int_equal(v.offset, 2);
	assert_int_equal(h->entry[i].newest, s.tail);
	hub_destroy(h);
	/* a join, of a subscription that gets another number */
	again = (struct subscription){.slot = s.slot, .channel = s.room + 1};
	s.h.subscription[0].channel = 0;
	assert_int_equal(
	    claim_init(&claim, s.h.subscription_owner, s.h.n_subscriptions, 1),
	    0);
	i = subscription_add(&s.h, &claim, &again);
	while (i == 0) /* where the one that went was */
		i = subscription_add(&s.h, &claim, &again);
	claim_deinit(&claim);
	assert_in_range(i, 1, s.h.n_subscriptions - 1);
	s.h.subscription[i].slot_next = 0;
	s.h.slot[s.slot].subscriptions = i + 1;
	s.h.subscription[i].flags = SUBSCRIPTION_AWAY;
	join.sender = s.id;
	join.input_key = KEY(50, 0);
	join.channel = s.room;
	join.subscription = i;
	hub_lock(&s.h);
	journal_append(&s.h, &join);
	s.h.heads->redone = journal_tail(&s.h) - 1;
	s.h.lock->word = 0; /* it dies */
	s.h.slot[s.slot].committed_at = 0;
	s.h.subscription[i].flags = SUBSCRIPTION_AWAY;
	h = copy(&s, &usual);
	assert_non_null(h);
	sub = &h->subscription[h->slot[s.slot].subscriptions - 1];
	assert_int_not_equal(h->slot[s.slot].subscriptions, i + 1);
	assert_int_equal(sub->flags, 0); /* the copy takes the lock, too */
	hub_destroy(h);
	hub_destroy(&s.h);
}

/* What a worker has to deliver goes over, or the copy is refused. */
static void
test_cursors(void **state)
{
	struct hub_limits l = usual;
	struct scene s;
	struct hub *h;

	scene_make(&s);
	for (int k = 0; k < 200; k++)
		say(&s.h, s.room, "a message that does not fit any more");
	l.journal_bytes = 4096;
	s.h.mine->cursor = journal_tail(&s.h);
	h = copy(&s, &l);
	assert_non_null(h);
	hub_destroy(h);
	s.h.mine->cursor = 2;
	assert_null(copy(&s, &l));
	assert_non_null(strstr(error, "messages to deliver, which do not fit"));
	hub_destroy(&s.h);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_newest),
	    cmocka_unit_test(test_cursors),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
