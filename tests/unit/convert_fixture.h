/* convert_fixture: a hub with one connection that has something in everything,
 * its copy, and whether all is there. */
#ifndef CHATD_TESTS_CONVERT_FIXTURE_H
#define CHATD_TESTS_CONVERT_FIXTURE_H

#include "hub_fixture.h"

#include <sys/mman.h>
#include <unistd.h>

#include "../../src/hub/heads.h"
#include "codec/custody.h"
#include "codec/message.h"
#include "hub/blob.h"
#include "hub/convert.h"
#include "hub/input.h"
#include "hub/journal.h"
#include "hub/layout.h"
#include "hub/lock.h"
#include "hub/output.h"
#include "hub/presence.h"
#include "hub/print.h"
#include "hub/slot.h"
#include "hub/stats.h"
#include "hub/subscription.h"

static const struct hub_limits usual = {.connections = 256,
    .users = 100,
    .channels = 100,
    .journal_bytes = 1 << 16,
    .output_bytes = 4 << 20,
    .input_bytes = 1 << 20,
    .subscriptions = 256};
static const struct hub_limits *scene_limits =
    &usual; /* that it is made with */
static char print[LAYOUT_MAX + CONVERT_TABLES_MAX], error[512];
static const char usual_tables[] =
    "enum door\ndoor.one 3\ndoor.two 4\nenum framing\nframing.one 1\n"
    "framing.two 2\nenum transport\ntransport.one 1\n";
static const char *tables = usual_tables; /* of the program that copies */

/* A connection with something in everything. */
struct scene {
	struct hub h;
	uint32_t slot, room, user;
	uint64_t id, tail;
	uint32_t newest;
};

/* Says something in a channel. */
static inline void
say(struct hub *h, uint32_t channel, const char *text)
{
	struct publication p = {.channel = channel,
	    .format = FORMAT_TEXT,
	    .user = "u",
	    .user_len = 1,
	    .data = text,
	    .data_len = (uint32_t)strlen(text)};

	hub_lock(h);
	journal_append(h, &p);
	hub_unlock(h);
}

/* Output of three frames, the last of two references. */
static inline void
output_fill(struct hub *h, uint32_t slot)
{
	static char long_text[OUTPUT_SEGMENT + 100];
	struct output_pool pool;
	struct output o;
	struct frame f;
	struct iovec v = {(char *)"first", 5};

	memset(long_text, 'x', sizeof(long_text));
	assert_int_equal(output_pool_init(&pool, h), 0);
	assert_int_equal(output_open(&pool, &o, slot), 0);
	for (int k = 0; k < 3; k++) {
		assert_int_equal(
		    frame_build(&pool, &f, FRAME_SHARED, &v, 1), 0);
		assert_int_equal(
		    output_append(&pool, &o, slot, &f, (uint64_t)k + 1), 0);
		frame_release(&pool, &f);
		v = (struct iovec){k == 0 ? (char *)"second" : long_text,
		    k == 0 ? 6 : sizeof(long_text)};
	}
	output_pool_deinit(&pool);
}

/* Makes it all. */
static inline void
scene_make(struct scene *s)
{
	const struct framing_state state = {{1, 2, 3}};
	static char bytes[3000];
	struct input_pool input;
	struct claim slots, subscriptions;
	struct subscription sub = {.offset = 7, .flags = SUBSCRIPTION_PRESENT};
	struct slot *slot;
	bool first;

	assert_int_equal(hub_create(&s->h, scene_limits), 0);
	hub_become(&s->h, 1);
	hub_lock(&s->h);
	s->user = presence_enter(&s->h, "#alice", 6, &first);
	s->room = presence_enter(&s->h,
	    "a room whose name is too long to stand in its entry alone", 57,
	    &first);
	hub_unlock(&s->h);
	say(&s->h, s->room, "one");
	say(&s->h, s->room, "two");
	s->tail = journal_tail(&s->h);
	s->h.mine->cursor = s->tail;
	assert_int_equal(
	    claim_init(&slots, s->h.slot_owner, s->h.n_slots, 1), 0);
	s->slot = slot_take(&s->h, &slots);
	slot = &s->h.slot[s->slot];
	slot->user = s->user;
	slot->door = 3;
	slot->close_reason = REASON_KICKED;
	slot->framing = FRAMING_USUAL + 1; /* whose state goes as it is */
	slot->rate_tokens = 70000;
	slot->offset = 123456789012345;
	slot->flags = SLOT_GAP | 5;
	memcpy(slot->device, "phone", 5);
	slot_set(&s->h, s->slot, SLOT_OPEN);
	s->id = slot_id(&s->h, s->slot);
	output_fill(&s->h, s->slot);
	assert_int_equal(input_pool_init(&input, &s->h), 0);
	memset(bytes, 'p', sizeof(bytes));
	assert_int_equal(input_keep(&input, s->slot,
			     &(struct input_more){.state = &state,
				 .state_bytes = sizeof(state),
				 .end = 100,
				 .bytes = bytes,
				 .len = sizeof(bytes),
				 .raw = "raw",
				 .raw_len = 3}),
	    0);
	slot->info = blob_put(&input, s->id, "{\"a\":1}", 7);
	assert_int_equal(claim_init(&subscriptions, s->h.subscription_owner,
			     s->h.n_subscriptions, 1),
	    0);
	sub.slot = s->slot;
	sub.channel = s->room + 1;
	sub.info = blob_put(&input, s->id, "{\"b\":2}", 7);
	assert_int_not_equal(
	    subscription_add(&s->h, &subscriptions, &sub), SHM_NONE);
	claim_deinit(&slots);
	claim_deinit(&subscriptions);
	input_pool_deinit(&input);
	print[layout_print_memory(&s->h, print)] = '\0';
	strlcat(print, usual_tables, sizeof(print));
}

/* Replaces a piece of the print, which must be there. */
static inline void
print_change(const char *from, const char *to)
{
	static char copy[sizeof(print)];
	char *at = strstr(print, from);

	assert_non_null(at);
	strlcpy(copy, at + strlen(from), sizeof(copy));
	*at = '\0';
	strlcat(print, to, sizeof(print));
	strlcat(print, copy, sizeof(print));
}

/* Copies a scene; NULL: refused, see `error`. */
static inline struct hub *
copy(struct scene *s, const struct hub_limits *limits)
{
	static struct hub new;
	struct convert_result r;
	struct convert *c =
	    convert_open(s->h.fd, print, "", tables, error, sizeof(error));
	int fd = memfd_create("test", MFD_ALLOW_SEALING), good;

	if (c == NULL) {
		close(fd);
		return NULL;
	}
	good = convert_prepare(
		   c, fd, limits, s->h.hash_key, error, sizeof(error)) == 0 &&
	    convert_run(c, &r, error, sizeof(error)) == 0;
	convert_close(c);
	if (!good)
		return NULL;
	assert_int_equal(r.connections, 1);
	assert_int_equal(r.spoilt, 0);
	assert_int_equal(hub_attach(&new, fd, limits, s->h.hash_key, false,
			     error, sizeof(error)),
	    0);
	hub_become(&new, 1);
	return &new;
}

/* Whether everything is there. */
static inline void
judge(struct scene *s, struct hub *h)
{
	static char bytes[4096];
	struct presence_view v;
	struct publication p;
	struct output_pool pool;
	struct output o;
	struct iovec iov[8];
	const struct input_part *part;
	struct slot *slot = &h->slot[s->slot];
	uint32_t sub;
	size_t asked;

	assert_true(slot_id(h, s->slot) == s->id);
	assert_int_equal(slot_worker(h, s->slot), 1);
	assert_true(presence_read(h, slot->user, &v));
	assert_string_equal(v.name, "#alice");
	assert_true(v.mask == 2);
	assert_string_equal(slot->device, "phone");
	assert_int_equal(slot->rate_tokens, 70000);
	assert_int_equal(blob_get(h, slot->info, s->id, bytes), 7);
	assert_memory_equal(bytes, "{\"a\":1}", 7);
	sub = subscription_walk_next(
	    h, &(struct subscription_walk){s->id, slot->subscriptions, 9});
	assert_int_not_equal(sub, SHM_NONE);
	assert_true(presence_read(h, h->subscription[sub].channel - 1, &v));
	assert_memory_equal(v.name, "a room whose name is too long", 29);
	assert_int_equal(v.offset, 2);
	assert_int_equal(h->subscription[sub].offset, 7);
	assert_int_equal(
	    subscription_first(h, 1, h->subscription[sub].channel - 1), sub);
	assert_int_equal(
	    blob_get(h, h->subscription[sub].info, s->id, bytes), 7);
	assert_int_equal(journal_tail(h), s->tail);
	assert_int_equal(h->mine->cursor, s->tail);
	assert_int_equal(
	    journal_read(h, s->tail, bytes, sizeof(bytes), &p), JOURNAL_OK);
	assert_memory_equal(p.data, "two", 3);
	assert_int_equal(p.channel, h->subscription[sub].channel - 1);
	part = input_part(h, s->slot);
	assert_non_null(part);
	assert_int_equal(part->end, 100);
	assert_int_equal(part->state.word[1], 2);
	assert_int_equal(input_gather(h, s->slot, bytes, sizeof(bytes)), 3000);
	assert_int_equal(bytes[2999], 'p');
	assert_int_equal(input_raw(h, s->slot, bytes, 10), 3);
	assert_memory_equal(bytes, "raw", 3);
	assert_int_equal(output_pool_init(&pool, h), 0);
	/* "first" is written, and one byte of "second" */
	assert_int_equal(output_adopt(&pool, &o, s->slot, 6), 0);
	assert_in_range(
	    output_gather(&pool, &o, s->slot, iov, 8, &asked), 1, 3);
	assert_int_equal(asked, 5 + OUTPUT_SEGMENT + 100);
	assert_memory_equal(iov[0].iov_base, "econdxxxx", 9);
	assert_int_equal(output_newest_tag(&pool, &o, s->slot), 3);
	output_pool_deinit(&pool);
}

#endif
