/* output_adopt: a list of references that a dead worker left, taken over at
 * each byte that the kernel may have counted; and each word of it corrupted. */
#include "hub_fixture.h"

#include "hub/output.h"
#include "hub/slot.h"

enum { FRAMES = 8, LONG = 5, TOTAL = FRAMES * (FRAMES + 1) / 2 * LONG };

static struct hub hub;
static struct claim slots;
static struct output_pool dead, pool;
static struct output out;
static uint32_t slot;
static uint8_t said[TOTAL];

/* The k-th frame's bytes, and what stands before it. */
static uint32_t
frame_bytes(uint32_t k)
{
	return (k + 1) * LONG;
}

static uint32_t
frame_begin(uint32_t k)
{
	return k * (k + 1) / 2 * LONG;
}

/* A worker has appended FRAMES frames, the k-th of (k + 1) * LONG bytes, with
 * tags from 1, and died. */
static int
setup(void **state)
{
	struct frame f;

	fixture_hub(&hub, 16, 16, 65536, 1 << 20, 1 << 20);
	assert_int_equal(claim_init(&slots, hub.slot_owner, hub.n_slots, 0), 0);
	assert_int_equal(output_pool_init(&dead, &hub), 0);
	slot = slot_take(&hub, &slots);
	assert_int_equal(output_open(&dead, &out, slot), 0);
	fixture_fill(said, sizeof(said));
	for (uint32_t k = 0; k < FRAMES; k++) {
		assert_int_equal(
		    frame_build(&dead, &f, FRAME_OWN,
			&(struct iovec){said + frame_begin(k), frame_bytes(k)},
			1),
		    0);
		assert_int_equal(
		    output_append(&dead, &out, slot, &f, k + 1), 0);
		frame_release(&dead, &f);
	}
	assert_int_equal(output_pool_init(&pool, &hub), 0);
	return 0;
}

static int
teardown(void **state)
{
	output_pool_deinit(&pool);
	output_pool_deinit(&dead);
	claim_deinit(&slots);
	hub_destroy(&hub);
	return 0;
}

/* References that the pool counts, in all segments. */
static uint32_t
uses(void)
{
	uint32_t n = 0;

	for (uint32_t s = 0; s < hub.n_segments; s++)
		n += pool.segment_use[s];
	return n;
}

/* The chunk of reference n. */
static struct chunk *
chunk_of(uint32_t n)
{
	struct chunk *c = &hub.chunk[shm_index(hub.slot[slot].chunk)];

	for (; n >= OUTPUT_REFS; n -= OUTPUT_REFS)
		c = &hub.chunk[c->next];
	return c;
}

/* Reference n. */
static struct reference *
reference(uint32_t n)
{
	return &chunk_of(n)->ref[n % OUTPUT_REFS];
}

/* The worker that comes next begins. */
static void
begin_anew(void)
{
	output_pool_deinit(&pool);
	assert_int_equal(output_pool_init(&pool, &hub), 0);
}

/* It refuses the list, and counts nothing of it. */
static void
refused(uint64_t written)
{
	struct output o;

	begin_anew();
	assert_int_equal(output_adopt(&pool, &o, slot, written), -1);
	assert_int_equal(uses(), 0);
}

/* It takes it, and what is still to be written is right to the byte. */
static void
taken(uint64_t written)
{
	struct iovec iov[FRAMES];
	size_t asked, at = written;
	struct output o;
	uint32_t left = 0;
	int n;

	begin_anew();
	assert_int_equal(output_adopt(&pool, &o, slot, written), 0);
	assert_int_equal(output_pending(&o), TOTAL - written);
	n = output_gather(&pool, &o, slot, iov, FRAMES, &asked);
	assert_int_equal(asked, TOTAL - written);
	for (int k = 0; k < n; at += iov[k++].iov_len)
		assert_memory_equal(iov[k].iov_base, said + at, iov[k].iov_len);
	assert_int_equal(at, TOTAL);
	for (uint32_t k = 0; k < FRAMES; k++)
		left += frame_begin(k) + frame_bytes(k) > written;
	assert_int_equal(uses(), left);
}

/* At each byte; chunks before it are given back. */
static void
test_each(void **state)
{
	uint32_t n;

	for (uint32_t written = 0; written <= TOTAL; written++) {
		taken(written);
		/* the list begins with the chunk of the last reference that
		 * is wholly written */
		for (n = 0; n < FRAMES && frame_begin(n + 1) <= written;)
			n++;
		n = n > 0 ? (n - 1) / OUTPUT_REFS * OUTPUT_REFS : 0;
		assert_true(chunk_of(0)->start == frame_begin(n));
		assert_true(SHM_LOAD(hub.slot[slot].last) == FRAMES);
	}
	/* what the list begins with now is all that there is */
	refused(frame_begin(6) - 1);
	refused(TOTAL + 1);
	taken(TOTAL);
}

/* More or less than was ever appended is a count that makes no sense. */
static void
test_count(void **state)
{
	refused(TOTAL + 1);
	refused(UINT64_MAX - 1);
	chunk_of(0)->start = 3;
	refused(2);
}

/* What follows from the newest reference is redone, of each kind of tag. */
static void
test_tag(void **state)
{
	struct slot *s = &hub.slot[slot];
	struct output o;

	SHM_STORE(s->last, 3);
	taken(0);
	assert_true(SHM_LOAD(s->last) == FRAMES);
	reference(FRAMES - 1)->tag = OUTPUT_ANSWER | 77;
	taken(0);
	assert_true(SHM_LOAD(s->answered) == 77);
	assert_true(SHM_LOAD(s->last) == FRAMES);
	reference(FRAMES - 1)->tag = 0;
	taken(0);
	assert_true(SHM_LOAD(s->last) == FRAMES);
	/* a chunk that says that the newest lies behind it has none */
	begin_anew();
	assert_int_equal(output_adopt(&pool, &o, slot, 0), 0);
	reference(FRAMES - 1)->tag = 55;
	assert_true(output_newest_tag(&pool, &o, slot) == 55);
	hub.chunk[o.newest].base = FRAMES - 1 - OUTPUT_REFS;
	hub.chunk[o.newest + 1].start = 99;
	assert_true(output_newest_tag(&pool, &o, slot) == 0);
}

/* Lengths and places that there cannot be. */
static void
test_reference(void **state)
{
	struct reference *r;
	uint32_t was;

	for (uint32_t k = 0; k < FRAMES; k++) {
		r = reference(k);
		was = r->length;
		r->length = 0;
		refused(0);
		r->length = OUTPUT_SEGMENT + 1;
		refused(0);
		r->length = UINT32_MAX;
		refused(0);
		r->length = was;
		was = r->offset;
		SHM_STORE(r->offset, hub.n_segments * OUTPUT_SEGMENT);
		refused(0);
		SHM_STORE(r->offset, UINT32_MAX);
		refused(0);
		/* the end of a segment */
		SHM_STORE(r->offset,
		    was / OUTPUT_SEGMENT * OUTPUT_SEGMENT + OUTPUT_SEGMENT -
			r->length + 1);
		refused(0);
		/* one that is another worker's, or nobody's */
		SHM_STORE(r->offset, (hub.n_segments - 1) * OUTPUT_SEGMENT);
		refused(0);
		SHM_STORE(r->offset, was);
		taken(0);
	}
	/* behind all segments, where a byte says that it is this worker's */
	r = reference(FRAMES - 1);
	was = r->offset;
	hub.arena[0] = hub.segment_owner[was / OUTPUT_SEGMENT];
	SHM_STORE(r->offset,
	    (uint32_t)(hub.arena - (uint8_t *)hub.segment_owner) *
		OUTPUT_SEGMENT);
	refused(0);
	SHM_STORE(r->offset, was);
	/* lengths of what is written count, too */
	r = reference(6);
	r->length = 0;
	refused(frame_begin(6) + frame_bytes(7));
	r->length = OUTPUT_SEGMENT + 1;
	refused(frame_begin(6) + OUTPUT_SEGMENT + 1 + frame_bytes(7));
	r->length = frame_bytes(6);
	hub.arena[0] = said[0];
	/* what is wholly written may lead anywhere */
	SHM_STORE(reference(0)->offset, UINT32_MAX);
	taken(frame_begin(1));
}

/* Chains that lead elsewhere, and chunks that say that they are others. */
static void
test_chain(void **state)
{
	struct chunk *c = chunk_of(0), *second = chunk_of(OUTPUT_REFS);
	const uint32_t link = hub.slot[slot].chunk, next = c->next;
	const uint32_t bad[] = {hub.n_chunks, UINT32_MAX, shm_index(link)};

	for (size_t k = 0; k < sizeof(bad) / sizeof(bad[0]); k++) {
		SHM_STORE(c->next, bad[k]);
		refused(0);
	}
	SHM_STORE(c->next, next);
	second->base++;
	refused(0);
	second->base--;
	/* also where no other chunk comes behind it */
	SHM_STORE(hub.slot[slot].appended, 5);
	second->base++;
	refused(0);
	second->base--;
	SHM_STORE(hub.slot[slot].appended, FRAMES);
	second->start++;
	refused(0);
	second->start--;
	c->base--;
	refused(0);
	c->base += 2;
	refused(0);
	c->base = FRAMES + 1; /* behind the end */
	refused(0);
	c->base = 0;
	SHM_STORE(hub.slot[slot].chunk, shm_link(hub.n_chunks));
	refused(0);
	SHM_STORE(hub.slot[slot].chunk, link);
	SHM_STORE(hub.slot[slot].appended, UINT64_MAX);
	refused(0);
	SHM_STORE(hub.slot[slot].appended, FRAMES);
	taken(0);
}

/* Two connections with one list: the second is refused, the first keeps it. */
static void
test_shared(void **state)
{
	const uint32_t other = slot_take(&hub, &slots);
	struct output a, b;

	SHM_STORE(hub.slot[other].chunk, hub.slot[slot].chunk);
	SHM_STORE(hub.slot[other].appended, FRAMES);
	assert_int_equal(output_adopt(&pool, &a, slot, 0), 0);
	assert_int_equal(output_adopt(&pool, &b, other, 0), -1);
	assert_int_equal(uses(), FRAMES);
	/* of which it says that it is short */
	SHM_STORE(hub.slot[other].appended, 2);
	assert_int_equal(output_adopt(&pool, &b, other, 0), -1);
	assert_int_equal(uses(), FRAMES);
	assert_int_equal(output_pending(&a), TOTAL);
}

/* What nothing reaches is free again: chunks and segments. */
static void
test_rest(void **state)
{
	struct output o, next;
	uint32_t owned = 0;
	struct frame f;

	/* a segment of this worker without references */
	assert_int_equal(
	    frame_build(&dead, &f, FRAME_SHARED, &(struct iovec){said, 1}, 1),
	    0);
	begin_anew();
	assert_int_equal(output_adopt(&pool, &o, slot, frame_begin(7)), 0);
	output_adopted(&pool);
	assert_int_equal(pool.chunks.n_used, 1);
	assert_int_equal(pool.n_owned, 1);
	for (uint32_t s = 0; s < hub.n_segments; s++)
		owned += hub.segment_owner[s] != 0;
	assert_int_equal(owned, 1);
	assert_int_equal(uses(), 1);
	/* the next chunk is one of those that are free in its block */
	assert_int_equal(output_open(&pool, &next, slot_take(&hub, &slots)), 0);
	assert_int_equal(next.chunk / SHM_BLOCK, o.chunk / SHM_BLOCK);
	output_uncopy(&pool, &next);
	output_close(&pool, &o, slot);
	output_trim(&pool);
	assert_int_equal(pool.chunks.n_used, 0);
	assert_int_equal(uses(), 0);
}

/* Appends a frame of n bytes. */
static int
append(
    struct output_pool *p, struct output *o, uint32_t s, size_t n, uint64_t tag)
{
	struct frame f;
	int r;

	assert_int_equal(
	    frame_build(p, &f, FRAME_SHARED, &(struct iovec){said, n}, 1), 0);
	r = output_append(p, o, s, &f, tag);
	frame_release(p, &f);
	return r;
}

/* A list of which all is written has no chunk; who takes it over goes on at the
 * kernel's count, and so does who gets a copy. */
static void
test_written(void **state)
{
	const uint32_t idle = slot_take(&hub, &slots);
	struct output o, copy;
	struct iovec iov[2];
	size_t asked;

	assert_int_equal(output_open(&dead, &o, idle), 0);
	assert_int_equal(append(&dead, &o, idle, 0, 0), 0);
	assert_int_equal(hub.slot[idle].chunk, 0);
	for (uint32_t k = 0; k < 2 * OUTPUT_REFS; k++)
		assert_int_equal(append(&dead, &o, idle, 5, k + 1), 0);
	output_wrote(&dead, &o, idle, 5 * 2 * OUTPUT_REFS - 1);
	assert_int_not_equal(hub.slot[idle].chunk, 0);
	output_wrote(&dead, &o, idle, 1);
	assert_int_equal(hub.slot[idle].chunk, 0);
	assert_int_equal(o.chunk, SHM_NONE);
	begin_anew();
	assert_int_equal(output_adopt(&pool, &o, idle, 5 * 2 * OUTPUT_REFS), 0);
	assert_int_equal(pool.chunks.n_used, 0);
	assert_int_equal(output_pending(&o), 0);
	assert_true(output_newest_tag(&pool, &o, idle) == 0);
	assert_int_equal(output_copy(&pool, &copy, idle, 30), 0);
	assert_int_equal(copy.chunk, SHM_NONE);
	assert_int_equal(output_pending(&copy), 0);
	output_uncopy(&pool, &copy);
	assert_int_equal(append(&pool, &o, idle, 7, 99), 0);
	assert_int_equal(output_gather(&pool, &o, idle, iov, 2, &asked), 1);
	assert_int_equal(asked, 7);
	assert_true(output_newest_tag(&pool, &o, idle) == 99);
	/* and one more frame is found by the next one */
	begin_anew();
	assert_int_equal(
	    output_adopt(&pool, &o, idle, 5 * 2 * OUTPUT_REFS + 3), 0);
	assert_int_equal(output_pending(&o), 4);
	output_close(&pool, &o, idle);
	/* its count of frames is not what it was */
	SHM_STORE(hub.slot[idle].appended, 1);
	assert_int_equal(append(&pool, &o, idle, 7, 0), OUTPUT_CORRUPTED);
}

/* That a close frame is written is known to the next worker. */
static void
test_close(void **state)
{
	const uint32_t ending = slot_take(&hub, &slots);
	struct output o;

	assert_int_equal(output_open(&dead, &o, ending), 0);
	assert_int_equal(append(&dead, &o, ending, 5, 1), 0);
	assert_int_equal(append(&dead, &o, ending, 4, OUTPUT_CLOSE), 0);
	output_wrote(&dead, &o, ending, 9);
	begin_anew();
	assert_int_equal(output_adopt(&pool, &o, ending, 9), 0);
	assert_true(output_newest_tag(&pool, &o, ending) == OUTPUT_CLOSE);
	output_close(&pool, &o, ending);
	assert_int_equal(hub.slot[ending].chunk, 0);
}

int
main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {TEST(test_each), TEST(test_count),
	    TEST(test_tag), TEST(test_reference), TEST(test_chain),
	    TEST(test_shared), TEST(test_rest), TEST(test_written),
	    TEST(test_close)};

	return cmocka_run_group_tests_name("output_adopt", tests, NULL, NULL);
}
