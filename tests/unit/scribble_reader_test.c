/* scribble_reader: words of readers and of the spill that were written over:
 * nobody crashes, reads without end, or holds the lock for long; and who
 * publishes and reads goes on when the words are right again. */
#include "reader_fixture.h"

static const char text[RING];
static struct scene s;
static struct reader r;

/* A number that is likely to be taken for something. */
static uint64_t
likely(void)
{
	const uint64_t near[] = {0, s.h.heads->tail, s.h.heads->oldest,
	    s.h.heads->end, s.h.heads->spill_begin, s.h.heads->spill_end,
	    s.h.spill_size, s.h.journal_size, UINT64_MAX, 1ull << 60};
	const uint32_t n = sizeof(near) / sizeof(near[0]);
	uint64_t x = near[fixture_random(n)];

	switch (fixture_random(4)) {
	case 0:
		return x + fixture_random(300) - 150;
	case 1:
		return x;
	case 2:
		return x ^ 1ull << fixture_random(64);
	default:
		return (uint64_t)fixture_random(UINT32_MAX) << 32 |
		    fixture_random(UINT32_MAX);
	}
}

/* Writes over one word of what workers can write. */
static void
scribble(void)
{
	struct shm_heads *w = s.h.heads;
	_Atomic uint64_t *const word[] = {&w->tail, &w->oldest, &w->redone,
	    &w->end, &w->reader[READER_HOOKS].taken,
	    &w->reader[READER_HOOKS].end, &w->reader[READER_STORE].taken,
	    &w->reader[READER_STORE].end, &w->spill_begin, &w->spill_end,
	    &s.h.line[HOOKS_LINE].settled, &s.h.line[HOOKS_LINE].cursor};
	uint64_t x = likely();
	uint8_t *to;

	switch (fixture_random(5)) {
	case 0:
		to = s.h.spill +
		    fixture_random((uint32_t)s.h.spill_size / 8) * 8;
		break;
	case 1:
		to = s.h.journal + fixture_random(RING / 8) * 8;
		break;
	case 2:
		to = (uint8_t *)&s.h
			 .index[fixture_random((uint32_t)s.h.n_index)];
		break;
	case 3:
		to = (uint8_t *)&s.h.entry[fixture_random(s.h.n_entries)] +
		    fixture_random(8) * 8;
		break;
	default:
		*word[fixture_random(sizeof(word) / sizeof(word[0]))] = x;
		return;
	}
	memcpy(to, &x, sizeof(x));
}

static void
lost_cb(void *arg, uint32_t channel, uint32_t epoch, uint64_t offset)
{
	assert_in_range(channel, 0, s.h.n_entries - 1);
}

static void
opening_cb(void *arg, uint32_t channel, uint32_t epoch)
{
	const struct reader_opening o = {.stream = 1, .top = 3};

	assert_in_range(channel, 0, s.h.n_entries - 1);
	(void)reader_opened(&r, channel, epoch, &o);
}

static void
unsettled_cb(void *arg, const struct publication *p, bool delivered)
{
	struct reader_answer a = reader_answer_to(p, RESULT_OK);

	if (p->flags & PUBLICATION_PROPOSED)
		a.deliver = p;
	(void)reader_answer(&r, &a, 1);
}

/* Reads what there seems to be: at most what ring and spill have room for. */
static void
read_all(void)
{
	enum reader_result what;
	uint32_t n = 0;

	do {
		what = scene_next(&s, &r);
		if (what == READER_LOST)
			reader_lost_each(&r, r.from, r.to, lost_cb, NULL);
		if (what == READER_FOUND && reader_is_asked(&r, &s.p))
			unsettled_cb(NULL, &s.p, false);
		assert_in_range(
		    n++, 0, 4 * s.h.n_index + s.h.spill_size / JOURNAL_HEAD);
	} while (what != READER_END && what != READER_STOPPED);
	reader_taken(&r, r.passed);
}

/* Some publications, of which some ask. */
static void
publish_some(uint32_t conn, uint32_t n)
{
	static const char *const names[] = {
	    "kept", "both", "told", "plain", "stored"};

	for (; n > 0; n--)
		switch (fixture_random(4)) {
		case 0:
			(void)scene_ask(
			    &s, conn, "kept", (uint8_t)fixture_random(4));
			break;
		default:
			(void)scene_say(&s, names[fixture_random(5)], text,
			    fixture_random(300));
		}
}

/* A round of all; the reader may be a new one. */
static void
round_of(uint32_t conn)
{
	scene_become(&s, 0);
	publish_some(conn, fixture_random(200));
	scene_become(&s, HOOKS_LINE);
	if (fixture_random(3) == 0) {
		reader_init(&r, &s.h, READER_HOOKS, READER_NO_MARK);
		reader_opening(&r, opening_cb, NULL);
		assert_int_equal(reader_unsettled(&r, s.buf, sizeof(s.buf),
				     unsettled_cb, NULL),
		    0);
	}
	reader_wait(&r, 0);
	read_all();
}

/* Words are written over between and within rounds. */
static void
test_words(void **state)
{
	struct publication p;
	uint32_t conn;

	for (uint32_t n = 0; n < fixture_rounds(2000); n++) {
		scene_begin(&s);
		scene_become(&s, HOOKS_LINE);
		reader_init(&r, &s.h, READER_HOOKS, READER_NO_MARK);
		scene_become(&s, 0);
		conn = scene_conn(&s);
		publish_some(conn, fixture_random(300));
		for (uint32_t k = 0; k < 3; k++) {
			for (uint32_t m = fixture_random(4); m > 0; m--)
				scribble();
			round_of(conn);
		}
		/* what is published and read from now on is right again */
		scene_become(&s, 0);
		for (uint32_t k = 0; k < 300; k++)
			(void)scene_say(&s, "plain", text, 100);
		scene_become(&s, HOOKS_LINE);
		read_all();
		assert_true(r.passed == journal_tail(&s.h));
		scene_become(&s, 0);
		p = (struct publication){
		    .format = FORMAT_TEXT, .data = "x", .data_len = 1};
		hub_lock(&s.h);
		SHM_STORE(
		    s.h.entry[0].flags, HOOKS | HOOKS << PRESENCE_REQUIRED);
		journal_append(&s.h, &p);
		hub_unlock(&s.h);
		scene_become(&s, HOOKS_LINE);
		assert_int_equal(scene_next(&s, &r), READER_FOUND);
		assert_true(r.position == p.position);
		scene_end(&s);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_words),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
