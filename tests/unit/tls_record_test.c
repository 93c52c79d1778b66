/* tls_record: the vectors of RFC 8448, what is sealed against libcrypto's own
 * derivation and records by the letter (tls_forge_fixture.h), and each
 * malformed one.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <openssl/core_names.h>
#include <openssl/kdf.h>
#include <openssl/params.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "codec/tls.h"
#include "tls_forge_fixture.h"

enum { NUMBER = 0x010203 };

/* Bytes from hexadecimal digits; returns how many. */
static size_t
unhex(const char *hex, uint8_t *out)
{
	unsigned byte;
	size_t n;

	for (n = 0; hex[2 * n] != '\0'; n++) {
		assert_int_equal(sscanf(hex + 2 * n, "%2x", &byte), 1);
		out[n] = (uint8_t)byte;
	}
	return n;
}

/* RFC 8448 3: each side's secret, key and iv, and its records behind the
 * handshake; the next secrets are Botan's. */
static const struct side {
	const char *secret, *key, *iv, *next;
	uint64_t number; /* of its data; the alert is the next one */
	const char *data, *alert;
} sides[] = {
    {"9e40646ce79a7f9dc05af8889bce6552875afa0b06df0087f792ebb7c17504a5",
	"17422dda596ed5d9acd890e3c63f5051", "5b78923dee08579033e523d9",
	"fcdfcc72725aaee48bf64e4fd8b749cdbdbab39d90da0b26e2245ca6ea167207", 0,
	"1703030043a23f7054b62c94d0affafe8228ba55cbefacea42f914aa66bcab3f2b98"
	"19a8a5b46b395bd54a9a20441e2b62974e1f5a6292a2977014bd1e3deae63aeebb21"
	"694915e4",
	"1703030013c9872760655666b74d7ff1153efd6db6d0b0e3"},
    {"a11af9f05531f856ad47116b45a950328204b4f44bfb6b3a4b4f1f3fcb631643",
	"9f02283b6c9c07efc26bb9f2ac92e356", "cf782b88dd83549aadf1e984",
	"51921b8aa3001976eb401d0a4319a8516416a6c56001a357e5d162031e84f916", 1,
	"17030300432e937e11ef4ac740e538ad36005fc4a46932fc3225d05f82aa1b36e30e"
	"faf97d90e6dffc602dcb501a59a8fcc49c4bf2e5f0a21c0047c2abf332540dd032e1"
	"67c2955d",
	"1703030013b58fd67166ebf599d24720cfbe7efa7a8864a9"}};

/* A record of the RFC opens to its plaintext, and is what sealing that gives.
 */
static void
vector_check(const struct tls_key *key, uint64_t number, const char *hex,
    enum tls_type type, const uint8_t *plain, size_t len)
{
	uint8_t record[TLS_RECORD_MAX], out[TLS_RECORD_MAX];
	const size_t n = unhex(hex, record);
	size_t got;

	assert_int_equal(tls_record_length(TLS_AES_128, record, n), (ssize_t)n);
	assert_int_equal(
	    tls_open(TLS_AES_128, key, number, record, n, out, &got), type);
	assert_int_equal(got, len);
	assert_memory_equal(out, plain, len);
	assert_int_equal(tls_seal(TLS_AES_128, key, number, 0, (uint8_t)type,
			     plain, len, out),
	    (ssize_t)n);
	assert_memory_equal(out, record, n);
}

static void
test_vectors(void **state)
{
	static const uint8_t close_notify[] = {1, TLS_CLOSE_NOTIFY};
	uint8_t secret[TLS_SECRET_MAX] = {0}, want[TLS_SECRET_MAX] = {0};
	uint8_t next[TLS_SECRET_MAX], plain[50];
	struct tls_key key;

	for (size_t k = 0; k < sizeof(plain); k++)
		plain[k] = (uint8_t)k;
	for (size_t i = 0; i < 2; i++) {
		const struct side *s = &sides[i];

		unhex(s->secret, secret);
		assert_int_equal(tls_key_of(TLS_AES_128, secret, &key), 0);
		memset(want, 0, sizeof(want));
		unhex(s->key, want);
		assert_memory_equal(key.key, want, sizeof(key.key));
		unhex(s->iv, want);
		assert_memory_equal(key.iv, want, sizeof(key.iv));
		memset(want, 0, sizeof(want));
		unhex(s->next, want);
		memset(next, 0xff, sizeof(next));
		assert_int_equal(tls_secret_next(TLS_AES_128, secret, next), 0);
		assert_memory_equal(next, want, sizeof(next));
		vector_check(
		    &key, s->number, s->data, TLS_DATA, plain, sizeof(plain));
		vector_check(&key, s->number + 1, s->alert, TLS_ALERT,
		    close_notify, sizeof(close_notify));
	}
}

/* HKDF-Expand-Label by libcrypto's derivation of TLS 1.3. */
static void
expand(const struct tls_suite *s, const uint8_t *secret, const char *label,
    uint8_t *out, size_t n)
{
	int mode = EVP_KDF_HKDF_MODE_EXPAND_ONLY;
	OSSL_PARAM params[] = {
	    OSSL_PARAM_construct_int(OSSL_KDF_PARAM_MODE, &mode),
	    OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST,
		(char *)(s->hash == 48 ? "SHA384" : "SHA256"), 0),
	    OSSL_PARAM_construct_octet_string(
		OSSL_KDF_PARAM_KEY, (void *)secret, s->hash),
	    OSSL_PARAM_construct_octet_string(
		OSSL_KDF_PARAM_PREFIX, (void *)"tls13 ", 6),
	    OSSL_PARAM_construct_octet_string(
		OSSL_KDF_PARAM_LABEL, (void *)label, strlen(label)),
	    OSSL_PARAM_construct_end()};
	EVP_KDF *kdf = EVP_KDF_fetch(NULL, "TLS13-KDF", NULL);
	EVP_KDF_CTX *c = EVP_KDF_CTX_new(kdf);

	assert_int_equal(EVP_KDF_derive(c, out, n, params), 1);
	EVP_KDF_CTX_free(c);
	EVP_KDF_free(kdf);
}

/* Keys, and the secret behind a KeyUpdate, of each suite. */
static void
test_derive(void **state)
{
	uint8_t secret[TLS_SECRET_MAX], next[TLS_SECRET_MAX];
	uint8_t want[TLS_SECRET_MAX];
	struct tls_key key;

	for (size_t k = 0; k < sizeof(secret); k++)
		secret[k] = (uint8_t)(k * 41 + 3);
	for (uint8_t suite = 1; suite < TLS_SUITES; suite++) {
		const struct tls_suite *s = tls_suite(suite);

		memset(&key, 0xff, sizeof(key));
		assert_int_equal(tls_key_of(suite, secret, &key), 0);
		memset(want, 0, sizeof(want));
		if (s->old) {
			memcpy(want, secret, s->key);
			assert_memory_equal(key.key, want, sizeof(key.key));
			assert_memory_equal(key.iv, secret + 32, 12);
			assert_int_equal(
			    tls_secret_next(suite, secret, next), -1);
			continue;
		}
		expand(s, secret, "key", want, s->key);
		assert_memory_equal(key.key, want, sizeof(key.key));
		expand(s, secret, "iv", want, sizeof(key.iv));
		assert_memory_equal(key.iv, want, sizeof(key.iv));
		memset(want, 0, sizeof(want));
		expand(s, secret, "traffic upd", want, s->hash);
		assert_int_equal(tls_secret_next(suite, secret, next), 0);
		assert_memory_equal(next, want, sizeof(next));
	}
	for (int suite = TLS_SUITES; suite <= 256; suite++) { /* 256: 0 */
		const uint8_t none = (uint8_t)suite;

		assert_null(tls_suite(none));
		assert_int_equal(tls_key_of(none, secret, &key), -1);
		assert_int_equal(tls_secret_next(none, secret, next), -1);
	}
}

/* What IANA calls them: each of ours, and their neighbours in CBC or with
 * another exchange of keys. */
static void
test_find(void **state)
{
	static const struct {
		uint16_t iana;
		uint8_t suite;
	} known[] = {{0x1301, TLS_AES_128}, {0x1302, TLS_AES_256},
	    {0x1303, TLS_CHACHA20}, {0xc02b, TLS_OLD_AES_128},
	    {0xc02f, TLS_OLD_AES_128}, {0xc02c, TLS_OLD_AES_256},
	    {0xc030, TLS_OLD_AES_256}, {0xcca9, TLS_OLD_CHACHA20},
	    {0xcca8, TLS_OLD_CHACHA20}};
	size_t found = 0;

	for (size_t k = 0; k < sizeof(known) / sizeof(known[0]); k++)
		assert_int_equal(tls_suite_find(known[k].iana), known[k].suite);
	for (unsigned iana = 0; iana <= UINT16_MAX; iana++)
		found += tls_suite_find((uint16_t)iana) != 0;
	assert_int_equal(found, sizeof(known) / sizeof(known[0]));
}

/* A forger of that suite. */
static struct forge
forger(uint8_t suite)
{
	struct forge f = {.suite = suite,
	    .number = NUMBER,
	    .nonce = 77,
	    .head = {TLS_DATA, 3, 3}};

	memset(&f.key, suite, sizeof(f.key));
	return f;
}

/* What is sealed is what the letter wants, and opens, at each length. */
static void
test_seal(void **state)
{
	static const size_t lens[] = {
	    0, 1, 15, 16, 17, 200, 4096, 16383, TLS_PLAIN_MAX};
	static uint8_t plain[TLS_PLAIN_MAX + 1], inner[TLS_PLAIN_MAX + 1];
	static uint8_t out[TLS_RECORD_MAX], want[TLS_RECORD_MAX];
	static uint8_t opened[TLS_RECORD_MAX];
	size_t got, n;

	for (size_t k = 0; k < sizeof(plain); k++)
		inner[k] = plain[k] = (uint8_t)(k * 13 + k / 256);
	for (uint8_t suite = 1; suite < TLS_SUITES; suite++) {
		const struct tls_suite *s = tls_suite(suite);
		struct forge f = forger(suite);

		for (size_t k = 0; k < sizeof(lens) / sizeof(lens[0]); k++) {
			const size_t len = lens[k];

			inner[len] = TLS_DATA;
			n = forge_seal(&f, inner, len + !s->old, want);
			inner[len] = plain[len];
			assert_int_equal(n, len + s->overhead);
			assert_true(s->overhead <= TLS_OVERHEAD_MAX);
			memset(out, 0, sizeof(out));
			assert_int_equal(
			    tls_seal(suite, &f.key, f.number, f.nonce, TLS_DATA,
				plain, len, out),
			    (ssize_t)n);
			assert_memory_equal(out, want, n);
			assert_int_equal(out[n], 0); /* no more */
			assert_int_equal(
			    tls_record_length(suite, out, n), (ssize_t)n);
			assert_int_equal(tls_open(suite, &f.key, f.number, out,
					     n, opened, &got),
			    TLS_DATA);
			assert_int_equal(got, len);
			assert_memory_equal(opened, plain, len);
			/* of another number, or key */
			assert_int_equal(tls_open(suite, &f.key, f.number + 1,
					     out, n, opened, &got),
			    -TLS_BAD_RECORD_MAC);
			f.key.key[0] ^= 1;
			assert_int_equal(tls_open(suite, &f.key, f.number, out,
					     n, opened, &got),
			    -TLS_BAD_RECORD_MAC);
			f.key.key[0] ^= 1;
		}
		assert_int_equal(tls_seal(suite, &f.key, f.number, f.nonce,
				     TLS_DATA, plain, sizeof(plain), out),
		    -1);
	}
	for (int suite = TLS_SUITES; suite <= 256; suite++) {
		const struct tls_key key = {{0}, {0}};

		assert_int_equal(tls_seal((uint8_t)suite, &key, 0, 0, TLS_DATA,
				     plain, 1, out),
		    -1);
		assert_int_equal(tls_open((uint8_t)suite, &key, 0, out,
				     TLS_OVERHEAD_MAX, opened, &got),
		    -TLS_INTERNAL_ERROR);
		assert_int_equal(tls_record_length((uint8_t)suite, out, 5),
		    -TLS_INTERNAL_ERROR);
		assert_int_equal(tls_key_update_read((uint8_t)suite, plain, 5),
		    -TLS_INTERNAL_ERROR);
	}
}

/* Each bit of a record counts, but those of the version in TLS 1.3 only as
 * what is authenticated. */
static void
test_bits(void **state)
{
	uint8_t out[64], opened[64];
	size_t got;

	for (uint8_t suite = 1; suite < TLS_SUITES; suite++) {
		const struct forge f = forger(suite);
		const size_t n = (size_t)tls_seal(suite, &f.key, f.number,
		    f.nonce, TLS_DATA, (const uint8_t *)"text", 4, out);

		for (size_t bit = 0; bit < 8 * n; bit++) {
			if (bit / 8 == 3 || bit / 8 == 4)
				continue; /* the caller has cut by these */
			out[bit / 8] ^= (uint8_t)(1 << bit % 8);
			assert_int_equal(tls_open(suite, &f.key, f.number, out,
					     n, opened, &got),
			    -TLS_BAD_RECORD_MAC);
			out[bit / 8] ^= (uint8_t)(1 << bit % 8);
		}
		assert_int_equal(
		    tls_open(suite, &f.key, f.number, out, n, opened, &got),
		    TLS_DATA);
		/* shorter than any, longer than any */
		assert_int_equal(
		    tls_open(suite, &f.key, f.number, out,
			(size_t)tls_suite(suite)->overhead - 1, opened, &got),
		    -TLS_INTERNAL_ERROR);
		assert_int_equal(tls_open(suite, &f.key, f.number, out,
				     TLS_RECORD_MAX + 1, opened, &got),
		    -TLS_INTERNAL_ERROR);
	}
}

/* The heads of records: what is said of one, byte by byte. */
static void
test_heads(void **state)
{
	static const struct {
		uint8_t head[TLS_HEAD];
		int young, old; /* of the whole head in TLS 1.3, 1.2 */
		size_t told_young, told_old; /* after how many bytes */
	} heads[] = {{{23, 3, 3, 0, 24}, 29, 29, 5, 5},
	    {{23, 3, 3, 0x41, 0}, 16645, 16645, 5, 5}, /* 16,640 */
	    {{23, 3, 3, 0x41, 1}, -22, -22, 5, 5},
	    {{23, 3, 3, 0xff, 0xff}, -22, -22, 5, 5},
	    {{23, 3, 3, 0, 23}, 28, -50, 5, 5},
	    {{23, 3, 3, 0, 17}, 22, -50, 5, 5},
	    {{23, 3, 3, 0, 16}, -50, -50, 5, 5},
	    {{23, 3, 3, 0, 0}, -50, -50, 5, 5},
	    {{23, 3, 1, 0, 24}, 29, -70, 5, 5}, /* versions */
	    {{23, 3, 4, 0, 24}, 29, -70, 5, 5},
	    {{23, 0, 3, 0, 24}, 29, -70, 5, 5},
	    {{20, 3, 3, 0, 1}, -10, -10, 1, 1}, /* late ChangeCipherSpec */
	    {{21, 3, 3, 0, 2}, -10, -50, 1, 5}, /* alert in the clear */
	    {{22, 3, 3, 0, 40}, -10, 45, 1, 5},
	    {{24, 3, 3, 0, 40}, -10, -10, 1, 1}, /* heartbeat */
	    {{0, 3, 3, 0, 40}, -10, -10, 1, 1},
	    {{'G', 'E', 'T', ' ', '/'}, -10, -10, 1, 1}};

	for (size_t k = 0; k < sizeof(heads) / sizeof(heads[0]); k++)
		for (size_t n = 0; n <= TLS_HEAD; n++) {
			assert_int_equal(
			    tls_record_length(TLS_AES_128, heads[k].head, n),
			    n >= heads[k].told_young ? heads[k].young : 0);
			assert_int_equal(tls_record_length(
					     TLS_OLD_AES_256, heads[k].head, n),
			    n >= heads[k].told_old ? heads[k].old : 0);
		}
	/* no explicit nonce: 16 bytes are an empty one */
	assert_int_equal(tls_record_length(TLS_OLD_CHACHA20,
			     (const uint8_t[]){23, 3, 3, 0, 16}, TLS_HEAD),
	    21);
	assert_int_equal(tls_record_length(TLS_OLD_CHACHA20,
			     (const uint8_t[]){23, 3, 3, 0, 15}, TLS_HEAD),
	    -TLS_DECODE_ERROR);
}

/* Opens what is forged of that plaintext; *got as tls_open has it. */
static int
forged(const struct forge *f, const uint8_t *inner, size_t len, size_t *got)
{
	static uint8_t record[2 * TLS_RECORD_MAX], opened[TLS_RECORD_MAX];
	const size_t n = forge_seal(f, inner, len, record);

	return tls_open(f->suite, &f->key, f->number, record, n, opened, got);
}

/* What is in a record: types, padding, lengths. */
static void
test_inner(void **state)
{
	static uint8_t inner[TLS_CIPHER_MAX];
	size_t got;

	for (uint8_t suite = 1; suite < TLS_OLD_AES_128; suite++) {
		struct forge f = forger(suite);

		for (int type = 0; type < 256; type++) {
			const bool known = type == TLS_ALERT ||
			    type == TLS_HANDSHAKE || type == TLS_DATA;

			memset(inner, 0, sizeof(inner));
			inner[0] = 'x';
			inner[1] = (uint8_t)type;
			/* of type 0 the x is the type */
			assert_int_equal(forged(&f, inner, 2, &got),
			    known ? type : -TLS_UNEXPECTED_MESSAGE);
			assert_true(!known || got == 1);
			assert_int_equal(forged(&f, inner, 2 + 255, &got),
			    known ? type : -TLS_UNEXPECTED_MESSAGE);
			assert_true(!known || got == 1);
			/* none but data may be empty */
			assert_int_equal(forged(&f, inner + 1, 1, &got),
			    type == TLS_DATA ? type : -TLS_UNEXPECTED_MESSAGE);
			assert_int_equal(forged(&f, inner + 1, 100, &got),
			    type == TLS_DATA ? type : -TLS_UNEXPECTED_MESSAGE);
		}
		/* nothing but padding */
		memset(inner, 0, sizeof(inner));
		assert_int_equal(
		    forged(&f, inner, 1, &got), -TLS_UNEXPECTED_MESSAGE);
		assert_int_equal(forged(&f, inner, TLS_PLAIN_MAX + 1, &got),
		    -TLS_UNEXPECTED_MESSAGE);
		/* padded up to the longest, and over it */
		inner[0] = TLS_DATA;
		assert_int_equal(
		    forged(&f, inner, TLS_PLAIN_MAX + 1, &got), TLS_DATA);
		assert_int_equal(got, 0);
		assert_int_equal(forged(&f, inner, TLS_PLAIN_MAX + 2, &got),
		    -TLS_RECORD_OVERFLOW);
		memset(inner, TLS_DATA, sizeof(inner));
		assert_int_equal(
		    forged(&f, inner, TLS_PLAIN_MAX + 1, &got), TLS_DATA);
		assert_int_equal(got, TLS_PLAIN_MAX);
		assert_int_equal(forged(&f, inner, TLS_PLAIN_MAX + 2, &got),
		    -TLS_RECORD_OVERFLOW);
		assert_int_equal(
		    forged(&f, inner, TLS_CIPHER_MAX - TLS_TAG, &got),
		    -TLS_RECORD_OVERFLOW);
		/* a version that says nothing */
		f.head[2] = 1;
		assert_int_equal(forged(&f, inner, 2, &got), TLS_DATA);
	}
}

/* What is in a record of TLS 1.2, whose type is outside and which has no
 * padding. */
static void
test_inner_old(void **state)
{
	static uint8_t inner[TLS_PLAIN_MAX + 1]; /* zeros: data */
	size_t got;

	for (uint8_t suite = TLS_OLD_AES_128; suite < TLS_SUITES; suite++) {
		struct forge f = forger(suite);

		for (int type = 0; type < 256; type++) {
			const bool known = type == TLS_ALERT ||
			    type == TLS_HANDSHAKE || type == TLS_DATA;

			f.head[0] = (uint8_t)type;
			assert_int_equal(forged(&f, inner, 2, &got),
			    known ? type : -TLS_UNEXPECTED_MESSAGE);
			assert_true(!known || got == 2);
			assert_int_equal(forged(&f, inner, 0, &got),
			    type == TLS_DATA ? type : -TLS_UNEXPECTED_MESSAGE);
		}
		f.head[0] = TLS_DATA;
		assert_int_equal(
		    forged(&f, inner, TLS_PLAIN_MAX, &got), TLS_DATA);
		assert_int_equal(got, TLS_PLAIN_MAX);
		assert_int_equal(forged(&f, inner, TLS_PLAIN_MAX + 1, &got),
		    -TLS_RECORD_OVERFLOW);
	}
}

/* KeyUpdate in each form, and what else a client may not say. */
static void
test_key_update(void **state)
{
	static const struct {
		uint8_t bytes[8];
		size_t len;
		int want;
	} forms[] = {{{24, 0, 0, 1, 0}, 5, 0}, {{24, 0, 0, 1, 1}, 5, 1},
	    {{24, 0, 0, 1, 2}, 5, -TLS_ILLEGAL_PARAMETER},
	    {{24, 0, 0, 1, 255}, 5, -TLS_ILLEGAL_PARAMETER},
	    {{24, 0, 0, 0}, 4, -TLS_DECODE_ERROR},
	    {{24, 0, 0, 2, 0, 0}, 6, -TLS_DECODE_ERROR},
	    {{24, 0, 1, 1, 0}, 5, -TLS_DECODE_ERROR},
	    {{24, 1, 0, 1, 0}, 5, -TLS_DECODE_ERROR},
	    /* a part of one, or more behind it: of which key? */
	    {{24}, 1, -TLS_UNEXPECTED_MESSAGE},
	    {{24, 0, 0}, 3, -TLS_UNEXPECTED_MESSAGE},
	    {{24, 0, 0, 1}, 4, -TLS_UNEXPECTED_MESSAGE},
	    {{24, 0, 0, 1, 0, 24, 0, 0}, 8, -TLS_UNEXPECTED_MESSAGE},
	    {{0}, 0, -TLS_UNEXPECTED_MESSAGE},
	    /* ClientHello, Certificate, Finished, NewSessionTicket */
	    {{1, 0, 0, 1, 0}, 5, -TLS_UNEXPECTED_MESSAGE},
	    {{11, 0, 0, 1, 0}, 5, -TLS_UNEXPECTED_MESSAGE},
	    {{20, 0, 0, 1, 0}, 5, -TLS_UNEXPECTED_MESSAGE},
	    {{4, 0, 0, 1, 0}, 5, -TLS_UNEXPECTED_MESSAGE}};
	uint8_t own[TLS_KEY_UPDATE_BYTES];

	for (size_t k = 0; k < sizeof(forms) / sizeof(forms[0]); k++) {
		assert_int_equal(tls_key_update_read(TLS_CHACHA20,
				     forms[k].bytes, forms[k].len),
		    forms[k].want);
		assert_int_equal(tls_key_update_read(TLS_OLD_CHACHA20,
				     forms[k].bytes, forms[k].len),
		    forms[k].len > 0 && forms[k].bytes[0] == 1
			? -TLS_NO_RENEGOTIATION
			: -TLS_UNEXPECTED_MESSAGE);
	}
	tls_key_update_write(own);
	assert_int_equal(tls_key_update_read(TLS_AES_256, own, sizeof(own)), 0);
}

static int
begin(void **state)
{
	return tls_init() != 0 || tls_init() != 0; /* twice does no harm */
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_vectors),
	    cmocka_unit_test(test_derive),
	    cmocka_unit_test(test_find),
	    cmocka_unit_test(test_seal),
	    cmocka_unit_test(test_bits),
	    cmocka_unit_test(test_heads),
	    cmocka_unit_test(test_inner),
	    cmocka_unit_test(test_inner_old),
	    cmocka_unit_test(test_key_update),
	};

	return cmocka_run_group_tests(tests, begin, NULL);
}
