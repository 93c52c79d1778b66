/*
 * Records of TLS, which the master neither seals nor opens: it has the table of
 * transports, and with these in front of the record layer it maps no libcrypto
 * for them. A call is a fault.
 */
#include <stdlib.h>

#include "codec/tls.h"

int
tls_init(void)
{
	abort();
}

int
tls_key_of(
    uint8_t suite, const uint8_t secret[TLS_SECRET_MAX], struct tls_key *out)
{
	abort();
}

int
tls_secret_next(uint8_t suite, const uint8_t secret[TLS_SECRET_MAX],
    uint8_t next[TLS_SECRET_MAX])
{
	abort();
}

ssize_t
tls_seal(uint8_t suite, const struct tls_key *key, uint64_t number,
    uint64_t nonce, uint8_t type, const uint8_t *plain, size_t len,
    uint8_t *out)
{
	abort();
}

int
tls_open(uint8_t suite, const struct tls_key *key, uint64_t number,
    const uint8_t *record, size_t length, uint8_t *out, size_t *len)
{
	abort();
}
