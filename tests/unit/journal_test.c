/* journal: both rings wrap, readers are overrun, copies are never torn. */
#include "hub_fixture.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "hub/journal.h"
#include "hub/lock.h"
#include "hub/presence.h"
#include "hub/slot.h"

enum { RING = 16384, CHANNELS = 5, KEEP = 4096 };

/* What a publication of that position holds: all follows from the number. */
static void
describe(uint64_t position, uint32_t max, struct publication *p, char *user,
    char *data)
{
	uint64_t x = position * 0x9e3779b97f4a7c15ull;
	uint32_t k;

	memset(p, 0, sizeof(*p));
	p->user_len = (uint8_t)(x >> 40);
	p->data_len = (uint32_t)(x >> 20 & 0xffff) %
	    (max - JOURNAL_HEAD - p->user_len - 7);
	if (x >> 60 < 3) /* the largest that fits */
		p->data_len = max - JOURNAL_HEAD - p->user_len;
	if (x >> 60 > 6) /* many small ones: the index wraps first */
		p->user_len = p->data_len = x >> 50 & 3;
	for (k = 0; k < p->user_len; k++)
		user[k] = (char)(x >> k % 8 * 8);
	for (k = 0; k < p->data_len; k++)
		data[k] = (char)((x >> k % 8 * 8) + k);
	p->user = user;
	p->data = data;
	p->order = x;
	p->command = (uint32_t)(x >> 9) & 0xffffff;
	p->time_ms = (int64_t)(x >> 1);
	p->format = FORMAT_TEXT;
}

/* The copy is what was appended. */
static void
compare(const struct publication *p, uint64_t position, uint32_t max)
{
	char user[256], data[RING];
	struct publication want;

	describe(position, max, &want, user, data);
	assert_true(p->position == position);
	assert_int_equal(p->user_len, want.user_len);
	assert_int_equal(p->data_len, want.data_len);
	assert_memory_equal(p->user, user, want.user_len);
	assert_memory_equal(p->data, data, want.data_len);
	assert_true(p->order == want.order);
	assert_true(p->time_ms == want.time_ms);
	assert_int_equal(p->command, want.command);
	assert_int_equal(p->format, want.format);
}

/* Everything from `oldest` on reads right, everything else does not. */
static void
check_all(const struct hub *h, const uint64_t *offset, uint64_t highest)
{
	char buf[RING / JOURNAL_SHARE];
	uint64_t i, oldest = journal_oldest(h);
	struct publication p;

	assert_true(journal_tail(h) == highest);
	assert_true(highest - oldest < h->n_index);
	for (i = oldest; i <= highest; i++) {
		assert_int_equal(
		    journal_read(h, i, buf, sizeof(buf), &p), JOURNAL_OK);
		compare(&p, i, RING / JOURNAL_SHARE);
		assert_true(p.offset == offset[i % KEEP]);
		assert_int_equal(journal_mask(h, i), 1);
	}
	if (oldest > 1)
		assert_int_equal(
		    journal_read(h, oldest - 1, buf, sizeof(buf), &p),
		    JOURNAL_GONE);
	assert_int_equal(journal_read(h, 0, buf, sizeof(buf), &p), JOURNAL_BAD);
	assert_int_equal(
	    journal_read(h, highest + 1, buf, sizeof(buf), &p), JOURNAL_BAD);
	assert_int_equal(journal_mask(h, 0), 0);
	assert_int_equal(journal_mask(h, oldest - 1), 0);
	assert_int_equal(journal_mask(h, highest + 1), 0);
}

/* Entries of all sizes into several channels, around the rings many times. */
static void
test_model(void **state)
{
	static uint64_t offset[KEEP];
	char user[256], data[RING];
	uint64_t position, count[CHANNELS] = {0}, newest[CHANNELS] = {0};
	uint32_t entry[CHANNELS], c;
	struct publication p;
	struct hub h;
	bool first;

	fixture_hub(&h, 16, 16, RING, 1 << 20, 1 << 20);
	hub_lock(&h);
	for (c = 0; c < CHANNELS; c++)
		entry[c] = presence_enter(&h, &"abcdefgh"[c], 1, &first);
	hub_unlock(&h);
	for (position = 1; position < fixture_rounds(6000); position++) {
		c = fixture_random(CHANNELS);
		describe(position, RING / JOURNAL_SHARE, &p, user, data);
		p.channel = entry[c];
		hub_lock(&h);
		assert_int_equal(journal_append(&h, &p), 1);
		hub_unlock(&h);
		assert_true(p.position == position);
		assert_true(p.offset == ++count[c]);
		assert_true(p.previous == newest[c]);
		assert_true(h.entry[entry[c]].offset == count[c]);
		assert_true(h.entry[entry[c]].newest == position);
		newest[c] = position;
		offset[position % KEEP] = count[c];
		journal_populate(&h);
		check_all(&h, offset, position);
	}
	hub_destroy(&h);
}

/* In a ring with room for large pages entries stay what they were as those are
 * made. */
static void
test_large_pages(void **state)
{
	enum { LARGE = 4 * HUB_ALIGN, N = 50000, BACK = 4 };
	char user[256], data[RING], buf[RING / JOURNAL_SHARE];
	uint64_t position, look;
	struct publication p;
	struct hub h;

	fixture_hub(&h, 16, 16, LARGE, 1 << 20, 1 << 20);
	assert_int_equal((uintptr_t)h.base % HUB_ALIGN, 0);
	assert_int_equal(h.touched_journal + h.touched_index, 0);
	journal_populate(&h); /* memory that is not used costs nothing */
	assert_int_equal(h.touched_journal + h.touched_index, 0);
	for (position = 1; position < N; position++) {
		describe(position, RING / JOURNAL_SHARE, &p, user, data);
		p.channel = PRESENCE_LOBBY;
		hub_lock(&h);
		journal_append(&h, &p);
		hub_unlock(&h);
		journal_populate(&h);
		look = position / 2 + 1; /* in what became large since */
		if (look < journal_oldest(&h) || position % BACK != 0)
			continue;
		assert_int_equal(
		    journal_read(&h, look, buf, sizeof(buf), &p), JOURNAL_OK);
		compare(&p, look, RING / JOURNAL_SHARE);
	}
	assert_int_equal(h.touched_journal, LARGE);
	hub_destroy(&h);
}

/* A buffer that is too small is refused, not overrun. */
static void
test_small_buffer(void **state)
{
	struct publication p = {.user = "u",
	    .user_len = 1,
	    .data = "some text",
	    .data_len = 9,
	    .channel = PRESENCE_LOBBY};
	char buf[128];
	struct hub h;
	size_t n = journal_entry_bytes(1, 9);

	fixture_hub(&h, 16, 16, RING, 1 << 20, 1 << 20);
	hub_lock(&h);
	assert_int_equal(journal_append(&h, &p), 0); /* nobody is there */
	hub_unlock(&h);
	assert_int_equal(journal_read(&h, 1, buf, n - 1, &p), JOURNAL_BAD);
	assert_int_equal(journal_read(&h, 1, buf, n, &p), JOURNAL_OK);
	hub_destroy(&h);
}

/* A relay's bytes: every cut of them is refused. */
static void
test_encode(void **state)
{
	struct publication p, q;
	char user[256], data[RING], *bytes;
	uint64_t position;
	size_t n, k;

	for (position = 1; position < 60; position++) {
		describe(position, 1000, &p, user, data);
		p.position = position;
		n = journal_entry_bytes(p.user_len, p.data_len);
		bytes = malloc(n);
		memset(bytes, 0, n);
		assert_int_equal(publication_encode(&p, bytes), n);
		assert_int_equal(publication_decode(bytes, n, &q), n);
		compare(&q, position, 1000);
		for (k = 0; k < n; k++)
			assert_int_equal(publication_decode(bytes, k, &q), 0);
		free(bytes);
	}
}

/* A head alone says all that the whole entry says, but for the bytes. */
static void
test_peek(void **state)
{
	char user[256], data[RING], buf[RING / JOURNAL_SHARE];
	uint8_t one[RING / JOURNAL_SHARE], other[RING / JOURNAL_SHARE];
	struct publication p, whole, head;
	struct hub h;
	int k;

	fixture_hub(&h, 16, 16, RING, 1 << 20, 1 << 20);
	for (k = 1; k < 60; k++) {
		describe((uint64_t)k, 1000, &p, user, data);
		p.channel = PRESENCE_LOBBY;
		p.info = p.sub_info = p.tags = "{}";
		p.info_len = k % 3;
		p.sub_info_len = k % 2;
		p.tags_len = k % 2 + 1;
		hub_lock(&h);
		journal_append(&h, &p);
		hub_unlock(&h);
		assert_int_equal(
		    journal_read(&h, p.position, buf, sizeof(buf), &whole),
		    JOURNAL_OK);
		assert_int_equal(
		    journal_peek(&h, p.position, &head), JOURNAL_OK);
		assert_null(head.user);
		assert_null(head.data);
		/* the heads that they make are the same bytes */
		head.user = whole.user;
		head.info = whole.info;
		head.sub_info = whole.sub_info;
		head.tags = whole.tags;
		head.data = whole.data;
		assert_int_equal(publication_encode(&head, one),
		    publication_encode(&whole, other));
		assert_memory_equal(one, other, publication_bytes(&p));
		assert_int_equal(head.user_len, p.user_len);
		assert_int_equal(head.command, p.command);
	}
	hub_destroy(&h);
}

/* What two words mean depends on the sender and the format. */
static void
test_meanings(void **state)
{
	struct publication p = {.user = "", .data = ""}, q;
	uint8_t bytes[JOURNAL_HEAD];
	uint32_t sub;

	for (p.sender = 0; p.sender < 2; p.sender++) {
		if (p.sender == 0)
			p.order = 77;
		else
			p.input_key = 78;
		p.format = FORMAT_JSON;
		p.command = 5;
		publication_encode(&p, bytes);
		assert_true(publication_decode(bytes, sizeof(bytes), &q) != 0);
		assert_true(publication_order(&q) == (p.sender ? 0 : 77));
		assert_true(p.sender == 0 || q.input_key == 78);
		assert_int_equal(q.command, 5);
		p.format = FORMAT_LEAVE;
		for (sub = SHM_NONE; sub == SHM_NONE || sub < 3; sub++) {
			p.subscription = sub;
			publication_encode(&p, bytes);
			publication_decode(bytes, sizeof(bytes), &q);
			assert_int_equal(q.subscription, sub);
		}
	}
}

/* Publishes for ever. */
static void
write_for_ever(struct hub *h)
{
	char user[256], data[RING];
	struct publication p;

	hub_become(h, 1);
	for (;;) {
		describe(
		    journal_tail(h) + 1, RING / JOURNAL_SHARE, &p, user, data);
		p.channel = PRESENCE_LOBBY;
		hub_lock(h);
		journal_append(h, &p);
		hub_unlock(h);
	}
}

/* Another process writes: what reads OK is right, all else is GONE. */
static void
test_concurrent(void **state)
{
	char buf[RING / JOURNAL_SHARE];
	uint64_t tail, oldest, i, until, good = 0, gone = 0;
	enum journal_result r;
	struct publication p;
	struct hub h;
	pid_t pid;

	fixture_hub(&h, 16, 16, RING, 1 << 20, 1 << 20);
	pid = fork();
	if (pid == 0)
		write_for_ever(&h);
	while (journal_tail(&h) < 1000)
		;
	until = clock_ms() + fixture_rounds(1000);
	/* on a busy machine it takes longer until one is overwritten */
	while (clock_ms() < until ||
	    ((good <= 1000 || gone == 0) && clock_ms() < until + 30000)) {
		oldest = journal_oldest(&h);
		tail = journal_tail(&h);
		/* near the edge that is being overwritten, and anywhere */
		i = oldest +
		    fixture_random(
			fixture_random(2) ? 2 : (uint32_t)(tail - oldest + 1));
		r = journal_read(&h, i, buf, sizeof(buf), &p);
		assert_int_not_equal(r, JOURNAL_BAD);
		good += r == JOURNAL_OK;
		gone += r == JOURNAL_GONE;
		if (r == JOURNAL_OK)
			compare(&p, i, RING / JOURNAL_SHARE);
	}
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	print_message("%llu copies right, %llu gone, %llu written\n",
	    (unsigned long long)good, (unsigned long long)gone,
	    (unsigned long long)journal_tail(&h));
	assert_true(good > 1000 && gone > 0);
	hub_destroy(&h);
}

/* A sender's slot follows from what it published, and only forwards. */
static void
test_sender(void **state)
{
	struct publication p = {.data = "x", .data_len = 1, .user = ""};
	struct claim c;
	struct hub h;
	uint32_t i;

	fixture_hub(&h, 16, 16, RING, 1 << 20, 1 << 20);
	claim_init(&c, h.slot_owner, h.n_slots, 0);
	i = slot_take(&h, &c);
	slot_set(&h, i, SLOT_OPEN);
	p.sender = slot_id(&h, i);
	p.input_key = 77;
	p.command = 3;
	hub_lock(&h);
	journal_append(&h, &p);
	hub_unlock(&h);
	assert_int_equal(h.slot[i].committed, 77);
	assert_int_equal(h.slot[i].committed_at, 1);
	/* its worker goes on: locking must not set it back */
	h.slot[i].committed = 90;
	hub_lock(&h);
	hub_unlock(&h);
	assert_int_equal(h.slot[i].committed, 90);
	/* nor does the slot's next connection inherit anything */
	slot_release(&h, &c, i);
	assert_int_equal(slot_take(&h, &c), i);
	slot_set(&h, i, SLOT_OPEN);
	hub_lock(&h);
	hub_unlock(&h);
	assert_int_equal(h.slot[i].committed, 0);
	claim_deinit(&c);
	hub_destroy(&h);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_model),
	    cmocka_unit_test(test_large_pages),
	    cmocka_unit_test(test_small_buffer),
	    cmocka_unit_test(test_encode),
	    cmocka_unit_test(test_peek),
	    cmocka_unit_test(test_meanings),
	    cmocka_unit_test(test_concurrent),
	    cmocka_unit_test(test_sender),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
