/* token: what a connection of the centrifugo door may show, to connect and to
 * subscribe, in every bad shape that a token may have. Signed here, so that
 * each is bad in one way alone. */
#include "chat_fixture.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdio.h>

#include "../../src/door/centrifugo/centrifugo.h"
#include "base/log.h"
#include "codec/jwt.h"

#define KEY_TEXT "0123456789abcdef0123456789abcdef"
#define HS256 "{\"alg\":\"HS256\",\"typ\":\"JWT\"}"
#define GOOD "{\"sub\":\"alice\",\"exp\":@600}"

/* How the three parts become a token. */
enum token_form {
	SIGNED,
	UNSIGNED, /* nothing behind the second dot */
	NO_SECOND_DOT,
	FOUR_PARTS,
	EMPTY_KEY,
	HMAC_SHA512,
	STANDARD_BASE64, /* + and / */
	SPARE_BIT,	 /* of the last letter, which belongs to no byte */
	APPENDED,	 /* `claims` behind a good token */
	PREPENDED,
	LITERAL /* `claims` is all */
};

struct token_case {
	const char *what;
	enum token_form form;
	const char *header, *claims; /* @N: now + N seconds */
	enum centrifugo_error result;
};

static struct hub hub;
static struct node *node;
static struct command command;
static char token[JWT_TOKEN_MAX * 2];
static const uint64_t base_s = 1800000000;

/* Appends base64url. */
static size_t
encode(char *out, const void *bytes, size_t len, bool standard)
{
	const char *letters = standard
	    ? "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
	    : "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-"
	      "_";
	const uint8_t *in = bytes;
	uint32_t bits = 0;
	size_t n = 0, i;
	unsigned have = 0;

	for (i = 0; i < len; i++) {
		bits = bits << 8 | in[i];
		for (have += 8; have >= 6; have -= 6)
			out[n++] = letters[bits >> (have - 6) & 63];
	}
	if (have > 0)
		out[n++] = letters[bits << (6 - have) & 63];
	return n;
}

/* Copies claims with their times filled in. */
static size_t
fill_times(const char *from, char *out)
{
	char *at = out, *end;
	long offset;

	for (; *from != '\0'; from++)
		if (*from == '@') {
			offset = strtol(from + 1, &end, 10);
			at += sprintf(at, "%lld", (long long)base_s + offset);
			from = end - 1;
		} else
			*at++ = *from;
	*at = '\0';
	return (size_t)(at - out);
}

/* Appends a part. */
static size_t
put_part(size_t n, const char *text, enum token_form form)
{
	static char filled[JWT_TOKEN_MAX];
	size_t len = fill_times(text, filled);

	return n + encode(token + n, filled, len, form == STANDARD_BASE64);
}

/* Appends the signature. */
static size_t
put_signature(size_t n, enum token_form form)
{
	unsigned char mac[EVP_MAX_MD_SIZE];
	unsigned len = 0;

	HMAC(form == HMAC_SHA512 ? EVP_sha512() : EVP_sha256(), KEY_TEXT,
	    form == EMPTY_KEY ? 0 : (int)strlen(KEY_TEXT),
	    (const unsigned char *)token, n, mac, &len);
	token[n++] = '.';
	return n + encode(token + n, mac, len, form == STANDARD_BASE64);
}

/* Makes a token. */
static size_t
token_make(const struct token_case *t)
{
	bool own = t->form != APPENDED && t->form != PREPENDED;
	size_t n = 0, extra = own ? 0 : strlen(t->claims);

	if (t->form == LITERAL) {
		strcpy(token, t->claims);
		return strlen(token);
	}
	n = put_part(n, t->header, t->form);
	token[n++] = '.';
	n = put_part(n, own ? t->claims : GOOD, t->form);
	if (t->form == NO_SECOND_DOT)
		return n;
	if (t->form == UNSIGNED) {
		token[n++] = '.';
		return n;
	}
	n = put_signature(n, t->form);
	if (t->form == SPARE_BIT)
		token[n - 1]++;
	if (t->form == FOUR_PARTS) {
		memcpy(token + n, ".x", 2);
		n += 2;
	} else if (t->form == APPENDED)
		memcpy(token + n, t->claims, extra);
	else if (t->form == PREPENDED) {
		memmove(token + extra, token, n);
		memcpy(token, t->claims, extra);
	}
	return n + extra;
}

/* What is said of a token that is shown. */
static enum centrifugo_error
show(const struct token_case *t, enum token_use use, struct claims *claims)
{
	static char text[sizeof(token) + 2];
	struct json_value v;
	size_t n = token_make(t);

	text[0] = '"';
	memcpy(text + 1, token, n);
	text[n + 1] = '"';
	assert_true(json_validate(text, n + 2, &v));
	return token_read(&command, v, use, claims);
}

#define BAD C_END_INVALID_TOKEN
#define LATE C_TOKEN_EXPIRED
#define ALG(a)                                                               \
	{"alg " a " unsigned", UNSIGNED, "{\"alg\":\"" a "\"}", GOOD, BAD},  \
	{                                                                    \
		"alg " a " signed", SIGNED, "{\"alg\":\"" a "\"}", GOOD, BAD \
	}
#define EXP(e, result)                                                        \
	{                                                                     \
		"exp " e, SIGNED, HS256, "{\"sub\":\"alice\",\"exp\":" e "}", \
		    result                                                    \
	}
#define CLAIMS(what, claims, result)                \
	{                                           \
		what, SIGNED, HS256, claims, result \
	}
#define HEADER(what, header, result)               \
	{                                          \
		what, SIGNED, header, GOOD, result \
	}

#define TEN(x) x x x x x x x x x x
#define HUNDRED(x) TEN(TEN(x))
#define THOUSAND(x) TEN(HUNDRED(x))
#define X65                                      \
	"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa" \
	"aaaaaaaaaaaaaaaaaaaaaaaaaaa"

static const struct token_case connects[] = {
    {"good", SIGNED, HS256, GOOD, C_OK},
    ALG("none"),
    ALG("None"),
    ALG("NONE"),
    ALG("nOnE"),
    ALG("HS384"),
    ALG("HS512"),
    ALG("RS256"),
    ALG("ES256"),
    ALG("EdDSA"),
    ALG("hs256"),
    ALG(""),
    ALG("HS256 "),
    ALG("HS256\\u0000"),
    {"alg HS256 unsigned", UNSIGNED, HS256, GOOD, BAD},
    {"alg HS512 with its MAC", HMAC_SHA512, "{\"alg\":\"HS512\"}", GOOD, BAD},
    {"the MAC of HS512", HMAC_SHA512, HS256, GOOD, BAD},
    {"no second dot", NO_SECOND_DOT, HS256, GOOD, BAD},
    {"four parts", FOUR_PARTS, HS256, GOOD, BAD},
    {"empty", LITERAL, "", "", BAD},
    {"dots", LITERAL, "", "..", BAD},
    {"empty key", EMPTY_KEY, HS256, GOOD, BAD},
    {"= behind", APPENDED, HS256, "=", BAD},
    {"line break behind", APPENDED, HS256, "\\n", BAD},
    {"blank in front", PREPENDED, HS256, " ", BAD},
    {"standard base64", STANDARD_BASE64, HS256,
	"{\"sub\":\"alice\",\"exp\":@601,\"x\":\"\u00ff\u00fe?\?>>\"}", BAD},
    {"spare bit", SPARE_BIT, HS256, GOOD, BAD},
    HEADER("alg none, then HS256", "{\"alg\":\"none\",\"alg\":\"HS256\"}", BAD),
    HEADER("alg HS256, then none", "{\"alg\":\"HS256\",\"alg\":\"none\"}", BAD),
    HEADER("alg twice the same", "{\"alg\":\"HS256\",\"alg\":\"HS256\"}", BAD),
    HEADER("kid twice", "{\"alg\":\"HS256\",\"kid\":1,\"kid\":2}", BAD),
    CLAIMS(
	"sub twice", "{\"sub\":\"bob\",\"sub\":\"alice\",\"exp\":@600}", BAD),
    CLAIMS("exp past and future", "{\"sub\":\"alice\",\"exp\":1,\"exp\":@600}",
	BAD),
    CLAIMS("exp future and past", "{\"sub\":\"alice\",\"exp\":@600,\"exp\":1}",
	BAD),
    CLAIMS("sub twice, once with an escape",
	"{\"sub\":\"bob\",\"s\\u0075b\":\"alice\",\"exp\":@600}", BAD),
    CLAIMS("twice what nobody reads", "{\"x\":1,\"y\":2,\"x\":1}", BAD),
    CLAIMS("twice below the claims", "{\"info\":{\"x\":1,\"x\":2}}", C_OK),
    EXP("1e999", BAD),
    EXP("1e30", BAD),
    EXP("9223372036854775808", BAD),
    EXP("18446744073709551616", BAD),
    EXP("1800000600000", BAD), /* milliseconds */
    EXP("253402300800", BAD),
    EXP("253402300799", C_OK),
    EXP("1e10", C_OK),
    EXP("-1", LATE),
    EXP("0", LATE),
    EXP("-1e30", BAD),
    EXP("-1e400", BAD),
    EXP("1e-400", LATE),
    EXP("@600.5", C_OK),
    EXP("\"@600\"", BAD),
    EXP("null", C_OK), /* as absent */
    EXP("true", BAD),
    EXP("[]", BAD),
    EXP("{}", BAD),
    EXP("NaN", BAD),
    EXP("Infinity", BAD),
    EXP("00@600", BAD),
    EXP("@-9", C_OK), /* clocks may differ by 10 s */
    EXP("@-10", LATE),
    EXP("@-11", LATE),
    CLAIMS("no exp", "{\"sub\":\"alice\"}", C_OK),
    CLAIMS("nbf in the future", "{\"sub\":\"alice\",\"nbf\":@100}", LATE),
    CLAIMS("nbf within the leeway", "{\"sub\":\"alice\",\"nbf\":@10}", C_OK),
    CLAIMS("nbf behind the leeway", "{\"sub\":\"alice\",\"nbf\":@11}", LATE),
    CLAIMS("iat in the future", "{\"sub\":\"alice\",\"iat\":@9999999}", LATE),
    CLAIMS("iat within the leeway", "{\"sub\":\"alice\",\"iat\":@10}", C_OK),
    CLAIMS("iat behind the leeway", "{\"sub\":\"alice\",\"iat\":@11}", LATE),
    CLAIMS("nbf is a string", "{\"sub\":\"alice\",\"nbf\":\"x\"}", BAD),
    HEADER("crit", "{\"alg\":\"HS256\",\"crit\":[\"exp\"]}", BAD),
    HEADER("kid with a path", "{\"alg\":\"HS256\",\"kid\":\"../../dev/null\"}",
	C_OK),
    HEADER("empty kid", "{\"alg\":\"HS256\",\"kid\":\"\"}", C_OK),
    HEADER("jwk", "{\"alg\":\"HS256\",\"jwk\":{\"k\":\"AA\"}}", C_OK),
    HEADER("b64 false", "{\"alg\":\"HS256\",\"b64\":false}", C_OK),
    CLAIMS("sub with NUL", "{\"sub\":\"ali\\u0000ce\"}", BAD),
    CLAIMS("sub of 65 bytes", "{\"sub\":\"" X65 "\"}", C_OK),
    CLAIMS("sub of 260 bytes", "{\"sub\":\"" X65 X65 X65 X65 "\"}", BAD),
    CLAIMS("sub is a number", "{\"sub\":1}", BAD),
    CLAIMS("sub is true", "{\"sub\":true}", BAD),
    CLAIMS("sub begins with #", "{\"sub\":\"#x\"}", BAD),
    CLAIMS("sub is empty", "{\"sub\":\"\"}", C_OK),
    CLAIMS("no sub", "{\"exp\":@600}", C_OK),
    CLAIMS("sub with half a pair", "{\"sub\":\"a\\ud800\"}", BAD),
    CLAIMS("sub with the other half", "{\"sub\":\"\\udc00a\"}", BAD),
    CLAIMS("sub with two first halves", "{\"sub\":\"\\ud800\\ud800\"}", BAD),
    CLAIMS("sub with a whole pair", "{\"sub\":\"\\ud83d\\ude00\"}", C_OK),
    CLAIMS("sub with U+FFFD", "{\"sub\":\"a\\ufffd\"}", C_OK),
    CLAIMS("sub with a line break", "{\"sub\":\"a\\nb\"}", BAD),
    CLAIMS("sub *server*", "{\"sub\":\"*server*\"}", C_OK),
    CLAIMS("sub with ESC", "{\"sub\":\"\\u001b[31m\"}", BAD),
    CLAIMS("sub with U+202E", "{\"sub\":\"\\u202ebob\"}", C_OK),
    CLAIMS("sub not in NFC", "{\"sub\":\"a\\u0308\"}", C_OK),
    CLAIMS("sub as Matrix has it", "{\"sub\":\"@bob:example.org\"}", C_OK),
    CLAIMS("sub with blanks and quotes", "{\"sub\":\" \\\"a \"}", C_OK),
    CLAIMS("over 4 KiB", "{\"sub\":\"alice\",\"x\":\"" THOUSAND("yyyy") "\"}",
	C_OK),
    CLAIMS("over token-size",
	"{\"sub\":\"alice\",\"x\":\"" THOUSAND("yyyyyyyy") "\"}", BAD),
    CLAIMS("40 KB", "{\"sub\":\"alice\",\"x\":\"" TEN(THOUSAND("yyyy")) "\"}",
	BAD),
    CLAIMS("info over what is kept",
	"{\"sub\":\"alice\",\"info\":\"" THOUSAND("zz") "\"}", BAD),
    CLAIMS("too deep",
	"{\"sub\":\"alice\",\"x\":" HUNDRED("[") HUNDRED("]") "}", BAD),
    CLAIMS("text behind the claims", "{\"sub\":\"alice\"} x", BAD),
    CLAIMS("claims are an array", "[1]", BAD),
    CLAIMS("a BOM", "\ufeff{\"sub\":\"alice\"}", BAD),
    CLAIMS("a subscription's",
	"{\"sub\":\"alice\",\"channel\":\"room:1\",\"exp\":@600}", BAD),
    CLAIMS(
	"with an empty channel", "{\"sub\":\"alice\",\"channel\":\"\"}", BAD),
    CLAIMS("with channel null", "{\"sub\":\"alice\",\"channel\":null}", C_OK),
    CLAIMS("channels", "{\"sub\":\"alice\",\"channels\":[\"#bob\",\"lobby\"]}",
	C_OK),
};

/* Each way to be bad. */
static void
test_connect(void **state)
{
	static struct claims claims;
	enum centrifugo_error r;
	size_t i;

	for (i = 0; i < sizeof(connects) / sizeof(*connects); i++) {
		r = show(&connects[i], TOKEN_CONNECTS, &claims);
		if (r != connects[i].result)
			fail_msg("%s: %d", connects[i].what, (int)r);
	}
	assert_true(i >= 92);
}

/* A subscription's token is taken where it belongs. */
static void
test_subscribe(void **state)
{
	static const struct token_case room = CLAIMS("a subscription's",
	    "{\"sub\":\"alice\",\"channel\":\"room:1\",\"exp\":@600}", C_OK);
	static struct claims claims;

	assert_int_equal(show(&room, TOKEN_SUBSCRIBES, &claims), C_OK);
	assert_int_equal(claims.user_len, 5);
	assert_int_equal(show(&connects[0], TOKEN_SUBSCRIBES, &claims), C_OK);
}

/* The two keys. */
static void
test_limits(void **state)
{
	static const struct token_case late = EXP("@-40", C_OK),
				       large = CLAIMS("large",
					   "{\"sub\":\"alice\",\"x\":\"" TEN(
					       THOUSAND("yyyy")) "\"}",
					   C_OK);
	struct conf_live *live = &node->ch.live;
	static struct claims claims;

	assert_int_equal(show(&late, TOKEN_CONNECTS, &claims), LATE);
	live->token_leeway_ms = 41000;
	assert_int_equal(show(&late, TOKEN_CONNECTS, &claims), C_OK);
	live->token_leeway_ms = 0;
	live->token_size = 65536;
	assert_int_equal(show(&large, TOKEN_CONNECTS, &claims), C_OK);
	live->token_leeway_ms = 10000;
	live->token_size = 8192;
}

/* A worker with a connection that has not connected yet. */
static int
begin(void **state)
{
	static int client;

	(void)log_open(LOG_TO_FILE, "/dev/null");
	fixture_hub(&hub, 64, 100, 1 << 20, 4 << 20, 1 << 20);
	node = node_new(&hub, 0);
	strcpy(node->ch.live.token_key, KEY_TEXT);
	node->ch.live.token_leeway_ms = 10000;
	node->ch.live.token_size = 8192;
	command = (struct command){.ch = &node->ch, .id = 1};
	command.conn = node_open_at(node, &centrifugo_door, "", &client);
	node->ch.wall_ms = (int64_t)base_s * 1000;
	return 0;
}

static int
end(void **state)
{
	hub_destroy(&hub);
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_connect),
	    cmocka_unit_test(test_subscribe),
	    cmocka_unit_test(test_limits),
	};

	return cmocka_run_group_tests(tests, begin, end);
}
