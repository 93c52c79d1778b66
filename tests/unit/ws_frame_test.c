/* ws: the frames that are sent. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "codec/ws.h"

/* Heads for clients at their bounds. */
static void
test_server_heads(void **state)
{
	uint8_t out[WS_HEAD_MAX];

	assert_int_equal(ws_head(out, WS_PING, 0), 2);
	assert_memory_equal(out, "\x89\x00", 2);
	assert_int_equal(ws_head(out, WS_TEXT, 125), 2);
	assert_memory_equal(out, "\x81\x7d", 2);
	assert_int_equal(ws_head(out, WS_TEXT, 126), 4);
	assert_memory_equal(out, "\x81\x7e\x00\x7e", 4);
	assert_int_equal(ws_head(out, WS_TEXT, 65535), 4);
	assert_memory_equal(out, "\x81\x7e\xff\xff", 4);
	assert_int_equal(
	    ws_head(out, WS_TEXT, UINT64_C(0x0102030405060708)), 10);
	assert_memory_equal(out, "\x81\x7f\1\2\3\4\5\6\7\x8", 10);
}

/* Close frames of ours. */
static void
test_close_frame(void **state)
{
	uint8_t out[2 + WS_CONTROL_MAX];
	char reason[200];

	assert_int_equal(ws_close_frame(out, CLOSE_NONE, ""), 2);
	assert_memory_equal(out, "\x88\x00", 2);
	assert_int_equal(ws_close_frame(out, CLOSE_PROTOCOL, ""), 4);
	assert_memory_equal(out, "\x88\x02\x03\xea", 4);
	assert_int_equal(ws_close_frame(out, CLOSE_KICKED, "kicked"), 10);
	assert_memory_equal(out, "\x88\x08\x0f\xa1kicked", 10);
	memset(reason, 'r', sizeof(reason));
	reason[199] = '\0';
	assert_int_equal(ws_close_frame(out, CLOSE_IDLE, reason), 127);
	assert_int_equal(out[1], 125);
	memcpy(reason + 122, "\xc3\xa9", 2); /* would be cut in two */
	assert_int_equal(ws_close_frame(out, CLOSE_IDLE, reason), 126);
	assert_int_equal(out[1], 124);
	assert_true(utf8_valid(out + 4, 122));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_server_heads),
	    cmocka_unit_test(test_close_frame),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
