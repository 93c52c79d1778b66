/* tls_wire: a connection behind its handshake, with clients of OpenSSL's. */
#include "chat_fixture.h"
#include "tls_fixture.h"

/* Suites by OpenSSL's names. */
static const struct {
	const char *name;
	bool old;
} suites[] = {{"TLS_AES_128_GCM_SHA256", false},
    {"TLS_AES_256_GCM_SHA384", false}, {"TLS_CHACHA20_POLY1305_SHA256", false},
    {"ECDHE-ECDSA-AES128-GCM-SHA256", true},
    {"ECDHE-ECDSA-AES256-GCM-SHA384", true},
    {"ECDHE-ECDSA-CHACHA20-POLY1305", true}};
enum { SUITES = sizeof(suites) / sizeof(suites[0]), MUCH = 100000 };

static uint8_t much[MUCH];

/* The next process goes on with it: positions are what was sent and read. */
static void
taken_over(struct tls_talk *t, uint64_t read)
{
	struct counters k;

	talk_wire(t)->done = 12345;
	t->s.conn++; /* no key is known */
	assert_int_equal(tls_transport.positions(&t->s, true, &k), 0);
	assert_int_equal(k.written, t->s.at);
	assert_int_equal(k.read, read);
}

/* All suites, both ways, over takeovers. */
static void
test_suites(void **state)
{
	struct tls_talk t;
	uint64_t read;

	for (size_t k = 0; k < SUITES; k++) {
		talk_begin(&t, suites[k].name, suites[k].old);
		assert_int_equal(t.birth.suite, k + 1);
		taken_over(&t, 0);
		for (read = 0; read < 50; read += 5) {
			talk_say(&t, "hello", 5);
			talk_heard(&t, "hello", 5, 100);
			talk_send(&t, "well, hello", 11);
			talk_got(&t, "well, hello", 11);
			if (read % 2)
				taken_over(&t, read + 5);
		}
		talk_send(&t, much, MUCH);
		talk_got(&t, much, MUCH);
		talk_say(&t, much, MUCH / 2);
		talk_heard(&t, much, MUCH / 2, MUCH);
		taken_over(&t, read + MUCH / 2);
		talk_end(&t);
	}
}

/* The client's output, which it does not send itself. */
static size_t
said(struct tls_talk *t, const void *plain, size_t len, uint8_t *out)
{
	assert_int_equal(SSL_write(t->ssl, plain, (int)len), len);
	return (size_t)BIO_read(SSL_get_wbio(t->ssl), out, MUCH);
}

/* Nothing comes, and that is no end. */
static void
nothing(struct tls_talk *t)
{
	uint8_t byte;

	assert_int_equal(tls_transport.recv(&t->s, &byte, 1), -1);
	assert_int_equal(errno, EAGAIN);
}

/* Each half of the rest is given back when it is not used. */
static void
rest_is_free(const struct tls_talk *t)
{
	assert_int_equal(tls_transport.rested(&t->s), 0);
	for (size_t k = 0; k < TRANSPORT_REST; k++)
		assert_int_equal(t->s.rest[k], 0);
}

/* The socket takes a part of a record at a time, of which each is sealed by
 * another process. */
static void
test_parts_out(void **state)
{
	static const size_t most[] = {1, 7, 21, 1500, 4118, 4119, 9000};
	const size_t len = 30000;
	struct tls_talk t;
	size_t k = 0;

	talk_begin(&t, suites[0].name, false);
	while (t.s.at < len) {
		assert_true(talk_seal(&t, much + t.s.at, len - t.s.at,
				most[k++ % 7]) > 0);
		taken_over(&t, 0);
	}
	talk_got(&t, much, len);
	talk_end(&t);
}

/* A client that reads slowly. */
static void
test_slow(void **state)
{
	static uint8_t got[MUCH];
	struct tls_talk t;
	const int small = 4608;
	size_t n = 0;
	int r;

	talk_begin(&t, suites[3].name, true);
	setsockopt(t.s.fd, SOL_SOCKET, SO_SNDBUF, &small, sizeof(small));
	setsockopt(t.client, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small));
	while (n < MUCH) {
		while (t.s.at < MUCH &&
		    talk_seal(&t, much + t.s.at, MUCH - t.s.at, SIZE_MAX) > 0)
			;
		if (t.s.at < MUCH)
			assert_int_equal(errno, EAGAIN);
		taken_over(&t, 0);
		talk_wait(t.client);
		while ((r = talk_read(&t, got + n, MUCH)) > 0)
			n += (size_t)r;
	}
	assert_memory_equal(got, much, MUCH);
	talk_end(&t);
}

/* Each record as large as the client says that it may be. */
static void
test_record_size(void **state)
{
	struct tls_talk t;

	talk_begin(&t, suites[1].name, false);
	t.birth.record = 512;
	assert_int_equal(
	    tls_transport.begin(&t.s, &t.birth, sizeof(t.birth)), 0);
	talk_send(&t, much, 5000);
	assert_int_equal(talk_plan(&t)->record, 512);
	/* 4 in a plan */
	assert_int_equal(talk_wire(&t)->plan_no, 3);
	talk_got(&t, much, 5000);
	talk_end(&t);
}

/* A record that comes byte by byte, each read by another process. */
static void
test_parts_in(void **state)
{
	static uint8_t cipher[MUCH];
	struct tls_talk t;
	struct counters k;
	size_t n, at;
	uint8_t byte;

	talk_begin(&t, suites[0].name, false);
	for (uint64_t read = 0; read < 600; read += 200) {
		n = said(&t, much, 200, cipher);
		for (at = 0; at < n - 1; at++) {
			assert_int_equal(send(t.client, cipher + at, 1, 0), 1);
			talk_wait(t.s.fd);
			nothing(&t);
			assert_int_equal(tls_transport.rested(&t.s), 4096);
			assert_false(tls_transport.unread(&t.s));
			taken_over(&t, read);
		}
		assert_int_equal(send(t.client, cipher + at, 1, 0), 1);
		talk_heard(&t, much, 200, 200);
	}
	rest_is_free(&t);
	/* the end within a record */
	n = said(&t, much, 200, cipher);
	assert_int_equal(send(t.client, cipher, n / 2, 0), n / 2);
	shutdown(t.client, SHUT_WR);
	talk_wait(t.s.fd);
	while (tls_transport.recv(&t.s, &byte, 1) == -1)
		assert_int_equal(errno, EAGAIN);
	assert_int_equal(tls_transport.recv(&t.s, &byte, 1), 0);
	assert_int_equal(tls_transport.positions(&t.s, true, &k), 0);
	assert_int_equal(k.read, 600);
	talk_end(&t);
}

/* Two records and a part of a third in one read; then the others by parts of
 * any length. */
static void
test_cuts(void **state)
{
	static uint8_t cipher[MUCH], got[MUCH];
	struct tls_talk t;
	size_t n = 0, at, len, sent;
	uint64_t read = 0;
	ssize_t r;

	talk_begin(&t, suites[2].name, false);
	for (at = 0; at < 60000; at += 3000) /* one of them twenty times */
		n += said(&t, much + at, 3000, cipher + n);
	for (sent = 0, len = 7000; sent < n; sent += len) {
		if (sent > 0)
			len = 1 + sent * 7919 % 5000;
		if (len > n - sent)
			len = n - sent;
		assert_int_equal(send(t.client, cipher + sent, len, 0), len);
		talk_wait(t.s.fd);
		while ((r = tls_transport.recv(
			    &t.s, got + read, sent % 2 ? 700 : MUCH)) > 0) {
			read += (uint64_t)r;
			taken_over(&t, read);
		}
		assert_int_equal(r, -1);
		assert_int_equal(errno, EAGAIN);
	}
	assert_int_equal(read, 60000);
	assert_memory_equal(got, much, read);
	rest_is_free(&t);
	talk_end(&t);
}

/* The largest records, with room for less. What there is no room for keeps the
 * socket readable. */
static void
test_small_room(void **state)
{
	struct tls_talk t;
	uint64_t read = 0;
	uint8_t byte;

	talk_begin(&t, suites[4].name, true);
	talk_say(&t, much, 40000);
	for (; read < 20000; read++) {
		talk_wait(t.s.fd);
		assert_int_equal(tls_transport.recv(&t.s, &byte, 1), 1);
		assert_int_equal(byte, much[read]);
		if (read % 100 == 99)
			taken_over(&t, read + 1);
	}
	talk_heard(&t, much + read, 40000 - read, 999);
	taken_over(&t, 40000);
	talk_end(&t);
}

/* The client changes its keys, and asks for ours to be: that is answered once,
 * before output. Nothing is left of the former keys. */
static void
test_key_update(void **state)
{
	static const uint8_t none[TLS_SECRET_MAX];
	struct tls_talk t;
	struct tls_wire *w;
	int k, ask;

	talk_begin(&t, suites[0].name, false);
	w = talk_wire(&t);
	for (k = 0; k < 6; k++) {
		ask = k % 2 ? SSL_KEY_UPDATE_REQUESTED
			    : SSL_KEY_UPDATE_NOT_REQUESTED;
		assert_int_equal(SSL_key_update(t.ssl, ask), 1);
		assert_int_equal(SSL_do_handshake(t.ssl), 1);
		talk_out(&t);
		if (k == 3) { /* before it is answered, once more */
			SSL_key_update(t.ssl, ask);
			SSL_do_handshake(t.ssl);
		}
		talk_say(&t, "now", 3);
		talk_heard(&t, "now", 3, 3);
		taken_over(&t, (uint64_t)k * 3 + 3);
		assert_int_equal(talk_next(&t)->gen, k + 1 + (k >= 3));
		talk_send(&t, "yes", 3);
		talk_got(&t, "yes", 3);
		assert_int_equal(talk_plan(&t)->gen, (k + 1) / 2);
		assert_memory_equal(
		    w->in[(w->in_no + 1) & 1].secret, none, k > 0 ? 0 : 48);
	}
	assert_int_equal(talk_plan(&t)->answered, 4);
	talk_end(&t);
}

/* One that is asked for when the answer to the one before is out, and no output
 * behind it, is answered before output, too (RFC 8446 4.6.3). */
static void
test_key_update_again(void **state)
{
	struct tls_talk t;
	uint8_t bytes[10];

	talk_begin(&t, suites[0].name, false);
	for (int k = 1; k <= 3; k++) {
		SSL_key_update(t.ssl, SSL_KEY_UPDATE_REQUESTED);
		assert_int_equal(SSL_do_handshake(t.ssl), 1);
		talk_out(&t);
		talk_wait(t.s.fd);
		assert_int_equal(tls_transport.recv(&t.s, bytes, 10), -1);
		assert_int_equal(errno, EAGAIN);
		assert_true(
		    talk_seal(&t, (const uint8_t *)"yes", 3, SIZE_MAX) > 0);
		assert_int_equal(talk_plan(&t)->type, TLS_HANDSHAKE);
		assert_int_equal(talk_plan(&t)->answered, k);
	}
	talk_send(&t, "yes", 3);
	assert_int_equal(talk_plan(&t)->type, TLS_DATA);
	assert_int_equal(talk_plan(&t)->gen, 3);
	talk_got(&t, "yes", 3);
	talk_end(&t);
}

/* Our own, after a day: its record, too, is taken a byte at a time. */
static void
test_key_update_own(void **state)
{
	static const uint8_t none[TLS_SECRET_MAX];
	struct tls_talk t;
	int k, n;

	talk_begin(&t, suites[1].name, false);
	for (k = 0; k < 3; k++) {
		talk_plan(&t)->since -= 24 * 60 * 60;
		talk_plan(&t)->check = tls_plan_check(talk_plan(&t));
		for (n = 0; n < 27 + 26; n++) {
			assert_int_equal(
			    talk_seal(&t, (const uint8_t *)"text", 4, 1), 1);
			taken_over(&t, 0);
			if (n < 27)
				assert_int_equal(
				    talk_plan(&t)->type, TLS_HANDSHAKE);
			if (n > 27)
				assert_memory_equal(
				    talk_wire(&t)
					->plan[(talk_wire(&t)->plan_no + 1) & 1]
					.secret,
				    none, sizeof(none));
		}
		assert_int_equal(talk_plan(&t)->type, TLS_DATA);
		assert_int_equal(talk_plan(&t)->gen, k + 1);
		talk_got(&t, "text", 4);
	}
	talk_end(&t);
}

/* Each side says that it is the last. */
static void
test_end(void **state)
{
	struct tls_talk t;
	uint8_t bytes[10];
	int k;

	for (size_t suite = 0; suite < SUITES; suite++) {
		talk_begin(&t, suites[suite].name, suites[suite].old);
		talk_say(&t, "bye", 3);
		SSL_shutdown(t.ssl);
		talk_out(&t);
		talk_heard(&t, "bye", 3, 10);
		for (k = 0; k < 3; k++) {
			taken_over(&t, 3);
			talk_wait(t.s.fd);
			assert_int_equal(
			    tls_transport.recv(&t.s, bytes, 10), 0);
		}
		talk_send(&t, "bye", 3); /* it may read on */
		talk_got(&t, "bye", 3);
		assert_int_equal(tls_transport.stop(&t.s), TRANSPORT_READY);
		assert_int_equal(tls_transport.stop(&t.s), TRANSPORT_READY);
		taken_over(&t, 3);
		assert_int_equal(talk_seal(&t, bytes, 1, 1), -1);
		talk_wait(t.client);
		assert_int_equal(talk_read(&t, bytes, 10), 0);
		assert_int_equal(
		    SSL_get_error(t.ssl, 0), SSL_ERROR_ZERO_RETURN);
		talk_end(&t);
	}
}

/* The last record waits for room, and is sealed again by another process. */
static void
test_end_waits(void **state)
{
	struct tls_talk t;
	int pair[2], own;

	talk_begin(&t, suites[0].name, false);
	talk_send(&t, "bye", 3);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	while (send(pair[0], much, MUCH, MSG_DONTWAIT) > 0)
		;
	own = t.s.fd;
	t.s.fd = pair[0];
	assert_int_equal(tls_transport.stop(&t.s), TRANSPORT_WRITES);
	t.s.fd = own;
	taken_over(&t, 0);
	assert_int_equal(talk_seal(&t, much, 1, 5), 5); /* a part of it */
	taken_over(&t, 0);
	assert_int_equal(tls_transport.stop(&t.s), TRANSPORT_READY);
	talk_got(&t, "bye", 3);
	talk_wait(t.client);
	assert_int_equal(talk_read(&t, much, 1), 0);
	assert_int_equal(SSL_get_error(t.ssl, 0), SSL_ERROR_ZERO_RETURN);
	close(pair[0]);
	close(pair[1]);
	talk_end(&t);
}

/* With output left over nothing says that it is the end. */
static void
test_end_early(void **state)
{
	struct tls_talk t;
	uint8_t bytes[10];
	int r;

	talk_begin(&t, suites[0].name, false);
	assert_int_equal(talk_seal(&t, much, 1000, 500), 500);
	assert_int_equal(tls_transport.stop(&t.s), TRANSPORT_READY);
	talk_wait(t.client);
	r = talk_read(&t, bytes, 10);
	assert_int_equal(r, -1);
	assert_int_equal(SSL_get_error(t.ssl, r), SSL_ERROR_WANT_READ);
	assert_int_equal(recv(t.client, bytes, 1, 0), 0);
	talk_end(&t);
}

/* What a process has begun with goes on elsewhere as new, if nothing was read
 * or written. */
static void
test_fresh(void **state)
{
	struct tls_talk t;
	struct tls_wire before;
	uint8_t bytes[10];

	talk_begin(&t, suites[0].name, false);
	assert_true(tls_transport.fresh(&t.s));
	talk_say(&t, "hello", 5);
	assert_true(tls_transport.fresh(&t.s));
	/* a process dies when it has read, and the kernel knows nothing yet */
	memcpy(&before, t.s.state, sizeof(before));
	talk_wait(t.s.fd);
	assert_int_equal(recv(t.s.fd, bytes, 10, MSG_PEEK), 10);
	talk_next(&t)->cipher += 27;
	talk_next(&t)->plain += 5;
	talk_next(&t)->number++;
	talk_wire(&t)->in_no++;
	talk_wire(&t)->in[1] = talk_wire(&t)->in[0];
	assert_true(tls_transport.fresh(&t.s));
	taken_over(&t, 0);
	talk_heard(&t, "hello", 5, 10);
	assert_false(tls_transport.fresh(&t.s));
	talk_end(&t);

	talk_begin(&t, suites[0].name, false);
	talk_send(&t, "hello", 5);
	assert_false(tls_transport.fresh(&t.s));
	talk_end(&t);
	talk_begin(&t, suites[0].name, false);
	memset(t.s.state, 0, sizeof(struct tls_wire));
	assert_false(tls_transport.fresh(&t.s));
	talk_end(&t);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_suites),
	    cmocka_unit_test(test_parts_out), cmocka_unit_test(test_slow),
	    cmocka_unit_test(test_record_size), cmocka_unit_test(test_parts_in),
	    cmocka_unit_test(test_cuts), cmocka_unit_test(test_small_room),
	    cmocka_unit_test(test_key_update),
	    cmocka_unit_test(test_key_update_again),
	    cmocka_unit_test(test_key_update_own), cmocka_unit_test(test_end),
	    cmocka_unit_test(test_end_waits), cmocka_unit_test(test_end_early),
	    cmocka_unit_test(test_fresh)};

	for (size_t k = 0; k < MUCH; k++)
		much[k] = (uint8_t)(k * k >> 3);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
