/*
 * ws: frames whole, byte by byte and at every split. A decoder's doings are
 * written down as a trace, "text:hello;ping:;1002;", which must not depend on
 * how the input was cut.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "codec/ws.h"

enum { LIMIT = 1000, INPUT_MAX = 1 << 20 };

/* A client's bytes in the making. */
static uint8_t input[INPUT_MAX];
static size_t input_len;
static uint32_t next_mask;

/* What was decoded. */
static char trace[INPUT_MAX];
static size_t consumed; /* of the input, when it ended */

enum form { SHORTEST, FORM_16, FORM_64 };

/* Appends a client frame's head. */
static void
add_head(uint8_t first, uint64_t len, enum form form, const uint8_t mask[4])
{
	uint8_t *p = input + input_len;
	int i;

	*p++ = first;
	if (form == FORM_64 || (form == SHORTEST && len > 0xffff)) {
		*p++ = 0x80 | 127;
		for (i = 56; i >= 0; i -= 8)
			*p++ = (uint8_t)(len >> i);
	} else if (form == FORM_16 || len > 125) {
		*p++ = 0x80 | 126;
		*p++ = (uint8_t)(len >> 8);
		*p++ = (uint8_t)len;
	} else {
		*p++ = (uint8_t)(0x80 | len);
	}
	memcpy(p, mask, 4);
	input_len = (size_t)(p + 4 - input);
}

/* Appends a client frame, each under another mask. */
static void
add(uint8_t first, const void *payload, size_t len)
{
	const uint8_t *p = payload;
	uint8_t mask[4];
	size_t i;

	next_mask = next_mask * 1664525 + 1013904223;
	memcpy(mask, &next_mask, 4);
	add_head(first, len, SHORTEST, mask);
	for (i = 0; i < len; i++)
		input[input_len++] = p[i] ^ mask[i & 3];
}

/* Appends raw bytes. */
static void
add_raw(const void *bytes, size_t len)
{
	memcpy(input + input_len, bytes, len);
	input_len += len;
}

/* Writes a control frame into the trace. */
static size_t
trace_control(const struct ws_state *s, size_t at)
{
	return (size_t)snprintf(trace + at, sizeof(trace) - at, "%s:%.*s;",
	    s->frame == WS_CLOSE      ? "close"
		: s->frame == WS_PING ? "ping"
				      : "pong",
	    s->control_len, (const char *)s->control);
}

/*
 * Decodes the input in pieces of `first`, then `step` bytes. With in_place the
 * payload lands where it came from.
 */
static void
decode(size_t first, size_t step, bool in_place)
{
	static uint8_t message[INPUT_MAX], piece[INPUT_MAX], apart[INPUT_MAX];
	struct ws_state s = {0};
	size_t message_len = 0, at = 0, n, used, out_len, done;
	enum ws_event event;
	uint8_t *out;

	trace[0] = '\0';
	for (consumed = 0; consumed < input_len;) {
		n = consumed == 0 && first > 0 ? first : step;
		if (n > input_len - consumed)
			n = input_len - consumed;
		memcpy(piece, input + consumed, n);
		for (done = 0; done < n;) {
			out = in_place ? piece + done : apart;
			event = ws_decode(&s, LIMIT, piece + done, n - done,
			    &used, out, &out_len);
			assert_true(used <= n - done && out_len <= n - done);
			done += used;
			consumed += used;
			if (event == WS_EVENT_ERROR) {
				assert_false(ws_idle(&s));
				snprintf(trace + at, sizeof(trace) - at, "%d;",
				    s.error);
				return;
			}
			memcpy(message + message_len, out, out_len);
			message_len += out_len;
			if (event == WS_EVENT_CONTROL)
				at += trace_control(&s, at);
			if (event == WS_EVENT_MESSAGE) {
				assert_int_equal(s.message_bytes, message_len);
				assert_true(ws_idle(&s));
				at += (size_t)snprintf(trace + at,
				    sizeof(trace) - at, "%s:%.*s;",
				    s.opcode == WS_TEXT ? "text" : "binary",
				    (int)message_len, (char *)message);
				message_len = 0;
			}
			if (event == WS_EVENT_MORE) {
				assert_int_equal(done, n);
				assert_int_equal(out_len, 0);
			}
			if (event == WS_EVENT_DATA)
				assert_true(out_len > 0);
		}
	}
	if (!ws_idle(&s))
		snprintf(trace + at, sizeof(trace) - at, "unfinished");
}

/* Expects one trace however the input is cut; then forgets the input. */
static void
expect(const char *want)
{
	size_t step, first;

	for (step = 1; step <= 9; step++) {
		decode(0, step, false);
		assert_string_equal(trace, want);
		decode(0, step, true);
		assert_string_equal(trace, want);
	}
	for (first = 1; first <= input_len && first < 4096; first++) {
		decode(first, input_len, first & 1);
		assert_string_equal(trace, want);
	}
	decode(0, input_len, false);
	assert_string_equal(trace, want);
	decode(0, input_len, true);
	assert_string_equal(trace, want);
	input_len = 0;
}

/* Expects an error just after so many bytes when they come one by one. */
static void
expect_at(const char *want, size_t at)
{
	size_t len = input_len;

	input_len = at - 1;
	decode(0, 1, false);
	assert_null(strstr(trace, want));
	input_len = at;
	decode(0, 1, false);
	assert_string_equal(trace, want);
	input_len = len;
	expect(want);
}

/* RFC 6455 5.7. */
static void
test_rfc_examples(void **state)
{
	uint8_t out[WS_HEAD_MAX];

	add_raw("\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58", 11);
	expect("text:Hello;");
	add_raw("\x8a\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58", 11);
	expect("pong:Hello;");
	assert_int_equal(ws_head(out, WS_TEXT, 5), 2);
	assert_memory_equal(out, "\x81\x05", 2);
	assert_int_equal(ws_head(out, WS_BINARY, 256), 4);
	assert_memory_equal(out, "\x82\x7e\x01\x00", 4);
	assert_int_equal(ws_head(out, WS_BINARY, 65536), 10);
	assert_memory_equal(out, "\x82\x7f\0\0\0\0\0\1\0\0", 10);
}

/* Fragments with control frames in between, empty ones, several messages. */
static void
test_fragments(void **state)
{
	add(0x81, "", 0);
	add(0x82, "", 0);
	add(0x89, "", 0);
	expect("text:;binary:;ping:;");

	add(0x01, "one ", 4);
	add(0x89, "p", 1);
	add(0x00, "", 0);
	add(0x8a, "q", 1);
	add(0x00, "two", 3);
	add(0x80, "", 0);
	add(0x81, "next", 4);
	expect("ping:p;pong:q;text:one two;text:next;");

	add(0x02, "", 0);
	add(0x80, "", 0);
	add(0x01, "a", 1);
	expect("binary:;unfinished");

	add(0x01, "\xe2", 1);
	add(0x89, "\xff", 1);
	add(0x00, "\x82", 1);
	add(0x80, "\xac", 1);
	expect("ping:\xff;text:\xe2\x82\xac;");
}

/* Lengths around every encoding and vector width, masks at every phase. */
static void
test_lengths_and_masks(void **state)
{
	static char payload[LIMIT + 1], want[LIMIT + 16];
	size_t len, i, first;

	for (i = 0; i < LIMIT; i++)
		payload[i] = (char)('a' + i % 26);
	for (len = 0; len <= 300; len++) {
		add(0x81, payload, len);
		snprintf(want, sizeof(want), "text:%.*s;", (int)len, payload);
		for (first = 1; first <= input_len; first++) {
			decode(first, 7, first & 1);
			assert_string_equal(trace, want);
		}
		input_len = 0;
	}
	add(0x82, payload, LIMIT);
	snprintf(want, sizeof(want), "binary:%.*s;", LIMIT, payload);
	expect(want);
}

/* 64 bits of length, a 70,000 byte frame, and its decoder's limit. */
static void
test_long_frame(void **state)
{
	static uint8_t payload[70000], out[70020];
	struct ws_state s = {0};
	size_t used, out_len;

	memset(payload, 'z', sizeof(payload));
	add(0x82, payload, sizeof(payload));
	assert_int_equal(input_len, 70014);
	assert_int_equal(
	    ws_decode(&s, 70000, input, input_len, &used, out, &out_len),
	    WS_EVENT_MESSAGE);
	assert_int_equal(used, 70014);
	assert_int_equal(out_len, 70000);
	assert_memory_equal(out, payload, 70000);
	memset(&s, 0, sizeof(s));
	assert_int_equal(
	    ws_decode(&s, 69999, input, input_len, &used, out, &out_len),
	    WS_EVENT_ERROR);
	assert_int_equal(s.error, CLOSE_TOO_BIG);
	/* an error stays */
	assert_int_equal(
	    ws_decode(&s, 70000, input, input_len, &used, out, &out_len),
	    WS_EVENT_ERROR);
	input_len = 0;
}

/* Lengths that are not minimal or have the top bit (5.2). */
static void
test_bad_lengths(void **state)
{
	static const uint8_t mask[4] = {1, 2, 3, 4};

	add_head(0x81, 125, FORM_16, mask);
	expect_at("1002;", 4);
	add_head(0x82, 0, FORM_16, mask);
	expect_at("1002;", 4);
	add_head(0x82, 65535, FORM_64, mask);
	expect_at("1002;", 10);
	add_head(0x82, 5, FORM_64, mask);
	expect_at("1002;", 10);
	add_head(0x82, UINT64_C(1) << 63, FORM_64, mask);
	expect_at("1002;", 10);
	add_head(0x82, UINT64_MAX, FORM_64, mask);
	expect_at("1002;", 10);
	add_head(0x82, UINT64_MAX >> 1, FORM_64, mask);
	expect_at("1009;", 10);
	add_head(0x82, LIMIT + 1, FORM_16, mask);
	expect_at("1009;", 4);
}

/* Reserved bits and opcodes, no mask (5.1, 5.2), control frames (5.5). */
static void
test_bad_heads(void **state)
{
	unsigned int first;

	for (first = 0; first < 256; first++) {
		unsigned int op = first & 0xf;
		bool good = !(first & 0x70) &&
		    (op == 1 || op == 2 || (op >= 8 && op <= 10));

		if (op >= 8 && !(first & 0x80))
			good = false;
		if (good)
			continue;
		add((uint8_t)first, "", 0);
		expect_at("1002;", 1);
	}
	add_raw("\x81\x00", 2);
	expect_at("1002;", 2);
	add_raw("\x89\xfe\x00\x7e", 4);
	expect_at("1002;", 2);
	add_raw("\x88\xff\x00\x00", 4);
	expect_at("1002;", 2);
}

/* A start within a message, a continuation outside of one (5.4). */
static void
test_bad_order(void **state)
{
	add(0x80, "x", 1);
	expect_at("1002;", 1);
	add(0x81, "m", 1);
	add(0x00, "x", 1);
	expect("text:m;1002;");
	add(0x01, "", 0);
	add(0x81, "x", 1);
	expect_at("1002;", 7);
	add(0x02, "a", 1);
	add(0x89, "", 0);
	add(0x01, "x", 1);
	expect("ping:;1002;");
}

/* The limit counts a whole message, and is told by the head. */
static void
test_limit(void **state)
{
	static char big[LIMIT + 1];

	memset(big, 'b', sizeof(big));
	add(0x81, big, LIMIT + 1);
	expect_at("1009;", 4);
	add(0x01, big, LIMIT);
	add(0x89, big, WS_CONTROL_MAX);
	input_len -= WS_CONTROL_MAX + 6; /* the ping is not counted */
	add(0x00, "", 0);
	add(0x80, "x", 1);
	expect_at("1009;", 8 + LIMIT + 6 + 2);
	add(0x02, big, 1);
	add(0x80, big, LIMIT);
	expect_at("1009;", 7 + 4);
}

/* At most WS_FRAGMENTS_MAX frames make a message. */
static void
test_fragment_count(void **state)
{
	struct ws_state s;
	size_t used, out_len, i;
	uint8_t out[16];
	int extra;

	for (extra = 0; extra <= 1; extra++) {
		memset(&s, 0, sizeof(s));
		for (i = 0; i < (size_t)WS_FRAGMENTS_MAX - 1 + extra; i++) {
			input_len = 0;
			add(i == 0 ? 0x01 : 0x00, "", 0);
			assert_int_equal(ws_decode(&s, LIMIT, input, input_len,
					     &used, out, &out_len),
			    WS_EVENT_MORE);
		}
		input_len = 0;
		add(0x80, "", 0);
		assert_int_equal(ws_decode(&s, LIMIT, input, input_len, &used,
				     out, &out_len),
		    extra ? WS_EVENT_ERROR : WS_EVENT_MESSAGE);
	}
	assert_int_equal(s.error, CLOSE_TOO_BIG);
	input_len = 0;
}

/* Text is refused at its first bad byte, in whatever fragment (8.1). */
static void
test_bad_text(void **state)
{
	add(0x81,
	    "abc\xff"
	    "def",
	    7);
	expect_at("1007;", 6 + 4);
	add(0x01, "0123456789012345678901234567890123456789\xce", 41);
	add(0x00, "\xba", 1);
	add(0x00, "ok \xed\xa0 more", 10);
	expect_at("1007;", 47 + 7 + 6 + 5);
	add(0x81, "\xf4\x90\x80\x80", 4);
	expect_at("1007;", 6 + 2);
	add(0x81, "\xc0\xaf", 2);
	expect_at("1007;", 6 + 1);
	add(0x81, "\xe2\x82", 2); /* incomplete at the message's end */
	expect_at("1007;", 6 + 2);
	add(0x01, "\xe2\x82", 2);
	add(0x80, "", 0);
	expect_at("1007;", 8 + 6);
	add(0x01, "\xe2\x82", 2);
	add(0x80, "a", 1);
	expect_at("1007;", 8 + 7);
	add(0x82, "\xff\xfe", 2); /* binary may hold anything */
	expect("binary:\xff\xfe;");
}

/* A bad byte at any place of a long frame is found, valid text never is. */
static void
test_text_everywhere(void **state)
{
	static char text[140];
	char want[160];
	size_t len, at;

	for (len = 1; len < 140; len += 3) {
		for (at = 0; at < len; at++) {
			memset(text, 't', sizeof(text));
			text[at] = (char)0xa0;
			add(0x81, text, len);
			decode(0, input_len, at & 1);
			assert_string_equal(trace, "1007;");
			input_len = 0;
			if (at + 1 == len)
				continue;
			memcpy(text + at, "\xc3\xa9", 2);
			add(0x81, text, len);
			snprintf(
			    want, sizeof(want), "text:%.*s;", (int)len, text);
			decode(0, input_len, at & 1);
			assert_string_equal(trace, want);
			input_len = 0;
		}
	}
}

/* Close payloads: length, code, reason (5.5.1, 7.4). */
static void
test_close(void **state)
{
	unsigned int code;
	uint8_t payload[WS_CONTROL_MAX];
	char want[WS_CONTROL_MAX + 16];
	bool good;

	add(0x88, "", 0);
	expect("close:;");
	add(0x88, "\x03", 1);
	expect("1002;");
	for (code = 0; code <= 0xffff; code++) {
		payload[0] = (uint8_t)(code >> 8);
		payload[1] = (uint8_t)code;
		good = (code >= 1000 && code < 1004) ||
		    (code >= 1007 && code < 1015) ||
		    (code >= 3000 && code < 5000);
		add(0x88, payload, 2);
		decode(0, input_len, false);
		input_len = 0;
		if (good == (strcmp(trace, "1002;") == 0))
			fail_msg("close code %u: %s", code, trace);
	}
	memset(payload, 'r', sizeof(payload));
	memcpy(payload, "\x03\xe8", 2);
	add(0x88, payload, sizeof(payload));
	snprintf(want, sizeof(want), "close:%.*s;", (int)sizeof(payload),
	    (char *)payload);
	expect(want);
	payload[60] = 0xff;
	add(0x88, payload, sizeof(payload));
	expect("1007;");
	add(0x88, "\x03\xe8\xe2\x82", 4);
	expect("1007;");
	add(0x01, "a", 1);
	add(0x88, "\x03\xe8", 2);
	expect("close:\x03\xe8;unfinished");
}

/* The message's kind can be read until the next call. */
static void
test_state_between(void **state)
{
	struct ws_state s = {0};
	size_t used, out_len;
	uint8_t out[64];

	assert_true(ws_idle(&s));
	add(0x82, "abc", 3);
	assert_int_equal(
	    ws_decode(&s, LIMIT, input, input_len, &used, out, &out_len),
	    WS_EVENT_MESSAGE);
	assert_int_equal(s.opcode, WS_BINARY);
	assert_int_equal(s.message_bytes, 3);
	assert_true(ws_idle(&s));
	assert_int_equal(ws_decode(&s, LIMIT, input, 1, &used, out, &out_len),
	    WS_EVENT_MORE);
	assert_int_equal(s.opcode, 0);
	assert_false(ws_idle(&s));
	input_len = 0;
}

/* A state full of nonsense reads and writes nothing outside. */
static void
test_any_state_is_safe(void **state)
{
	static const uint8_t in[200] = {0x81, 0xfe, 0, 0xb8};
	uint8_t out[200];
	struct ws_state s;
	size_t used, out_len, i;
	uint32_t x = 1;
	int round, turn;

	for (round = 0; round < 200000; round++) {
		for (i = 0; i < sizeof(s); i++) {
			x = x * 1664525 + 1013904223;
			((uint8_t *)&s)[i] = (uint8_t)(x >> 24);
		}
		if (round & 1)
			s.error = 0;
		if (round & 2)
			s.remaining &= 0xff;
		if (round & 4)
			s.in_payload = 0;
		for (turn = 0; turn < 3; turn++) {
			size_t len = (x >> (8 + turn)) % sizeof(in);

			ws_decode(&s, LIMIT, in, len, &used, out, &out_len);
			assert_true(used <= len && out_len <= len);
		}
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_rfc_examples),
	    cmocka_unit_test(test_fragments),
	    cmocka_unit_test(test_lengths_and_masks),
	    cmocka_unit_test(test_long_frame),
	    cmocka_unit_test(test_bad_lengths),
	    cmocka_unit_test(test_bad_heads),
	    cmocka_unit_test(test_bad_order),
	    cmocka_unit_test(test_limit),
	    cmocka_unit_test(test_fragment_count),
	    cmocka_unit_test(test_bad_text),
	    cmocka_unit_test(test_text_everywhere),
	    cmocka_unit_test(test_close),
	    cmocka_unit_test(test_state_between),
	    cmocka_unit_test(test_any_state_is_safe),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
