/* What a record, and a message in it, is told by without a key. */
#include <string.h>

#include "codec/tls.h"

/* Types of handshake messages. */
enum { CLIENT_HELLO = 1, KEY_UPDATE = 24 };

ssize_t
tls_record_length(uint8_t suite, const uint8_t *bytes, size_t n)
{
	const struct tls_suite *s = tls_suite(suite);
	size_t len;

	if (s == NULL)
		return -TLS_INTERNAL_ERROR;
	/* A ChangeCipherSpec, or an alert in the clear, is none any more (RFC
	 * 8446 5); in TLS 1.2 the type is not hidden. */
	if (n >= 1 && bytes[0] != TLS_DATA &&
	    !(s->old && (bytes[0] == TLS_ALERT || bytes[0] == TLS_HANDSHAKE)))
		return -TLS_UNEXPECTED_MESSAGE;
	if (n < TLS_HEAD)
		return 0;
	/* in TLS 1.3 it says nothing (RFC 8446 5.1) */
	if (s->old && (bytes[1] != TLS_VERSION || bytes[2] != TLS_VERSION))
		return -TLS_PROTOCOL_VERSION;
	len = (size_t)bytes[3] << 8 | bytes[4];
	/* RFC 5246 has 2,048 where RFC 8446 has 256: such a record of ours has
	 * too long a plaintext in any case. */
	if (len > TLS_CIPHER_MAX)
		return -TLS_RECORD_OVERFLOW;
	if (len < (size_t)s->overhead - TLS_HEAD)
		return -TLS_DECODE_ERROR;
	return (ssize_t)(TLS_HEAD + len);
}

int
tls_key_update_read(uint8_t suite, const uint8_t *bytes, size_t len)
{
	const struct tls_suite *s = tls_suite(suite);

	if (s == NULL)
		return -TLS_INTERNAL_ERROR;
	if (s->old)
		return len > 0 && bytes[0] == CLIENT_HELLO
		    ? -TLS_NO_RENEGOTIATION
		    : -TLS_UNEXPECTED_MESSAGE;
	if (len == 0 || bytes[0] != KEY_UPDATE)
		return -TLS_UNEXPECTED_MESSAGE;
	if (len >= 4 && (bytes[1] != 0 || bytes[2] != 0 || bytes[3] != 1))
		return -TLS_DECODE_ERROR;
	/* In two records it would be legal, and nobody does it; what comes
	 * behind it is of another key (RFC 8446 5.1). */
	if (len != TLS_KEY_UPDATE_BYTES)
		return -TLS_UNEXPECTED_MESSAGE;
	return bytes[4] > 1 ? -TLS_ILLEGAL_PARAMETER : bytes[4];
}

void
tls_key_update_write(uint8_t out[TLS_KEY_UPDATE_BYTES])
{
	static const uint8_t message[TLS_KEY_UPDATE_BYTES] = {
	    KEY_UPDATE, 0, 0, 1, 0};

	memcpy(out, message, sizeof(message));
}
