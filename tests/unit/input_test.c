/* input: unfinished messages of many connections, against plain buffers, in a
 * pool that is now and then full. */
#include "hub_fixture.h"
#include "input_fixture.h"

#include "hub/input.h"
#include "hub/slot.h"

enum { SLOTS = 20, MOST = 60000, PAGES = 128 };

struct message {
	uint8_t *bytes;
	size_t len;
	uint64_t end;
	struct framing_state state;
};

/* The hub has exactly what the buffer has. */
static void
message_check(const struct hub *h, uint32_t slot, const struct message *m)
{
	static uint8_t out[MOST + 1];
	const struct input_part *p = input_part(h, slot);
	size_t cut;

	if (m->end == 0) {
		assert_null(p);
		assert_int_equal(input_gather(h, slot, out, MOST), 0);
		return;
	}
	assert_non_null(p);
	assert_true(p->end == m->end);
	assert_true(p->bytes == m->len);
	assert_memory_equal(&p->state, &m->state, sizeof(m->state));
	out[m->len] = 77;
	assert_int_equal(input_gather(h, slot, out, MOST), m->len);
	assert_memory_equal(out, m->bytes, m->len);
	assert_int_equal(out[m->len], 77);
	cut = fixture_random((uint32_t)m->len + 1);
	out[cut] = 77;
	assert_int_equal(input_gather(h, slot, out, cut), cut);
	assert_int_equal(out[cut], 77);
}

/* A read's rest comes. True if it was kept. */
static bool
message_save(struct input_pool *pool, uint32_t slot, struct message *m)
{
	static const uint32_t size[] = {1, 10, 200, 1016, 5000};
	struct framing_state state;
	uint8_t bytes[6000];
	size_t len = fixture_random(size[fixture_random(5)] + 1);
	uint64_t end = m->end + 1 + fixture_random(10000);

	if (fixture_random(8) == 0) /* to the brim of a page */
		len = 1016 - m->len % 1016;
	if (m->len + len > MOST)
		return true;
	fixture_fill(bytes, len);
	fixture_fill(&state, sizeof(state));
	if (input_save(pool, slot, &state, end, bytes, len) < 0)
		return false;
	memcpy(m->bytes + m->len, bytes, len);
	m->len += len;
	m->end = end;
	m->state = state;
	return true;
}

static void
test_model(void **state)
{
	static struct message m[SLOTS];
	struct input_pool pool;
	struct hub h;
	uint32_t round, i, full = 0;
	uint32_t used;

	fixture_hub(&h, SLOTS, 16, 65536, 1 << 20, PAGES * 1024);
	assert_int_equal(h.n_pages, PAGES);
	assert_int_equal(input_pool_init(&pool, &h), 0);
	for (i = 0; i < SLOTS; i++)
		m[i].bytes = malloc(MOST);
	for (round = 0; round < fixture_rounds(30000); round++) {
		i = fixture_random(SLOTS);
		used = pool.pages.n_used;
		if (fixture_random(20) == 0) {
			input_release(&pool, i);
			m[i].len = 0;
			m[i].end = 0;
			assert_true(pool.pages.n_used <= used);
		} else if (!message_save(&pool, i, &m[i])) {
			full++;
			assert_int_equal(pool.pages.n_used, used);
		}
		message_check(&h, i, &m[i]);
		if (round % 256 == 0)
			for (i = 0; i < SLOTS; i++)
				message_check(&h, i, &m[i]);
	}
	assert_true(full > 10);
	for (i = 0; i < SLOTS; i++) {
		input_release(&pool, i);
		free(m[i].bytes);
	}
	assert_int_equal(pool.pages.n_used, 0);
	input_pool_deinit(&pool);
	input_clear(&h, 0);
	for (i = 0; i < claim_blocks(PAGES); i++)
		assert_int_equal(h.page_owner[i], 0);
	hub_destroy(&h);
}

/* Of a message that was done when its worker died nothing goes on. */
static void
test_adopt_done(void **state)
{
	struct framing_state decoder = {{FRAMING_TEXT}};
	struct input_pool pool;
	uint64_t part;
	struct hub h;

	fixture_hub(&h, SLOTS, 16, 65536, 1 << 20, PAGES * 1024);
	assert_int_equal(input_pool_init(&pool, &h), 0);
	assert_int_equal(input_save(&pool, 0, &decoder, 120, "abc", 3), 0);
	assert_int_equal(input_save(&pool, 1, &decoder, 120, "abc", 3), 0);
	h.slot[0].committed = KEY(130, 0);
	h.slot[1].committed = KEY(100, 2);
	assert_int_equal(input_copy(&pool, 0, &part), 0);
	assert_true(part == 0);
	input_pool_deinit(&pool);
	assert_int_equal(input_pool_init(&pool, &h), 0);
	assert_int_equal(input_adopt(&pool, 0), 0);
	assert_int_equal(input_adopt(&pool, 1), 0);
	claim_marked(&pool.pages);
	assert_null(input_part(&h, 0));
	assert_non_null(input_part(&h, 1));
	assert_int_equal(pool.pages.n_used, 1);
	input_release(&pool, 1);
	assert_int_equal(pool.pages.n_used, 0);
	input_pool_deinit(&pool);
	hub_destroy(&h);
}

/* Of a framing's state so many bytes are kept as it has, and zeros behind
 * them: nothing of what the part knew before, and never more than fit. */
static void
test_state_bytes(void **state)
{
	static uint8_t bytes[2 * FRAMING_STATE_MAX];
	const size_t sizes[] = {FRAMING_STATE_MAX, 3, 0, sizeof(bytes)};
	struct input_more more = {.state = bytes, .bytes = "a", .len = 1};
	struct framing_state kept;
	struct input_pool pool;
	struct hub h;
	size_t k, n;

	memset(bytes, 0xaa, sizeof(bytes));
	fixture_hub(&h, SLOTS, 16, 65536, 1 << 20, PAGES * 1024);
	assert_int_equal(input_pool_init(&pool, &h), 0);
	for (k = 0; k < sizeof(sizes) / sizeof(sizes[0]); k++) {
		more.state_bytes = sizes[k];
		more.end = k + 1;
		assert_int_equal(input_keep(&pool, 0, &more), 0);
		kept = input_part(&h, 0)->state;
		for (n = 0; n < sizeof(kept); n++)
			assert_int_equal(
			    ((uint8_t *)&kept)[n], n < sizes[k] ? 0xaa : 0);
		assert_int_equal(input_part(&h, 0)->bytes, k + 1);
	}
	input_release(&pool, 0);
	input_pool_deinit(&pool);
	hub_destroy(&h);
}

/* Bytes that wait behind a message's payload: they are had as they came, also
 * elsewhere, in place of what was there before; nothing is appended to them. */
static void
test_raw(void **state)
{
	static uint8_t bytes[SHM_STAGE], raw[SHM_STAGE], out[SHM_STAGE];
	static const size_t size[] = {0, 1, 500, 1016, 3000, 20000};
	struct framing_state decoder = {{FRAMING_TEXT}};
	struct input_more more = {.state = &decoder,
	    .state_bytes = sizeof(decoder),
	    .bytes = bytes,
	    .raw = raw,
	    .anew = true};
	struct input_pool pool;
	uint64_t part, was;
	struct hub h;
	uint32_t round;

	fixture_hub(&h, SLOTS, 16, 65536, 1 << 20, PAGES * 1024);
	assert_int_equal(input_pool_init(&pool, &h), 0);
	assert_false(input_waits(&h, 0));
	for (round = 0; round < fixture_rounds(300); round++) {
		fixture_fill(bytes, sizeof(bytes));
		fixture_fill(raw, sizeof(raw));
		more.len = size[fixture_random(6)];
		more.raw_len = 1 + (uint32_t)size[fixture_random(6)];
		more.end = 100 + more.raw_len;
		more.whole = fixture_random(2);
		assert_int_equal(input_keep(&pool, 0, &more), 0);
		assert_true(input_waits(&h, 0));
		assert_int_equal(input_save(&pool, 0, &decoder, 9, bytes, 1),
		    INPUT_CORRUPTED);
		was = h.slot[0].part;
		assert_int_equal(input_copy(&pool, 0, &part), 0);
		h.slot[0].part = part;
		assert_int_equal(
		    input_gather(&h, 0, out, sizeof(out)), more.len);
		assert_memory_equal(out, bytes, more.len);
		assert_int_equal(
		    input_raw(&h, 0, out, sizeof(out)), more.raw_len);
		assert_memory_equal(out, raw, more.raw_len);
		assert_int_equal(input_part(&h, 0)->whole, more.whole);
		h.slot[0].part = was;
		input_uncopy(&pool, part);
		h.slot[0].committed = KEY(99, 1);
		assert_true(input_waits(&h, 0));
		h.slot[0].committed = KEY(more.end, 0);
		assert_false(input_waits(&h, 0));
		h.slot[0].committed = 0;
	}
	input_release(&pool, 0);
	assert_int_equal(pool.pages.n_used, 0);
	/* what never fits: what is there stays */
	assert_int_equal(input_save(&pool, 0, &decoder, 9, bytes, 77), 0);
	more.len = sizeof(bytes);
	more.raw_len = sizeof(raw);
	assert_int_equal(input_keep(&pool, 0, &more), -1);
	assert_int_equal(input_part(&h, 0)->bytes, 77);
	assert_int_equal(pool.pages.n_used, 1);
	input_pool_deinit(&pool);
	hub_destroy(&h);
}

/* What a scribbler says of them is not believed. */
static void
test_raw_scribbled(void **state)
{
	struct framing_state decoder = {{FRAMING_TEXT}};
	struct input_more more = {.state = &decoder,
	    .state_bytes = sizeof(decoder),
	    .end = 100,
	    .raw = "abc",
	    .raw_len = 3};
	struct input_pool pool;
	struct input_part *p;
	struct hub h;
	uint64_t part;
	char out[10];

	fixture_hub(&h, SLOTS, 16, 65536, 1 << 20, PAGES * 1024);
	assert_int_equal(input_pool_init(&pool, &h), 0);
	assert_int_equal(input_keep(&pool, 0, &more), 0);
	p = (struct input_part *)input_part(&h, 0);
	p->raw = UINT32_MAX;
	assert_in_range(input_raw(&h, 0, out, sizeof(out)), 0, sizeof(out));
	assert_int_equal(input_copy(&pool, 0, &part), INPUT_CORRUPTED);
	p->raw = 3;
	p->bytes = UINT64_MAX - 1;
	assert_int_equal(input_raw(&h, 0, out, sizeof(out)), 0);
	assert_int_equal(input_copy(&pool, 0, &part), INPUT_CORRUPTED);
	assert_int_equal(input_adopt(&pool, 0), -1);
	input_pool_deinit(&pool);
	hub_destroy(&h);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_model),
	    cmocka_unit_test(test_adopt_done),
	    cmocka_unit_test(test_state_bytes),
	    cmocka_unit_test(test_raw),
	    cmocka_unit_test(test_raw_scribbled),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
