/*
 * tls: the record layer of TLS 1.3 (RFC 8446 5 and 7) and of TLS 1.2 with AEAD
 * ciphers (RFC 5246 6, 5288, 7905), over libcrypto's AEADs. No own cryptography
 * and no own handshake: a record is a function of {suite, key, number, type,
 * plaintext}, and nothing is kept between two calls but libcrypto's contexts,
 * one of each suite and direction in a process. Layer 1.
 *
 * Lengths are in bytes. What opening a record finds wrong is told as minus the
 * alert (RFC 8446 6) that the peer is to be sent.
 */
#ifndef CHATD_CODEC_TLS_H
#define CHATD_CODEC_TLS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum {
	TLS_HEAD = 5,
	TLS_TAG = 16,
	TLS_VERSION = 3,       /* 3.3: TLS 1.2, and what TLS 1.3 writes */
	TLS_PLAIN_MAX = 16384, /* of a record */
	TLS_CIPHER_MAX = 16384 + 256, /* of a record, behind its head */
	TLS_RECORD_MAX = TLS_HEAD + TLS_CIPHER_MAX,
	TLS_OVERHEAD_MAX = 29, /* TLS 1.2 with AES-GCM */
	TLS_SECRET_MAX = 48,
	TLS_BIRTH_VERSION = 0
};

/* Types of what is in a record. */
enum tls_type { TLS_ALERT = 21, TLS_HANDSHAKE = 22, TLS_DATA = 23 };

/* Alerts that are sent or understood. */
enum tls_alert {
	TLS_CLOSE_NOTIFY = 0,
	TLS_UNEXPECTED_MESSAGE = 10,
	TLS_BAD_RECORD_MAC = 20,
	TLS_RECORD_OVERFLOW = 22,
	TLS_ILLEGAL_PARAMETER = 47,
	TLS_DECODE_ERROR = 50,
	TLS_PROTOCOL_VERSION = 70,
	TLS_INTERNAL_ERROR = 80,
	TLS_USER_CANCELED = 90,
	TLS_NO_RENEGOTIATION = 100
};

/* A version and an AEAD. The numbers are the same in all programs: they stand
 * in shared memory. 0: none. */
enum tls_suite_number {
	TLS_AES_128 = 1,
	TLS_AES_256,
	TLS_CHACHA20,
	TLS_OLD_AES_128, /* TLS 1.2 */
	TLS_OLD_AES_256,
	TLS_OLD_CHACHA20,
	TLS_SUITES
};

struct tls_suite {
	const char *cipher;  /* libcrypto's name */
	bool old;	     /* TLS 1.2 */
	bool explicit_nonce; /* 8 bytes of it stand in each record */
	uint8_t key;
	uint8_t hash;	  /* of TLS 1.3; a secret is as long */
	uint8_t overhead; /* what a record is longer than its plaintext */
	/* Records sealed under one key, at most: the caller counts, and sends a
	 * KeyUpdate, or an end, before that. */
	uint64_t limit;
};

/*
 * A secret, TLS_SECRET_MAX bytes of which a suite uses the first: in TLS 1.3
 * the application traffic secret; in TLS 1.2 {key[32], fixed part of the
 * nonce[12], of which AES-GCM uses 4}, and the explicit nonce goes on from a
 * number of its own, see struct tls_key.
 */

/* What a secret stands for, as long as that holds; 0 behind what the suite
 * uses. */
struct tls_key {
	uint8_t key[32], iv[12];
};

/*
 * What a connection is behind its handshake, for the worker that goes on with
 * it. Plain data, which its reader judges as a hostile process's.
 */
struct tls_birth {
	uint8_t suite;
	/* Of all that follows: while chatd is upgraded, processes of both
	 * programs give and take connections. */
	uint8_t version; /* TLS_BIRTH_VERSION */
	uint8_t spare[2];
	uint32_t record; /* plaintext of a record of ours, at most: what the
			  * client has asked for, 512 to TLS_PLAIN_MAX; 0: it
			  * has not */
	uint64_t read_number, write_number; /* of the next records */
	/* Bytes of the socket that were read and written by then, as the kernel
	 * counts: if it counts others later, another process goes on already.
	 */
	uint64_t read, written;
	/* TLS 1.2 with AES-GCM: the explicit nonce of the next record that is
	 * sent; those behind it count on from there. */
	uint64_t nonce;
	uint8_t read_secret[TLS_SECRET_MAX], write_secret[TLS_SECRET_MAX];
};

/* The suite of that number, which may come from shared memory; NULL: none. */
const struct tls_suite *tls_suite(uint8_t number);

/* The number of a cipher suite by its IANA number; 0: not one of ours. */
uint8_t tls_suite_find(uint16_t iana);

/* Makes libcrypto's contexts; once in a process, before any other function
 * here. Opens no file. -1: there is no memory, or a cipher is missing. */
int tls_init(void);

/* The key of a secret. -1: libcrypto has failed. */
int tls_key_of(
    uint8_t suite, const uint8_t secret[TLS_SECRET_MAX], struct tls_key *out);

/* The secret behind a KeyUpdate (RFC 8446 7.2): of TLS 1.3 alone. */
int tls_secret_next(uint8_t suite, const uint8_t secret[TLS_SECRET_MAX],
    uint8_t next[TLS_SECRET_MAX]);

/*
 * Seals len bytes of plaintext, at most TLS_PLAIN_MAX, into out, which has room
 * for len + overhead and may not overlap. nonce: the explicit part in TLS 1.2
 * with AES-GCM, not used otherwise. Returns the record's length, or -1:
 * libcrypto has failed.
 */
ssize_t tls_seal(uint8_t suite, const struct tls_key *key, uint64_t number,
    uint64_t nonce, uint8_t type, const uint8_t *plain, size_t len,
    uint8_t *out);

/* The whole record's length, once its head is among the n bytes; 0: more are
 * needed; negative: minus an alert. */
ssize_t tls_record_length(uint8_t suite, const uint8_t *bytes, size_t n);

/*
 * Opens a whole record of that length into out, which has room for as much and
 * may not overlap. Returns the type of what is in it (enum tls_type), *len the
 * plaintext's length; or minus an alert, and nothing in out is to be used.
 */
int tls_open(uint8_t suite, const struct tls_key *key, uint64_t number,
    const uint8_t *record, size_t length, uint8_t *out, size_t *len);

/* What a client may say by a TLS_HANDSHAKE record after the handshake: in TLS
 * 1.3 KeyUpdate, whole and alone. Returns its request_update (0, 1), or minus
 * an alert; in TLS 1.2 -TLS_NO_RENEGOTIATION for a ClientHello. */
int tls_key_update_read(uint8_t suite, const uint8_t *bytes, size_t len);

enum { TLS_KEY_UPDATE_BYTES = 5 };
/* Writes a KeyUpdate that asks for none. */
void tls_key_update_write(uint8_t out[TLS_KEY_UPDATE_BYTES]);

#endif
