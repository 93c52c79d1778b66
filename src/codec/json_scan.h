/* json_scan: how the readers of JSON skip bytes. Private to json*.c. */
#ifndef CHATD_CODEC_JSON_SCAN_H
#define CHATD_CODEC_JSON_SCAN_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "codec/json.h"

#define JSON_ONES UINT64_C(0x0101010101010101)
#define JSON_TOPS UINT64_C(0x8080808080808080)

/* Whether a byte is white space between tokens. */
static inline bool
json_is_space(char c)
{
	return c == ' ' || c == '\n' || c == '\t' || c == '\r';
}

/* The type of the valid value that begins here. */
static inline enum json_type
json_type_at(const char *p)
{
	switch (*p) {
	case '{':
		return JSON_OBJECT;
	case '[':
		return JSON_ARRAY;
	case '"':
		return JSON_STRING;
	case 't':
	case 'f':
		return JSON_BOOL;
	case 'n':
		return JSON_NULL;
	default:
		return JSON_NUMBER;
	}
}

/* Skips white space. */
static inline const char *
json_skip_space(const char *p, const char *end)
{
	while (p < end && json_is_space(*p))
		p++;
	return p;
}

/* Whether a byte of a string stands for itself and is ASCII. */
static inline bool
json_is_plain(unsigned char c)
{
	return c >= 0x20 && c < 0x80 && c != '"' && c != '\\';
}

/* Sets the top bit of each byte of a word that equals c. Above the lowest
 * such byte others may be set wrongly. */
static inline uint64_t
json_word_equal(uint64_t word, unsigned char c)
{
	uint64_t x = word ^ JSON_ONES * c;

	return (x - JSON_ONES) & ~x & JSON_TOPS;
}

/* Sets the top bit of each byte of a word that is below 0x20. Above the lowest
 * such byte others may be set wrongly. */
static inline uint64_t
json_word_control(uint64_t word)
{
	return (word - JSON_ONES * 0x20) & ~word & JSON_TOPS;
}

/* How many bytes of a word lie before the lowest one that is marked. */
static inline unsigned
json_word_first(uint64_t marks)
{
	return (unsigned)__builtin_ctzll(marks) / 8;
}

/* Reads eight bytes, the first one lowest. */
static inline uint64_t
json_word(const char *p)
{
	uint64_t word;

	memcpy(&word, p, 8);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
	word = __builtin_bswap64(word);
#endif
	return word;
}

/* Skips plain bytes of a string, eight at a time. */
static inline const char *
json_skip_plain(const char *p, const char *end)
{
	uint64_t word, stop;

	while (end - p >= 8) {
		word = json_word(p);
		stop = json_word_equal(word, '"') |
		    json_word_equal(word, '\\') | json_word_control(word) |
		    (word & JSON_TOPS);
		if (stop != 0)
			return p + json_word_first(stop);
		p += 8;
	}
	while (p < end && json_is_plain((unsigned char)*p))
		p++;
	return p;
}

/* The end of a string in validated bytes, after its closing quote; p is after
 * the opening one. Never beyond end. */
static inline const char *
json_skip_string(const char *p, const char *end)
{
	uint64_t word, stop;

	for (;;) {
		while (end - p >= 8) {
			word = json_word(p);
			stop = json_word_equal(word, '"') |
			    json_word_equal(word, '\\');
			if (stop != 0) {
				p += json_word_first(stop);
				break;
			}
			p += 8;
		}
		while (p < end && *p != '"' && *p != '\\')
			p++;
		if (p == end)
			return end;
		if (*p == '"')
			return p + 1;
		if (end - p < 2)
			return end;
		p += 2;
	}
}

#endif
