/* jwt: verifying signed tokens (RFC 7515, 7518, 7519). */
#include <math.h>
#include <stdlib.h>

#include "base/siphash.h"
#include "codec/hmac.h"
#include "codec/jwt.h"

enum {
	JWT_HS256_LEN = HMAC_SHA256_LEN, /* bytes of its signature */
	JWT_NAME_MAX = 256 /* of a member whose name has escapes */
};

/* The years 0 to 9999 (RFC 3339), in seconds since 1970. */
#define JWT_TIME_MIN (-62167219200.0)
#define JWT_TIME_MAX 253402300799.0

/* A part of a token, still encoded. */
struct jwt_part {
	const char *p;
	size_t len;
};

/* The six bits of a base64url letter (RFC 4648 5), or -1. */
static inline int
jwt_letter(char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	if (c == '-')
		return 62;
	return c == '_' ? 63 : -1;
}

/* Decodes base64url into at most cap bytes. Returns the length or -1. */
static ssize_t
jwt_decode(struct jwt_part in, void *out, size_t cap)
{
	uint8_t *to = out;
	uint32_t bits = 0;
	size_t i, used = 0;
	unsigned have = 0;
	int six;

	for (i = 0; i < in.len; i++) {
		if ((six = jwt_letter(in.p[i])) == -1)
			return -1;
		bits = bits << 6 | (uint32_t)six;
		have += 6;
		if (have < 8)
			continue;
		have -= 8;
		if (used == cap)
			return -1;
		to[used++] = (uint8_t)(bits >> have);
	}
	/* A lone letter, or bits that belong to no byte. */
	if (have == 6 || (bits & ((1u << have) - 1)) != 0)
		return -1;
	return (ssize_t)used;
}

/* Cuts the token at its two dots. */
static bool
jwt_split(const char *token, size_t len, struct jwt_part part[3])
{
	const char *p = token, *end = token + len, *dot;
	int i;

	for (i = 0; i < 3; i++) {
		dot = memchr(p, '.', (size_t)(end - p));
		if ((dot == NULL) != (i == 2))
			return false;
		part[i].p = p;
		part[i].len = (size_t)((dot != NULL ? dot : end) - p);
		if (dot != NULL)
			p = dot + 1;
	}
	return true;
}

/* Decodes a part that must be an object. */
static bool
jwt_object(struct jwt_part part, char *buf, struct json_value *object)
{
	ssize_t len = jwt_decode(part, buf, JWT_CLAIMS_MAX);

	return len >= 0 && json_validate(buf, (size_t)len, object) &&
	    object->type == JSON_OBJECT;
}

/* Hashes a member's name, decoded; false: it is too long to be decoded. */
static bool
jwt_hash_name(struct json_value name, uint64_t *hash)
{
	static const uint8_t key[16] = "names of a token";
	char text[JWT_NAME_MAX];
	ssize_t n;

	if (memchr(name.p, '\\', name.len) == NULL) {
		*hash = siphash(key, name.p + 1, name.len - 2);
		return true;
	}
	n = json_string(name, text, sizeof(text));
	if (n >= 0)
		*hash = siphash(key, text, (size_t)n);
	return n >= 0;
}

/* Orders hashes. */
static int
jwt_compare_hashes(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

/* Whether an object's names differ. Two different names with one hash happen by
 * intent alone: the token is refused. */
static enum jwt_result
jwt_check_names(struct json_value object)
{
	static uint64_t hash[JWT_MEMBERS_MAX];
	struct json_iter iter = json_iter(object, JSON_OBJECT);
	struct json_value name, value;
	size_t n = 0, i;

	while (json_next_member(&iter, &name, &value))
		if (n == JWT_MEMBERS_MAX || name.len < 2 ||
		    !jwt_hash_name(name, &hash[n++]))
			return JWT_MALFORMED;
	if (n > 1)
		qsort(hash, n, sizeof(hash[0]), jwt_compare_hashes);
	for (i = 1; i < n; i++)
		if (hash[i] == hash[i - 1])
			return JWT_DUPLICATE;
	return JWT_OK;
}

/* Judges the header. `typ` and unknown members do not matter. */
static enum jwt_result
jwt_check_header(struct json_value header, const char *algorithm)
{
	static const char *const names[] = {"alg", "crit"};
	struct json_value v[2];

	json_members(header, names, 2, v);
	if (v[0].type != JSON_STRING)
		return JWT_MALFORMED;
	if (!json_string_equals(v[0], algorithm) || v[1].type != JSON_NONE)
		return JWT_BAD_ALGORITHM;
	return jwt_check_names(header);
}

/* Judges the signature of the bytes before the second dot. */
static enum jwt_result
jwt_check_hs256(const struct jwt_key *key, struct jwt_part signed_part,
    struct jwt_part signature)
{
	uint8_t got[JWT_HS256_LEN], want[JWT_HS256_LEN];

	if (jwt_decode(signature, got, sizeof(got)) != JWT_HS256_LEN ||
	    key->secret_len == 0)
		return JWT_BAD_SIGNATURE;
	hmac_sha256(
	    key->secret, key->secret_len, signed_part.p, signed_part.len, want);
	return secret_equals(got, want, sizeof(got)) ? JWT_OK
						     : JWT_BAD_SIGNATURE;
}

enum jwt_result
jwt_verify(const struct jwt_key *key, const char *token, size_t len,
    char buf[JWT_CLAIMS_MAX], struct json_value *claims)
{
	struct jwt_part part[3], signed_part;
	struct json_value header;
	enum jwt_result result;

	*claims = (struct json_value){0};
	if (len == 0 || len > JWT_TOKEN_MAX || !jwt_split(token, len, part) ||
	    !jwt_object(part[0], buf, &header))
		return JWT_MALFORMED;
	if (key->algorithm != JWT_HS256)
		return JWT_BAD_ALGORITHM;
	if ((result = jwt_check_header(header, "HS256")) != JWT_OK)
		return result;
	signed_part.p = token;
	signed_part.len = (size_t)(part[1].p + part[1].len - token);
	if ((result = jwt_check_hs256(key, signed_part, part[2])) != JWT_OK)
		return result;
	result = jwt_object(part[1], buf, claims) ? jwt_check_names(*claims)
						  : JWT_MALFORMED;
	if (result != JWT_OK)
		*claims = (struct json_value){0};
	return result;
}

/* Reads a time; *seconds stays as it is if there is none. False if it is no
 * number, or not a time in the years 0 to 9999. */
static bool
jwt_time(struct json_value v, double *seconds)
{
	if (json_absent(v))
		return true;
	return json_double(v, seconds) && *seconds >= JWT_TIME_MIN &&
	    *seconds <= JWT_TIME_MAX;
}

/* Whether aud is the audience or an array with it (RFC 7519 4.1.3). */
static bool
jwt_is_for(struct json_value aud, const char *audience)
{
	struct json_iter iter = json_iter(aud, JSON_ARRAY);
	struct json_value one;

	while (json_next_element(&iter, &one))
		if (json_string_equals(one, audience))
			return true;
	return json_string_equals(aud, audience);
}

/* Whether the terms name a text. */
static bool
jwt_is_asked(const char *text)
{
	return text != NULL && text[0] != '\0';
}

enum jwt_result
jwt_check_claims(
    struct json_value claims, const struct jwt_terms *terms, int64_t *expires)
{
	enum { EXP, NBF, IAT, AUD, ISS, N };
	static const char *const names[N] = {"exp", "nbf", "iat", "aud", "iss"};
	double exp_at = INFINITY, nbf = -INFINITY, iat = -INFINITY;
	const double latest = terms->now + terms->leeway;
	struct json_value v[N];

	*expires = 0;
	json_members(claims, names, N, v);
	if (!jwt_time(v[EXP], &exp_at) || !jwt_time(v[NBF], &nbf) ||
	    !jwt_time(v[IAT], &iat))
		return JWT_BAD_TIME;
	if (!json_absent(v[EXP]) && exp_at > 0)
		*expires = (int64_t)exp_at;
	if (exp_at + terms->leeway <= terms->now)
		return JWT_EXPIRED;
	if (nbf > latest || iat > latest)
		return JWT_NOT_YET;
	if (jwt_is_asked(terms->audience) &&
	    !jwt_is_for(v[AUD], terms->audience))
		return JWT_BAD_AUDIENCE;
	if (jwt_is_asked(terms->issuer) &&
	    !json_string_equals(v[ISS], terms->issuer))
		return JWT_BAD_ISSUER;
	return JWT_OK;
}

bool
jwt_is_for_channel(struct json_value claims)
{
	struct json_value v;

	json_member(claims, "channel", &v);
	return !json_absent(v);
}

const char *
jwt_subject(struct json_value claims, char out[NAME_SIGNED_MAX], size_t *len)
{
	struct json_value v;
	ssize_t n;

	*len = 0;
	json_member(claims, "sub", &v);
	if (json_absent(v))
		return NULL;
	if (v.type != JSON_STRING)
		return "sub is no string";
	if (!json_string_is_whole(v))
		return "sub has a lone surrogate";
	n = json_string(v, out, NAME_SIGNED_MAX);
	if (n < 0)
		return "sub is longer than 255 bytes";
	*len = (size_t)n;
	return name_check_signed(out, *len);
}

const char *
jwt_result_name(enum jwt_result result)
{
	switch (result) {
	case JWT_OK:
		return "ok";
	case JWT_MALFORMED:
		return "malformed";
	case JWT_BAD_ALGORITHM:
		return "bad algorithm";
	case JWT_BAD_SIGNATURE:
		return "bad signature";
	case JWT_EXPIRED:
		return "expired";
	case JWT_NOT_YET:
		return "not valid yet (nbf or iat)";
	case JWT_BAD_AUDIENCE:
		return "bad audience";
	case JWT_BAD_ISSUER:
		return "bad issuer";
	case JWT_DUPLICATE:
		return "a claim or header parameter is there twice";
	case JWT_BAD_TIME:
		return "exp, nbf or iat is no time in seconds since 1970";
	}
	return "?";
}
