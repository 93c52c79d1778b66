#include "token.h"

enum {
	SENDER_AT = 1,
	SENDER_DIGITS = 6,
	SEQ_AT = 7,
	SEQ_DIGITS = 8,
	NS_AT = 15,
	NS_DIGITS = 16
};

static void
put_hex(uint8_t *out, int digits, uint64_t v)
{
	for (int i = digits - 1; i >= 0; i--, v >>= 4)
		out[i] = (uint8_t) "0123456789abcdef"[v & 15];
}

/* 16 + value for a hexadecimal digit, 0 for anything else. */
static const uint8_t hex_value[256] = {
    ['0'] = 16,
    ['1'] = 17,
    ['2'] = 18,
    ['3'] = 19,
    ['4'] = 20,
    ['5'] = 21,
    ['6'] = 22,
    ['7'] = 23,
    ['8'] = 24,
    ['9'] = 25,
    ['a'] = 26,
    ['b'] = 27,
    ['c'] = 28,
    ['d'] = 29,
    ['e'] = 30,
    ['f'] = 31,
};

/* Clears bit 4 of *ok if a digit is none. */
static uint64_t
get_hex(const uint8_t *p, int digits, uint8_t *ok)
{
	uint64_t v = 0;
	for (int i = 0; i < digits; i++) {
		uint8_t d = hex_value[p[i]];
		*ok &= d;
		v = v << 4 | (d & 15);
	}
	return v;
}

void
token_write(uint8_t out[TOKEN_LEN], struct token t)
{
	out[0] = TOKEN_MARK;
	put_hex(out + SENDER_AT, SENDER_DIGITS, t.sender);
	put_hex(out + SEQ_AT, SEQ_DIGITS, t.seq);
	put_hex(out + NS_AT, NS_DIGITS, t.ns);
	out[TOKEN_LEN - 1] = TOKEN_MARK;
}

int
token_read(const uint8_t p[TOKEN_LEN], struct token *t)
{
	uint8_t ok = 16;
	if (p[0] != TOKEN_MARK || p[TOKEN_LEN - 1] != TOKEN_MARK)
		return 0;
	t->sender = (uint32_t)get_hex(p + SENDER_AT, SENDER_DIGITS, &ok);
	t->seq = (uint32_t)get_hex(p + SEQ_AT, SEQ_DIGITS, &ok);
	t->ns = get_hex(p + NS_AT, NS_DIGITS, &ok);
	return ok & 16;
}
