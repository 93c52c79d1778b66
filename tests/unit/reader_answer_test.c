/* reader_answer: publications that wait for a reader, or are proposed to it;
 * channels that it opens; what a successor has to do again. */
#include "reader_fixture.h"

#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "hub/history.h"

enum { WAITS = PUBLICATION_WAITS, PROPOSED = PUBLICATION_PROPOSED };

/* The next one, which has to ask, answered; with deliver: and delivered. */
static struct reader_answer
answer_next(struct scene *s, struct reader *r, enum result_error error)
{
	assert_int_equal(scene_next(s, r), READER_FOUND);
	assert_true(reader_is_asked(r, &s->p));
	return reader_answer_to(&s->p, error);
}

/* The entry at a position of the journal. */
static struct publication
at(struct scene *s, uint64_t position)
{
	struct publication p;

	assert_int_equal(
	    journal_read(&s->h, position, s->buf, sizeof(s->buf), &p),
	    JOURNAL_OK);
	return p;
}

/* A connection waits from its publication to the answer, which names both. */
static void
test_waits(void **state)
{
	struct reader_answer a[3];
	struct publication p;
	struct scene s;
	struct reader r;
	uint32_t conn[3];
	uint64_t position;

	scene_begin(&s);
	scene_become(&s, HOOKS_LINE);
	reader_init(&r, &s.h, READER_HOOKS, 0);
	scene_become(&s, 0);
	for (int k = 0; k < 3; k++) {
		conn[k] = scene_conn(&s);
		/* nobody requires it: flags are ignored */
		assert_int_equal(
		    scene_ask(&s, conn[k], "told", WAITS), PUBLISH_OK);
		assert_int_equal(s.p.flags, 0);
		assert_int_equal(s.h.slot[conn[k]].awaits, AWAITS_NOTHING);
		assert_int_equal(
		    scene_ask(&s, conn[k], "kept", WAITS), PUBLISH_OK);
		assert_int_equal(s.p.flags, WAITS);
		assert_int_equal(s.h.slot[conn[k]].awaits, AWAITS_RESULT);
		assert_true(s.h.slot[conn[k]].committed_at == s.p.position);
	}
	/* one is gone, one has published again meanwhile */
	slot_release(&s.h, &s.slots, conn[1]);
	scene_ask(&s, conn[2], "kept", 0);
	assert_int_equal(s.h.slot[conn[2]].awaits, AWAITS_RESULT);
	scene_become(&s, HOOKS_LINE);
	for (int k = 0; k < 3; k++) {
		assert_int_equal(scene_next(&s, &r), READER_FOUND);
		assert_false(reader_is_asked(&r, &s.p));
		a[k] =
		    answer_next(&s, &r, k == 0 ? RESULT_TEMPORARY : RESULT_OK);
	}
	position = journal_tail(&s.h);
	assert_true(reader_answer(&r, a, 3) == 1);
	assert_true(s.h.line[HOOKS_LINE].settled == a[2].position);
	/* two RESULTs: none for who is gone */
	assert_true(journal_tail(&s.h) == position + 2);
	p = at(&s, position + 1);
	assert_int_equal(p.format, FORMAT_RESULT);
	assert_true(p.sender == slot_id(&s.h, conn[0]));
	assert_true(p.answers == a[0].position && p.offset == a[0].offset);
	assert_int_equal(p.error, RESULT_TEMPORARY);
	assert_int_equal(p.channel, a[0].channel);
	assert_true(p.time_ms > 0);
	assert_true(journal_mask(&s.h, position + 1) == 1);
	assert_int_equal(journal_readers(&s.h, position + 1), 0);
	assert_int_equal(
	    s.h.slot[conn[0]].awaits, AWAITS_DONE + RESULT_TEMPORARY);
	assert_int_equal(s.h.slot[conn[2]].awaits, AWAITS_RESULT);
	/* a result takes no offset */
	assert_true(at(&s, position + 2).answers == a[2].position);
	scene_become(&s, 0);
	scene_say(&s, "kept", "x", 1);
	assert_true(s.p.offset == 5);
	/* nor does a join or leave end the wait, or what it waits for */
	position = s.h.slot[conn[2]].committed_at;
	assert_int_equal(scene_ask(&s, conn[2], "kept", WAITS), PUBLISH_OK);
	position = s.p.position;
	p = (struct publication){.format = FORMAT_LEAVE,
	    .sender = slot_id(&s.h, conn[2]),
	    .subscription = SHM_NONE,
	    .data = ""};
	hub_lock(&s.h);
	journal_append(&s.h, &p);
	hub_unlock(&s.h);
	assert_true(s.h.slot[conn[2]].committed_at == position);
	assert_int_equal(s.h.slot[conn[2]].awaits, AWAITS_RESULT);
	scene_end(&s);
}

/* A request of the API is answered at the worker that it names. */
static void
test_server(void **state)
{
	struct reader_answer a;
	struct scene s;
	struct reader r;

	scene_begin(&s);
	assert_int_equal(scene_ask(&s, SHM_NONE, "kept", WAITS), PUBLISH_OK);
	scene_become(&s, HOOKS_LINE);
	reader_init(&r, &s.h, READER_HOOKS, 0);
	a = answer_next(&s, &r, RESULT_OK);
	assert_true(reader_answer(&r, &a, 1) == 1);
	assert_true(at(&s, 2).answers == 1 && at(&s, 2).sender == 0);
	a.command = 0; /* nobody */
	assert_true(reader_answer(&r, &a, 1) == 0);
	a.command = SHM_WORKERS;
	assert_true(reader_answer(&r, &a, 1) == 1ull << 63);
	a.command = SHM_WORKERS + 1;
	assert_true(reader_answer(&r, &a, 1) == 0);
	scene_end(&s);
}

/* A proposed publication changes nothing in its channel; delivered it is the
 * channel's next, for workers and the other readers. */
static void
test_proposed(void **state)
{
	struct reader_answer a;
	struct publication p;
	struct scene s;
	struct reader r;
	uint32_t conn, e;
	bool first;

	scene_begin(&s);
	e = scene_channel(&s, "both");
	conn = scene_conn(&s);
	scene_say(&s, "both", "1", 1);
	hub_lock(&s.h);
	presence_enter(&s.h, "both", 4, &first);
	hub_unlock(&s.h);
	assert_int_equal(
	    scene_ask(&s, conn, "both", PROPOSED | WAITS), PUBLISH_OK);
	assert_true(s.mask == 0 && s.p.offset == 1 && s.p.before == 1);
	assert_int_equal(journal_readers(&s.h, 2), STORE); /* the first */
	assert_true(s.h.entry[e].offset == 1 && s.h.entry[e].newest == 1);
	assert_int_equal(s.h.slot[conn].awaits, AWAITS_RESULT);
	scene_say(&s, "both", "2", 1); /* takes offset 2 */
	scene_become(&s, STORE_LINE);
	reader_init(&r, &s.h, READER_STORE, 1);
	a = answer_next(&s, &r, RESULT_OK);
	p = s.p;
	a.deliver = &p;
	a.offset = 2; /* is there already, and the reader has it */
	assert_true(reader_answer(&r, &a, 1) == 1);
	assert_int_equal(a.error, RESULT_UNKNOWN);
	assert_true(s.h.entry[e].offset == 2);
	s.h.slot[conn].awaits = AWAITS_RESULT;
	a.error = RESULT_OK;
	a.offset = 7;
	assert_true(reader_answer(&r, &a, 1) == 1);
	p = at(&s, journal_tail(&s.h) - 1);
	assert_true(p.offset == 7 && p.before == 2 && p.answers == 2);
	assert_true(p.previous == 3 && p.sender == slot_id(&s.h, conn));
	assert_int_equal(p.flags, PUBLICATION_AGAIN);
	assert_int_equal(p.required, HOOKS);
	assert_int_equal(journal_readers(&s.h, p.position), HOOKS);
	assert_true(journal_mask(&s.h, p.position) == 1);
	assert_memory_equal(p.data, "asks", 4);
	assert_false(publication_is_said(&p));
	assert_true(s.h.entry[e].offset == 7);
	assert_true(s.h.slot[conn].committed_at == 2);
	assert_int_equal(s.h.slot[conn].awaits, AWAITS_DONE + RESULT_OK);
	assert_true(at(&s, p.position + 1).offset == 7);
	/* its channel has gone */
	p = at(&s, 2);
	p.epoch++;
	a.deliver = &p;
	a.offset = 0;
	reader_answer(&r, &a, 1);
	assert_int_equal(a.error, RESULT_TEMPORARY);
	a.error = RESULT_OK;
	a.offset = 8; /* with that one the reader has it */
	reader_answer(&r, &a, 1);
	assert_int_equal(a.error, RESULT_UNKNOWN);
	assert_true(s.h.entry[e].offset == 7);
	scene_end(&s);
}

/* Large proposals are delivered with the lock given back in between. */
static void
test_deliver_steps(void **state)
{
	enum { LARGE = 8 << 20, MANY = 6, BYTES = 100 * 1000 };
	static char data[BYTES], buf[LARGE / JOURNAL_SHARE];
	const struct publishing what = {.conn = SHM_NONE,
	    .format = FORMAT_TEXT,
	    .flags = PROPOSED,
	    .user = "hub",
	    .user_len = 3,
	    .data = data,
	    .len = BYTES};
	struct publication p[MANY];
	struct reader_answer a[MANY];
	struct reader r;
	struct scene s;
	uint32_t turns;

	scene_begin_of(&s, LARGE, HOOKS);
	for (int k = 0; k < MANY; k++)
		assert_int_equal(publisher_publish(&s.pub, "kept", 4,
				     PUBLISH_MAKE, &what, &s.p, &s.mask),
		    PUBLISH_OK);
	scene_become(&s, HOOKS_LINE);
	reader_init(&r, &s.h, READER_HOOKS, 0);
	for (int k = 0; k < MANY; k++) {
		assert_int_equal(
		    reader_next(&r, buf, sizeof(buf), &p[k]), READER_FOUND);
		p[k].user = p[k].data = data; /* its bytes do not matter */
		a[k] = reader_answer_to(&p[k], RESULT_OK);
		a[k].deliver = &p[k];
	}
	turns = s.h.lock->turns;
	reader_answer(&r, a, MANY);
	assert_int_equal(s.h.lock->turns - turns, MANY);
	assert_true(s.h.entry[p[0].channel].offset == MANY);
	scene_end(&s);
}

/* What a reader has from when the journal was larger is not put into it. */
static void
test_too_large(void **state)
{
	static const char data[2 * RING];
	struct publication pubs[3], p;
	struct reader_opening o = {.top = 3, .pubs = pubs, .n = 3};
	struct reader_answer a;
	struct scene s;
	struct reader r;
	uint32_t e;

	scene_begin(&s);
	scene_say(&s, "stored", "x", 1);
	e = s.p.channel;
	for (int k = 0; k < 3; k++)
		pubs[k] = (struct publication){.format = FORMAT_TEXT,
		    .offset = (uint64_t)k + 1,
		    .before = (uint64_t)k,
		    .data = data,
		    .data_len = k == 1 ? sizeof(data) : 1};
	scene_become(&s, STORE_LINE);
	reader_init(&r, &s.h, READER_STORE, 0);
	reader_opened(&r, e, s.p.epoch, &o);
	assert_true(journal_oldest(&s.h) == 1 && journal_tail(&s.h) == 4);
	assert_true(at(&s, 2).offset == 1 && at(&s, 3).offset == 3);
	assert_int_equal(at(&s, 4).format, FORMAT_OPENED);
	scene_become(&s, 0);
	scene_ask(&s, scene_conn(&s), "stored", PROPOSED | WAITS);
	scene_become(&s, STORE_LINE);
	reader_init(&r, &s.h, READER_STORE, 4);
	a = answer_next(&s, &r, RESULT_OK);
	p = s.p;
	p.data = data;
	p.data_len = sizeof(data);
	a.deliver = &p;
	reader_answer(&r, &a, 1);
	assert_int_equal(a.error, RESULT_TEMPORARY);
	assert_true(journal_oldest(&s.h) == 1 && journal_tail(&s.h) == 6);
	scene_end(&s);
}

/* What a successor is told to answer. */
struct unsettled_list {
	int n;
	uint64_t position[8];
	bool delivered[8];
};

static void
unsettled_cb(void *arg, const struct publication *p, bool delivered)
{
	struct unsettled_list *l = arg;

	assert_in_range(l->n, 0, 7);
	l->position[l->n] = p->position;
	assert_true(!delivered || (p->offset == 4 && p->flags == WAITS));
	l->delivered[l->n++] = delivered;
}

/* A successor answers what was taken and not answered, delivers what was not
 * delivered, and neither twice. */
static void
test_unsettled(void **state)
{
	struct unsettled_list l = {0};
	struct reader_answer a;
	struct publication p;
	struct scene s;
	struct reader r;
	uint32_t conn[4];

	scene_begin(&s);
	for (int k = 0; k < 4; k++) {
		conn[k] = scene_conn(&s);
		scene_ask(
		    &s, conn[k], "kept", k < 2 ? WAITS : WAITS | PROPOSED);
	}
	scene_ask(&s, SHM_NONE, "kept", PROPOSED); /* 5: waits for nothing */
	scene_say(&s, "kept", "x", 1);
	scene_become(&s, HOOKS_LINE);
	reader_init(&r, &s.h, READER_HOOKS, 0);
	a = answer_next(&s, &r, RESULT_OK);
	reader_answer(&r, &a, 1);
	/* 3 is delivered, and its reader dies */
	answer_next(&s, &r, RESULT_OK);
	answer_next(&s, &r, RESULT_OK);
	p = s.p;
	p.answers = 3;
	p.flags = PUBLICATION_AGAIN;
	p.offset = 4;
	hub_lock(&s.h);
	journal_append_at(&s.h, &p, 0, 0);
	hub_unlock(&s.h);
	reader_init(&r, &s.h, READER_HOOKS, 6);
	assert_int_equal(
	    reader_unsettled(&r, s.buf, sizeof(s.buf), unsettled_cb, &l), 0);
	assert_int_equal(l.n, 4);
	for (int k = 0; k < 4; k++) {
		assert_true(l.position[k] == (uint64_t)k + 2);
		assert_int_equal(l.delivered[k], k == 1);
	}
	/* of 2 nobody waits any more; 4's result is there */
	s.h.slot[conn[1]].awaits = AWAITS_NOTHING;
	p = at(&s, 4);
	a = reader_answer_to(&p, RESULT_OK);
	reader_answer(&r, &a, 1);
	reader_settled(&r, 1);
	memset(&l, 0, sizeof(l));
	reader_unsettled(&r, s.buf, sizeof(s.buf), unsettled_cb, &l);
	assert_int_equal(l.n, 2);
	assert_true(l.position[0] == 3 && l.position[1] == 5);
	reader_settled(&r, 5);
	memset(&l, 0, sizeof(l));
	reader_unsettled(&r, s.buf, sizeof(s.buf), unsettled_cb, &l);
	assert_int_equal(l.n, 0);
	scene_end(&s);
}

/* A channel that is to be opened. */
static void
opening_cb(void *arg, uint32_t channel, uint32_t epoch)
{
	uint32_t *seen = arg;

	assert_true(epoch != 0);
	assert_int_equal(*seen, SHM_NONE);
	*seen = channel;
}

/* A cold channel is asked for once, takes nothing until it is open, and goes on
 * from where its reader says, with what that has given. */
static void
test_opened(void **state)
{
	struct publication pubs[2] = {{.offset = 40,
					  .before = 38,
					  .data = "a",
					  .data_len = 1,
					  .format = FORMAT_TEXT,
					  .time_ms = 5},
	    {.offset = 42,
		.before = 40,
		.data = "b",
		.data_len = 1,
		.format = FORMAT_TEXT,
		.time_ms = 6}};
	struct reader_opening o = {
	    .stream = 0x123456789abull, .top = 42, .pubs = pubs, .n = 2};
	static struct history found;
	struct history_query q = {.limit = 10, .keep = 10};
	struct publication p;
	struct scene s;
	struct reader r;
	uint32_t e, asked = SHM_NONE;

	scene_begin(&s);
	for (int k = 0; k < 2; k++)
		assert_int_equal(scene_say(&s, "stored", "x", 1), PUBLISH_COLD);
	assert_true(journal_tail(&s.h) == 1);
	e = s.p.channel;
	q.channel = e;
	q.epoch = s.p.epoch;
	scene_become(&s, STORE_LINE);
	reader_init(&r, &s.h, READER_STORE, 0);
	reader_opening(&r, opening_cb, &asked);
	assert_int_equal(asked, e);
	assert_int_equal(scene_next(&s, &r), READER_FOUND);
	assert_int_equal(s.p.format, FORMAT_OPEN);
	assert_int_equal(s.p.channel, e);
	assert_true(s.p.epoch == q.epoch);
	/* not that incarnation; not possible: cold, and asked again */
	assert_true(reader_opened(&r, e, q.epoch + 1, &o) == 0);
	assert_true(journal_tail(&s.h) == 1);
	o.error = RESULT_TEMPORARY;
	assert_true(reader_opened(&r, e, q.epoch, &o) == UINT64_MAX);
	p = at(&s, 2);
	assert_int_equal(p.format, FORMAT_OPENED);
	assert_int_equal(p.error, RESULT_TEMPORARY);
	assert_true(reader_opened(&r, e, q.epoch, &o) == 0);
	scene_become(&s, 0);
	assert_int_equal(scene_say(&s, "stored", "x", 1), PUBLISH_COLD);
	scene_become(&s, STORE_LINE);
	o.error = RESULT_OK;
	assert_true(reader_opened(&r, e, q.epoch, &o) == UINT64_MAX);
	p = at(&s, journal_tail(&s.h));
	assert_int_equal(p.format, FORMAT_OPENED);
	assert_int_equal(p.error, RESULT_OK);
	assert_true(p.offset == 42 && p.stream == o.stream);
	assert_true(journal_mask(&s.h, p.position) == UINT64_MAX);
	assert_true(s.h.stream[e] == o.stream);
	assert_int_equal(PRESENCE_WARMTH_OF(s.h.entry[e].flags), PRESENCE_OPEN);
	scene_become(&s, 0);
	assert_int_equal(scene_say(&s, "stored", "c", 1), PUBLISH_OK);
	assert_true(s.p.offset == 43 && s.p.before == 42);
	assert_int_equal(history_find(&s.h, &q, &found), 0);
	assert_int_equal(found.n, 3);
	for (int k = 0; k < 3; k++)
		assert_int_equal(at(&s, found.position[k]).data[0], 'a' + k);
	/* nobody is told of what is old */
	assert_true(journal_mask(&s.h, found.position[1]) == 0);
	assert_int_equal(journal_readers(&s.h, found.position[1]), 0);
	/* an open one is opened by nobody */
	scene_become(&s, STORE_LINE);
	assert_true(reader_opened(&r, e, q.epoch, &o) == 0);
	scene_end(&s);
}

/* Offsets that go on elsewhere: in an answer to OPEN, and later. */
static void
test_leap(void **state)
{
	struct reader_opening o = {.stream = 9, .top = 42, .leap = 1042};
	struct publication p;
	struct scene s;
	struct reader r;
	uint32_t e, epoch;
	bool first;

	scene_begin(&s);
	scene_say(&s, "stored", "x", 1);
	e = s.p.channel;
	epoch = s.p.epoch;
	hub_lock(&s.h);
	presence_enter(&s.h, "stored", 6, &first);
	hub_unlock(&s.h);
	scene_become(&s, STORE_LINE);
	reader_init(&r, &s.h, READER_STORE, 0);
	reader_opened(&r, e, epoch, &o);
	p = at(&s, journal_tail(&s.h) - 1);
	assert_int_equal(p.format, FORMAT_LEAP);
	assert_true(p.offset == 1042 && p.before == 42);
	assert_true(at(&s, p.position + 1).offset == 1042);
	assert_true(s.h.entry[e].newest == p.position);
	assert_true(reader_leap(&r, e, epoch, 1042, true) == 0);
	assert_true(reader_leap(&r, e, epoch + 1, 2000, true) == 0);
	assert_true(s.h.entry[e].offset == 1042);
	assert_true(reader_leap(&r, e, epoch, 2000, false) == 0);
	assert_true(at(&s, journal_tail(&s.h)).before == 1042);
	assert_true(reader_leap(&r, e, epoch, 3000, true) == 1);
	p = at(&s, journal_tail(&s.h));
	assert_true(p.offset == 3000 && p.before == 3000);
	assert_true(journal_mask(&s.h, p.position) == 1);
	scene_become(&s, 0);
	scene_say(&s, "stored", "x", 1);
	assert_true(s.p.offset == 3001 && s.p.before == 3000);
	scene_end(&s);
}

/* A reader that waits is woken by what waits for it, and by nothing else; it
 * does not sleep if there is something already. */
static void
test_wait(void **state)
{
	uint64_t until;
	struct scene s;
	struct reader r;
	int status;
	pid_t pid;

	scene_begin(&s);
	scene_channel(&s, "stored");
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		scene_become(&s, STORE_LINE);
		reader_init(&r, &s.h, READER_STORE, 0);
		reader_wait(&r, 30000);
		_exit(s.h.heads->sleeps[READER_STORE] == 0 &&
			    scene_next(&s, &r) == READER_FOUND &&
			    s.p.flags == 0 &&
			    scene_next(&s, &r) == READER_FOUND &&
			    reader_is_asked(&r, &s.p)
			? 0
			: 1);
	}
	until = clock_ms() + 20000;
	while (s.h.heads->sleeps[READER_STORE] == 0)
		assert_true(clock_ms() < until);
	scene_say(&s, "stored", "x", 1);
	reader_wake(&s.h, HOOKS);
	assert_int_equal(s.h.heads->sleeps[READER_STORE], 1);
	scene_ask(&s, scene_conn(&s), "stored", WAITS);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(clock_ms() < until);
	assert_int_equal(status, 0);
	/* what it has not seen asks already */
	scene_become(&s, STORE_LINE);
	reader_init(&r, &s.h, READER_STORE, 0);
	until = clock_ms() + 20000;
	reader_wait(&r, 30000);
	assert_true(clock_ms() < until);
	/* and waits in vain */
	while (scene_next(&s, &r) != READER_END)
		;
	until = clock_ms() + 20;
	reader_wait(&r, 20);
	assert_true(clock_ms() >= until);
	reader_wait(&r, 0);
	scene_end(&s);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_waits),
	    cmocka_unit_test(test_server),
	    cmocka_unit_test(test_proposed),
	    cmocka_unit_test(test_deliver_steps),
	    cmocka_unit_test(test_too_large),
	    cmocka_unit_test(test_unsettled),
	    cmocka_unit_test(test_opened),
	    cmocka_unit_test(test_leap),
	    cmocka_unit_test(test_wait),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
