/* conf: origins and hosts as browsers write them, and what fits them. */

#include "conf_files.h"

/* What is written, and what a browser sends. */
static void
normal(void **state)
{
	static const char *const all[][2] = {{"*", "*"}, {"null", "null"},
	    {"https://chat.example.org", "https://chat.example.org"},
	    {"HTTPS://Chat.Example.ORG", "https://chat.example.org"},
	    {"https://chat.example.com:443", "https://chat.example.com"},
	    {"http://chat.example.com:80", "http://chat.example.com"},
	    {"http://chat.example.com:443", "http://chat.example.com:443"},
	    {"https://chat.example.com:0443", "https://chat.example.com"},
	    {"https://chat.example.com:08443", "https://chat.example.com:8443"},
	    {"http://[::1]:80", "http://[::1]"},
	    {"http://[0:0:0:0:0:0:0:1]:8080", "http://[::1]:8080"},
	    {"http://[2001:DB8::A]", "http://[2001:db8::a]"},
	    {"http://[::ffff:1.2.3.4]", "http://[::ffff:102:304]"},
	    {"http://127.1", "http://127.0.0.1"},
	    {"http://0x7f.0.0.1:81", "http://127.0.0.1:81"},
	    {"https://ch\xc3\xa4t.example", "https://xn--cht-rla.example"},
	    {"https://CH\xc3\x84T.example", "https://xn--cht-rla.example"},
	    {"https://cha\xcc\x88t.example", "https://xn--cht-rla.example"},
	    {"https://fa\xc3\x9f.example", "https://xn--fa-hia.example"},
	    {"https://\xe4\xbe\x8b\xe3\x81\x88.jp:8443",
		"https://xn--r8jz45g.jp:8443"},
	    {"https://xn--cht-rla.example", "https://xn--cht-rla.example"},
	    {"http://my_host", "http://my_host"},
	    {"https://a--b.r3---sn.example", "https://a--b.r3---sn.example"},
	    {"https://*.Example.org", "https://*.example.org"},
	    {"https://*.ch\xc3\xa4t.example:8443",
		"https://*.xn--cht-rla.example:8443"},
	    {"capacitor://localhost", "capacitor://localhost"},
	    {"chrome-extension://abcdef", "chrome-extension://abcdef"},
	    {"https://chat.example.org.", "https://chat.example.org."}};
	char text[256];
	struct conf *c;
	size_t i;

	for (i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		snprintf(text, sizeof(text), "origin \"%s\"\n", all[i][0]);
		c = good(text);
		assert_string_equal(c->live.origin, all[i][1]);
		assert_int_equal(c->live.origin_len, strlen(all[i][1]) + 1);
		conf_free(c);
	}
}

/* What no browser sends is refused, and told why. */
static void
never(void **state)
{
	static const char *const all[][2] = {
	    {"chat.example.org", "neither * nor like"},
	    {"", "neither * nor like"}, {"://a", "scheme"},
	    {"1http://a", "scheme"}, {"ht tp://a", "scheme"},
	    {"https://", "host is missing"}, {"https://:8443", "missing"},
	    {"https://a.example/", "leave \"/\" off"},
	    {"https://a.example/chat", "leave \"/chat\" off"},
	    {"https://a.example?x", "leave \"?x\" off"},
	    {"https://a.example#x", "leave \"#x\" off"},
	    {"https://bob@a.example", "no user"},
	    {"https://bob:pw@a.example", "no user"},
	    {"wss://a.example", "http or https, not by wss"},
	    {"ws://a.example", "http or https, not by ws"},
	    {"file:///tmp/a.html", "Origin null"},
	    {"https://a.example:", "port"}, {"https://a.example:x", "port"},
	    {"https://a.example:65536", "port"},
	    {"https://a.example:80:80", "port"}, {"https://[::1]x", "port"},
	    {"https://[::1", "not an address"},
	    {"https://[::1::]", "not an address"},
	    {"https://1.2.3.4.5", "not an address"},
	    {"https://1.2.3.400", "not an address"},
	    {"https://a..b", "empty part"}, {"https://.a", "empty part"},
	    {"https://a b", "character"}, {"https://a,b", "character"},
	    {"https://a%41", "character"}, {"https://\xff", "not a name"},
	    {"https://\xe2\x98\x95", "xn--"}, {"https://*", "* stands alone"},
	    {"https://a.*", "* stands alone"},
	    {"https://a*.example", "* stands alone"},
	    {"https://*.*.example", "* stands alone"},
	    {"http://localhost:*", "* stands alone"},
	    {"https://*.1.2.3.4", "for names"}, {"https://*.", "missing"},
	    {"https://aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	     "aaaaaaaa.example",
		"more than 63"}};
	char text[256];
	size_t i;

	for (i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		snprintf(text, sizeof(text), "\norigin \"%s\"\n", all[i][0]);
		wrong(text, 2, all[i][1]);
	}
}

/* Whether an Origin is listed. */
static bool
listed(const struct conf *c, const char *origin)
{
	return conf_origin_listed(&c->live, origin, strlen(origin));
}

/* Masks: one or more whole labels, and nothing else. */
static void
masks(void **state)
{
	struct conf *c = good("origin https://*.example.org\n"
			      "origin http://*.a.b:81 null https://one\n");
	static const char *const in[] = {"https://a.example.org",
	    "https://A.Example.org", "https://a.b-c.d_e.example.org",
	    "https://a.example.org:443", "http://x.a.b:81", "null",
	    "https://one", "https://xn--cht-rla.example.org"};
	static const char *const out[] = {"https://example.org",
	    "https://.example.org", "https://aexample.org",
	    "http://a.example.org", "https://a.example.org:444",
	    "https://a.example.org.evil.com", "https://evil.com/.example.org",
	    "https://evil.com:1.example.org", "https://b@a.example.org",
	    "https://a..example.org", "https://.a.example.org",
	    "https://a.example.org.", "http://x.a.b", "http://x.a.b:80",
	    "http://x.a.b:8181", "https://*.example.org", "https://one.two",
	    "https://", "", "nul", "https://example.org:443"};
	size_t i;

	for (i = 0; i < sizeof(in) / sizeof(in[0]); i++)
		if (!listed(c, in[i]))
			fail_msg("%s is not listed", in[i]);
	for (i = 0; i < sizeof(out) / sizeof(out[0]); i++)
		if (listed(c, out[i]))
			fail_msg("%s is listed", out[i]);
	conf_free(c);
	c = good("origin *\n");
	assert_true(listed(c, "https://anything"));
	conf_free(c);
}

/* Names of this server. */
static void
hosts(void **state)
{
	struct conf *c = good("host chat \"CH\xc3\x84T.example\"\n"
			      "host {\n\t*.Example.org # more\n\tb.example\n}\n"
			      "origin https://a.example\n");

	assert_int_equal(c->live.host_len,
	    sizeof("chat\0xn--cht-rla.example\0*.example.org\0b.example"));
	assert_memory_equal(c->live.host,
	    "chat\0xn--cht-rla.example\0*.example.org\0b.example",
	    c->live.host_len);
	assert_string_equal(c->live.origin, "https://a.example");
	assert_true(conf_host_listed(&c->live, "Chat", 4));
	assert_true(conf_host_listed(&c->live, "x.example.org", 13));
	assert_false(conf_host_listed(&c->live, "example.org", 11));
	assert_false(conf_host_listed(&c->live, "chat.example", 12));
	assert_false(conf_host_listed(&c->live, "", 0));
	conf_free(c);
	c = good("host *\n");
	assert_true(conf_host_listed(&c->live, "anything", 8));
	conf_free(c);
	wrong("host http://chat\n", 1, "without http://");
	wrong("host chat/\n", 1, "without http://");
	wrong("host chat:8080\n", 1, "without a port");
	wrong("host 192.168.1.5\n", 1, "needs no line");
	wrong("host \"[::1]\"\n", 1, "needs no line");
	wrong("host a*b\n", 1, "* stands alone");
	wrong("host a..b\n", 1, "empty part");
	wrong("host \"\"\n", 1, "missing");
	wrong("host\n", 1, "host: its value is missing");
}

/* A list has an end. */
static void
bounds(void **state)
{
	char text[CONF_HOST_BYTES * 3] = "";
	int i;

	for (i = 0; i < CONF_HOST_BYTES / 10; i++)
		sprintf(text + strlen(text), "host a%03d.bcde\n", i);
	assert_null(strstr(text, "host a999"));
	conf_free(good(text));
	strcat(text, "host a.b\nhost a.bcdefgh\n");
	wrong(text, CONF_HOST_BYTES / 10 + 2, "more than 2048 bytes");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(normal),
	    cmocka_unit_test(never), cmocka_unit_test(masks),
	    cmocka_unit_test(hosts), cmocka_unit_test(bounds)};

	return cmocka_run_group_tests_name("conf origin", tests, begin, end);
}
