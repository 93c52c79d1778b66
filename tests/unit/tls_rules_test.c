/* tls_rules: what makes a number of a key have one plaintext, each rule by what
 * must not be done; and states that another process has written over. */
#include "chat_fixture.h"
#include "tls_fixture.h"

enum { MUCH = 40000 };
static const char suite[] = "TLS_AES_128_GCM_SHA256";
static uint8_t much[MUCH];
static uint8_t sealed[TRANSPORT_SEALED_MAX], again[TRANSPORT_SEALED_MAX];
static struct tls_talk t;

static void
begin(void)
{
	talk_begin(&t, suite, false);
}

/* Seals, and nothing is sent. */
static ssize_t
seal(const uint8_t *plain, size_t len, uint8_t *out)
{
	return tls_transport.seal(&t.s, plain, len, out);
}

/* Sealing fails, and so it does in each other process. */
static void
refuses(const uint8_t *plain, size_t len)
{
	errno = 0;
	assert_int_equal(seal(plain, len, again), -1);
	assert_int_equal(errno, EBADMSG);
	t.s.conn++;
	assert_int_equal(seal(plain, len, again), -1);
}

/* No process goes on with it. */
static void
is_lost(void)
{
	struct counters k;

	t.s.conn++;
	assert_int_equal(tls_transport.positions(&t.s, false, &k), -1);
}

/* O1, O6: other bytes at the same place are not sealed: of what is half out,
 * and of what is not out at all. */
static void
test_bytes(void **state)
{
	for (size_t most = 0; most < 3000; most += 1000) {
		begin();
		if (most > 0)
			assert_int_equal(talk_seal(&t, much, 9000, most), most);
		else
			assert_true(seal(much, 9000, sealed) > 0);
		much[8999]++;
		refuses(much, 9000);
		much[8999]--;
		assert_true(seal(much, 9000, again) > 0);
		talk_send_from(&t, much, 9000, 0, SIZE_MAX);
		talk_got(&t, much, 9000);
		talk_end(&t);
	}
}

/* O2: what is sealed has a plan, which a process that comes later finds; and
 * the tags are there before anything is sent. */
static void
test_plan_first(void **state)
{
	begin();
	assert_int_equal(seal(much, 9000, sealed), 9000 + 3 * 22);
	assert_int_equal(talk_wire(&t)->plan_no, 1);
	assert_int_equal(talk_wire(&t)->sealed, 1);
	assert_int_equal(talk_plan(&t)->length, 9000);
	/* a process died after the plan: nothing of it can be out */
	talk_wire(&t)->sealed = 0;
	assert_int_equal(seal(much, 9000, again), 9000 + 3 * 22);
	assert_memory_equal(sealed, again, 9000 + 3 * 22);
	/* if something is, the tags were lost */
	assert_int_equal(talk_seal(&t, much, 9000, 1), 1);
	talk_wire(&t)->sealed = 0;
	is_lost();
	refuses(much, 9000);
	talk_end(&t);
}

/* O3, O4: there is no other plan before all of it is out, and it is not changed
 * by output that comes later, or by another size of records. */
static void
test_one_plan(void **state)
{
	struct tls_plan p;
	size_t at;

	begin();
	assert_int_equal(seal(much, 5000, sealed), 5000 + 2 * 22);
	p = *talk_plan(&t);
	assert_int_equal(seal(much, 9000, again), 5000 + 2 * 22);
	assert_memory_equal(sealed, again, 5000 + 2 * 22);
	for (at = 0; at < 5000 + 2 * 22 - 1; at++) {
		assert_int_equal(
		    talk_seal(&t, much + t.s.at, 9000 - t.s.at, 1), 1);
		assert_memory_equal(talk_plan(&t), &p, sizeof(p));
	}
	/* O5: of a record that is not whole nothing is released */
	assert_int_equal(t.s.at, TLS_RECORD_USUAL);
	assert_int_equal(talk_seal(&t, much + t.s.at, 9000 - t.s.at, 1), 1);
	assert_int_equal(t.s.at, 5000);
	assert_true(seal(much + t.s.at, 4000, again) > 0);
	assert_int_equal(talk_plan(&t)->no, 2);
	assert_int_equal(talk_plan(&t)->number, p.number + 2);
	assert_int_equal(talk_plan(&t)->cipher, p.cipher + 5000 + 2 * 22);
	assert_int_equal(talk_plan(&t)->plain, 5000);
	talk_send_from(&t, much + 5000, 4000, 5000, SIZE_MAX);
	talk_got(&t, much, 9000);
	talk_end(&t);
}

/* A plan as a binary with larger records has made it: it is sealed as it says,
 * O4. */
static void
test_other_size(void **state)
{
	struct tls_plan *p;

	begin();
	p = talk_plan(&t);
	p->record = 16000;
	p->check = tls_plan_check(p);
	assert_int_equal(seal(much, MUCH, sealed), 16384 + 2 * 22);
	talk_send(&t, much, MUCH);
	talk_got(&t, much, MUCH);
	talk_end(&t);
}

/* O7: what is sealed again from any byte on is what was sealed. */
static void
test_again(void **state)
{
	struct counters k;
	ssize_t n;

	begin();
	n = seal(much, 9000, sealed);
	for (size_t at = 1; at < (size_t)n; at += 1 + at % 7) {
		const size_t first = at / (TLS_RECORD_USUAL + 22);

		talk_wire(&t)->done = at;
		t.s.at = first * TLS_RECORD_USUAL;
		assert_int_equal(
		    seal(much + t.s.at, 9000 - t.s.at, again), (size_t)n - at);
		assert_memory_equal(again, sealed + at, (size_t)n - at);
	}
	/* elsewhere than where the plan is */
	t.s.at = 1;
	refuses(much, 9000);
	assert_int_equal(tls_transport.positions(&t.s, true, &k), 0);
	assert_int_equal(k.written, 0);
	talk_end(&t);
}

/* Any bit of a plan that another process has changed: no other process seals
 * it, or goes on behind it. */
static void
test_plan_changed(void **state)
{
	for (int out = 0; out < 2; out++)
		for (size_t bit = 0; bit < sizeof(struct tls_plan) * 8;
		     bit += 3) {
			begin();
			assert_true(
			    talk_seal(&t, much, 5000, out ? 9999 : 3000) > 0);
			((uint8_t *)talk_plan(&t))[bit / 8] ^=
			    (uint8_t)(1U << bit % 8);
			refuses(much + t.s.at, 5000);
			assert_int_equal(tls_transport.sent(&t.s, 1), -1);
			is_lost();
			assert_int_equal(
			    tls_transport.stop(&t.s), TRANSPORT_READY);
			talk_end(&t);
		}
}

/* So does its number: the plan before it counts no more. */
static void
test_number_changed(void **state)
{
	for (uint32_t by = 1; by < 5; by++) {
		begin();
		talk_send(&t, much, 5000);
		talk_send(&t, much, 5000);
		talk_wire(&t)->plan_no -= by;
		refuses(much, 5000);
		is_lost();
		talk_wire(&t)->plan_no += 2 * by;
		refuses(much, 5000);
		is_lost();
		talk_end(&t);
	}
}

/* What the kernel has taken, by the state: never more than there is, nor what
 * output does not say. */
static void
test_done_changed(void **state)
{
	static const uint64_t done[] = {
	    0, 4118, 9066 + 1, 1 << 20, UINT64_MAX, UINT64_MAX - 22};

	begin();
	assert_int_equal(talk_seal(&t, much, 9000, 5000), 5000);
	for (size_t k = 0; k < 6; k++) {
		talk_wire(&t)->done = done[k];
		if (k != 1)
			refuses(much + t.s.at, 9000 - t.s.at);
		if (k > 1)
			assert_int_equal(tls_transport.sent(&t.s, 1), -1);
	}
	talk_end(&t);
}

/* States of any bytes: nothing is written outside of what was given, and no
 * loop goes round. */
static void
test_any_state(void **state)
{
	static uint8_t out[TRANSPORT_SEALED_MAX + 64];
	struct counters k;
	uint8_t *bytes;
	ssize_t n;

	for (uint32_t turn = 0; turn < 3000; turn++) {
		if (turn % 100 == 0)
			begin();
		talk_say(&t, much, turn % 7 * 100);
		bytes = t.s.state;
		for (uint32_t m = fixture_random(40); m > 0; m--)
			bytes[fixture_random(sizeof(struct tls_wire))] =
			    (uint8_t)fixture_random(256);
		talk_wire(&t)->begun = 1;
		if (turn % 2) {
			talk_plan(&t)->no = talk_wire(&t)->plan_no;
			talk_plan(&t)->check = tls_plan_check(talk_plan(&t));
		}
		memset(out, 0x5a, sizeof(out));
		n = seal(much, TRANSPORT_PLAIN_MAX, out);
		assert_true(n <= TRANSPORT_SEALED_MAX);
		for (size_t b = TRANSPORT_SEALED_MAX; b < sizeof(out); b++)
			assert_int_equal(out[b], 0x5a);
		if (n > 0)
			assert_true(tls_transport.sent(&t.s, (size_t)n) <=
			    TRANSPORT_PLAIN_MAX);
		n = tls_transport.recv(&t.s, out, 100);
		assert_true(
		    n <= 100 && out[100] == (n < 0 ? out[100] : out[100]));
		(void)tls_transport.positions(&t.s, true, &k);
		(void)tls_transport.fresh(&t.s);
		assert_true(tls_transport.rested(&t.s) <= TRANSPORT_REST);
		(void)tls_transport.unread(&t.s);
		if (turn % 100 == 99) {
			(void)tls_transport.stop(&t.s);
			tls_transport.reset(&t.s);
			talk_end(&t);
		}
	}
}

/* Births that cannot be. */
static void
test_births(void **state)
{
	struct tls_birth b;

	begin();
	b = t.birth;
	for (int k = 0; k < 6; k++) {
		t.birth = b;
		if (k == 0)
			t.birth.suite = 0;
		else if (k == 1)
			t.birth.suite = TLS_SUITES;
		else if (k == 2)
			t.birth.record = 1;
		else if (k == 3)
			t.birth.record = TLS_PLAIN_MAX + 1;
		else if (k == 4)
			t.birth.read_number = UINT64_MAX;
		else
			t.birth.write_number = UINT64_MAX;
		assert_int_equal(
		    tls_transport.begin(&t.s, &t.birth, sizeof(b)), -1);
		assert_int_equal(errno, EPROTO);
	}
	/* of which another process has read or written since: its records have
	 * these numbers */
	t.birth = b;
	for (int k = 0; k < 4; k++) {
		t.birth.read = b.read + (k == 0) - (k == 1);
		t.birth.written = b.written + (k == 2) - (k == 3);
		assert_int_equal(
		    tls_transport.begin(&t.s, &t.birth, sizeof(b)), -1);
		assert_int_equal(errno, ESTALE);
	}
	assert_int_equal(tls_transport.begin(&t.s, &b, sizeof(b) - 1), -1);
	assert_int_equal(tls_transport.begin(&t.s, &b, sizeof(b) + 1), -1);
	tls_transport.reset(&t.s);
	assert_int_equal(tls_transport.begin(&t.s, &b, sizeof(b)), -1);
	assert_int_equal(errno, ECONNRESET);
	talk_end(&t);
}

/* One store commits what was read. Before it all comes again; behind it nothing
 * does, though the kernel has it still (I1 to I6). */
static void
test_read_boundary(void **state)
{
	struct tls_wire before;
	uint8_t got[100];
	struct counters k;

	for (int committed = 0; committed < 2; committed++) {
		begin();
		talk_say(&t, "one", 3);
		talk_heard(&t, "one", 3, 100);
		talk_say(&t, "another", 7);
		memcpy(&before, t.s.state, sizeof(before));
		talk_wait(t.s.fd);
		if (committed) { /* as a process that died behind it */
			talk_wire(&t)->in[0] = *talk_next(&t);
			talk_wire(&t)->in[0].cipher += 29;
			talk_wire(&t)->in[0].plain += 7;
			talk_wire(&t)->in[0].number++;
			talk_wire(&t)->in_no++;
		} else /* which has written what does not count yet */
			memset(
			    &talk_wire(&t)->in[0], 0x5a, sizeof(struct tls_in));
		t.s.conn++;
		assert_int_equal(tls_transport.positions(&t.s, true, &k), 0);
		assert_int_equal(k.read, committed ? 10 : 3);
		assert_int_equal(tls_transport.unread(&t.s), !committed);
		if (!committed)
			talk_heard(&t, "another", 7, 100);
		talk_say(&t, "last", 4);
		talk_heard(&t, "last", 4, 100);
		assert_int_equal(
		    tls_transport.recv(&t.s, got, sizeof(got)), -1);
		talk_end(&t);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_bytes),
	    cmocka_unit_test(test_plan_first), cmocka_unit_test(test_one_plan),
	    cmocka_unit_test(test_other_size), cmocka_unit_test(test_again),
	    cmocka_unit_test(test_plan_changed),
	    cmocka_unit_test(test_number_changed),
	    cmocka_unit_test(test_done_changed),
	    cmocka_unit_test(test_any_state), cmocka_unit_test(test_births),
	    cmocka_unit_test(test_read_boundary)};

	for (size_t k = 0; k < MUCH; k++)
		much[k] = (uint8_t)(k * k >> 3);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
