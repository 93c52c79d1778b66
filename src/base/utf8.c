/* utf8: validation as the bytes arrive (RFC 3629). */
#include <string.h>

#include "base/utf8.h"

/*
 * The state: how many continuation bytes are still wanted (bits 0-7) and the
 * range of the next one (bits 8-15 and 16-23): the second byte of a character
 * is where overlong forms, surrogates and code points above U+10FFFF show.
 */
#define STATE(want, lo, hi) ((utf8_state)(want) | (lo) << 8 | (hi) << 16)

/* The state after a lead byte that is not ASCII; 0 if it cannot be one. */
static inline utf8_state
utf8_lead(uint8_t c)
{
	if (c < 0xc2 || c > 0xf4)
		return 0;
	if (c < 0xe0)
		return STATE(1, 0x80, 0xbf);
	switch (c) {
	case 0xe0:
		return STATE(2, 0xa0, 0xbf);
	case 0xed:
		return STATE(2, 0x80, 0x9f);
	case 0xf0:
		return STATE(3, 0x90, 0xbf);
	case 0xf4:
		return STATE(3, 0x80, 0x8f);
	default:
		return STATE(c < 0xf0 ? 2 : 3, 0x80, 0xbf);
	}
}

/*
 * Skips complete characters that are not ASCII, as long as four bytes are
 * there to look at. NULL: not valid.
 */
static inline const uint8_t *
utf8_skip_complete(const uint8_t *p, const uint8_t *end)
{
	utf8_state s;

	while (end - p >= 4 && *p >= 0x80) {
		if (*p < 0xe0) {
			if (*p < 0xc2 || (p[1] & 0xc0) != 0x80)
				return NULL;
			p += 2;
			continue;
		}
		s = utf8_lead(*p);
		if (s == 0 || p[1] < (s >> 8 & 0xff) ||
		    p[1] > (s >> 16 & 0xff) || (p[2] & 0xc0) != 0x80)
			return NULL;
		if (*p >= 0xf0 && (p[3] & 0xc0) != 0x80)
			return NULL;
		p += *p < 0xf0 ? 3 : 4;
	}
	return p;
}

/* Skips ASCII, eight bytes at a time while that many are left. */
static inline const uint8_t *
utf8_skip_ascii(const uint8_t *p, const uint8_t *end)
{
	uint64_t word;

	while (end - p >= 8) {
		memcpy(&word, p, 8);
		if (word & UINT64_C(0x8080808080808080))
			break;
		p += 8;
	}
	while (p < end && *p < 0x80)
		p++;
	return p;
}

bool
utf8_feed(utf8_state *state, const void *bytes, size_t len)
{
	const uint8_t *p = bytes, *end = p + len;
	utf8_state s = *state;

	while (p < end) {
		if (s == 0) {
			if (*p < 0x80) {
				p = utf8_skip_ascii(p, end);
				continue;
			}
			if (end - p >= 4) {
				p = utf8_skip_complete(p, end);
				if (p == NULL)
					return false;
				continue;
			}
			if ((s = utf8_lead(*p++)) == 0)
				return false;
			continue;
		}
		if (*p < (s >> 8 & 0xff) || *p > (s >> 16 & 0xff))
			return false;
		p++;
		s = (s & 0xff) > 1 ? STATE((s & 0xff) - 1, 0x80, 0xbf) : 0;
	}
	*state = s;
	return true;
}

bool
utf8_valid(const void *bytes, size_t len)
{
	utf8_state s = 0;

	return utf8_feed(&s, bytes, len) && s == 0;
}

size_t
utf8_decode(const void *bytes, size_t len, uint32_t *code)
{
	static const uint8_t lead_bits[] = {0, 0x1f, 0x0f, 0x07};
	const uint8_t *p = bytes;
	utf8_state s;
	size_t want, i;
	uint32_t c;

	if (len == 0)
		return 0;
	if (*p < 0x80) {
		*code = *p;
		return 1;
	}
	if ((s = utf8_lead(*p)) == 0)
		return 0;
	want = s & 0xff;
	if (len < want + 1 || p[1] < (s >> 8 & 0xff) || p[1] > (s >> 16 & 0xff))
		return 0;
	c = *p & lead_bits[want];
	for (i = 1; i <= want; i++) {
		if ((p[i] & 0xc0) != 0x80)
			return 0;
		c = c << 6 | (p[i] & 0x3f);
	}
	*code = c;
	return want + 1;
}

size_t
utf8_encode(uint32_t code, char out[4])
{
	if (code < 0x80) {
		out[0] = (char)code;
		return 1;
	}
	if (code < 0x800) {
		out[0] = (char)(0xc0 | code >> 6);
		out[1] = (char)(0x80 | (code & 0x3f));
		return 2;
	}
	if (code < 0x10000) {
		out[0] = (char)(0xe0 | code >> 12);
		out[1] = (char)(0x80 | (code >> 6 & 0x3f));
		out[2] = (char)(0x80 | (code & 0x3f));
		return 3;
	}
	out[0] = (char)(0xf0 | code >> 18);
	out[1] = (char)(0x80 | (code >> 12 & 0x3f));
	out[2] = (char)(0x80 | (code >> 6 & 0x3f));
	out[3] = (char)(0x80 | (code & 0x3f));
	return 4;
}
