/*
 * jwt: verifying signed tokens (RFC 7519) in compact serialisation (RFC 7515).
 * Layer 1, pure. The algorithm belongs to the key: what a token's header says
 * must equal it and chooses nothing.
 *
 * The door reads what else is in the claims (`info`, `channels`, `channel`)
 * with json_member().
 */
#ifndef CHATD_CODEC_JWT_H
#define CHATD_CODEC_JWT_H

#include <stddef.h>
#include <stdint.h>

#include "codec/json.h"
#include "codec/name.h"

enum {
	JWT_TOKEN_MAX = 65536, /* bytes of a token: longer ones are refused */
	JWT_CLAIMS_MAX = JWT_TOKEN_MAX / 4 * 3,
	JWT_MEMBERS_MAX = 1024 /* of a header, or claims. More: the comparison
				* of their names costs more than a signature */
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
	JWT_BAD_ISSUER,
	JWT_DUPLICATE, /* two claims, or header parameters, of one name */
	JWT_BAD_TIME   /* exp, nbf or iat is no time in seconds */
};

/* What jwt_check_claims() demands. */
struct jwt_terms {
	double now;	      /* seconds since 1970 */
	double leeway;	      /* seconds that clocks may differ by */
	const char *audience; /* NULL, "": any */
	const char *issuer;   /* NULL, "": any */
};

/*
 * Verifies a token of len bytes. The claims, an object, are decoded into buf
 * and validated; *claims points there. buf is written to in any case. The token
 * is read twice, so it must not lie where others may write. base64url is taken
 * strictly: no padding, no white space, no bits left over. Two members of one
 * name in the header or the claims are refused (RFC 7515 section 4, RFC 7519
 * section 4): JWT_DUPLICATE. The claims' values are judged by
 * jwt_check_claims().
 */
enum jwt_result jwt_verify(const struct jwt_key *key, const char *token,
    size_t len, char buf[JWT_CLAIMS_MAX], struct json_value *claims);

/*
 * Judges the registered claims: expired once exp + leeway <= now, not valid as
 * long as nbf or iat > now + leeway. They may have fractions; one that is no
 * number, or is outside of the years 0 to 9999 (as milliseconds are), is
 * JWT_BAD_TIME; null is as absent. With an audience, aud must be it or an array
 * with it; with an issuer, iss must be it. *expires is exp rounded down, 0 if
 * there is none.
 */
enum jwt_result jwt_check_claims(
    struct json_value claims, const struct jwt_terms *terms, int64_t *expires);

/* Whether these are claims of a subscription token, which must not connect a
 * client: they have a `channel`. */
bool jwt_is_for_channel(struct json_value claims);

/*
 * Takes `sub`, the user's name; *len 0: there is none, or it is "". Returns
 * NULL, or what is wrong with it.
 */
const char *
jwt_subject(struct json_value claims, char out[NAME_SIGNED_MAX], size_t *len);

/* "expired", for logs; "?" for other numbers. */
const char *jwt_result_name(enum jwt_result result);

#endif
