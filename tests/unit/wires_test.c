/* wires: which programs go on with what transports know of connections. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "../../src/master/wires.h"
#include "hub/wire.h"
#include "net/endpoint.h"
#include "net/transport.h"

static struct endpoints endpoints = {.n = 2};

/* Endpoints over that transport, and over TCP. */
static bool
fits(const char *transport, const char *theirs)
{
	endpoints.at[0].transport = TRANSPORT_USUAL;
	endpoints.at[1].transport = transport_find(transport);
	return wires_fit(theirs, &endpoints);
}

/* "PLACES; WORDS". */
static const char *
said(const char *words)
{
	static char text[256];

	snprintf(text, sizeof(text), "%s%s", wire_places(), words);
	return text;
}

static void
test_fits(void **state)
{
	char own[32];

	assert_true(fits("tls", wires_print()));
	snprintf(own, sizeof(own), "; tls %u",
	    transports[transport_find("tls")]->state_version);
	assert_string_equal(wires_print(), said(own));
	/* with transports that are not in use here it may be as it likes */
	assert_true(fits("tls", said("; dtls 1, tls 1, quic 7")));
	assert_false(fits("tls", said("; dtls 1, quic 7")));
	assert_true(fits("tcp", NULL));
	assert_true(fits("tcp", "another thing"));
	/* another version, or none, or other places */
	assert_false(fits("tls", NULL));
	assert_false(fits("tls", ""));
	assert_false(fits("tls", wire_places()));
	assert_false(fits("tls", said("; tls 2")));
	assert_false(fits("tls", said("; tls 11")));
	assert_false(fits("tls", said("; tls 0, tls")));
	assert_false(fits("tls", said("0; tls 1")));
	assert_false(fits("tls", "513 at 0, 40960 at 1073741824; tls 1"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_fits)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
