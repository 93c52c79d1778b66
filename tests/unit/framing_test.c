/* framing: WebSocket frames through the interface that every framing has, byte
 * by byte and whole; and the table. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "codec/framing.h"

enum { LIMIT = 1000 };

static const struct framing *ws;
static char told[1024]; /* what was decoded, in words */

/* Notes something. */
static void
note(const char *what, const void *bytes, size_t len)
{
	size_t n = strlen(told);

	snprintf(told + n, sizeof(told) - n, "%s(%.*s) ", what, (int)len,
	    (const char *)bytes);
}

/* Notes a control message or an error. */
static void
note_said(const struct framing_state *state)
{
	static const char *const kinds[] = {[FRAMING_TEXT] = "text",
	    [FRAMING_BINARY] = "binary",
	    [FRAMING_PING] = "ping",
	    [FRAMING_PONG] = "pong",
	    [FRAMING_CLOSE] = "close"};
	struct framing_said said;
	char code[16];

	ws->said(state, &said);
	if (said.kind == FRAMING_PING || said.kind == FRAMING_PONG) {
		note(kinds[said.kind], said.bytes, said.len);
		return;
	}
	snprintf(code, sizeof(code), "%u", said.code);
	note(kinds[said.kind], code, strlen(code));
}

/* Decodes bytes in pieces; the state goes from piece to piece as a copy. */
static const char *
decode(const uint8_t *in, size_t len, size_t step)
{
	struct framing_state state = {{0}};
	uint8_t out[LIMIT];
	size_t at = 0, n, used, got = 0, more;
	enum framing_event event = FRAMING_EVENT_MORE;

	told[0] = '\0';
	for (; at < len && event != FRAMING_EVENT_ERROR; at += used) {
		struct framing_state copy = state;

		n = len - at < step ? len - at : step;
		event = ws->decode(
		    &copy, LIMIT, in + at, n, &used, out + got, &more);
		state = copy;
		got += more;
		switch (event) {
		case FRAMING_EVENT_MESSAGE:
			note(ws->kind(&state) == FRAMING_BINARY ? "binary"
								: "text",
			    out, got);
			got = 0;
			break;
		case FRAMING_EVENT_CONTROL:
		case FRAMING_EVENT_ERROR:
			note_said(&state);
			break;
		default:
			break;
		}
	}
	note(ws->idle(&state) ? "idle" : "unfinished", "", 0);
	return told;
}

/* Decodes bytes whole and in pieces of each length. */
static void
check(const char *in, size_t len, const char *want)
{
	for (size_t step = len; step > 0; step--)
		assert_string_equal(
		    decode((const uint8_t *)in, len, step), want);
}

/* A client's frame with a mask of zeros. */
#define FRAME(opcode, n) opcode n "\0\0\0\0"

static void
test_messages(void **state)
{
	static const char all[] = FRAME("\x81", "\x85") "hello" FRAME(
	    "\x01", "\x82") "a " FRAME("\x89", "\x83") "abc" FRAME("\x80",
	    "\x81") "b" FRAME("\x82", "\x80")
	    FRAME("\x8a", "\x81") "x" FRAME("\x88", "\x85") "\x0f\xa1"
							    "bye";

	check(all, sizeof(all) - 1,
	    "text(hello) ping(abc) text(a b) binary() pong(x) close(4001) "
	    "idle() ");
}

static void
test_ends(void **state)
{
	check(FRAME("\x88", "\x80"), 6, "close(0) idle() ");
	check(FRAME("\x81", "\x82") "a", 7, "unfinished() ");
	check("\x81\x02", 2, "text(1002) unfinished() ");
	check(FRAME("\x81", "\x81") "\xff", 7, "text(1007) unfinished() ");
	check("\x81\xfe\x03\xe9\0\0\0\0", 8, "text(1009) unfinished() ");
	check(FRAME("\x88", "\x81") "x", 7, "close(1002) unfinished() ");
}

/* What a message of a kind begins with; nothing stands behind it. */
static void
wrap(enum framing_kind kind, const char *a, const char *b, const char *head,
    size_t head_len)
{
	struct iovec parts[4] = {
	    {0}, {(void *)a, strlen(a)}, {(void *)b, strlen(b)}};
	struct framing_ends ends;

	assert_int_equal(ws->wrap(&ends, kind, parts, 2), 3);
	assert_int_equal(parts[0].iov_len, head_len);
	assert_memory_equal(parts[0].iov_base, head, head_len);
	assert_ptr_equal(parts[1].iov_base, a);
	assert_int_equal(parts[2].iov_len, strlen(b));
}

static void
test_wrap(void **state)
{
	char text[300];

	wrap(FRAMING_TEXT, "ab", "c", "\x81\x03", 2);
	wrap(FRAMING_BINARY, "", "", "\x82\x00", 2);
	wrap(FRAMING_PING, "", "", "\x89\x00", 2);
	wrap(FRAMING_PONG, "x", "", "\x8a\x01", 2);
	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	wrap(FRAMING_TEXT, text, "y", "\x81\x7e\x01\x2c", 4);
}

static void
test_close(void **state)
{
	uint8_t out[FRAMING_CLOSE_MAX];

	assert_int_equal(ws->close(out, CLOSE_KICKED, "kicked"), 10);
	assert_memory_equal(out, "\x88\x08\x0f\xa1kicked", 10);
	assert_int_equal(ws->close(out, CLOSE_NONE, ""), 2);
	assert_memory_equal(out, "\x88\x00", 2);
	assert_true(ws->closed((const uint8_t *)FRAME("xx\x88", "\x80"), 8));
	assert_true(
	    ws->closed((const uint8_t *)FRAME("\x88", "\x82") "\3\xe8", 8));
	assert_false(
	    ws->closed((const uint8_t *)FRAME("\x88", "\x82") "\3", 7));
	assert_false(ws->closed((const uint8_t *)FRAME("\x81", "\x80"), 6));
	assert_false(ws->closed((const uint8_t *)"", 0));
}

/* Each framing that there is keeps what it promises of itself. */
static void
test_table(void **state)
{
	const struct framing *f;
	int n = 0;

	assert_null(framing_of(0));
	assert_null(framing_of(FRAMINGS_MAX));
	assert_null(framing_of(UINT8_MAX));
	assert_int_equal(framing_find(""), 0);
	assert_int_equal(framing_find("webSocket"), 0);
	for (uint8_t k = 0; k < FRAMINGS_MAX; k++) {
		if ((f = framing_of(k)) == NULL)
			continue;
		n++;
		assert_int_equal(framing_find(f->name), k);
		assert_true(f->state_bytes <= FRAMING_STATE_MAX);
		assert_true(f->idle(&(struct framing_state){{0}}));
	}
	assert_true(n >= 1);
}

static int
setup(void **state)
{
	ws = framing_of(framing_find("websocket"));
	return ws == NULL ? -1 : 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_messages),
	    cmocka_unit_test(test_ends), cmocka_unit_test(test_wrap),
	    cmocka_unit_test(test_close), cmocka_unit_test(test_table)};

	return cmocka_run_group_tests(tests, setup, NULL);
}
