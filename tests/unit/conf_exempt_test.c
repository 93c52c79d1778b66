/* conf_exempt: which addresses are not counted as one. */
#include "conf_files.h"

#include <arpa/inet.h>

/* Whether an address is exempt. */
static bool
is_exempt(const struct conf *c, const char *text)
{
	uint8_t address[16] = {[10] = 0xff, [11] = 0xff};

	assert_true(inet_pton(AF_INET6, text, address) == 1 ||
	    inet_pton(AF_INET, text, address + 12) == 1);
	return conf_is_exempt(&c->live, address);
}

/* Without a line: loopback, private and link-local, to the last address. */
static void
usual(void **state)
{
	static const char *const in[] = {"127.0.0.0", "127.255.255.255",
	    "10.0.0.0", "10.255.255.255", "172.16.0.0", "172.31.255.255",
	    "192.168.0.0", "192.168.255.255", "169.254.0.1", "169.254.255.255",
	    "::1", "fc00::", "fdff::1", "fe80::1", "febf::1",
	    "::ffff:10.1.2.3"};
	static const char *const out[] = {"126.255.255.255", "128.0.0.0",
	    "9.255.255.255", "11.0.0.0", "172.15.255.255", "172.32.0.0",
	    "192.167.255.255", "192.169.0.0", "169.253.255.255", "169.255.0.0",
	    "::", "::2", "fbff::1", "fe00::1", "fec0::1", "2001:db8::1",
	    "8.8.8.8", "::10.1.2.3"};
	struct conf *c = conf_new();
	size_t k;

	for (k = 0; k < sizeof(in) / sizeof(in[0]); k++)
		if (!is_exempt(c, in[k]))
			fail_msg("%s", in[k]);
	for (k = 0; k < sizeof(out) / sizeof(out[0]); k++)
		if (is_exempt(c, out[k]))
			fail_msg("%s", out[k]);
	conf_free(c);
}

/* A line takes the place of the usual ones; lines add up, in any form. */
static void
lines(void **state)
{
	struct conf *c = good("limit-exempt 192.0.2.7 2001:db8::/32\n"
			      "limit-exempt {\n\t198.51.100.0/25\n}\n");
	struct conf *usual;
	char text[64];

	assert_int_equal(c->live.n_exempt, 3);
	assert_true(is_exempt(c, "192.0.2.7"));
	assert_false(is_exempt(c, "192.0.2.6"));
	assert_true(is_exempt(c, "2001:db8:ffff::1"));
	assert_false(is_exempt(c, "2001:db9::1"));
	assert_true(is_exempt(c, "198.51.100.127"));
	assert_false(is_exempt(c, "198.51.100.128"));
	assert_false(is_exempt(c, "127.0.0.1"));
	assert_false(is_exempt(c, "::1"));
	conf_free(c);

	c = good("limit-exempt none\n");
	assert_int_equal(c->live.n_exempt, 0);
	assert_false(is_exempt(c, "127.0.0.1"));
	usual = good("");
	assert_int_equal(
	    conf_live_differences(&usual->live, &c->live, text, sizeof(text)),
	    1);
	assert_string_equal(text, "limit-exempt");
	conf_free(usual);
	conf_free(c);

	c = good("limit-exempt ::/0\n");
	assert_true(is_exempt(c, "8.8.8.8"));
	conf_free(c);

	c = good("limit-exempt 0.0.0.0/0\n");
	assert_true(is_exempt(c, "8.8.8.8"));
	assert_false(is_exempt(c, "2001:db8::1"));
	conf_free(c);
}

/* What is none, and too many. */
static void
refused(void **state)
{
	static const char *const none[] = {"10.0.0.0/33", "10.0.0/8",
	    "fc00::/129", "10.0.0.0/", "10.0.0.0/x", "/8", "localhost", "1"};
	char text[4096], want[256];
	size_t k, n = 0;

	for (k = 0; k < sizeof(none) / sizeof(none[0]); k++) {
		snprintf(text, sizeof(text), "limit-exempt %s\n", none[k]);
		snprintf(want, sizeof(want),
		    "limit-exempt: \"%s\" is not none, an address", none[k]);
		wrong(text, 1, want);
	}
	for (k = 0; k <= CONF_PREFIXES_MAX; k++)
		n += (size_t)snprintf(text + n, sizeof(text) - n,
		    "limit-exempt 192.0.2.%zu\n", k);
	wrong(text, CONF_PREFIXES_MAX + 1,
	    "limit-exempt: more than 32 addresses");
}

/* Over a link, prefixes that would be read beyond their end. */
static void
over_a_link(void **state)
{
	static const char right[] =
	    "exempt 2001000000000000000000000000000080\n";
	static const char wide[] =
	    "exempt 2001000000000000000000000000000081\n";
	static const char part[] = "exempt 2001\n";
	static char text[CONF_LIVE_MAX];
	struct conf *c = conf_new(), *d = conf_new();
	size_t n;

	n = conf_live_write(&c->live, text);
	d->live.n_exempt = 0;
	assert_null(conf_live_read(&d->live, text, n));
	assert_memory_equal(&c->live, &d->live, sizeof(c->live));
	assert_null(conf_live_read(&d->live, right, strlen(right)));
	assert_non_null(conf_live_read(&d->live, wide, strlen(wide)));
	assert_non_null(conf_live_read(&d->live, part, strlen(part)));
	conf_free(c);
	conf_free(d);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(usual),
	    cmocka_unit_test(lines),
	    cmocka_unit_test(refused),
	    cmocka_unit_test(over_a_link),
	};

	return cmocka_run_group_tests_name("exempt", tests, begin, end);
}
