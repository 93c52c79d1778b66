/* conf: channel blocks, which of them holds, names, keys and access. */

#include "conf_files.h"

/* The rules for a name. */
static const struct conf_channel *
find(const struct conf *c, const char *name)
{
	return conf_channel_find(&c->live, name, strlen(name));
}

/* The pattern that holds for a name; "" if none does. */
static const char *
holds(const struct conf *c, const char *name)
{
	const struct conf_channel *ch = find(c, name);

	return ch == NULL ? "" : ch->pattern;
}

/* Every rule reaches its field, and what is not said is off. */
static void
rules(void **state)
{
	struct conf *c = good("channel \"room:*\" {\n\tsubscribe all # a\n\n"
			      "\tpublish subscribers\n\thistory 1000\n"
			      "\thistory-age 300s\n\trecovery yes\n"
			      "\tpresence yes\n\tjoin-leave yes\n}\n"
			      "channel a {}\nchannel b { publish all }\n"
			      "channel c { subscribe users\n}\nchannel d {\n"
			      "subscribe none }\nworkers 3\n");
	const struct conf_channel *ch = &c->live.channel[0];

	assert_int_equal(c->live.n_channels, 5);
	assert_string_equal(ch->pattern, "room:*");
	assert_int_equal(ch->len, 5);
	assert_int_equal(ch->prefix, 1);
	assert_int_equal(ch->subscribe, CONF_SUBSCRIBE_ALL);
	assert_int_equal(ch->publish, CONF_PUBLISH_SUBSCRIBERS);
	assert_int_equal(ch->history, 1000);
	assert_int_equal(ch->history_age_ms, 300000);
	assert_int_equal(ch->recovery, 1);
	assert_int_equal(ch->presence, 1);
	assert_int_equal(ch->join_leave, 1);
	ch++;
	assert_string_equal(ch->pattern, "a");
	assert_int_equal(ch->len, 1);
	assert_int_equal(ch->prefix, 0);
	assert_int_equal(ch->subscribe, CONF_SUBSCRIBE_TOKEN);
	assert_int_equal(ch->publish, CONF_PUBLISH_NONE);
	assert_int_equal(ch->history, 0);
	assert_int_equal(ch->history_age_ms, 0);
	assert_int_equal(ch->recovery, 0);
	assert_int_equal(ch->presence, 0);
	assert_int_equal(ch->join_leave, 0);
	assert_int_equal(c->live.channel[2].publish, CONF_PUBLISH_ALL);
	assert_int_equal(c->live.channel[3].subscribe, CONF_SUBSCRIBE_USERS);
	assert_int_equal(c->live.channel[4].subscribe, CONF_SUBSCRIBE_NONE);
	assert_int_equal(c->workers, 3);
	conf_free(c);

	c = good("channel a {\nhistory 100000\nhistory-age off\nrecovery no\n"
		 "presence no\njoin-leave no\npublish none\n"
		 "subscribe token\n}");
	assert_int_equal(c->live.channel[0].history, 100000);
	assert_int_equal(c->live.channel[0].store, CONF_STORE_NO);
	assert_int_equal(c->live.channel[0].offline, 0);
	assert_int_equal(c->live.channel[0].history_age_ms, 0);
	conf_free(c);
}

/* What is stored, and how. */
static void
stored(void **state)
{
	struct conf *c = good("store /var/lib/chatd/chat.db\n"
			      "channel a {\nstore yes\n}\n"
			      "channel b {\nstore ack\n}\n"
			      "channel \"#*\" {\nstore strict\noffline yes\n"
			      "}\nchannel d {\nstore no\noffline no\n}\n");
	struct conf *lax = good("store /x\nstore-sync normal\n"
				"channel a {\nstore yes\n}\n");
	const struct conf_channel *ch = c->live.channel;

	assert_int_equal(ch[0].store, CONF_STORE_YES);
	assert_int_equal(ch[0].offline, 0);
	assert_int_equal(ch[1].store, CONF_STORE_ACK);
	assert_int_equal(ch[2].store, CONF_STORE_STRICT);
	assert_int_equal(ch[2].offline, 1);
	assert_int_equal(ch[3].store, CONF_STORE_NO);
	assert_ptr_equal(conf_store_wanted(&c->live), &ch[0]);
	/* An answer cannot wait for what commits do not wait for. */
	assert_null(conf_store_judge(c, c));
	assert_null(conf_store_judge(lax, lax));
	assert_non_null(strstr(conf_store_judge(c, lax), "\"b\": store ack"));
	assert_null(conf_store_judge(lax, c));
	conf_free(c);
	conf_free(lax);
	wrong("store /x\nstore-sync normal\nchannel a {\nstore strict\n}\n", 2,
	    "\"a\": store strict");
	/* nothing is promised without a store */
	c = good("store-sync normal\nchannel a {\nstore strict\n}\n");
	conf_free(c);
	c = good("store off\nchannel a {\n}\n");
	assert_null(c->store);
	assert_null(conf_store_wanted(&c->live));
	conf_free(c);
}

/* Blocks that make no sense, with the line that is at fault. */
static void
mistakes(void **state)
{
	char text[64 * 40] = "", line[80];
	int i;

	wrong("channel a {\n}\nchannel \"a\" {\n}\n", 3, "there twice");
	wrong("channel a {\nhistory 1\n\nhistory 1\n}\n", 4, "set twice");
	wrong("channel a {\nhistory 100001\n}\n", 2, "0 to 100000");
	wrong("channel a {\nhistory 1K\n}\n", 2, "not a number");
	wrong("channel a {\nhistory-age 5\n}\n", 2, "not a time");
	wrong("channel a {\nhistory-age 9ms\n}\n", 2, "from 10ms");
	wrong("channel a {\nhistory-age 87601h\n}\n", 2, "to 87600h");
	wrong("channel a {\nsubscribe some\n}\n", 2, "all, users, token");
	wrong("channel a {\npublish users\n}\n", 2, "subscribers or none");
	wrong("channel a {\nrecovery on\n}\n", 2, "yes or no");
	wrong("channel a {\nworkers 1\n}\n", 2, "no rule \"workers\"");
	wrong("channel a {\nrecovery yes\n}\n", 3, "no history");
	wrong("channel a {\nhistory-age 1s\n}\n", 3, "no history");
	wrong("channel a {\nstore maybe\n}\n", 2, "yes, ack, strict or no");
	wrong("channel a {\noffline on\n}\n", 2, "yes or no");
	wrong("channel a {\nstore yes\noffline yes\n}\n", 4, "one user each");
	wrong("channel \"#*\" {\noffline yes\n}\n", 3, "store yes");
	wrong("channel a*b {\n}\n", 1, "end alone");
	wrong("channel a** {\n}\n", 1, "end alone");
	wrong("channel \"\" {\n}\n", 1, "1 or more");
	wrong("channel \"\xff\" {\n}\n", 1, "UTF-8");
	wrong("channel a\n", 1, "channel: ");
	wrong("channel a {\npublish\n}\n", 2, "value is missing");
	wrong("channel a {\npublish all none\n}\n", 2, "unexpected \"none\"");
	wrong("channel a {\npublish all\n", 3, "no }");
	wrong("channel a {\npublish all\nchannel b {\n}\n", 3, "no rule");

	/* A mistake in a block is one: its other lines are not taken for
	 * keys, and the next block is read. */
	wrong("channel a {\npublish\nhistory 5\n}\nfoo 1\n", 2, "missing");
	assert_string_equal(error + strlen(error) + 1,
	    strstr(error + strlen(error) + 1, path("t.conf:5: unknown")));
	wrong("channel a {\nhistory x\nrecovery yes\n}\n", 2, "not a number");
	assert_string_equal(error + strlen(error) + 1, "");

	memset(line, 0, sizeof(line));
	memset(line, 'x', CONF_PATTERN_BYTES - 1);
	snprintf(text, sizeof(text), "channel %s { }\n", line);
	conf_free(good(text));
	line[CONF_PATTERN_BYTES - 1] = 'x';
	snprintf(text, sizeof(text), "channel %s { }\n", line);
	wrong(text, 1, "more than 63 bytes");

	text[0] = '\0';
	for (i = 0; i < CONF_CHANNELS_MAX; i++) {
		snprintf(line, sizeof(line), "channel c%d { }\n", i);
		strcat(text, line);
	}
	conf_free(good(text));
	strcat(text, "channel more { }\n");
	wrong(text, CONF_CHANNELS_MAX + 1, "more than 32");
}

/* What is built in, and how blocks change it. */
static void
built_in(void **state)
{
	struct conf *c = good("");
	const struct conf_channel *ch = find(c, "lobby");

	assert_string_equal(ch->pattern, "lobby");
	assert_int_equal(ch->subscribe, CONF_SUBSCRIBE_ALL);
	assert_int_equal(ch->publish, CONF_PUBLISH_SUBSCRIBERS);
	assert_int_equal(ch->history, 100);
	assert_int_equal(ch->history_age_ms, 3600000);
	assert_true(ch->recovery && ch->presence && !ch->join_leave);
	ch = find(c, "#alice");
	assert_string_equal(ch->pattern, "#*");
	assert_int_equal(ch->subscribe, CONF_SUBSCRIBE_NONE);
	assert_int_equal(ch->publish, CONF_PUBLISH_NONE);
	assert_int_equal(ch->history, 100);
	assert_int_equal(ch->history_age_ms, 3600000);
	assert_true(ch->recovery && !ch->presence && !ch->join_leave);
	ch = find(c, "lobb");
	assert_string_equal(ch->pattern, "*");
	assert_int_equal(ch->subscribe, CONF_SUBSCRIBE_ALL);
	assert_int_equal(ch->publish, CONF_PUBLISH_SUBSCRIBERS);
	assert_int_equal(ch->history, 100);
	assert_int_equal(ch->history_age_ms, 3600000);
	assert_true(ch->recovery && ch->presence && !ch->join_leave);
	assert_string_equal(holds(c, "lobby2"), "*");
	conf_free(c);

	/* Any block takes "*" away, and leaves the other two. */
	c = good("channel a { }");
	assert_string_equal(holds(c, "a"), "a");
	assert_string_equal(holds(c, "ab"), "");
	assert_string_equal(holds(c, "lobby"), "lobby");
	assert_string_equal(holds(c, "lobby2"), "");
	assert_string_equal(holds(c, "#bob"), "#*");
	conf_free(c);

	/* A wider pattern does not reach them; their own does. */
	c = good("channel * { }\nchannel \"lobby*\" { }\n"
		 "channel \"#a*\" { }\n");
	assert_int_equal(find(c, "lobby")->presence, 1);
	assert_string_equal(holds(c, "lobby2"), "lobby*");
	assert_int_equal(find(c, "#bob")->recovery, 1);
	assert_string_equal(holds(c, "#alice"), "#a*");
	assert_string_equal(holds(c, "x"), "*");
	assert_int_equal(find(c, "x")->presence, 0);
	conf_free(c);
	/* Only the user is ever in it: another rule would have no effect. */
	conf_free(good("channel \"#*\" {\n\tsubscribe none\n}\n"));
	wrong("channel \"#*\" {\n\tsubscribe all\n}\n", 3, "can only be none");
	c = good("channel lobby { }\nchannel \"#*\" { history 7 }\n");
	assert_int_equal(find(c, "lobby")->presence, 0);
	assert_int_equal(find(c, "#bob")->history, 7);
	conf_free(c);
}

/* The longest match, whatever the order. */
static void
longest(void **state)
{
	struct conf *c = good("channel \"room:a*\" { }\nchannel room: { }\n"
			      "channel \"room:*\" { }\nchannel room:ab { }\n"
			      "channel \"r*\" { }\nchannel \"room:ab*\" { }\n");

	assert_string_equal(holds(c, "r"), "r*");
	assert_string_equal(holds(c, "room"), "r*");
	assert_string_equal(holds(c, "room:"), "room:");
	assert_string_equal(holds(c, "room:b"), "room:*");
	assert_string_equal(holds(c, "room:a"), "room:a*");
	assert_string_equal(holds(c, "room:ab"), "room:ab");
	assert_string_equal(holds(c, "room:abc"), "room:ab*");
	assert_string_equal(holds(c, "Room:a"), "");
	assert_string_equal(holds(c, "a room:a"), "");
	assert_string_equal(holds(c, ""), "");
	assert_null(conf_channel_find(&c->live, "\0oom", 4));
	assert_string_equal(
	    conf_channel_find(&c->live, "room:\0", 6)->pattern, "room:*");
	conf_free(c);
}

/* What a channel may be named. */
static void
names(void **state)
{
	static const char *const bad[] = {"a\nb", "\x1f", "a\x7f", "\xc2\x80",
	    "x\xc2\x9f", "\xc2", "\xff", "\xed\xa0\x80", "a\xc0\x80"};
	static const char *const fine[] = {"a", " ", "#alice", "\xc2\xa0",
	    "\xe2\x82\xac", "\xc3\x82\xc2\xbf", "*", "\xf0\x9f\x98\x80"};
	char name[256];
	size_t i;

	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_false(conf_channel_name_ok(bad[i], strlen(bad[i])));
	for (i = 0; i < sizeof(fine) / sizeof(fine[0]); i++)
		assert_true(conf_channel_name_ok(fine[i], strlen(fine[i])));
	memset(name, 'x', sizeof(name));
	assert_false(conf_channel_name_ok(name, 0));
	assert_true(conf_channel_name_ok(name, 255));
	assert_false(conf_channel_name_ok(name, 256));
	assert_false(conf_channel_name_ok("a\0b", 3));
}

#define KEY "0123456789abcdef0123456789abcdef"

/* Every key reaches its field. */
static void
keys(void **state)
{
	struct conf *c = good("subscriptions 99\nslow-policy skip\n"
			      "channels-per-connection 7\n"
			      "connect-timeout 3s\nwebroot /srv/chat\n"
			      "insecure yes\ntoken-key \"" KEY ": $x\"\n"
			      "token-audience chat\napi-key 'k\"'\n"
			      "token-issuer \"https://a.example/\"\n");
	char text[300];

	assert_int_equal(c->subscriptions, 99);
	assert_int_equal(c->live.slow_policy, CONF_SLOW_SKIP);
	assert_int_equal(c->live.connection_channels, 7);
	assert_int_equal(c->live.connect_ms, 3000);
	assert_string_equal(c->webroot, "/srv/chat");
	assert_int_equal(c->live.insecure_set, 1);
	assert_int_equal(c->live.insecure, 1);
	assert_string_equal(c->live.token_key, KEY ": $x");
	assert_int_equal(c->live.insecure_public, 0);
	assert_string_equal(c->live.token_audience, "chat");
	assert_string_equal(c->live.token_issuer, "https://a.example/");
	assert_string_equal(c->live.api_key, "k\"");
	conf_free(c);
	c = good("insecure no\nconnections 100\n");
	assert_int_equal(c->live.insecure_set, 1);
	assert_int_equal(c->live.insecure, 0);
	assert_int_equal(c->subscriptions, 800);
	conf_free(c);
	c = good("insecure public\n");
	assert_int_equal(c->live.insecure_set, 1);
	assert_int_equal(c->live.insecure, 1);
	assert_int_equal(c->live.insecure_public, 1);
	conf_free(c);

	c = good("private none\nwho all\n");
	assert_int_equal(c->live.private, CONF_WHOM_NONE);
	assert_int_equal(c->live.who, CONF_WHOM_ALL);
	conf_free(c);
	c = good("");
	assert_int_equal(c->live.private, CONF_WHOM_USERS);
	assert_int_equal(c->live.who, CONF_WHOM_USERS);
	conf_free(c);

	wrong("private yes\n", 1, "none of all, users and none");
	wrong("webroot www\n", 1, "slash");
	wrong("insecure maybe\n", 1, "neither yes, no nor public");
	wrong("slow-policy drop\n", 1, "neither skip nor disconnect");
	wrong("token-key \"\"\n", 1, "empty");
	wrong("token-key \"" KEY "\"\ntoken-key \"" KEY "\"\n", 2,
	    "set twice, first at ");
	assert_non_null(strstr(error, ":1"));
	wrong("token-key \"0123456789abcdef0123456789abcde\"\n", 1,
	    "31 bytes, and at least 32");
	conf_free(good("token-key \"" KEY "\"\n"));
	wrong("token-key \"CHANGE-ME-0123456789abcdef0123456789abcdef\"\n", 1,
	    "sample");
	wrong("token-key \"0123456789abcdef0123456789abcdef-change-me\"\n", 1,
	    "sample");
	wrong("api-key CHANGE-ME-TOO\n", 1, "sample");
	memset(text, 'x', sizeof(text));
	memcpy(text, "api-key ", 8);
	strcpy(text + 8 + 256, "\n");
	c = good(text);
	assert_int_equal(strlen(c->live.api_key), 256);
	conf_free(c);
	strcpy(text + 8 + 256, "x\n");
	wrong(text, 1, "longer than 256");
}

/* No complaint shows a secret, or a part of it. */
static void
secrets(void **state)
{
	static const char *const leaky[] = {"token-key hush hush\n",
	    "token-key \"\" hush\n", "api-key two hush\n",
	    "api-key hush\xc3\xa9\n", "api-key hu$hush\n", "api-key $hush\n",
	    "token-key = hush\n", "token-key = hu;\\\nhush\n",
	    "token-key \"hu\nhush 1\n", "token-key 'hu\nhush = 1\n",
	    "token-key hu;hush\n", "token-key \"hush\x01hush\"\n",
	    "k = hu hush\ntoken-key $k\n", "token-key \\\nx \\\nhush\n",
	    "token-key hush\napi-key hush hush\n", "tokn-key hush\n",
	    "token-key { hush }\n", "token-key hush\ntoken-key hush\n"};
	char text[400];
	size_t i;

	for (i = 0; i < sizeof(leaky) / sizeof(leaky[0]); i++) {
		put("t.conf", leaky[i]);
		assert_null(conf_load(path("t.conf"), error, sizeof(error)));
		assert_true(error[0] != '\0');
		if (strstr(error, "hush") != NULL)
			fail_msg("\"%s\" shows it: %s", leaky[i], error);
	}
	memset(text, 0, sizeof(text));
	strcpy(text, "token-key ");
	memset(text + 10, 'h', 300);
	wrong(text, 1, "longer than 256");
	assert_null(strstr(error, "hh"));
}

/* Who decides on insecure. */
static void
insecure(void **state)
{
	static const struct {
		const char *listen;
		bool loopback;
	} address[] = {{"localhost:1", true}, {"LocalHost:1", true},
	    {"127.0.0.1:1", true}, {"127.255.3.4:0", true}, {"[::1]:1", true},
	    {"[0:0:0:0:0:0:0:1]:1", true}, {"*:1", false}, {"0.0.0.0:1", false},
	    {"[::]:1", false}, {"128.0.0.1:1", false}, {"127.1:1", false},
	    {"127.0.0.1.example.org:1", false},
	    {"localhost.example.org:1", false}, {"[::2]:1", false},
	    {"10.0.0.1:1", false}, {"[::ffff:8.8.8.8]:1", false},
	    {"chat.example.org:1", false}};
	char text[128];
	struct conf *c;
	size_t i;

	c = conf_new();
	assert_true(conf_insecure(c));
	conf_clear_listen(c);
	assert_false(conf_loopback(c));
	assert_false(conf_insecure(c));
	conf_free(c);
	for (i = 0; i < sizeof(address) / sizeof(address[0]); i++) {
		snprintf(
		    text, sizeof(text), "listen \"%s\"\n", address[i].listen);
		c = good(text);
		if (conf_insecure(c) != address[i].loopback ||
		    conf_loopback(c) != address[i].loopback)
			fail_msg("%s", address[i].listen);
		/* The decision may be stored, and taken again. */
		c->live.insecure = conf_insecure(c);
		assert_int_equal(conf_insecure(c), address[i].loopback);
		strcpy(c->live.token_key, "x");
		assert_false(conf_insecure(c));
		conf_free(c);
	}
	c = good("listen localhost:1\nlisten 192.0.2.1:1\n");
	assert_false(conf_insecure(c));
	conf_free(c);
	c = good("insecure yes\nlisten *:1\ntoken-key \"" KEY "\"\n");
	assert_true(conf_insecure(c));
	conf_free(c);
	c = good("insecure no\n");
	assert_false(conf_insecure(c));
	assert_true(conf_loopback(c));
	conf_free(c);
}

/* What is wrong with a file's text while chatd listens there; NULL: nothing. */
static const char *
judge(const char *text, const char *listen)
{
	static char out[256];
	struct conf *c = good(text), *running = conf_new();
	const char *wrong;

	assert_int_equal(conf_add_listen(running, listen), 0);
	wrong = conf_access_judge(c, running);
	if (wrong != NULL)
		strcpy(out, wrong);
	conf_free(c);
	conf_free(running);
	return wrong != NULL ? out : NULL;
}

/* Where anybody may come in by mistake. */
static void public(void **state)
{
	static const char *const far[] = {"*:1", "0.0.0.0:1", "[::]:1",
	    "203.0.113.7:1", "chat.example.org:1", "[2001:db8::1]:1"};
	static const char *const near[] = {"localhost:1", "127.0.0.1:1",
	    "[::1]:1", "192.168.1.5:1", "10.0.0.1:1", "[fd00::1]:1"};
	size_t i;

	for (i = 0; i < sizeof(far) / sizeof(far[0]); i++) {
		assert_non_null(judge("insecure yes\n", far[i]));
		assert_non_null(
		    strstr(judge("insecure yes\n", far[i]), "insecure public"));
		assert_non_null(
		    strstr(judge("insecure yes\n", far[i]), far[i]));
		assert_null(judge("insecure public\n", far[i]));
		assert_null(judge("insecure no\n", far[i]));
		assert_null(judge("", far[i]));
	}
	for (i = 0; i < sizeof(near) / sizeof(near[0]); i++)
		assert_null(judge("insecure yes\n", near[i]));
}

/* What the workers are told. */
static void
settled(void **state)
{
	struct conf *c = conf_new(), *running = conf_new();
	char name[300] = "";

	assert_int_equal(gethostname(name, sizeof(name) - 1), 0);
	conf_access_settle(c, c);
	assert_int_equal(c->live.insecure, 1);
	assert_memory_equal(c->live.machine, name,
	    strnlen(name, sizeof(c->live.machine) - 1) + 1);
	/* A reload that would change the addresses, but cannot. */
	assert_int_equal(conf_add_listen(running, "*:1"), 0);
	conf_access_settle(c, running);
	assert_int_equal(c->live.insecure, 0);
	conf_free(c);
	conf_free(running);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(rules),
	    cmocka_unit_test(stored), cmocka_unit_test(mistakes),
	    cmocka_unit_test(built_in), cmocka_unit_test(longest),
	    cmocka_unit_test(names), cmocka_unit_test(keys),
	    cmocka_unit_test(secrets), cmocka_unit_test(insecure),
	    cmocka_unit_test(public), cmocka_unit_test(settled)};

	return cmocka_run_group_tests_name("conf_channel", tests, begin, end);
}
