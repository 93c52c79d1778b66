/* address: the reach of addresses as texts. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/address.h"

/* Each kind with its first and last address, and their neighbours. */
static void
reaches(void **state)
{
	static const struct {
		const char *text;
		enum address_reach reach;
	} all[] = {{"127.0.0.1", ADDRESS_LOOPBACK},
	    {"127.255.255.255", ADDRESS_LOOPBACK},
	    {"126.255.255.255", ADDRESS_PUBLIC}, {"128.0.0.0", ADDRESS_PUBLIC},
	    {"10.0.0.0", ADDRESS_PRIVATE}, {"10.255.255.255", ADDRESS_PRIVATE},
	    {"9.255.255.255", ADDRESS_PUBLIC}, {"11.0.0.0", ADDRESS_PUBLIC},
	    {"172.15.255.255", ADDRESS_PUBLIC}, {"172.16.0.0", ADDRESS_PRIVATE},
	    {"172.31.255.255", ADDRESS_PRIVATE}, {"172.32.0.0", ADDRESS_PUBLIC},
	    {"192.168.0.0", ADDRESS_PRIVATE},
	    {"192.168.255.255", ADDRESS_PRIVATE},
	    {"192.167.0.1", ADDRESS_PUBLIC}, {"192.169.0.1", ADDRESS_PUBLIC},
	    {"169.254.7.7", ADDRESS_PRIVATE}, {"100.64.0.1", ADDRESS_PUBLIC},
	    {"0.0.0.0", ADDRESS_PUBLIC}, {"203.0.113.7", ADDRESS_PUBLIC},
	    {"::1", ADDRESS_LOOPBACK}, {"[::1]", ADDRESS_LOOPBACK},
	    {"::", ADDRESS_PUBLIC}, {"::2", ADDRESS_PUBLIC},
	    {"fc00::", ADDRESS_PRIVATE},
	    {"fdff:ffff:ffff:ffff::", ADDRESS_PRIVATE},
	    {"fe00::", ADDRESS_PUBLIC}, {"fe80::1", ADDRESS_PRIVATE},
	    {"fe80::1%eth0", ADDRESS_PRIVATE},
	    {"[fe80::1%eth0]", ADDRESS_PRIVATE}, {"fec0::", ADDRESS_PUBLIC},
	    {"2001:db8::7", ADDRESS_PUBLIC},
	    {"::ffff:127.0.0.1", ADDRESS_LOOPBACK},
	    {"::ffff:10.0.0.1", ADDRESS_PRIVATE},
	    {"[::ffff:8.8.8.8]", ADDRESS_PUBLIC}, {"", ADDRESS_NONE},
	    {"[]", ADDRESS_NONE}, {"[", ADDRESS_NONE},
	    {"localhost", ADDRESS_NONE}, {"127.1", ADDRESS_NONE},
	    {"127.0.0.1.", ADDRESS_NONE}, {"127.0.0.1%1", ADDRESS_NONE},
	    {"127.0.0.1:80", ADDRESS_NONE}, {"[::1", ADDRESS_NONE},
	    {"*", ADDRESS_NONE}, {"1.2.3.4.example.org", ADDRESS_NONE},
	    {"12345678901234567890123456789012345678901234567890",
		ADDRESS_NONE}};
	char *copy;
	size_t i, len;

	for (i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		len = strlen(all[i].text);
		/* without a NUL behind it, for the sanitizer */
		copy = malloc(len + 1);
		memcpy(copy, all[i].text, len);
		copy = realloc(copy, len > 0 ? len : 1);
		if (address_reach(copy, len) != all[i].reach)
			fail_msg("%s", all[i].text);
		free(copy);
	}
	assert_int_equal(address_reach("::1\0", 4), ADDRESS_NONE);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(reaches)};

	return cmocka_run_group_tests_name("address", tests, NULL, NULL);
}
