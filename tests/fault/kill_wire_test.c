/* kill_wire: a process that answers a client over TLS dies at each kill point
 * on the way, and so does its successor. The client, which is OpenSSL's and
 * lives here, gets back what it has said, in order, up to the last record: it
 * notices nothing. No two plaintexts are sealed with the same key and number: a
 * process that does that aborts (codec/tls_oracle.h). */
#include "../unit/chat_fixture.h"
#include "../unit/tls_fixture.h"
#include "kill_points.h"

enum {
	LEAST = 40, /* kill points of a process */
	ROUNDS = 60,
	MOST = 1 << 16,
	PART = 3000
};

/* What processes share besides the transport's state: as of a worker. */
static struct shared {
	_Atomic uint64_t known; /* of the input all is done before that */
	_Atomic uint64_t from;	/* position where the stage begins */
	_Atomic uint32_t stage, ended;
	uint8_t staged[PART];
	uint8_t output[MOST]; /* an answer is what it is to */
} * shared;

static struct tls_talk t;
static uint8_t text[MOST];
static size_t n_said, n_got;
static bool has_ended;

static void
scene_begin(const char *suite, bool old)
{
	const int small = 4608;

	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE,
	    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	talk_begin(&t, suite, old);
	t.birth.record = 700;
	assert_int_equal(
	    tls_transport.begin(&t.s, &t.birth, sizeof(t.birth)), 0);
	setsockopt(t.s.fd, SOL_SOCKET, SO_SNDBUF, &small, sizeof(small));
	for (size_t k = 0; k < MOST; k++)
		text[k] = (uint8_t)(k * k >> 5);
	n_said = n_got = 0;
	has_ended = false;
}

/* Does what input of n bytes asks for, but for what is done. */
static void
answer(uint64_t from, const uint8_t *input, size_t n)
{
	const uint64_t known = SHM_LOAD(shared->known);

	assert_true(from <= known && from + n <= MOST);
	if (from + n <= known)
		return;
	memcpy(
	    shared->output + known, input + (known - from), from + n - known);
	SHM_STORE(shared->known, from + n);
}

/* Sends what there is. False: the socket takes no more. */
static bool
answers_send(void)
{
	ssize_t n = 1;

	while (n > 0 && t.s.at < SHM_LOAD(shared->known)) {
		n = talk_seal(&t, shared->output + t.s.at,
		    SHM_LOAD(shared->known) - t.s.at, SIZE_MAX);
		KILL_POINT();
		if (n <= 0)
			assert_int_equal(errno, EAGAIN);
	}
	return n > 0;
}

/* Goes on where the last process has died. */
static void
goes_on(void)
{
	struct counters k;
	uint64_t from = SHM_LOAD(shared->from);

	assert_int_equal(tls_transport.positions(&t.s, true, &k), 0);
	assert_false(k.closed);
	t.s.at = k.written;
	if (k.fin_sent) /* it had said all: a worker lingers then */
		SHM_STORE(shared->ended, 1);
	assert_true(k.read >= SHM_LOAD(shared->known));
	if (k.read == SHM_LOAD(shared->known))
		return;
	assert_true(SHM_LOAD(shared->stage) && k.read - from <= PART);
	answer(from, shared->staged, k.read - from);
}

/* One process's work: until nothing more can be read or written. */
static void
work(void)
{
	ssize_t n = 1;

	goes_on();
	while (answers_send() && n > 0) {
		SHM_STORE(shared->stage, 0);
		SHM_STORE(shared->from, SHM_LOAD(shared->known));
		SHM_STORE(shared->stage, 1);
		n = tls_transport.recv(&t.s, shared->staged, PART);
		KILL_POINT();
		if (n > 0)
			answer(
			    SHM_LOAD(shared->from), shared->staged, (size_t)n);
		else if (n == -1)
			assert_int_equal(errno, EAGAIN);
	}
	if (n == 0 && t.s.at == SHM_LOAD(shared->known) &&
	    tls_transport.stop(&t.s) == TRANSPORT_READY)
		SHM_STORE(shared->ended, 1);
}

/* A process that may die at point n. */
static bool
killed(uint64_t n)
{
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid != 0)
		return child_was_killed(pid);
	child_signals();
	kill_point_arm(n, SIGKILL);
	work();
	_exit(0);
}

/* The client says what it says in that round, the last part of which the socket
 * has not yet. */
static void
client_says(int round)
{
	static uint8_t bytes[1 << 16];
	static size_t kept;
	size_t n, len = 100 + (size_t)round * 700;
	int r;

	if (round == 0)
		kept = 0;
	if (round == 2 || round == 4) {
		if (SSL_version(t.ssl) != TLS1_2_VERSION)
			assert_int_equal(
			    SSL_key_update(t.ssl, SSL_KEY_UPDATE_REQUESTED), 1);
	} else if (round == 3) { /* ours is a day old */
		talk_plan(&t)->since -= 24 * 60 * 60;
		talk_plan(&t)->check = tls_plan_check(talk_plan(&t));
	}
	if (round < 6) {
		for (int k = 0; k < 3; k++, n_said += len)
			assert_int_equal(
			    SSL_write(t.ssl, text + n_said, (int)len), len);
	} else if (!has_ended) {
		has_ended = true;
		SSL_shutdown(t.ssl);
	}
	r = BIO_read(
	    SSL_get_wbio(t.ssl), bytes + kept, (int)(sizeof(bytes) - kept));
	n = kept + (r > 0 ? (size_t)r : 0);
	/* of a record there is now and then so little more that it is still not
	 * whole */
	kept = round >= 6 ? 0 : round % 3 == 2 ? n - n / 20 : n / 5;
	assert_int_equal(send(t.client, bytes, n - kept, 0), n - kept);
	memmove(bytes, bytes + n - kept, kept);
}

/* The client reads what has come. True: that was all. */
static bool
client_reads(void)
{
	static uint8_t got[MOST];
	int r;

	while ((r = talk_read(&t, got, MOST)) > 0) {
		assert_true(n_got + (size_t)r <= n_said);
		assert_memory_equal(got, text + n_got, (size_t)r);
		n_got += (size_t)r;
	}
	r = SSL_get_error(t.ssl, r);
	if (r == SSL_ERROR_ZERO_RETURN)
		return true;
	assert_int_equal(r, SSL_ERROR_WANT_READ);
	return false;
}

/* For apart(): in each round processes die, and then one does not. 0: there are
 * not so many points. */
static int
deaths_of(const struct deaths *d, const char *suite, bool old)
{
	bool died = false, dies;

	scene_begin(suite, old);
	for (int round = 0; !client_reads() || n_got < n_said; round++) {
		assert_true(round < ROUNDS);
		client_says(round);
		dies = killed(d->n);
		died = died || dies;
		if (dies && d->again != 0)
			(void)killed(d->again);
		if (dies)
			assert_false(killed(0));
		usleep(500); /* what is on its way comes */
	}
	assert_true(has_ended && SHM_LOAD(shared->ended));
	return died;
}

static int
deaths_cb(void *arg)
{
	return deaths_of(arg, "TLS_CHACHA20_POLY1305_SHA256", false);
}

static int
deaths_old_cb(void *arg)
{
	return deaths_of(arg, "ECDHE-ECDSA-AES128-GCM-SHA256", true);
}

static void
test_once(void **state)
{
	deaths_each_point(deaths_cb, false, 1, LEAST);
}

static void
test_twice(void **state)
{
	deaths_each_point(deaths_cb, true, 2, LEAST);
}

static void
test_old(void **state)
{
	deaths_each_point(deaths_old_cb, true, 2, LEAST);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_once),
	    cmocka_unit_test(test_twice), cmocka_unit_test(test_old)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
