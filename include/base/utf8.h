/*
 * utf8: validation as the bytes arrive (RFC 3629: no surrogates, no overlong
 * forms, nothing above U+10FFFF). Layer 0, pure.
 */
#ifndef CHATD_BASE_UTF8_H
#define CHATD_BASE_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The state between two pieces of one text; 0 at its start and whenever a
 * character is complete. May lie in shared memory: any value is safe. */
typedef uint32_t utf8_state;

/* Feeds len bytes; false at the first byte that cannot belong to a valid
 * text (the state is then of no further use). */
bool utf8_feed(utf8_state *state, const void *bytes, size_t len);

/* Whether a whole text is valid. */
bool utf8_valid(const void *bytes, size_t len);

/*
 * Decodes one character of valid or invalid text. Returns its length in bytes
 * (1 to 4) with *code set, or 0 if the bytes are not a complete valid
 * character.
 */
size_t utf8_decode(const void *bytes, size_t len, uint32_t *code);

/* Encodes a code point up to U+10FFFF; returns its length in bytes. A surrogate
 * is not refused. */
size_t utf8_encode(uint32_t code, char out[4]);

#endif
