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

int
main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_suites)};

	for (size_t k = 0; k < MUCH; k++)
		much[k] = (uint8_t)(k * k >> 3);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
