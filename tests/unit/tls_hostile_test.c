/* tls_hostile: a client that seals its own records: what this end says to those
 * that are not usual, and where a key's use ends. */
#include "chat_fixture.h"
#include "tls_fixture.h"

static struct tls_talk t;
static struct tls_key theirs, ours; /* what they, and we, seal with */
static uint64_t number, nonce, our_number;
static uint8_t secret[TLS_SECRET_MAX]; /* theirs */

/* A connection in that suite, of which the next numbers are those. */
static void
begin(uint8_t suite, uint64_t read, uint64_t write)
{
	struct sockaddr_in a;

	memset(&t, 0, sizeof(t));
	tcp_pair(&t.client, &t.s.fd, &a);
	t.s.conn = UINT32_MAX;
	t.s.state = mmap(NULL, TRANSPORT_STATE_MAX, PROT_READ | PROT_WRITE,
	    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	t.s.rest = mmap(NULL, TRANSPORT_REST, PROT_READ | PROT_WRITE,
	    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	t.birth = (struct tls_birth){
	    .suite = suite, .read_number = read, .write_number = write};
	for (uint8_t k = 0; k < TLS_SECRET_MAX; k++) {
		t.birth.read_secret[k] = k + 1;
		t.birth.write_secret[k] = k + 101;
	}
	assert_int_equal(tls_init(), 0);
	assert_int_equal(
	    tls_transport.begin(&t.s, &t.birth, sizeof(t.birth)), 0);
	memcpy(secret, t.birth.read_secret, sizeof(secret));
	tls_key_of(suite, secret, &theirs);
	tls_key_of(suite, t.birth.write_secret, &ours);
	number = read;
	our_number = write;
	nonce = 0;
}

/* They send a record. */
static void
says(uint8_t type, const void *plain, size_t len)
{
	static uint8_t out[TLS_RECORD_MAX];
	ssize_t n = tls_seal(
	    t.birth.suite, &theirs, number++, nonce++, type, plain, len, out);

	assert_int_equal(send(t.client, out, (size_t)n, 0), n);
}

/* They change their key. */
static void
updates(uint8_t asks)
{
	const uint8_t update[] = {24, 0, 0, 1, asks};
	uint8_t was[TLS_SECRET_MAX];

	says(TLS_HANDSHAKE, update, sizeof(update));
	memcpy(was, secret, sizeof(was));
	assert_int_equal(tls_secret_next(t.birth.suite, was, secret), 0);
	assert_int_equal(tls_key_of(t.birth.suite, secret, &theirs), 0);
	number = 0;
}

/* A record of ours: its type, and what is in it. */
static int
got(uint8_t *plain, size_t *len)
{
	uint8_t record[TLS_RECORD_MAX];
	ssize_t n;

	talk_wait(t.client);
	assert_int_equal(
	    recv(t.client, record, TLS_HEAD, MSG_WAITALL), TLS_HEAD);
	n = tls_record_length(t.birth.suite, record, TLS_HEAD);
	assert_true(n > TLS_HEAD);
	assert_int_equal(recv(t.client, record + TLS_HEAD, (size_t)n - TLS_HEAD,
			     MSG_WAITALL),
	    n - TLS_HEAD);
	return tls_open(
	    t.birth.suite, &ours, our_number++, record, (size_t)n, plain, len);
}

/* This end reads until it fails with that, or (EAGAIN) nothing is left. */
static void
reads(int error)
{
	uint8_t plain[TLS_RECORD_MAX];
	ssize_t n;

	talk_wait(t.s.fd);
	while ((n = tls_transport.recv(&t.s, plain, sizeof(plain))) > 0 ||
	    (n == -1 && errno == EAGAIN && tls_transport.unread(&t.s)))
		;
	assert_int_equal(n, -1);
	assert_int_equal(errno, error);
}

/* They hear that alert. */
static void
hears(uint8_t level, uint8_t alert)
{
	uint8_t plain[TLS_RECORD_MAX];
	size_t len;

	assert_int_equal(got(plain, &len), TLS_ALERT);
	assert_int_equal(len, 2);
	assert_int_equal(plain[0], level);
	assert_int_equal(plain[1], alert);
}

/* Records that end a connection, with the alert that says why. */
static void
test_wrong(void **state)
{
	static const struct {
		uint8_t type, len, bytes[8], alert;
	} wrong[] = {{TLS_HANDSHAKE, 5, {24, 0, 0, 1, 2}, 47},
	    {TLS_HANDSHAKE, 6, {24, 0, 0, 1, 0, 0}, 10},
	    {TLS_HANDSHAKE, 3, {24, 0, 0}, 10}, {TLS_HANDSHAKE, 5, {1}, 10},
	    {TLS_HANDSHAKE, 5, {4, 0, 0, 1, 0}, 10},
	    {TLS_HANDSHAKE, 0, {0}, 10}, {TLS_ALERT, 0, {0}, 10},
	    {TLS_ALERT, 1, {1}, 50}, {TLS_ALERT, 4, {1, 90, 1, 0}, 50},
	    {24, 1, {0}, 10}, {0, 3, {0}, 10}};

	for (size_t k = 0; k < sizeof(wrong) / sizeof(wrong[0]); k++) {
		begin(TLS_AES_128, 0, 0);
		says(TLS_DATA, "first", 5);
		says(wrong[k].type, wrong[k].bytes, wrong[k].len);
		reads(EPROTO);
		assert_int_equal(talk_next(&t)->plain, 5);
		hears(2, wrong[k].alert);
		/* it is over */
		assert_int_equal(talk_seal(&t, secret, 1, 1), -1);
		assert_int_equal(errno, EPIPE);
		close(t.client);
	}
}

/* In the clear, or not by this key: the number is another one, too. */
static void
test_forged(void **state)
{
	static const char *const raw[] = {"\x14\3\3\0\1\1", "\x15\3\3\0\2\1\0",
	    "\x17\3\3\x41\1", "\x17\3\3\0\x10",
	    "\x17\3\3\0\x20"
	    "0123456789abcdef"
	    "0123456789abcdef"};
	static const size_t len[] = {6, 7, 5, 5, 37};
	static const uint8_t alert[] = {10, 10, 22, 50, 20, 20, 20};

	for (size_t k = 0; k < sizeof(alert); k++) {
		begin(TLS_CHACHA20, 0, 0);
		says(TLS_DATA, "first", 5);
		if (k < 5)
			send(t.client, raw[k], len[k], 0);
		else {
			number += k == 5 ? 1 : -1ULL;
			says(TLS_DATA, "second", 6);
		}
		reads(EPROTO);
		hears(2, alert[k]);
		close(t.client);
	}
}

/* Nothing is said while a record is half out: it would not be understood. */
static void
test_half_out(void **state)
{
	uint8_t byte[100];

	begin(TLS_AES_256, 0, 0);
	assert_int_equal(talk_seal(&t, secret, 40, 10), 10);
	says(TLS_HANDSHAKE, "x", 1);
	reads(EPROTO);
	assert_int_equal(recv(t.client, byte, 100, MSG_DONTWAIT), 10);
	assert_int_equal(talk_plan(&t)->type, TLS_DATA);
	close(t.client);
}

/* The peer's own alerts. */
static void
test_alerts(void **state)
{
	uint8_t byte;

	begin(TLS_AES_128, 0, 0);
	says(TLS_ALERT, "\1\x5a", 2); /* user_canceled */
	reads(EAGAIN);
	says(TLS_ALERT, "\2\x28", 2);
	reads(ECONNRESET);
	assert_int_equal(recv(t.client, &byte, 1, MSG_DONTWAIT), -1);
	close(t.client);
	begin(TLS_OLD_CHACHA20, 1, 1);
	says(TLS_ALERT, "\1\x29", 2); /* any warning */
	reads(EAGAIN);
	says(TLS_ALERT, "\2\x29", 2);
	reads(ECONNRESET);
	close(t.client);
}

/* Records without data: so many in a row, also by parts and over takeovers. */
static void
test_quiet(void **state)
{
	struct counters c;

	for (int kind = 0; kind < 2; kind++) {
		begin(TLS_AES_128, 0, 0);
		for (int k = 0; k < 3 * TLS_QUIET_MAX; k++) {
			if (kind == 0)
				says(TLS_DATA, "", 0);
			else
				updates((uint8_t)k & 1);
			if (k % TLS_QUIET_MAX == 7)
				says(TLS_DATA, "x", 1);
			reads(EAGAIN);
			assert_int_equal(
			    tls_transport.positions(&t.s, true, &c), 0);
		}
		for (int k = 0; k < 10; k++)
			says(TLS_DATA, "", 0);
		reads(EPROTO);
		if (kind == 0)
			hears(2, TLS_UNEXPECTED_MESSAGE);
		close(t.client);
	}
}

/* A key is used for so many records; then we change it, or, in TLS 1.2, where
 * there is no other one, end the connection. */
static void
test_limit(void **state)
{
	uint8_t plain[TLS_RECORD_MAX], ours_next[TLS_SECRET_MAX];
	uint64_t limit;
	size_t len;

	for (uint8_t suite = TLS_AES_128; suite < TLS_SUITES; suite++) {
		limit = tls_suite(suite)->limit;
		begin(suite, 1, limit - 1);
		talk_send(&t, "last", 4);
		assert_int_equal(got(plain, &len), TLS_DATA);
		assert_true(talk_seal(&t, plain, 4, SIZE_MAX) > 0);
		assert_int_equal(t.s.at, 4);
		if (tls_suite(suite)->old) {
			hears(1, TLS_CLOSE_NOTIFY);
			assert_int_equal(talk_seal(&t, plain, 4, 99), -1);
			assert_int_equal(errno, EPIPE);
		} else {
			assert_int_equal(got(plain, &len), TLS_HANDSHAKE);
			assert_int_equal(
			    tls_key_update_read(suite, plain, len), 0);
			tls_secret_next(suite, t.birth.write_secret, ours_next);
			tls_key_of(suite, ours_next, &ours);
			our_number = 0;
			talk_send(&t, "next", 4);
			assert_int_equal(got(plain, &len), TLS_DATA);
			assert_memory_equal(plain, "next", 4);
		}
		close(t.client);
	}
}

/* Another handshake is refused, in TLS 1.2: at once, or when a record that is
 * half out has left; each of them once. */
static void
test_renegotiation(void **state)
{
	static const uint8_t hello[] = {1, 0, 0, 1, 0};
	uint8_t plain[TLS_RECORD_MAX];
	size_t len;

	begin(TLS_OLD_AES_128, 1, 1);
	says(TLS_HANDSHAKE, hello, sizeof(hello));
	reads(EAGAIN);
	hears(1, TLS_NO_RENEGOTIATION);
	assert_int_equal(talk_seal(&t, secret, 40, 10), 10);
	says(TLS_HANDSHAKE, hello, sizeof(hello));
	reads(EAGAIN);
	talk_send_from(&t, secret, 40, 0, SIZE_MAX);
	assert_int_equal(got(plain, &len), TLS_DATA);
	talk_send_from(&t, secret, 8, 40, SIZE_MAX);
	hears(1, TLS_NO_RENEGOTIATION);
	assert_int_equal(got(plain, &len), TLS_DATA);
	assert_int_equal(len, 8);
	says(TLS_DATA, "x", 1);
	reads(EAGAIN);
	assert_int_equal(talk_plan(&t)->answered, 2);
	close(t.client);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_wrong),
	    cmocka_unit_test(test_forged), cmocka_unit_test(test_half_out),
	    cmocka_unit_test(test_alerts), cmocka_unit_test(test_quiet),
	    cmocka_unit_test(test_limit), cmocka_unit_test(test_renegotiation)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
