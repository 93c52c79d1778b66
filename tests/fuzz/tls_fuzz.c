/*
 * tls_fuzz: bytes as records of a client: the head, a record with a bad tag,
 * and what is in one with a good tag, which is judged once more by the letter;
 * KeyUpdates; and bytes of ours, which the peer opens to what they were.
 */
#include "fuzz.h"

#include <stdbool.h>

#include "../unit/tls_forge_fixture.h"

enum { PADDED = 66 }; /* bytes that one of the input adds */

/* Whether that is an alert that we send, as minus its number. */
static bool
is_alert(ssize_t n)
{
	switch (-n) {
	case TLS_UNEXPECTED_MESSAGE:
	case TLS_BAD_RECORD_MAC:
	case TLS_RECORD_OVERFLOW:
	case TLS_ILLEGAL_PARAMETER:
	case TLS_DECODE_ERROR:
	case TLS_PROTOCOL_VERSION:
	case TLS_NO_RENEGOTIATION:
		return true;
	default:
		return false;
	}
}

/* The head: what was said stays, however many more bytes come. */
static void
require_head(const struct forge *f, const uint8_t *data, size_t size)
{
	uint8_t *out;
	ssize_t said = 0, now;
	size_t len;

	for (size_t n = 0; n <= size && n <= TLS_HEAD + 1; n++) {
		now = tls_record_length(f->suite, data, n);
		REQUIRE(said == 0 || now == said);
		REQUIRE(now >= 0 || is_alert(now));
		REQUIRE(now <= TLS_RECORD_MAX);
		REQUIRE(now == 0 || n > 0);
		said = now;
	}
	REQUIRE(said != 0 || size < TLS_HEAD);
	if (said <= 0 || (size_t)said > size)
		return;
	out = malloc((size_t)said);
	REQUIRE(tls_open(f->suite, &f->key, f->number, data, (size_t)said, out,
		    &len) == -TLS_BAD_RECORD_MAC);
	free(out);
}

/* What is in a record, by the letter. */
static int
judge(bool old, uint8_t head, const uint8_t *inner, size_t size, size_t *len)
{
	int type = head;

	*len = size;
	if (size > TLS_PLAIN_MAX + (old ? 0u : 1u))
		return -TLS_RECORD_OVERFLOW;
	if (!old) {
		while (*len > 0 && inner[*len - 1] == 0)
			--*len;
		if (*len == 0)
			return -TLS_UNEXPECTED_MESSAGE;
		type = inner[--*len];
	}
	if (type == TLS_DATA ||
	    ((type == TLS_ALERT || type == TLS_HANDSHAKE) && *len > 0))
		return type;
	return -TLS_UNEXPECTED_MESSAGE;
}

/* A record with that in it, and a good tag. */
static void
require_inner(const struct forge *f, const uint8_t *inner, size_t size)
{
	const bool old = tls_suite(f->suite)->old;
	uint8_t *record = malloc(size + TLS_OVERHEAD_MAX), *exact, *out;
	size_t len, want_len;
	const size_t n = forge_seal(f, inner, size, record);
	int want = judge(old, f->head[0], inner, size, &want_len), type;

	exact = malloc(n);
	memcpy(exact, record, n);
	free(record);
	if (n > TLS_RECORD_MAX) {
		free(exact);
		return;
	}
	out = malloc(n);
	type = tls_open(f->suite, &f->key, f->number, exact, n, out, &len);
	REQUIRE(type == want);
	if (type >= 0) {
		REQUIRE(len == want_len && len <= TLS_PLAIN_MAX);
		REQUIRE(memcmp(out, inner, len) == 0);
	}
	/* but for the length in the head, by which the caller has cut it */
	exact[n - 1 - inner[0] % (n - TLS_HEAD)] ^= 1;
	REQUIRE(tls_open(f->suite, &f->key, f->number, exact, n, out, &len) ==
	    -TLS_BAD_RECORD_MAC);
	free(exact);
	free(out);
}

/* A handshake message behind the handshake. */
static void
require_update(const struct forge *f, const uint8_t *data, size_t size)
{
	const int said = tls_key_update_read(f->suite, data, size);
	uint8_t own[TLS_KEY_UPDATE_BYTES];

	REQUIRE(said >= 0 ? said <= 1 : is_alert(said));
	if (said < 0)
		return;
	REQUIRE(!tls_suite(f->suite)->old && size == sizeof(own));
	tls_key_update_write(own);
	own[4] = (uint8_t)said;
	REQUIRE(memcmp(own, data, size) == 0);
}

/* Ours is sealed by the letter. */
static void
require_seal(const struct forge *f, const uint8_t *data, size_t size)
{
	const struct tls_suite *s = tls_suite(f->suite);
	uint8_t *inner = malloc(size + 1), *want, *out;
	const size_t n = size + s->overhead;

	want = malloc(n);
	out = malloc(n);
	memcpy(inner, data, size);
	inner[size] = f->head[0];
	if (size > TLS_PLAIN_MAX)
		REQUIRE(tls_seal(f->suite, &f->key, f->number, f->nonce,
			    f->head[0], data, size, out) == -1);
	else {
		struct forge young = *f;

		if (!s->old)
			young.head[0] = TLS_DATA;
		REQUIRE(forge_seal(&young, inner, size + !s->old, want) == n);
		REQUIRE(tls_seal(f->suite, &f->key, f->number, f->nonce,
			    f->head[0], data, size, out) == (ssize_t)n);
		REQUIRE(memcmp(out, want, n) == 0);
	}
	free(inner);
	free(want);
	free(out);
}

/* Suite, type in the head (0: data), bytes of zeros behind, and the bytes. */
int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct forge f = {.number = 5, .nonce = 9, .head = {TLS_DATA, 3, 3}};
	uint8_t *text;
	size_t len;

	REQUIRE(tls_init() == 0);
	if (size < 4)
		return 0;
	f.suite = 1 + data[0] % (TLS_SUITES - 1);
	memset(&f.key, data[0], sizeof(f.key));
	if (tls_suite(f.suite)->old && data[1] != 0)
		f.head[0] = data[1];
	len = size - 3 + (size_t)data[2] * PADDED;
	text = calloc(1, len);
	memcpy(text, data + 3, size - 3);
	require_head(&f, text, len);
	require_inner(&f, text, len);
	require_update(&f, text, len);
	require_seal(&f, text, len);
	free(text);
	return 0;
}
