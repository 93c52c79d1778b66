/*
 * jwt_fuzz: bytes as a token, and as the claims of a token with a good
 * signature, which is good if and only if they are an object, and bad once any
 * of its bytes is another.
 */
#include "fuzz.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "codec/jwt.h"

static const struct jwt_key key = {JWT_HS256, "secret", 6};

static char claims_buf[JWT_CLAIMS_MAX];

/* Appends base64url; returns where it ends. */
static char *
encode(char *out, const uint8_t *in, size_t len)
{
	static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmn"
				      "opqrstuvwxyz0123456789-_";
	uint32_t three;
	size_t i;
	int left;

	for (i = 0; i < len; i += 3) {
		left = len - i < 3 ? (int)(len - i) : 3;
		three = (uint32_t)in[i] << 16;
		if (left > 1)
			three |= (uint32_t)in[i + 1] << 8;
		if (left > 2)
			three |= in[i + 2];
		*out++ = letters[three >> 18];
		*out++ = letters[three >> 12 & 63];
		if (left > 1)
			*out++ = letters[three >> 6 & 63];
		if (left > 2)
			*out++ = letters[three & 63];
	}
	return out;
}

/* Makes a token with these claims; returns its length. */
static size_t
sign(char *token, const uint8_t *claims, size_t len)
{
	static const char head[] = "eyJhbGciOiJIUzI1NiJ9.";
	uint8_t mac[EVP_MAX_MD_SIZE];
	unsigned mac_len;
	char *p = token + sizeof(head) - 1;

	memcpy(token, head, sizeof(head) - 1);
	p = encode(p, claims, len);
	HMAC(EVP_sha256(), key.secret, (int)key.secret_len,
	    (const unsigned char *)token, (size_t)(p - token), mac, &mac_len);
	*p++ = '.';
	return (size_t)(encode(p, mac, mac_len) - token);
}

/* Whether an object has more members, or longer names, than are compared. */
static bool
has_too_many(struct json_value object)
{
	struct json_iter iter = json_iter(object, JSON_OBJECT);
	struct json_value name, value;
	size_t n = 0;

	while (json_next_member(&iter, &name, &value))
		if (++n > JWT_MEMBERS_MAX || name.len > 256)
			return true;
	return false;
}

/* Judges claims that may be anything. */
static void
require_claims(struct json_value claims)
{
	const struct jwt_terms terms = {1.5e9, 10, "chatd", "joe"};
	char user[NAME_SIGNED_MAX];
	enum jwt_result result;
	int64_t expires;
	size_t len;

	if (jwt_subject(claims, user, &len) == NULL)
		REQUIRE(len <= sizeof(user) && (len == 0 || user[0] != '#'));
	result = jwt_check_claims(claims, &terms, &expires);
	REQUIRE(jwt_result_name(result)[0] != '?');
	REQUIRE(result != JWT_BAD_SIGNATURE && result != JWT_BAD_ALGORITHM);
	REQUIRE(expires >= 0);
	REQUIRE(result != JWT_OK || expires == 0 || expires >= 1500000000 - 10);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct json_value claims, direct;
	enum jwt_result result;
	size_t len, at;
	char *token;
	bool object;

	result =
	    jwt_verify(&key, (const char *)data, size, claims_buf, &claims);
	REQUIRE((result == JWT_OK) == (claims.type == JSON_OBJECT));
	REQUIRE(result <= JWT_BAD_SIGNATURE || result == JWT_DUPLICATE);
	if (result == JWT_OK) {
		REQUIRE(claims.p >= claims_buf &&
		    claims.p + claims.len <= claims_buf + sizeof(claims_buf));
		require_claims(claims);
	}

	token = malloc(size * 4 / 3 + 128);
	len = sign(token, data, size);
	object = json_validate((const char *)data, size, &direct) &&
	    direct.type == JSON_OBJECT;
	result = jwt_verify(&key, token, len, claims_buf, &claims);
	REQUIRE((result == JWT_OK || result == JWT_DUPLICATE) ==
		(object && len <= JWT_TOKEN_MAX) ||
	    has_too_many(direct));
	REQUIRE(result == JWT_OK || result == JWT_MALFORMED ||
	    result == JWT_DUPLICATE);
	if (result == JWT_OK) {
		REQUIRE(claims.len == direct.len);
		REQUIRE(memcmp(claims.p, direct.p, claims.len) == 0);
		require_claims(claims);
		at = (size * 7 + data[size / 2]) % len;
		token[at] ^= (char)(1 << data[size / 3] % 8);
		REQUIRE(jwt_verify(&key, token, len, claims_buf, &claims) !=
		    JWT_OK);
	}
	free(token);
	return 0;
}
