/* output: connections that share frames, against a model of the byte stream of
 * each; nothing leaks, and running out changes nothing. */
#include "hub_fixture.h"

#include "hub/output.h"
#include "hub/slot.h"

enum { CONNS = 12, FRAMES = 4096, IOV = 24 };

/* A frame's bytes, kept until nobody has them to come. */
struct bytes {
	uint32_t uses, len;
	uint8_t b[];
};

struct stream {
	bool open;
	uint32_t slot;
	struct output out;
	struct bytes *frame[FRAMES]; /* a ring */
	uint32_t head, tail;	     /* frames ever popped and pushed */
	size_t skip;		     /* bytes of frame[head] that are written */
	uint64_t pending, last, answered;
};

struct world {
	struct hub h;
	struct claim slots;
	struct output_pool pool;
	struct stream s[CONNS];
	uint32_t walk;
	uint64_t tag, full, compacted;
};

/* Counts a frame's bytes down. */
static void
bytes_unuse(struct bytes *b)
{
	if (--b->uses == 0)
		free(b);
}

/* Segments that hold something or are kept, by owner bytes. */
static uint32_t
segments_owned(const struct world *w)
{
	uint32_t s, n = 0;

	for (s = 0; s < w->h.n_segments; s++)
		n += w->h.segment_owner[s] == 1;
	return n;
}

/* Segments that a worker can have at most: all but what is set apart for
 * others. */
static uint32_t
segments_all(const struct world *w)
{
	return w->h.n_segments - (SHM_WORKERS - 1) * OUTPUT_APART;
}

static uint64_t
uses(const struct world *w)
{
	uint64_t n = 0;
	uint32_t s;

	for (s = 0; s < w->h.n_segments; s++)
		n += w->pool.segment_use[s];
	return n;
}

static void
stream_open(struct world *w, struct stream *s)
{
	if (s->open)
		return;
	s->slot = slot_take(&w->h, &w->slots);
	assert_int_not_equal(s->slot, SHM_NONE);
	if (output_open(&w->pool, &s->out, s->slot) < 0) {
		w->full++;
		slot_release(&w->h, &w->slots, s->slot);
		return;
	}
	slot_set(&w->h, s->slot, SLOT_OPEN);
	s->head = s->tail = 0;
	s->skip = 0;
	s->pending = s->last = s->answered = 0;
	s->open = true;
}

static void
stream_close(struct world *w, struct stream *s)
{
	if (!s->open)
		return;
	for (; s->head != s->tail; s->head++)
		bytes_unuse(s->frame[s->head % FRAMES]);
	output_close(&w->pool, &s->out, s->slot);
	slot_release(&w->h, &w->slots, s->slot);
	s->open = false;
}

/* Compares n bytes with what the stream has at an offset behind `written`. */
static void
stream_compare(const struct stream *s, const uint8_t *b, size_t n, size_t at)
{
	uint32_t f = s->head;
	size_t skip = s->skip, k;

	while (at >= s->frame[f % FRAMES]->len - skip) {
		at -= s->frame[f++ % FRAMES]->len - skip;
		skip = 0;
	}
	skip += at;
	for (; n > 0; n -= k, b += k, skip = 0, f++) {
		assert_int_not_equal(f, s->tail);
		k = s->frame[f % FRAMES]->len - skip;
		if (k > n)
			k = n;
		assert_memory_equal(b, s->frame[f % FRAMES]->b + skip, k);
	}
}

/* The kernel takes some of what is gathered. */
static void
stream_write(struct world *w, struct stream *s)
{
	static uint8_t copy[3 * OUTPUT_SEGMENT];
	struct iovec iov[IOV];
	size_t asked, sum = 0, n, k;
	int m, i, max = 1 + (int)fixture_random(IOV);

	if (!s->open)
		return;
	assert_true(output_pending(&s->out) == s->pending);
	m = output_gather(&w->pool, &s->out, s->slot, iov, max, &asked);
	assert_true(m <= max);
	for (i = 0; i < m; i++) {
		assert_true(iov[i].iov_len > 0);
		stream_compare(s, iov[i].iov_base, iov[i].iov_len, sum);
		sum += iov[i].iov_len;
	}
	assert_int_equal(sum, asked);
	assert_true(m == max || asked == s->pending);
	k = fixture_random((uint32_t)sizeof(copy)) + 1;
	n = output_read(&w->pool, &s->out, s->slot, copy, k);
	assert_true(n == (s->pending < k ? s->pending : k));
	if (n > 0)
		stream_compare(s, copy, n, 0);
	n = fixture_random(3) ? asked : fixture_random((uint32_t)asked + 1);
	output_wrote(&w->pool, &s->out, s->slot, n);
	s->pending -= n;
	for (; n > 0; n -= k) {
		k = s->frame[s->head % FRAMES]->len - s->skip;
		if (k > n) {
			s->skip += n;
			break;
		}
		s->skip = 0;
		bytes_unuse(s->frame[s->head++ % FRAMES]);
	}
}

/* Appends a built frame to one stream. */
static void
stream_append(struct world *w, struct stream *s, const struct frame *f,
    struct bytes *b, uint64_t tag)
{
	uint64_t before = w->h.slot[s->slot].appended;

	if (!s->open || s->tail - s->head == FRAMES)
		return;
	if (output_append(&w->pool, &s->out, s->slot, f, tag) < 0) {
		w->full++;
		assert_true(w->h.slot[s->slot].appended == before);
		assert_true(output_pending(&s->out) == s->pending);
		return;
	}
	assert_true(w->h.slot[s->slot].appended == before + f->n);
	b->uses++;
	s->frame[s->tail++ % FRAMES] = b;
	s->pending += b->len;
	if (tag & OUTPUT_ANSWER)
		s->answered = tag & ~OUTPUT_ANSWER;
	else if (tag != 0)
		s->last = tag;
	assert_true(w->h.slot[s->slot].last == s->last);
	assert_true(w->h.slot[s->slot].answered == s->answered);
}

/* Cuts bytes into parts, some of them empty. */
static int
parts_cut(struct bytes *b, struct iovec parts[4])
{
	size_t at = 0, len;
	int n = 1 + (int)fixture_random(4), i;

	for (i = 0; i < n; i++) {
		len = fixture_random((uint32_t)(b->len - at) + 1);
		if (i == n - 1)
			len = b->len - at;
		parts[i] = (struct iovec){b->b + at, len};
		at += len;
	}
	return n;
}

/* A frame for some of the connections. */
static void
world_frame(struct world *w, uint32_t max)
{
	static const uint32_t size[] = {
	    1, 100, 100, 300, 3000, 20000, 70000, 200000, 1 << 24};
	uint32_t len = size[fixture_random(9)], i, many, before;
	enum frame_end end = fixture_random(2) ? FRAME_OWN : FRAME_SHARED;
	uint64_t tag, refs = uses(w);
	struct iovec parts[4];
	struct bytes *b;
	struct frame f;

	len = 1 + fixture_random(len < max ? len : max);
	if (fixture_random(50) == 0)
		len = OUTPUT_SEGMENT; /* to the brim */
	b = malloc(sizeof(*b) + len);
	b->uses = 1;
	b->len = len;
	if (len < 300)
		fixture_fill(b->b, len);
	else
		memset(b->b, (int)fixture_random(256), len);
	memcpy(b->b + len - 1, &len, 1);
	before = segments_owned(w);
	if (frame_build(&w->pool, &f, end, parts, parts_cut(b, parts)) < 0) {
		w->full++;
		assert_true(uses(w) == refs);
		assert_true(segments_owned(w) <= before + SPARE_MAX + 2);
	} else {
		many = fixture_random(3);
		tag = fixture_random(4) ? ++w->tag
		    : fixture_random(2) ? 0
					: ++w->tag | OUTPUT_ANSWER;
		for (i = 0; i < CONNS; i++)
			if (fixture_random(4) < many)
				stream_append(w, &w->s[i], &f, b, tag);
		frame_release(&w->pool, &f);
	}
	bytes_unuse(b);
}

static bool
next_cb(void *arg, struct output **o, uint32_t *slot)
{
	struct world *w = arg;

	for (; w->walk < CONNS; w->walk++)
		if (w->s[w->walk].open) {
			*o = &w->s[w->walk].out;
			*slot = w->s[w->walk++].slot;
			return true;
		}
	return false;
}

/* Compacting only ever makes less of the arena used. */
static void
world_compact(struct world *w)
{
	uint64_t refs = uses(w);
	uint32_t s, before = 0, after = 0;
	bool came;

	for (s = 0; s < w->h.n_segments; s++)
		before += w->pool.segment_use[s] > 0;
	w->walk = 0;
	came = output_compact(&w->pool, next_cb, w);
	for (s = 0; s < w->h.n_segments; s++)
		after += w->pool.segment_use[s] > 0;
	assert_true(uses(w) == refs);
	if (came)
		assert_true(after < before);
	w->compacted += came;
}

/* Nothing is left: all are closed. */
static void
world_end(struct world *w)
{
	uint32_t i;

	for (i = 0; i < CONNS; i++)
		stream_close(w, &w->s[i]);
	assert_true(uses(w) == 0);
	output_trim(&w->pool);
	assert_int_equal(w->pool.chunks.n_used, 0);
	assert_int_equal(w->slots.n_used, 0);
	assert_true(segments_owned(w) <= SPARE_MAX + 3);
	output_pool_deinit(&w->pool);
	output_clear(&w->h, 0);
	assert_int_equal(segments_owned(w), 0);
	for (i = 0; i < claim_blocks(w->h.n_chunks); i++)
		assert_int_equal(w->h.chunk_owner[i], 0);
	claim_deinit(&w->slots);
	hub_destroy(&w->h);
}

/* Random work in an arena of that size. */
static void
world_run(uint64_t output, uint32_t chunks, uint32_t max, uint32_t rounds)
{
	struct world *w = calloc(1, sizeof(*w));
	uint32_t round, i;

	fixture_hub(&w->h, CONNS, 16, 65536, output, 1 << 20);
	w->h.n_chunks = chunks;
	assert_int_equal(
	    claim_init(&w->slots, w->h.slot_owner, w->h.n_slots, 0), 0);
	assert_int_equal(output_pool_init(&w->pool, &w->h), 0);
	for (round = 0; round < rounds; round++) {
		i = fixture_random(CONNS);
		switch (fixture_random(10)) {
		case 0:
			if (fixture_random(10) == 0)
				stream_close(w, &w->s[i]);
			break;
		case 1:
			stream_open(w, &w->s[i]);
			break;
		case 2:
			if (fixture_random(4) == 0)
				world_compact(w);
			break;
		case 3:
		case 4:
		case 5:
			/* the last ones read slowly */
			if (i < CONNS / 2 || fixture_random(8) == 0)
				stream_write(w, &w->s[i]);
			break;
		default:
			world_frame(w, max);
			break;
		}
	}
	print_message("%llu times full, %llu compacted\n",
	    (unsigned long long)w->full, (unsigned long long)w->compacted);
	world_end(w);
	free(w);
}

static void
test_big(void **state)
{
	world_run(256 << 20, 60000, 1 << 24, fixture_rounds(2000));
}

static void
test_arena_short(void **state)
{
	world_run(1 << 20, 60000, 200000, fixture_rounds(40000));
}

static void
test_chunks_short(void **state)
{
	world_run(8 << 20, 100, 3000, fixture_rounds(40000));
}

/* The longest message there is fits, each byte of it escaped; what is longer
 * than any frame, or than half of the memory, is told apart from shortage. */
static void
test_longest(void **state)
{
	uint32_t len = OUTPUT_FRAME_MAX;
	struct iovec part = {calloc(1, len + 1), len};
	struct output_pool pool;
	struct frame f, held[3];
	struct hub h;
	int k;

	fixture_hub(&h, 16, 16, 65536, 256 << 20, 1 << 20);
	assert_int_equal(output_pool_init(&pool, &h), 0);
	/* an end that is all but used up, then whole segments */
	assert_int_equal(frame_build(&pool, &f, FRAME_OWN,
			     &(struct iovec){part.iov_base, 65535}, 1),
	    0);
	assert_int_equal(frame_build(&pool, &held[0], FRAME_OWN, &part, 1), 0);
	assert_int_equal(held[0].bytes, len);
	frame_release(&pool, &held[0]);
	frame_release(&pool, &f);
	part.iov_len = len + 1;
	assert_int_equal(
	    frame_build(&pool, &f, FRAME_OWN, &part, 1), FRAME_TOO_BIG);
	output_pool_deinit(&pool);
	hub_destroy(&h);
	fixture_hub(&h, 16, 16, 65536, 4 << 20, 1 << 20);
	assert_int_equal(output_pool_init(&pool, &h), 0);
	part.iov_len = frame_max(&h);
	assert_true(part.iov_len >= (4 << 20) / 16 * OUTPUT_ESCAPED);
	assert_int_equal(frame_build(&pool, &held[0], FRAME_OWN, &part, 1), 0);
	for (k = 1; frame_build(&pool, &held[k], FRAME_OWN, &part, 1) == 0; k++)
		assert_true(k < 2);
	assert_int_equal(frame_build(&pool, &f, FRAME_OWN, &part, 1), -1);
	part.iov_len++;
	assert_int_equal(
	    frame_build(&pool, &f, FRAME_OWN, &part, 1), FRAME_TOO_BIG);
	while (k > 0)
		frame_release(&pool, &held[--k]);
	output_pool_deinit(&pool);
	hub_destroy(&h);
	free(part.iov_base);
}

/* A stopped reader's small frame in each segment: compacting frees the most
 * of them, though the arena is full; and it says no when it gains nothing. */
static void
test_compact(void **state)
{
	struct world *w = calloc(1, sizeof(*w));
	uint8_t small[100] = {1}, *big = calloc(1, OUTPUT_SEGMENT);
	struct iovec one = {small, sizeof(small)};
	struct iovec rest = {big, OUTPUT_SEGMENT / 4};
	struct frame f;
	uint32_t n = 0, i;

	fixture_hub(&w->h, CONNS, 16, 65536, 1 << 20, 1 << 20);
	claim_init(&w->slots, w->h.slot_owner, w->h.n_slots, 0);
	output_pool_init(&w->pool, &w->h);
	w->s[0].slot = slot_take(&w->h, &w->slots);
	assert_int_equal(output_open(&w->pool, &w->s[0].out, w->s[0].slot), 0);
	w->s[0].open = true;
	while (frame_build(&w->pool, &f, FRAME_SHARED, &one, 1) == 0) {
		output_append(&w->pool, &w->s[0].out, w->s[0].slot, &f, 0);
		frame_release(&w->pool, &f);
		do {
			if (frame_build(&w->pool, &f, FRAME_SHARED, &rest, 1) <
			    0)
				break;
			n = w->pool.end[FRAME_SHARED].used;
			frame_release(&w->pool, &f);
		} while (n + 2 * rest.iov_len <= OUTPUT_SEGMENT);
		w->pool.end[FRAME_SHARED].used = OUTPUT_SEGMENT;
		if (w->pool.n_spare == 0 &&
		    segments_owned(w) == segments_all(w))
			break;
	}
	assert_int_equal(segments_owned(w), segments_all(w));
	for (n = 0; w->walk = 0, output_compact(&w->pool, next_cb, w); n++)
		assert_true(n < w->h.n_segments);
	for (n = 0, i = 0; i < w->h.n_segments; i++)
		n += w->pool.segment_use[i] > 0;
	/* the end of shared frames, and one that has all the rest */
	assert_true(n <= 2);
	output_close(&w->pool, &w->s[0].out, w->s[0].slot);
	slot_release(&w->h, &w->slots, w->s[0].slot);
	w->s[0].open = false;
	world_end(w);
	free(w);
	free(big);
}

/* Segments that are free again are taken before untouched ones: memory that
 * was once used is used again. */
static void
test_touched_first(void **state)
{
	struct world *w = calloc(1, sizeof(*w));
	static uint8_t bytes[OUTPUT_SEGMENT];
	struct iovec whole = {bytes, sizeof(bytes)};
	struct frame f[8];
	uint32_t highest = 0, s;
	int round, k;

	fixture_hub(&w->h, CONNS, 16, 65536, 2 << 20, 1 << 20);
	output_pool_init(&w->pool, &w->h);
	for (round = 0; round < 10; round++) {
		for (k = 0; k < 8; k++)
			assert_int_equal(frame_build(&w->pool, &f[k],
					     FRAME_SHARED, &whole, 1),
			    0);
		for (k = 0; k < 8; k++) {
			s = f[k].piece[0].offset / OUTPUT_SEGMENT;
			if (s > highest)
				highest = s;
			frame_release(&w->pool, &f[k]);
		}
	}
	assert_true(w->h.n_segments > 20);
	/* eight, an end and the reserve */
	assert_true(highest <= 10);
	output_pool_deinit(&w->pool);
	hub_destroy(&w->h);
	free(w);
}

/* A connection whose peer is gone is taken over with output waiting: all of it
 * counts as written, and nothing of it is held. */
static void
test_adopt_all_written(void **state)
{
	struct world *w = calloc(1, sizeof(*w));
	uint8_t bytes[1000] = {1};
	struct output_pool next;
	struct output out;
	struct frame f;
	uint32_t slot, i, s;

	fixture_hub(&w->h, CONNS, 16, 65536, 1 << 20, 1 << 20);
	claim_init(&w->slots, w->h.slot_owner, w->h.n_slots, 0);
	output_pool_init(&w->pool, &w->h);
	slot = slot_take(&w->h, &w->slots);
	assert_int_equal(output_open(&w->pool, &out, slot), 0);
	for (i = 1; i <= 100; i++) {
		assert_int_equal(frame_build(&w->pool, &f, FRAME_OWN,
				     &(struct iovec){bytes, i * 10}, 1),
		    0);
		assert_int_equal(output_append(&w->pool, &out, slot, &f, i), 0);
		frame_release(&w->pool, &f);
	}
	output_wrote(&w->pool, &out, slot, 555);
	w->h.slot[slot].last = 0; /* derived again */
	assert_int_equal(output_pool_init(&next, &w->h), 0);
	assert_int_equal(output_adopt(&next, &out, slot, OUTPUT_ALL), 0);
	output_adopted(&next);
	assert_int_equal(output_pending(&out), 0);
	assert_int_equal(out.end, 10 * 100 * 101 / 2);
	assert_int_equal(w->h.slot[slot].last, 100);
	assert_int_equal(next.chunks.n_used, 1);
	for (s = 0; s < w->h.n_segments; s++)
		assert_int_equal(next.segment_use[s], 0);
	/* it goes on from there */
	assert_int_equal(
	    frame_build(&next, &f, FRAME_OWN, &(struct iovec){bytes, 10}, 1),
	    0);
	assert_int_equal(output_append(&next, &out, slot, &f, 0), 0);
	frame_release(&next, &f);
	assert_int_equal(output_pending(&out), 10);
	output_close(&next, &out, slot);
	output_trim(&next);
	assert_int_equal(next.chunks.n_used, 0);
	output_pool_deinit(&next);
	output_pool_deinit(&w->pool);
	claim_deinit(&w->slots);
	hub_destroy(&w->h);
	free(w);
}

/* A list that begins after its end makes no sense. */
static void
test_adopt_backwards(void **state)
{
	struct output_pool pool;
	struct claim slots;
	struct output out;
	struct hub h;
	uint32_t slot;

	fixture_hub(&h, CONNS, 16, 65536, 1 << 20, 1 << 20);
	claim_init(&slots, h.slot_owner, h.n_slots, 0);
	output_pool_init(&pool, &h);
	slot = slot_take(&h, &slots);
	assert_int_equal(output_open(&pool, &out, slot), 0);
	h.chunk[out.chunk].base = 1;
	output_pool_deinit(&pool);
	output_pool_init(&pool, &h);
	assert_int_equal(output_adopt(&pool, &out, slot, 0), -1);
	output_pool_deinit(&pool);
	claim_deinit(&slots);
	hub_destroy(&h);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_longest),
	    cmocka_unit_test(test_compact),
	    cmocka_unit_test(test_touched_first),
	    cmocka_unit_test(test_adopt_all_written),
	    cmocka_unit_test(test_adopt_backwards),
	    cmocka_unit_test(test_arena_short),
	    cmocka_unit_test(test_chunks_short),
	    cmocka_unit_test(test_big),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
