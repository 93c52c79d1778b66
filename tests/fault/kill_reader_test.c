/* kill_reader: a publisher, and a reader that keeps what it reads in one
 * transaction for many entries, die at every kill point, and others go on. What
 * was accepted is kept once and in order, whatever was overwritten meanwhile;
 * what waits is answered once; what was proposed is delivered once; a channel
 * is opened. */
#include "../unit/reader_fixture.h"
#include "kill_child.h"

#include <sys/mman.h>
#include <unistd.h>

enum {
	KEPT = 20,    /* that the reader must have */
	OTHERS = 150, /* that overwrite them: the ring holds some 105 */
	AFTER = 88,   /* that overwrite the first of them, and not what asks */
	ASKERS = 4,   /* connections that ask: every second one proposes */
	BATCH = 3,    /* entries of a transaction */
	POINTS = 20000
};

/* What outlives all of them. */
struct note {
	/* what the reader has for good: rows << 32 | mark */
	_Atomic uint64_t committed;
	uint64_t row[256]; /* offsets; of those that ask: 1000 + position */
};

static struct scene s;
static struct note *note;
static const char text[64];

static void
kill_begin(void)
{
	scene_begin_of(&s, RING, HOOKS);
	scene_channel(&s, "kept");
	note = mmap(NULL, sizeof(*note), PROT_READ | PROT_WRITE,
	    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	assert_true(note != MAP_FAILED);
}

static void
kill_end(void)
{
	munmap(note, sizeof(*note));
	scene_end(&s);
}

/* Publications of a channel so far. */
static uint64_t
said(const char *name)
{
	uint32_t e;

	hub_lock(&s.h); /* redoes what a dead process did not get to */
	e = presence_find(&s.h, name, strlen(name));
	hub_unlock(&s.h);
	return e != SHM_NONE ? SHM_LOAD(s.h.entry[e].offset) : 0;
}

/* Publishes to a channel until it has so many. */
static void
say_until(const char *name, uint64_t n)
{
	while (said(name) < n)
		assert_int_equal(
		    scene_say(&s, name, text, sizeof(text)), PUBLISH_OK);
}

/* Publishes what has not been: those that are kept, and those that overwrite
 * them. */
static void
publisher_act(void)
{
	say_until("kept", KEPT);
	say_until("plain", OTHERS);
}

/* Keeps a transaction: rows that lie behind those that count, then one store.
 */
static void
reader_commit(const uint64_t *row, uint32_t n, uint64_t mark)
{
	uint64_t was = SHM_LOAD(note->committed);

	memcpy(note->row + (was >> 32), row, n * sizeof(*row));
	KILL_POINT();
	SHM_STORE(note->committed, ((was >> 32) + n) << 32 | mark);
}

/* Answers one that asks, as a store does that has it for good. */
static void
reader_give(struct reader *r, const struct publication *p, bool delivered)
{
	struct reader_answer a = reader_answer_to(p, RESULT_OK);

	if (p->flags & PUBLICATION_PROPOSED && !delivered)
		a.deliver = p;
	(void)reader_answer(r, &a, 1);
}

static void
unsettled_cb(void *arg, const struct publication *p, bool delivered)
{
	reader_give(arg, p, delivered);
}

static void
opening_cb(void *arg, uint32_t channel, uint32_t epoch)
{
	static const struct publication pub = {.offset = 9,
	    .before = 8,
	    .format = FORMAT_TEXT,
	    .data = text,
	    .data_len = sizeof(text)};
	static const struct reader_opening o = {
	    .stream = 77, .top = 9, .leap = 1009, .pubs = &pub, .n = 1};

	(void)reader_opened(arg, channel, epoch, &o);
}

/* Takes what there is, in transactions; then says so, and answers. */
static void
reader_act(void)
{
	static char buf[BATCH][RING / JOURNAL_SHARE];
	struct publication p[BATCH];
	enum reader_result what = READER_FOUND;
	uint64_t row[BATCH];
	struct reader r;
	uint32_t n;

	reader_init(&r, &s.h, READER_HOOKS, (uint32_t)note->committed);
	reader_opening(&r, opening_cb, &r);
	assert_int_equal(
	    reader_unsettled(&r, buf, sizeof(buf[0]), unsettled_cb, &r), 0);
	while (what != READER_END) {
		for (n = 0; n < BATCH; n++) {
			while ((what = reader_next(&r, buf[n], sizeof(buf[n]),
				    &p[n])) == READER_LOST)
				;
			if (what == READER_END)
				break;
			assert_int_equal(what, READER_FOUND);
			row[n] = reader_is_asked(&r, &p[n])
			    ? 1000 + p[n].position
			    : p[n].offset;
		}
		reader_commit(row, n, r.passed);
		reader_taken(&r, r.passed);
		for (uint32_t k = 0; k < n; k++)
			if (p[k].format == FORMAT_OPEN)
				opening_cb(&r, p[k].channel, p[k].epoch);
			else if (reader_is_asked(&r, &p[k]))
				reader_give(&r, &p[k], false);
	}
}

/* One of the two in a child that dies at kill point n, if it gets there:
 * true. */
static bool
act_killed(void (*act)(void), int line, uint64_t n)
{
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		child_signals();
		hub_become(&s.h, line);
		kill_point_arm(n, SIGKILL);
		act();
		_exit(0);
	}
	return child_was_killed(pid);
}

/* One of the two dies at a point, its successor perhaps at one, too, and the
 * next one gets through. */
static bool
act_dies(void (*act)(void), int line, uint64_t n, bool twice)
{
	bool died = act_killed(act, line, n);

	if (died && twice)
		(void)act_killed(act, line, 1 + fixture_random(100));
	if (died)
		assert_false(act_killed(act, line, 0));
	return died;
}

/* What the reader must have is there, once and in order; nothing else. */
static void
check_rows(void)
{
	uint64_t rows = note->committed >> 32;

	assert_true(rows == KEPT);
	for (uint64_t k = 0; k < rows; k++)
		assert_true(note->row[k] == k + 1);
}

/* The publisher dies wherever it may, while it makes room and spills. */
static void
publisher_dies(bool twice)
{
	bool died = true;
	uint64_t n, spilled = 0;

	for (n = 1; died; n += 1 + fixture_random(twice ? 7 : 2)) {
		assert_true(n < POINTS);
		kill_begin();
		died = act_dies(publisher_act, 0, n, twice);
		assert_true(said("kept") == KEPT && said("plain") == OTHERS);
		assert_true(journal_oldest(&s.h) > KEPT);
		spilled = s.h.heads->spill_end;
		reader_act();
		check_rows();
		kill_end();
	}
	print_message("%u kill points, %u bytes spilled\n", (unsigned)n,
	    (unsigned)spilled);
	assert_true(n > 5 * (KEPT + OTHERS) && spilled > 0);
}

static void
test_publisher(void **state)
{
	publisher_dies(false);
}

static void
test_publisher_twice(void **state)
{
	publisher_dies(true);
}

/* The connections' publications, and a channel that is asked for. */
static void
ask_all(uint32_t *conn)
{
	for (int k = 0; k < ASKERS; k++) {
		conn[k] = scene_conn(&s);
		assert_int_equal(
		    scene_ask(&s, conn[k], "kept",
			k % 2 == 0 ? PUBLICATION_WAITS
				   : PUBLICATION_WAITS | PUBLICATION_PROPOSED),
		    PUBLISH_OK);
	}
	assert_int_equal(
	    scene_ask(&s, SHM_NONE, "kept", PUBLICATION_WAITS), PUBLISH_OK);
	assert_int_equal(
	    scene_ask(&s, SHM_NONE, "kept", PUBLICATION_PROPOSED), PUBLISH_OK);
	assert_int_equal(scene_say(&s, "kold", text, 1), PUBLISH_COLD);
}

/* Every one that asked is answered once, every proposed one delivered once. */
static void
check_answers(uint64_t first, const uint32_t *conn)
{
	int results[ASKERS + 2] = {0}, delivered[ASKERS + 2] = {0}, opened = 0;
	struct publication p;

	for (uint64_t at = first + 1; at <= journal_tail(&s.h); at++) {
		assert_int_equal(
		    journal_read(&s.h, at, s.buf, sizeof(s.buf), &p),
		    JOURNAL_OK);
		if (p.format == FORMAT_RESULT)
			results[p.answers - first - 1]++;
		else if (p.format == FORMAT_OPENED)
			opened++;
		else if (p.flags & PUBLICATION_AGAIN &&
		    p.format == FORMAT_TEXT && p.answers != 0)
			delivered[p.answers - first - 1]++;
	}
	for (int k = 0; k < ASKERS + 2; k++) {
		assert_int_equal(results[k], k <= ASKERS);
		assert_int_equal(delivered[k],
		    (k < ASKERS && k % 2 == 1) || k == ASKERS + 1);
		if (k < ASKERS)
			assert_int_equal(s.h.slot[conn[k]].awaits, AWAITS_DONE);
	}
	assert_int_equal(opened, 1);
}

/* The channel that was cold stands where the reader has said. */
static void
check_opened(void)
{
	uint32_t e;

	hub_lock(&s.h);
	e = presence_find(&s.h, "kold", 4);
	hub_unlock(&s.h);
	assert_int_equal(PRESENCE_WARMTH_OF(s.h.entry[e].flags), PRESENCE_OPEN);
	assert_true(s.h.stream[e] == 77);
	assert_true(s.h.entry[e].offset == 1009);
	assert_int_equal(scene_say(&s, "kold", text, 1), PUBLISH_OK);
	assert_true(s.p.offset == 1010 && s.p.before == 1009);
}

/* The reader dies wherever it may. */
static void
reader_dies(bool twice)
{
	uint32_t conn[ASKERS];
	uint64_t n, rows, first;
	bool died = true;

	for (n = 1; died; n++) {
		assert_true(n < POINTS);
		kill_begin();
		say_until("kept", KEPT);
		first = journal_tail(&s.h);
		ask_all(conn);
		say_until("plain", AFTER);
		assert_in_range(s.h.heads->spill_end, 1, RING);
		died = act_dies(reader_act, HOOKS_LINE, n, twice);
		rows = note->committed >> 32;
		/* those that asked, and the OPEN */
		assert_true(rows == KEPT + ASKERS + 3);
		for (uint64_t k = 0; k < rows; k++)
			assert_true(note->row[k] ==
			    (k < KEPT ? k + 1
				    : k < KEPT + ASKERS + 2
				    ? 1000 + first + 1 + k - KEPT
				    : 0));
		check_answers(first, conn);
		check_opened();
		kill_end();
	}
	print_message("%u kill points\n", (unsigned)n - 2);
	assert_true(n > 60);
}

static void
test_reader(void **state)
{
	reader_dies(false);
}

static void
test_reader_twice(void **state)
{
	for (uint32_t k = 0; k < fixture_rounds(2); k++)
		reader_dies(true);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_publisher),
	    cmocka_unit_test(test_publisher_twice),
	    cmocka_unit_test(test_reader),
	    cmocka_unit_test(test_reader_twice),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
