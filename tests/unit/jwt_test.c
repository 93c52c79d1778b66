/*
 * jwt: tokens that are good, and all the ways in which they are not. Those that
 * RFC 7515 does not give were made with node's crypto module and the secret
 * "secret".
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "codec/jwt.h"

#define GOOD                                                           \
	"eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiJhbGljZSIsImV" \
	"4cCI6NDEwMjQ0NDgwMCwiaW5mbyI6eyJuYW1lIjoiQWxpY2UifSwiY2hhbm5" \
	"lbHMiOlsibG9iYnkiXX0.04eOGUeFZnc9omyCT7wF8ru2LjJm7ZUejA8M_BU" \
	"r6pQ"
#define GOOD_BARE                                                      \
	"eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhbGljZSIsImV4cCI6NDEwMjQ0NDg" \
	"wMCwiaW5mbyI6eyJuYW1lIjoiQWxpY2UifSwiY2hhbm5lbHMiOlsibG9iYnk" \
	"iXX0.D1tQ-7J3UVg5APA638gRJSZaTwTxVXoIrrsXqsDDlUo"
#define GOOD_KID                                                       \
	"eyJraWQiOiI3IiwiYWxnIjoiSFMyNTYiLCJ0eXAiOiJhdCtqd3QifQ.e30.c" \
	"8_Dz6b9fbwkMBxQyfi3wmGcgxRkavgOFS3vcP9ljas"
#define GOOD_NULL                                                      \
	"eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiJcdTAwMDDigqw" \
	"ifQ.H9xFEhgJ8O0SPYuUXWO3N4VIpX76Mz2CYAQJ67KUm4c"

static const struct jwt_key key = {JWT_HS256, "secret", 6};

static char claims_buf[JWT_CLAIMS_MAX];

/* Verifies a token that lies in memory of its exact size. */
static enum jwt_result
verify(const struct jwt_key *with, const char *token, size_t len,
    struct json_value *claims)
{
	char *copy = malloc(len + (len == 0));
	enum jwt_result result;

	assert_non_null(copy);
	memcpy(copy, token, len);
	result = jwt_verify(with, copy, len, claims_buf, claims);
	free(copy);
	assert_true((result == JWT_OK) == (claims->type == JSON_OBJECT));
	assert_true((result == JWT_OK) == (claims->p != NULL));
	return result;
}

/* A token is good and has these claims. */
static void
assert_good(const struct jwt_key *with, const char *token, const char *text)
{
	struct json_value claims;

	assert_int_equal(verify(with, token, strlen(token), &claims), JWT_OK);
	assert_int_equal(claims.len, strlen(text));
	assert_memory_equal(claims.p, text, claims.len);
}

/* The example of RFC 7515, A.1. */
static void
test_rfc7515(void **state)
{
	static const uint8_t secret[] = {3, 35, 53, 75, 43, 15, 165, 188, 131,
	    126, 6, 101, 119, 123, 166, 143, 90, 179, 40, 230, 240, 84, 201, 40,
	    169, 15, 132, 178, 210, 80, 46, 191, 211, 251, 90, 146, 210, 6, 71,
	    239, 150, 138, 180, 195, 119, 98, 61, 34, 61, 46, 33, 114, 5, 46,
	    79, 8, 192, 205, 154, 245, 103, 208, 128, 163};
	const struct jwt_key rfc = {JWT_HS256, secret, sizeof(secret)};

	assert_good(&rfc,
	    "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJl"
	    "eHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0c"
	    "nVlfQ.dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk",
	    "{\"iss\":\"joe\",\r\n \"exp\":1300819380,\r\n "
	    "\"http://example.com/is_root\":true}");
}

/* Other good ones: without typ, with kid and an unusual typ. */
static void
test_good(void **state)
{
	static const char claims[] =
	    "{\"sub\":\"alice\",\"exp\":4102444800,"
	    "\"info\":{\"name\":\"Alice\"},\"channels\":[\"lobby\"]}";

	assert_good(&key, GOOD, claims);
	assert_good(&key, GOOD_BARE, claims);
	assert_good(&key, GOOD_KID, "{}");
	assert_good(&key, GOOD_NULL, "{\"sub\":\"\\u0000\xe2\x82\xac\"}");
}

/* What node signed, and must not be taken. */
static void
test_bad(void **state)
{
	static const struct {
		const char *what;
		enum jwt_result result;
		const char *token;
	} bad[] = {
	    {"alg none", JWT_BAD_ALGORITHM,
		"eyJhbGciOiJub25lIn0.eyJzdWIiOiJhbGljZSIsImV4cCI6NDEwMjQ0NDgw"
		"MCwiaW5mbyI6eyJuYW1lIjoiQWxpY2UifSwiY2hhbm5lbHMiOlsibG9iYnki"
		"XX0."},
	    {"alg none, signed", JWT_BAD_ALGORITHM,
		"eyJhbGciOiJub25lIn0.eyJzdWIiOiJhbGljZSIsImV4cCI6NDEwMjQ0NDgw"
		"MCwiaW5mbyI6eyJuYW1lIjoiQWxpY2UifSwiY2hhbm5lbHMiOlsibG9iYnki"
		"XX0.65cuClgfK7TnyLNYLiWWKYxWxTr4C-L39u7LP8KxQJ0"},
	    {"alg in lower case", JWT_BAD_ALGORITHM,
		"eyJhbGciOiJoczI1NiJ9.eyJzdWIiOiJhbGljZSIsImV4cCI6NDEwMjQ0NDg"
		"wMCwiaW5mbyI6eyJuYW1lIjoiQWxpY2UifSwiY2hhbm5lbHMiOlsibG9iYnk"
		"iXX0.iCgcUy12nPKXwRQ6wlCjcZX-dJzKpi2CwgjRD5ROcbc"},
	    {"alg with more after it", JWT_BAD_ALGORITHM,
		"eyJhbGciOiJIUzI1Nlx1MDAwMCJ9.eyJzdWIiOiJhbGljZSIsImV4cCI6NDE"
		"wMjQ0NDgwMCwiaW5mbyI6eyJuYW1lIjoiQWxpY2UifSwiY2hhbm5lbHMiOls"
		"ibG9iYnkiXX0.6tQYPji8_Gxelc0TIHkv2QXCWMOOUKh05LDVQL54WlU"},
	    {"HS384", JWT_BAD_ALGORITHM,
		"eyJhbGciOiJIUzM4NCIsInR5cCI6IkpXVCJ9.eyJzdWIiOiJhbGljZSIsImV"
		"4cCI6NDEwMjQ0NDgwMCwiaW5mbyI6eyJuYW1lIjoiQWxpY2UifSwiY2hhbm5"
		"lbHMiOlsibG9iYnkiXX0.r12TXXv4wQ3kj92QlrIbxeEmRHLUsZtUxdo6V1f"
		"PbEVMm0Oeghz90jqghpn3SdO8"},
	    {"HS512", JWT_BAD_ALGORITHM,
		"eyJhbGciOiJIUzUxMiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiJhbGljZSIsImV"
		"4cCI6NDEwMjQ0NDgwMCwiaW5mbyI6eyJuYW1lIjoiQWxpY2UifSwiY2hhbm5"
		"lbHMiOlsibG9iYnkiXX0.RqyXmShvIzJcvWps2jwmCS6N9Ef9UvrtBsBZkAd"
		"-Uk77AXd7NfQ2r7Paq5owKrhWhWxSBdzRhWYwZZ1anUWruQ"},
	    {"RS256 signed with our secret", JWT_BAD_ALGORITHM,
		"eyJhbGciOiJSUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiJhbGljZSIsImV"
		"4cCI6NDEwMjQ0NDgwMCwiaW5mbyI6eyJuYW1lIjoiQWxpY2UifSwiY2hhbm5"
		"lbHMiOlsibG9iYnkiXX0.nJZikbXHYa05L90ZbOnNy1I-8B8KGHQqFBOSd3s"
		"lY_w"},
	    {"the last alg counts", JWT_BAD_ALGORITHM,
		"eyJhbGciOiJIUzI1NiIsImFsZyI6Im5vbmUifQ.eyJzdWIiOiJhbGljZSIsI"
		"mV4cCI6NDEwMjQ0NDgwMCwiaW5mbyI6eyJuYW1lIjoiQWxpY2UifSwiY2hhb"
		"m5lbHMiOlsibG9iYnkiXX0.7Qm1bQksbLSL_xKYZ5mooFn0WOBxumRt2_YUl"
		"Hxd0fc"},
	    {"crit", JWT_BAD_ALGORITHM,
		"eyJhbGciOiJIUzI1NiIsImNyaXQiOlsiZXhwIl19.eyJzdWIiOiJhbGljZSI"
		"sImV4cCI6NDEwMjQ0NDgwMCwiaW5mbyI6eyJuYW1lIjoiQWxpY2UifSwiY2h"
		"hbm5lbHMiOlsibG9iYnkiXX0.SOBwK8lTD76dMp2AOpyZIVE-x1h16RP5As8"
		"iqsB8uOw"},
	    {"crit null", JWT_BAD_ALGORITHM,
		"eyJhbGciOiJIUzI1NiIsImNyaXQiOm51bGx9.eyJzdWIiOiJhbGljZSIsImV"
		"4cCI6NDEwMjQ0NDgwMCwiaW5mbyI6eyJuYW1lIjoiQWxpY2UifSwiY2hhbm5"
		"lbHMiOlsibG9iYnkiXX0.quMTpZGKZu8v1qQtBaQY8okQ2oBDYYAgpOoxgn4"
		"RTLY"},
	    {"HS512 under a header of HS256", JWT_BAD_SIGNATURE,
		"eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiJhbGljZSIsImV"
		"4cCI6NDEwMjQ0NDgwMCwiaW5mbyI6eyJuYW1lIjoiQWxpY2UifSwiY2hhbm5"
		"lbHMiOlsibG9iYnkiXX0.9e68HgLfg8lNv1poA66FgDKVtisisim6JtIIhrS"
		"1MTn340gFoxYFfqb9WmSVhUHOiPgmRj2ivzsf83zJGOiDGA"},
	    {"no signature", JWT_BAD_SIGNATURE,
		"eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiJhbGljZSIsImV"
		"4cCI6NDEwMjQ0NDgwMCwiaW5mbyI6eyJuYW1lIjoiQWxpY2UifSwiY2hhbm5"
		"lbHMiOlsibG9iYnkiXX0."},
	    {"another secret", JWT_BAD_SIGNATURE,
		"eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiJhbGljZSIsImV"
		"4cCI6NDEwMjQ0NDgwMCwiaW5mbyI6eyJuYW1lIjoiQWxpY2UifSwiY2hhbm5"
		"lbHMiOlsibG9iYnkiXX0.1H06I3-QMXwCJTeftH1IeP5Y64eDPBUPsrsBdZ_"
		"ExSQ"},
	    {"a lone letter after the claims", JWT_MALFORMED,
		"eyJhbGciOiJIUzI1NiJ9.eyB9A.FY1Y9RC_Pt1BLy6F5wk7Q1zj7__S0XC8J"
		"LAU_UNvwb8"},
	    {"no alg", JWT_MALFORMED,
		"eyJ0eXAiOiJKV1QifQ.eyJzdWIiOiJhbGljZSIsImV4cCI6NDEwMjQ0NDgwM"
		"CwiaW5mbyI6eyJuYW1lIjoiQWxpY2UifSwiY2hhbm5lbHMiOlsibG9iYnkiX"
		"X0.NYC7N52s0ju72Jt5EBJxq6f6MeUIrV9kNHyZxPh85RQ"},
	    {"alg is no string", JWT_MALFORMED,
		"eyJhbGciOjI1Nn0.eyJzdWIiOiJhbGljZSIsImV4cCI6NDEwMjQ0NDgwMCwi"
		"aW5mbyI6eyJuYW1lIjoiQWxpY2UifSwiY2hhbm5lbHMiOlsibG9iYnkiXX0."
		"AN4TSMoHyeHBySd4-c7ae0mBrrCgvZ-QMYj0JV3Rgwc"},
	    {"header is no object", JWT_MALFORMED,
		"WyJIUzI1NiJd.eyJzdWIiOiJhbGljZSIsImV4cCI6NDEwMjQ0NDgwMCwiaW5"
		"mbyI6eyJuYW1lIjoiQWxpY2UifSwiY2hhbm5lbHMiOlsibG9iYnkiXX0.4I5"
		"GUAS7iaNl8mdl_Wt_dJY7RdrCpP0PL-bitzJUsqU"},
	    {"header is no JSON", JWT_MALFORMED,
		"eyJhbGciOiJIUzI1NiIsfQ.eyJzdWIiOiJhbGljZSIsImV4cCI6NDEwMjQ0N"
		"DgwMCwiaW5mbyI6eyJuYW1lIjoiQWxpY2UifSwiY2hhbm5lbHMiOlsibG9iY"
		"nkiXX0.VQJCN4ih7kppZeToREpQQs3_rAyRXha_lTipk31AzhA"},
	    {"empty header", JWT_MALFORMED,
		".eyJzdWIiOiJhbGljZSIsImV4cCI6NDEwMjQ0NDgwMCwiaW5mbyI6eyJuYW1"
		"lIjoiQWxpY2UifSwiY2hhbm5lbHMiOlsibG9iYnkiXX0.FUfs9GkCs8B_PoC"
		"QgvfxGcOS-6zHsXg6ZFlZwRbKMqo"},
	    {"claims are no object", JWT_MALFORMED,
		"eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.WzFd.IyrhjME3jKm9nh-sqt"
		"-KFHahBbaFb4sQeAuUEroOONk"},
	    {"claims are no JSON", JWT_MALFORMED,
		"eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOmFsaWNlfQ.gD6y"
		"jKrkGvqN2EcOXYicQKwi2iHhSqIEWOMbPKxCqyM"},
	    {"claims are empty", JWT_MALFORMED,
		"eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9..F6X5eXaBMszYO1kMrujBGG"
		"w4-FTJp2Uld6Daz9v3cu4"},
	    {"claims are no UTF-8", JWT_MALFORMED,
		"eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJhIjoi_yJ9.Z7fM6d0lz9"
		"_Z7Kl93gdInvb0Gqf3QctdfZdBZClG8D0"}};
	struct json_value claims;
	enum jwt_result result;
	size_t i;

	for (i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		result =
		    verify(&key, bad[i].token, strlen(bad[i].token), &claims);
		if (result != bad[i].result)
			fail_msg(
			    "%s: %s", bad[i].what, jwt_result_name(result));
	}
}

/* Each bit of each byte matters, spare bits of base64url included. */
static void
test_flipped(void **state)
{
	static const char *const tokens[] = {GOOD, GOOD_BARE, GOOD_KID};
	struct json_value claims;
	char token[512];
	size_t i, at, len;
	int bit;

	for (i = 0; i < sizeof(tokens) / sizeof(*tokens); i++) {
		len = strlen(tokens[i]);
		memcpy(token, tokens[i], len);
		for (at = 0; at < len; at++)
			for (bit = 0; bit < 8; bit++) {
				token[at] ^= (char)(1 << bit);
				assert_int_not_equal(
				    verify(&key, token, len, &claims), JWT_OK);
				token[at] ^= (char)(1 << bit);
			}
		assert_int_equal(verify(&key, token, len, &claims), JWT_OK);
	}
}

/* The last letter of the signature has two bits to spare: all four letters
 * decode to the same bytes, one is good. */
static void
test_spare_bits(void **state)
{
	static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmn"
				      "opqrstuvwxyz0123456789-_";
	struct json_value claims;
	char token[512];
	size_t i, len = strlen(GOOD);
	int good = 0;

	memcpy(token, GOOD, len);
	for (i = 0; i < 64; i++) {
		token[len - 1] = letters[i];
		good += verify(&key, token, len, &claims) == JWT_OK;
	}
	assert_int_equal(good, 1);
}

/* Cut anywhere, or with a byte too many anywhere. */
static void
test_length(void **state)
{
	static const char more[] = {'A', '.', '=', '\0', '\n', ' ', '+', '/'};
	struct json_value claims;
	char token[512];
	size_t i, at, len = strlen(GOOD);

	for (at = 0; at < len; at++)
		assert_int_not_equal(verify(&key, GOOD, at, &claims), JWT_OK);
	for (at = 0; at <= len; at++)
		for (i = 0; i < sizeof(more); i++) {
			memcpy(token, GOOD, at);
			token[at] = more[i];
			memcpy(token + at + 1, &GOOD[at], len - at);
			assert_int_not_equal(
			    verify(&key, token, len + 1, &claims), JWT_OK);
		}
}

/* Dots alone, and tokens at the limit of size. */
static void
test_size(void **state)
{
	static const char *const dots[] = {"", ".", "..", "...", "a.b", "e30..",
	    "e30.e30", "e30.e30.", ".e30.", "..e30"};
	char token[JWT_TOKEN_MAX + 1];
	struct json_value claims;
	size_t i, dot = strcspn(GOOD, ".");

	for (i = 0; i < sizeof(dots) / sizeof(*dots); i++)
		assert_int_equal(
		    verify(&key, dots[i], strlen(dots[i]), &claims),
		    JWT_MALFORMED);
	memset(token, 'A', sizeof(token));
	assert_int_equal(
	    verify(&key, token, JWT_TOKEN_MAX, &claims), JWT_MALFORMED);
	memcpy(token, GOOD, dot + 1);
	memcpy(token + JWT_TOKEN_MAX - 44, strrchr(GOOD, '.'), 44);
	assert_int_equal(
	    verify(&key, token, JWT_TOKEN_MAX, &claims), JWT_BAD_SIGNATURE);
	token[JWT_TOKEN_MAX - 44] = 'A';
	memcpy(token + JWT_TOKEN_MAX - 43, strrchr(GOOD, '.'), 44);
	assert_int_equal(
	    verify(&key, token, JWT_TOKEN_MAX + 1, &claims), JWT_MALFORMED);
}

/* The key decides. */
static void
test_key(void **state)
{
	const struct jwt_key other = {JWT_HS256, "secret2", 7},
			     shorter = {JWT_HS256, "secret", 5},
			     empty = {JWT_HS256, "", 0},
			     unset = {0, "secret", 6};
	/* signed with the empty secret */
	static const char unkeyed[] =
	    "eyJhbGciOiJIUzI1NiJ9.e30.4E_Bsx-pJi3kOW9wVXN8CgbATwP09D9V5gx"
	    "h9-9zSZ0";
	struct json_value claims;
	size_t len = strlen(GOOD);

	assert_int_equal(verify(&other, GOOD, len, &claims), JWT_BAD_SIGNATURE);
	assert_int_equal(
	    verify(&shorter, GOOD, len, &claims), JWT_BAD_SIGNATURE);
	assert_int_equal(verify(&empty, unkeyed, strlen(unkeyed), &claims),
	    JWT_BAD_SIGNATURE);
	assert_int_equal(verify(&unset, GOOD, len, &claims), JWT_BAD_ALGORITHM);
}

/* What is said of some claims at a time. */
static enum jwt_result
check(const char *text, double now, const char *audience, const char *issuer,
    int64_t *expires)
{
	struct json_value claims;

	assert_true(json_validate(text, strlen(text), &claims));
	return jwt_check_claims(
	    claims, &(struct jwt_terms){now, 0, audience, issuer}, expires);
}

/* check() where only times matter. */
static enum jwt_result
check_times(const char *text, double now)
{
	int64_t expires;

	return check(text, now, NULL, NULL, &expires);
}

/* exp, nbf, iat. */
static void
test_times(void **state)
{
	int64_t expires;

	assert_int_equal(check_times("{}", 1000), JWT_OK);
	assert_int_equal(check_times("{\"exp\":1001}", 1000), JWT_OK);
	assert_int_equal(check_times("{\"exp\":1000}", 1000), JWT_EXPIRED);
	assert_int_equal(check_times("{\"exp\":1000}", 1000.5), JWT_EXPIRED);
	assert_int_equal(check_times("{\"exp\":1000.5}", 1000.25), JWT_OK);
	assert_int_equal(check_times("{\"exp\":1000.5}", 1000.75), JWT_EXPIRED);
	assert_int_equal(check_times("{\"exp\":1e3}", 1000), JWT_EXPIRED);
	assert_int_equal(check_times("{\"exp\":0}", 1000), JWT_EXPIRED);
	assert_int_equal(check_times("{\"exp\":-5}", 1000), JWT_EXPIRED);
	assert_int_equal(check_times("{\"exp\":null}", 1000), JWT_OK);
	assert_int_equal(check_times("{\"EXP\":1}", 1000), JWT_OK);

	assert_int_equal(check_times("{\"nbf\":1000}", 1000), JWT_OK);
	assert_int_equal(check_times("{\"nbf\":1001}", 1000), JWT_NOT_YET);
	assert_int_equal(check_times("{\"nbf\":1000.5}", 1000), JWT_NOT_YET);
	assert_int_equal(
	    check_times("{\"nbf\":900,\"exp\":1100}", 1000), JWT_OK);
	assert_int_equal(
	    check_times("{\"nbf\":1200,\"exp\":900}", 1000), JWT_EXPIRED);
	assert_int_equal(check_times("{\"iat\":1000}", 1000), JWT_OK);
	assert_int_equal(check_times("{\"iat\":1001}", 1000), JWT_NOT_YET);

	assert_int_equal(check_times("{\"exp\":\"2000\"}", 1), JWT_BAD_TIME);
	assert_int_equal(check_times("{\"exp\":true}", 1), JWT_BAD_TIME);
	assert_int_equal(check_times("{\"exp\":1e999}", 1), JWT_BAD_TIME);
	assert_int_equal(check_times("{\"exp\":1e300}", 1), JWT_BAD_TIME);
	assert_int_equal(check_times("{\"exp\":-1e300}", 1), JWT_BAD_TIME);
	assert_int_equal(check_times("{\"nbf\":[1]}", 1), JWT_BAD_TIME);
	assert_int_equal(check_times("{\"nbf\":-1e30}", 1), JWT_BAD_TIME);
	assert_int_equal(check_times("{\"iat\":{}}", 1), JWT_BAD_TIME);

	assert_int_equal(check("{}", 1, NULL, NULL, &expires), JWT_OK);
	assert_int_equal(expires, 0);
	assert_int_equal(
	    check("{\"exp\":99.75}", 1, NULL, NULL, &expires), JWT_OK);
	assert_int_equal(expires, 99);
	assert_int_equal(
	    check("{\"exp\":253402300799}", 1, NULL, NULL, &expires), JWT_OK);
	assert_true(expires == 253402300799);
	assert_int_equal(
	    check("{\"exp\":-9}", 1, NULL, NULL, &expires), JWT_EXPIRED);
	assert_int_equal(expires, 0);
}

/* Clocks may differ by the leeway, in both directions. */
static void
test_leeway(void **state)
{
	static const struct {
		const char *claims;
		enum jwt_result result;
	} cases[] = {{"{\"exp\":991}", JWT_OK}, {"{\"exp\":990}", JWT_EXPIRED},
	    {"{\"nbf\":1010}", JWT_OK}, {"{\"nbf\":1010.5}", JWT_NOT_YET},
	    {"{\"iat\":1010}", JWT_OK}, {"{\"iat\":1011}", JWT_NOT_YET}};
	const struct jwt_terms terms = {1000, 10, NULL, NULL};
	struct json_value claims;
	int64_t expires;
	size_t i;

	for (i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		assert_true(json_validate(
		    cases[i].claims, strlen(cases[i].claims), &claims));
		if (jwt_check_claims(claims, &terms, &expires) !=
		    cases[i].result)
			fail_msg("%s", cases[i].claims);
	}
}

/* aud and iss. */
static void
test_for(void **state)
{
	static const struct {
		const char *claims, *audience, *issuer;
		enum jwt_result result;
	} cases[] = {{"{}", NULL, NULL, JWT_OK}, {"{}", "", "", JWT_OK},
	    {"{\"aud\":7,\"iss\":[]}", NULL, NULL, JWT_OK},
	    {"{\"aud\":\"chatd\"}", "chatd", NULL, JWT_OK},
	    {"{\"aud\":[\"a\",\"chatd\"]}", "chatd", NULL, JWT_OK},
	    {"{\"aud\":\"\\u0063hatd\"}", "chatd", NULL, JWT_OK},
	    {"{\"aud\":\"Chatd\"}", "chatd", NULL, JWT_BAD_AUDIENCE},
	    {"{\"aud\":\"chatd2\"}", "chatd", NULL, JWT_BAD_AUDIENCE},
	    {"{\"aud\":[\"a\",\"b\"]}", "chatd", NULL, JWT_BAD_AUDIENCE},
	    {"{\"aud\":[[\"chatd\"]]}", "chatd", NULL, JWT_BAD_AUDIENCE},
	    {"{\"aud\":{\"chatd\":\"chatd\"}}", "chatd", NULL,
		JWT_BAD_AUDIENCE},
	    {"{\"aud\":[]}", "chatd", NULL, JWT_BAD_AUDIENCE},
	    {"{\"aud\":null}", "chatd", NULL, JWT_BAD_AUDIENCE},
	    {"{}", "chatd", NULL, JWT_BAD_AUDIENCE},
	    {"{\"iss\":\"joe\"}", NULL, "joe", JWT_OK},
	    {"{\"iss\":\"joey\"}", NULL, "joe", JWT_BAD_ISSUER},
	    {"{\"iss\":[\"joe\"]}", NULL, "joe", JWT_BAD_ISSUER},
	    {"{}", NULL, "joe", JWT_BAD_ISSUER},
	    {"{\"iss\":\"joe\",\"aud\":\"chatd\"}", "chatd", "joe", JWT_OK}};
	int64_t expires;
	size_t i;

	for (i = 0; i < sizeof(cases) / sizeof(*cases); i++)
		if (check(cases[i].claims, 1, cases[i].audience,
			cases[i].issuer, &expires) != cases[i].result)
			fail_msg("%s", cases[i].claims);
}

/* Every result has its word. */
static void
test_name(void **state)
{
	int i;

	for (i = JWT_OK; i <= JWT_BAD_TIME; i++)
		assert_string_not_equal(jwt_result_name(i), "?");
	assert_string_equal(jwt_result_name(i), "?");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_rfc7515),
	    cmocka_unit_test(test_good),
	    cmocka_unit_test(test_bad),
	    cmocka_unit_test(test_flipped),
	    cmocka_unit_test(test_spare_bits),
	    cmocka_unit_test(test_length),
	    cmocka_unit_test(test_size),
	    cmocka_unit_test(test_key),
	    cmocka_unit_test(test_times),
	    cmocka_unit_test(test_leeway),
	    cmocka_unit_test(test_for),
	    cmocka_unit_test(test_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
