/* hmac: HMAC with SHA-256 (RFC 2104, FIPS 180-4), and comparing what is secret.
 * Layer 1, pure. */
#ifndef CHATD_CODEC_HMAC_H
#define CHATD_CODEC_HMAC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { HMAC_SHA256_LEN = 32 };

void hmac_sha256(const void *key, size_t key_len, const void *data, size_t len,
    uint8_t out[HMAC_SHA256_LEN]);

/* Whether both are the same, in a time that does not depend on what differs. */
bool secret_equals(const void *a, const void *b, size_t len);

#endif
