/* conf: defaults, each key and its limits, reload. */

#include <errno.h>

#include "conf_files.h"
#include "../../src/conf/parse.h"

/* Every default is the one that the man page tells. */
static void
defaults(void **state)
{
	struct conf *c = conf_new(), *file = good("");

	assert_non_null(c);
	assert_int_equal(c->n_listen, 1);
	assert_string_equal(c->listen[0], "localhost:8080");
	assert_int_equal(c->workers, 0);
	assert_int_equal(c->connections, 65536);
	assert_int_equal(c->users, 65536);
	assert_int_equal(c->subscriptions, 8 * 65536);
	assert_int_equal(c->journal_bytes, 64 * M);
	assert_int_equal(c->output_bytes, 256 * M);
	assert_int_equal(c->input_bytes, 64 * M);
	assert_true(c->io_uring);
	assert_null(c->user);
	assert_null(c->pidfile);
	assert_null(c->control);
	assert_null(c->log_file);
	assert_int_equal(c->live.message_size, 64 * K);
	assert_int_equal(c->live.request_size, 16 * K);
	assert_int_equal(c->live.message_rate, 0);
	assert_int_equal(c->live.message_burst, 0);
	assert_int_equal(c->live.queue_bytes, M);
	assert_int_equal(c->live.idle_ms, 0);
	assert_int_equal(c->live.ping_ms, 25000);
	assert_int_equal(c->live.pong_ms, 10000);
	assert_int_equal(c->live.handshake_ms, 10000);
	assert_int_equal(c->live.drain_ms, 30000);
	assert_int_equal(c->live.watchdog_ms, 2000);
	assert_int_equal(c->live.echo, 0);
	assert_int_equal(c->live.verbose, 0);
	assert_int_equal(c->live.origin_len, 0);
	assert_null(c->webroot);
	assert_int_equal(c->live.connect_ms, 15000);
	assert_int_equal(c->live.connection_channels, 128);
	assert_int_equal(c->channels, 65536);
	assert_int_equal(c->live.user_channels, 1024);
	assert_int_equal(c->live.address_share, 8);
	assert_int_equal(c->live.n_exempt, 8);
	assert_int_equal(c->live.slow_policy, CONF_SLOW_DISCONNECT);
	assert_int_equal(c->live.insecure_set, 0);
	assert_int_equal(c->live.insecure, 0);
	assert_int_equal(c->live.n_channels, 0);
	assert_string_equal(c->live.token_key, "");
	assert_string_equal(c->live.token_audience, "");
	assert_string_equal(c->live.token_issuer, "");
	assert_int_equal(c->live.token_leeway_ms, 10000);
	assert_int_equal(c->live.token_size, 8 * K);
	assert_string_equal(c->live.api_key, "");
	assert_int_equal(conf_differences(c, file, error, sizeof(error)), 0);
	assert_memory_equal(&c->live, &file->live, sizeof(c->live));
	conf_free(c);
	conf_free(file);
}

/* Loads a configuration in which that key is refused as the sample's. */
static void
wrong_anywhere(const char *text, const char *key)
{
	char line[64];

	put("t.conf", text);
	assert_null(conf_load(path("t.conf"), error, sizeof(error)));
	snprintf(line, sizeof(line), ": %s: it is the one of the sample", key);
	if (strstr(error, line) == NULL)
		fail_msg("%s", error);
}

/* The sample configuration shows every key once, and its defaults are right:
 * as it is, and with each "#key value" uncommented, it changes nothing but
 * what has no default in a file. */
static void
sample(void **state)
{
	struct conf *c, *file;
	const struct conf_key *key;
	char line[256], text[8192] = "";
	bool block = false;
	char *at;
	FILE *f;
	int n;

	if ((f = fopen("etc/chatd.conf", "r")) == NULL)
		skip(); /* not started in the project's folder */
	while (fgets(line, sizeof(line), f) != NULL)
		if (line[0] == '#' &&
		    (block || (line[1] >= 'a' && line[1] <= 'z'))) {
			strcat(text, line + 1);
			block = block ? line[1] != '}'
				      : strstr(line, "{\n") != NULL;
		}
	fclose(f);
	for (key = conf_keys; key->name != NULL; key++) {
		n = snprintf(line, sizeof(line), "%s ", key->name);
		if (strncmp(text, line, (size_t)n) != 0) {
			snprintf(line, sizeof(line), "\n%s ", key->name);
			if (strstr(text, line) == NULL)
				fail_msg("%s is missing", key->name);
		}
	}
	c = conf_new();
	file = conf_load("etc/chatd.conf", error, sizeof(error));
	if (file == NULL)
		fail_msg("%s", error);
	assert_int_equal(conf_differences(c, file, error, sizeof(error)), 0);
	assert_memory_equal(&c->live, &file->live, sizeof(c->live));
	conf_free(file);

	/* The keys of the sample are everybody's. */
	wrong_anywhere(text, "token-key");
	wrong_anywhere(text, "api-key");
	for (at = text; (at = strstr(at, "CHANGE-ME")) != NULL;)
		memcpy(at, "changed-x", 9);
	file = good(text);
	conf_differences(c, file, error, sizeof(error));
	assert_string_equal(error,
	    "user, pidfile, control, log-file, webroot, "
	    "store-backup");
	assert_string_equal(file->live.origin, "https://chat.example.org");
	memset(file->live.origin, 0, sizeof(file->live.origin));
	file->live.origin_len = 0;
	assert_int_equal(file->live.n_channels, 1);
	file->live.n_channels = 0;
	memset(file->live.channel, 0, sizeof(file->live.channel));
	assert_string_equal(file->live.host, "chat.example.org");
	memset(file->live.host, 0, sizeof(file->live.host));
	file->live.host_len = 0;
	assert_int_equal(file->live.insecure_set, 1);
	file->live.insecure_set = 0;
	memset(file->live.token_key, 0, sizeof(file->live.token_key));
	memset(file->live.api_key, 0, sizeof(file->live.api_key));
	memset(file->live.token_audience, 0, sizeof(file->live.token_audience));
	memset(file->live.token_issuer, 0, sizeof(file->live.token_issuer));
	assert_memory_equal(&c->live, &file->live, sizeof(c->live));
	conf_free(c);
	conf_free(file);
}

/* Every key reaches its field. */
static void
keys(void **state)
{
	struct conf *c = good("listen 127.0.0.1:1\nlisten \"[::1]:2\"\n"
			      "workers 4\nuser _chat\npidfile /run/a.pid\n"
			      "control /run/a.sock\nlog-file /var/log/a\n"
			      "log verbose\nconnections 16\nusers 17\n"
			      "channels 18\nchannels-per-user 19\n"
			      "address-share 20\nlimit-exempt ::1\n"
			      "journal 1M\noutput-memory 5M\n"
			      "input-memory 2M\nmessage-size 3K\n"
			      "message-rate 8/s burst 20\nqueue 40K\n"
			      "idle-timeout 10m\nping-interval 1h\n"
			      "pong-timeout 15ms\nhandshake-timeout 2s\n"
			      "drain-timeout 0\nwatchdog 100ms\necho yes\n"
			      "io-uring no\norigin https://A.example:8\n");

	assert_int_equal(c->n_listen, 2);
	assert_string_equal(c->listen[0], "127.0.0.1:1");
	assert_string_equal(c->listen[1], "[::1]:2");
	assert_int_equal(c->workers, 4);
	assert_string_equal(c->user, "_chat");
	assert_string_equal(c->pidfile, "/run/a.pid");
	assert_string_equal(c->control, "/run/a.sock");
	assert_string_equal(c->log_file, "/var/log/a");
	assert_int_equal(c->live.verbose, 1);
	assert_int_equal(c->connections, 16);
	assert_int_equal(c->users, 17);
	assert_int_equal(c->channels, 18);
	assert_int_equal(c->live.user_channels, 19);
	assert_int_equal(c->live.address_share, 20);
	assert_int_equal(c->live.n_exempt, 1);
	assert_int_equal(c->journal_bytes, M);
	assert_int_equal(c->output_bytes, 5 * M);
	assert_int_equal(c->input_bytes, 2 * M);
	assert_int_equal(c->live.message_size, 3 * K);
	assert_int_equal(c->live.message_rate, 8);
	assert_int_equal(c->live.message_burst, 20);
	assert_int_equal(c->live.queue_bytes, 40 * K);
	assert_int_equal(c->live.idle_ms, 600000);
	assert_int_equal(c->live.ping_ms, 3600000);
	assert_int_equal(c->live.pong_ms, 15);
	assert_int_equal(c->live.handshake_ms, 2000);
	assert_int_equal(c->live.drain_ms, 0);
	assert_int_equal(c->live.watchdog_ms, 100);
	assert_int_equal(c->live.echo, 1);
	assert_false(c->io_uring);
	assert_int_equal(c->live.origin_len, sizeof("https://a.example:8"));
	assert_string_equal(c->live.origin, "https://a.example:8");
	conf_free(c);
}

/* The first and last allowed value of each range, and the ones outside. */
static void
ranges(void **state)
{
	static const struct {
		const char *key, *low, *high, *below, *above, *allowed;
	} range[] = {{"workers", "0", "64", "-1", "65", "from 0 to 64"},
	    {"connections", "16", "1048576", "15", "1048577",
		"from 16 to 1048576"},
	    {"users", "16", "4194304", "15", "4194305", "from 16 to 4194304"},
	    {"channels", "16", "4194304", "15", "4194305",
		"from 16 to 4194304"},
	    {"channels-per-user", "1", "4194304", "-1", "4194305",
		"from 1 to 4194304, or off"},
	    {"address-share", "2", "1024", "1", "1025",
		"from 2 to 1024, or off"},
	    {"subscriptions", "16", "67108864", "15", "67108865",
		"from 16 to 67108864"},
	    {"channels-per-connection", "1", "1024", "0", "1025",
		"from 1 to 1024"},
	    {"connect-timeout", "10ms", "1h", "0", "2h", "from 10ms to 1h"},
	    {"journal", "1M", "16G", "1023K", "17G", "from 1M to 16G"},
	    {"output-memory", "4M", "4095M", "3M", "4G",
		"at least 4M and below 4G"},
	    {"input-memory", "1M", "4G", "1K", "5G", "from 1M to 4G"},
	    {"message-size", "1", "16M", "0", "17M", "from 1 to 16M"},
	    {"request-size", "1K", "64K", "1023", "65537", "from 1K to 64K"},
	    {"message-rate", "1/s", "1000000/s", "0/s", "1000001/s",
		"from 1/s to 1000000/s, or off"},
	    {"queue", "4K", "200M", "4095", "2G", "from 4K to 1G"},
	    {"idle-timeout", "10ms", "1000h", "9ms", "1001h",
		"from 10ms to 1000h, or off"},
	    {"ping-interval", "10ms", "24h", "0", "25h", "from 10ms to 24h"},
	    {"pong-timeout", "10ms", "1h", "9ms", "61m", "from 10ms to 1h"},
	    {"handshake-timeout", "10ms", "1h", "0", "2h", "from 10ms to 1h"},
	    {"drain-timeout", "0", "24h", "-1s", "25h", "from 0 to 24h"},
	    {"store-wait", "0", "1s", "-1", "2s", "from 0 to 1s"},
	    {"store-age", "1s", "3650d", "999ms", "3651d",
		"from 1s to 87600h, or off"},
	    {"store-size", "1M", "65536G", "1023K", "65537G",
		"from 1M to 65536G, or off"},
	    {"watchdog", "100ms", "60s", "99ms", "61s", "from 100ms to 60s"}};
	char text[128];
	size_t i;

	for (i = 0; i < sizeof(range) / sizeof(range[0]); i++) {
		snprintf(
		    text, sizeof(text), "%s %s\n", range[i].key, range[i].low);
		conf_free(good(text));
		snprintf(
		    text, sizeof(text), "%s %s\n", range[i].key, range[i].high);
		conf_free(good(text));
		snprintf(text, sizeof(text), "\n%s %s\n", range[i].key,
		    range[i].below);
		wrong(text, 2, range[i].allowed);
		snprintf(
		    text, sizeof(text), "%s %s", range[i].key, range[i].above);
		wrong(text, 1, range[i].allowed);
	}
}

/* What switches a limit off. */
static void
off(void **state)
{
	struct conf *c = good("idle-timeout off\nmessage-rate off\n");

	assert_int_equal(c->live.idle_ms, 0);
	assert_int_equal(c->live.message_rate, 0);
	conf_free(c);
	c = good("idle-timeout 0\nmessage-rate 0\n");
	assert_int_equal(c->live.idle_ms, 0);
	assert_int_equal(c->live.message_rate, 0);
	conf_free(c);
	c = good("message-rate 8/s\n");
	assert_int_equal(c->live.message_rate, 8);
	assert_int_equal(c->live.message_burst, 8);
	conf_free(c);
	wrong("message-rate off burst 3\n", 1, "no burst");
	wrong("ping-interval off\n", 1, "from 10ms");
}

/* Sizes and times by themselves. */
static void
units(void **state)
{
	uint64_t v = 7;
	static const char *const no_size[] = {"", "K", "-1", "1k", "1KB", "1 K",
	    " 1", "0x10", "1.5M", "18446744073709551616", "18014398509481984K",
	    "17179869184G", NULL};
	static const char *const no_time[] = {"", "s", "10", "1w", "1S", "1 s",
	    "-1s", "1.5s", "1sec", "18446744073709551615s",
	    "18446744073709551616ms", "00x", NULL};
	int i;

	for (i = 0; no_size[i] != NULL; i++)
		assert_int_equal(conf_parse_size(no_size[i], &v), -1);
	for (i = 0; no_time[i] != NULL; i++)
		assert_int_equal(conf_parse_time(no_time[i], &v), -1);
	assert_int_equal(v, 7);
	assert_int_equal(conf_parse_time("2d", &v), 0);
	assert_int_equal(v, 2 * 24 * 3600000);
	assert_int_equal(conf_parse_size("0", &v), 0);
	assert_int_equal(v, 0);
	assert_int_equal(conf_parse_size("18446744073709551615", &v), 0);
	assert_true(v == UINT64_MAX);
	assert_int_equal(conf_parse_size("64K", &v), 0);
	assert_int_equal(v, 64 * K);
	assert_int_equal(conf_parse_size("3M", &v), 0);
	assert_int_equal(v, 3 * M);
	assert_int_equal(conf_parse_size("16G", &v), 0);
	assert_true(v == 16 * G);
	assert_int_equal(conf_parse_time("0", &v), 0);
	assert_int_equal(v, 0);
	assert_int_equal(conf_parse_time("250ms", &v), 0);
	assert_int_equal(v, 250);
	assert_int_equal(conf_parse_time("2s", &v), 0);
	assert_int_equal(v, 2000);
	assert_int_equal(conf_parse_time("10m", &v), 0);
	assert_int_equal(v, 600000);
	assert_int_equal(conf_parse_time("3h", &v), 0);
	assert_int_equal(v, 10800000);
}

/* Addresses: form, number, and the default that gives way. */
static void
listens(void **state)
{
	struct conf *c = conf_new();
	char text[32];
	int i;

	assert_int_equal(conf_add_listen(c, "a:1"), 0);
	assert_int_equal(c->n_listen, 1);
	assert_string_equal(c->listen[0], "a:1");
	for (i = 1; i < CONF_LISTEN_MAX; i++) {
		snprintf(text, sizeof(text), "a:%d", i + 1);
		assert_int_equal(conf_add_listen(c, text), 0);
	}
	assert_int_equal(conf_add_listen(c, "a:99"), -1);
	assert_int_equal(errno, ENOSPC);
	assert_int_equal(c->n_listen, CONF_LISTEN_MAX);
	conf_clear_listen(c);
	assert_int_equal(c->n_listen, 0);
	assert_int_equal(conf_add_listen(c, "b:1"), 0);
	assert_int_equal(conf_add_listen(c, "b:2"), 0);
	assert_int_equal(c->n_listen, 2);
	conf_free(c);

	conf_free(good("listen *:0\nlisten localhost:65535\n"));
	wrong("listen 8080\n", 1, "ADDRESS:PORT");
	wrong("listen :8080\n", 1, "ADDRESS:PORT");
	wrong("listen localhost:65536\n", 1, "ADDRESS:PORT");
	wrong("listen localhost:http\n", 1, "ADDRESS:PORT");
	wrong("listen ::1:80\n", 1, "brackets");
	wrong("listen a:1\nlisten a:1\n", 2, "twice");
	wrong("listen a:1\nlisten a:2\nlisten a:3\nlisten a:4\nlisten a:5\n"
	      "listen a:6\nlisten a:7\nlisten a:8\nlisten a:9\n",
	    9, "more than 8");
}

/* What a reload can and cannot change. */
static void
differences(void **state)
{
	struct conf *a = good(""), *b;
	char out[256], few[12], live[512];

	b = good("message-size 1K\nmessage-rate 1/s\nqueue 5K\n"
		 "idle-timeout 1s\nping-interval 1s\npong-timeout 1s\n"
		 "handshake-timeout 1s\ndrain-timeout 1s\nwatchdog 1s\n"
		 "echo yes\nlog verbose\norigin *\n"
		 "connect-timeout 1s\nchannels-per-connection 1\n"
		 "slow-policy skip\ninsecure yes\nhost a\n"
		 "token-key \"0123456789abcdef0123456789abcdef\"\n"
		 "token-audience a\ntoken-issuer a\napi-key a\n"
		 "token-leeway 0\ntoken-size 64K\n"
		 "channel a {\n}\n");
	assert_int_equal(conf_differences(a, b, out, sizeof(out)), 0);
	assert_string_equal(out, "");
	/* All of it counts at once; message-rate's burst alone, too. */
	assert_int_equal(
	    conf_live_differences(&a->live, &b->live, live, sizeof(live)), 24);
	assert_string_equal(live,
	    "log, message-size, message-rate, queue, slow-policy, "
	    "channels-per-connection, idle-timeout, ping-interval, "
	    "pong-timeout, handshake-timeout, connect-timeout, drain-timeout, "
	    "watchdog, echo, origin, host, insecure, token-key, "
	    "token-audience, token-issuer, token-leeway, token-size, "
	    "api-key, channel");
	assert_int_equal(
	    conf_live_differences(&b->live, &b->live, live, sizeof(live)), 0);
	assert_string_equal(live, "");
	conf_free(b);
	b = good("message-rate 5/s burst 6\n");
	conf_free(a);
	a = good("message-rate 5/s\n");
	assert_int_equal(
	    conf_live_differences(&a->live, &b->live, live, sizeof(live)), 1);
	assert_string_equal(live, "message-rate");
	conf_free(a);
	conf_free(b);
	a = good("insecure yes\n");
	b = good("insecure public\n");
	assert_int_equal(
	    conf_live_differences(&a->live, &b->live, live, sizeof(live)), 1);
	conf_free(a);
	a = good("");
	conf_free(b);

	b = good("workers 2\nuser x\nio-uring no\nlisten a:1\n");
	assert_int_equal(conf_differences(a, b, out, sizeof(out)), 4);
	assert_string_equal(out, "listen, workers, user, io-uring");
	assert_int_equal(conf_differences(a, b, few, sizeof(few)), 4);
	assert_string_equal(few, "listen");
	assert_int_equal(conf_differences(a, b, few, 0), 4);
	conf_free(b);

	b = good("pidfile /a\ncontrol /b\nlog-file /c\nconnections 99\n"
		 "users 99\njournal 2M\noutput-memory 8M\n"
		 "input-memory 8M\n");
	/* Subscriptions follow the connections. */
	assert_int_equal(b->subscriptions, 8 * 99);
	assert_int_equal(conf_differences(a, b, out, sizeof(out)), 9);
	conf_free(b);
	conf_free(a);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(defaults),
	    cmocka_unit_test(sample), cmocka_unit_test(keys),
	    cmocka_unit_test(ranges), cmocka_unit_test(off),
	    cmocka_unit_test(units), cmocka_unit_test(listens),
	    cmocka_unit_test(differences)};

	return cmocka_run_group_tests_name("conf", tests, begin, end);
}
