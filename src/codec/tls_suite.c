#include <stddef.h>

#include "codec/tls.h"

/* AES-GCM may seal 2^24.5 records under one key (RFC 8446 5.5), ChaCha20 more
 * than there will ever be. */
#define GCM_LIMIT (UINT64_C(1) << 24)
#define NO_LIMIT (UINT64_C(1) << 48)

static const struct tls_suite suites[TLS_SUITES] = {
    [TLS_AES_128] = {"AES-128-GCM", false, false, 16, 32, 22, GCM_LIMIT},
    [TLS_AES_256] = {"AES-256-GCM", false, false, 32, 48, 22, GCM_LIMIT},
    [TLS_CHACHA20] = {"ChaCha20-Poly1305", false, false, 32, 32, 22, NO_LIMIT},
    [TLS_OLD_AES_128] = {"AES-128-GCM", true, true, 16, 0, 29, GCM_LIMIT},
    [TLS_OLD_AES_256] = {"AES-256-GCM", true, true, 32, 0, 29, GCM_LIMIT},
    [TLS_OLD_CHACHA20] = {
	"ChaCha20-Poly1305", true, false, 32, 0, 21, NO_LIMIT}};

const struct tls_suite *
tls_suite(uint8_t number)
{
	return number > 0 && number < TLS_SUITES ? &suites[number] : NULL;
}

uint8_t
tls_suite_find(uint16_t iana)
{
	switch (iana) {
	case 0x1301:
		return TLS_AES_128;
	case 0x1302:
		return TLS_AES_256;
	case 0x1303:
		return TLS_CHACHA20;
	case 0xc02b: /* ECDHE with ECDSA, */
	case 0xc02f: /* with RSA */
		return TLS_OLD_AES_128;
	case 0xc02c:
	case 0xc030:
		return TLS_OLD_AES_256;
	case 0xcca9:
	case 0xcca8:
		return TLS_OLD_CHACHA20;
	default:
		return 0;
	}
}
