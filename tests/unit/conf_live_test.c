/* conf_live: the live configuration between two versions: each takes what it
 * knows of the other's, and nothing that is out of its range. */
#include "hub_fixture.h"

#include <stdio.h>

#include "../../src/conf/parse.h"
#include "conf/conf.h"

/* One in which every member differs from zero. */
static struct conf_live *
live_full(void)
{
	struct conf *c = conf_new();
	struct conf_live *live = calloc(1, sizeof(*live));

	assert_non_null(c);
	*live = c->live;
	conf_free(c);
	live->message_rate = 7;
	live->message_burst = 8;
	live->idle_ms = 3600000000;
	live->echo = live->verbose = live->insecure = live->insecure_set = 1;
	live->insecure_public = 1;
	live->redirect_port = 443;
	live->hsts_ms = 1000;
	strcpy(live->machine, "desk");
	memcpy(live->host, "chat\0*.a", 9);
	live->host_len = 9;
	live->slow_policy = CONF_SLOW_SKIP;
	memcpy(live->origin, "https://a\0https://b\n", 21);
	live->origin_len = 21;
	strcpy(live->token_key, "se cret\n\xff of thirty-two bytes or more");
	memset(live->api_key, 'k', sizeof(live->api_key) - 1);
	strcpy(live->token_audience, "audience");
	strcpy(live->token_issuer, "issuer");
	live->n_exempt = CONF_PREFIXES_MAX;
	for (int k = 0; k < CONF_PREFIXES_MAX; k++)
		live->exempt[k] = (struct conf_prefix){
		    {0x20, 1, [15] = (uint8_t)k}, (uint8_t)(128 - k)};
	live->token_leeway_ms = 11;
	live->token_size = 4097;
	live->store_wait_ms = 12;
	live->store_age_ms = 1ull << 33;
	live->store_bytes = 1ull << 42;
	live->store_full = CONF_STORE_FULL_REFUSE;
	live->n_channels = CONF_CHANNELS_MAX;
	for (int k = 0; k < CONF_CHANNELS_MAX; k++)
		live->channel[k] = (struct conf_channel){.pattern = "room:*",
		    .len = 5,
		    .prefix = 1,
		    .subscribe = CONF_SUBSCRIBE_ALL,
		    .publish = CONF_PUBLISH_ALL,
		    .recovery = 1,
		    .presence = 1,
		    .join_leave = 1,
		    .history = (uint32_t)k,
		    .history_age_ms = 1ull << 40,
		    .store = CONF_STORE_STRICT,
		    .offline = 1};
	return live;
}

static char text[CONF_LIVE_MAX + 200];

/* What is wrong with a text, taken into *live. */
static const char *
take(struct conf_live *live, const char *what)
{
	return conf_live_read(live, what, strlen(what));
}

/* All that there is arrives. */
static void
test_same_version(void **state)
{
	struct conf_live *live = live_full(), *got = calloc(1, sizeof(*got));
	size_t n = conf_live_write(live, text);

	assert_in_range(n, 1000, CONF_LIVE_MAX - 4096);
	assert_null(conf_live_read(got, text, n));
	assert_memory_equal(got, live, sizeof(*got));
	/* and takes the place of what was there */
	live->n_channels = 1;
	live->origin_len = 0;
	live->api_key[3] = '\0';
	n = conf_live_write(live, text);
	assert_null(conf_live_read(got, text, n));
	assert_int_equal(got->n_channels, 1);
	assert_int_equal(got->origin_len, 0);
	assert_string_equal(got->api_key, "kkk");
	free(live);
	free(got);
}

/* A newer one says more than is known here. */
static void
test_from_newer(void **state)
{
	struct conf_live *live = live_full(), *got = calloc(1, sizeof(*got));
	size_t n = conf_live_write(live, text);

	n += (size_t)sprintf(
	    text + n, "channel.color 7\nflavor 00ff\nswitch\nlong %0100d\n", 0);
	assert_null(conf_live_read(got, text, n));
	assert_memory_equal(got, live, sizeof(*got));
	free(live);
	free(got);
}

/* An older one says less: the rest stays as it is. */
static void
test_from_older(void **state)
{
	struct conf_live *live = live_full(), *was = live_full();

	assert_null(take(live, ""));
	assert_memory_equal(live, was, sizeof(*was));
	assert_null(take(live, "message_size 77\nping_ms 50\n"));
	was->message_size = 77;
	was->ping_ms = 50;
	assert_memory_equal(live, was, sizeof(*was));
	assert_null(take(live, "channels\nchannel\nchannel.history 9\n"));
	assert_int_equal(live->n_channels, 1);
	assert_int_equal(live->channel[0].history, 9);
	assert_int_equal(live->channel[0].subscribe, CONF_SUBSCRIBE_NONE);
	free(live);
	free(was);
}

/* What no field can hold, or none that works says. */
static void
test_refused(void **state)
{
	static const char *const bad[] = {"message_size", "message_size \n",
	    "message_size 5", "message_size -1\n", "message_size 16777217\n",
	    "request_size 65537\n", "message_size 4294967296\n", "echo 256\n",
	    "ping_ms 0x5\n", "ping_ms 18446744073709551616\n", "insecure 2\n",
	    "insecure_public 2\n", "host 61\n", "host 6\n", "slow_policy 2\n",
	    "token_key 7\n", "token_key 7g\n", "token_key 6100\n",
	    "token_key 6A\n", "origin 61\n", "origin 6\n",
	    "channel.history 1\n",
	    "channels\nchannel\nchannel.history 100001\n",
	    "channels\nchannel\nchannel.subscribe 4\n",
	    "channels\nchannel\nchannel.store 4\n",
	    "channels\nchannel\nchannel.offline 2\n",
	    "channels\nchannel\nchannel.len 3\n"};
	struct conf_live *live = calloc(1, sizeof(*live));
	size_t k;

	for (k = 0; k < sizeof(bad) / sizeof(bad[0]); k++) {
		memset(live, 0, sizeof(*live));
		if (take(live, bad[k]) == NULL)
			fail_msg("taken: %s", bad[k]);
	}
	memset(text, 'a', sizeof(text));
	memcpy(text, "token_key ", 10);
	text[10 + 2 * CONF_SECRET_BYTES] = '\n'; /* no room for its end */
	assert_non_null(conf_live_read(live, text, 11 + 2 * CONF_SECRET_BYTES));
	text[8 + 2 * CONF_SECRET_BYTES] = '\n';
	memset(live, 0, sizeof(*live));
	assert_null(conf_live_read(live, text, 9 + 2 * CONF_SECRET_BYTES));
	memcpy(text, "channels\n", 9);
	for (k = 0; k <= CONF_CHANNELS_MAX; k++)
		memcpy(text + 9 + k * 8, "channel\n", 8);
	assert_null(conf_live_read(live, text, 9 + (k - 1) * 8));
	assert_non_null(conf_live_read(live, text, 9 + k * 8));
	free(live);
}

/* Takes a field's value into what has every default. */
static bool
taken(const char *field, uint64_t value)
{
	struct conf *c = conf_new();
	bool good;

	snprintf(
	    text, sizeof(text), "%s %llu\n", field, (unsigned long long)value);
	good = take(&c->live, text) == NULL;
	conf_free(c);
	return good;
}

/* Whatever a worker is told lies within the range of its key. */
static void
test_ranges(void **state)
{
	const struct conf_key *key;
	const char *field;
	int n = 0;

	for (key = conf_keys; key->name != NULL; key++) {
		if (!conf_key_is_live(key) || !conf_key_is_number(key))
			continue;
		field = strchr(key->field, '.') + 1;
		print_message("%s\n", field);
		assert_true(taken(field, key->min));
		assert_true(taken(field, key->max));
		assert_false(taken(field, key->max + 1));
		assert_int_equal(taken(field, 0),
		    key->min == 0 || (key->flags & CONF_KEY_OFF) != 0);
		if (key->min > 1)
			assert_false(taken(field, key->min - 1));
		n++;
	}
	assert_int_equal(n, 28);
	assert_true(taken("message_burst", 1000000));
	assert_false(taken("message_burst", 1000001));
	assert_false(taken("insecure_set", 2));
	assert_false(taken("insecure_public", 2));
}

/* A key that is too short does not sign anything. */
static void
test_secrets(void **state)
{
	struct conf *c = conf_new();
	char line[100] = "token_key ";

	memset(line + 10, '6', 64);
	strcpy(line + 10 + 64, "\n");
	assert_null(take(&c->live, line));
	strcpy(line + 10 + 62, "\n");
	assert_non_null(take(&c->live, line));
	assert_null(take(&c->live, "token_key \n"));
	assert_null(take(&c->live, "api_key 66\n"));
	conf_free(c);
}

/* Bytes of a right text are wrong: no crash, and what is taken is in range. */
static void
test_spoilt(void **state)
{
	static char copy[CONF_LIVE_MAX];
	struct conf_live *live = live_full(), *got = calloc(1, sizeof(*got));
	size_t n = conf_live_write(live, text);
	uint32_t round, k;

	for (round = 0; round < fixture_rounds(2000); round++) {
		memcpy(copy, text, n);
		for (k = fixture_random(8); k > 0; k--)
			copy[fixture_random((uint32_t)n)] =
			    (char)fixture_random(256);
		memset(got, 0, sizeof(*got));
		if (conf_live_read(got, copy,
			fixture_random(2) ? n : fixture_random((uint32_t)n)) ==
		    NULL) {
			assert_in_range(got->n_channels, 0, CONF_CHANNELS_MAX);
			assert_in_range(got->origin_len, 0, CONF_ORIGIN_BYTES);
			assert_in_range(
			    got->message_size, 0, CONF_MESSAGE_SIZE_MAX);
		}
	}
	free(live);
	free(got);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_same_version),
	    cmocka_unit_test(test_from_newer),
	    cmocka_unit_test(test_from_older),
	    cmocka_unit_test(test_refused),
	    cmocka_unit_test(test_ranges),
	    cmocka_unit_test(test_secrets),
	    cmocka_unit_test(test_spoilt),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
