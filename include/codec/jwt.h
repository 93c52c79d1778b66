/*
 * jwt: verifying signed tokens (RFC 7519) in compact serialisation (RFC 7515).
 * Layer 1, pure. The algorithm belongs to the key: what a token's header says
 * must equal it and chooses nothing.
 *
 * The door reads what else is in the claims (`sub`, `info`, `channels`,
 * `channel`) with json_member().
 */
#ifndef CHATD_CODEC_JWT_H
#define CHATD_CODEC_JWT_H

#include <stddef.h>
#include <stdint.h>

#include "codec/json.h"

enum {
	JWT_TOKEN_MAX = 8192, /* bytes of a token: longer ones are refused */
	JWT_CLAIMS_MAX = JWT_TOKEN_MAX / 4 * 3
};

/* One each; keys of RS256, ES256 and EdDSA would go beside the secret. */
enum jwt_algorithm {
	JWT_HS256 = 1 /* HMAC with SHA-256, RFC 7518 3.2 */
};

struct jwt_key {
	enum jwt_algorithm algorithm;
	const void *secret; /* kept by reference; an empty one fits nothing */
	size_t secret_len;
};

enum jwt_result {
	JWT_OK,
	JWT_MALFORMED,
	JWT_BAD_ALGORITHM, /* not the key's, or `crit` asks for more */
	JWT_BAD_SIGNATURE,
	JWT_EXPIRED,
	JWT_NOT_YET,	  /* nbf (Centrifugo answers as for expired) */
	JWT_BAD_AUDIENCE, /* not for us */
	JWT_BAD_ISSUER
};

/*
 * Verifies a token of len bytes. The claims, an object, are decoded into buf
 * and validated; *claims points there. buf is written to in any case. The token
 * is read twice, so it must not lie where others may write. base64url
 * is taken strictly: no padding, no white space, no bits left over.
 * JWT_EXPIRED and what comes after it is left to jwt_check_claims().
 */
enum jwt_result jwt_verify(const struct jwt_key *key, const char *token,
    size_t len, char buf[JWT_CLAIMS_MAX], struct json_value *claims);

/*
 * Judges the registered claims at `now`, seconds since 1970: expired once exp
 * <= now, not valid as long as nbf > now. exp, nbf and iat may have fractions;
 * one that is no number is JWT_MALFORMED; null is as absent. iat is not
 * compared with now, as nothing asks for it. With an audience, aud must be it
 * or an array with it; with an issuer, iss must be it; NULL or "" asks for
 * neither. *expires is exp rounded down, 0 if there is none.
 */
enum jwt_result jwt_check_claims(struct json_value claims, double now,
    const char *audience, const char *issuer, int64_t *expires);

/* "expired", for logs; "?" for what is none. */
const char *jwt_result_name(enum jwt_result result);

#endif
