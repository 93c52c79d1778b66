/*
 * tls_oracle: test builds (VARIANT=kill) note under which key and nonce each
 * record was sealed, and the hash of what was in it, in memory that all
 * processes of the daemon share: a file that CHATD_TLS_ORACLE names, or, with
 * none, what those share that were forked from one another. A second plaintext
 * under one key and nonce would lay both open (RFC 5116 5.1.1): the process
 * that is about to seal it aborts. Layer 1.
 */
#ifndef CHATD_CODEC_TLS_ORACLE_H
#define CHATD_CODEC_TLS_ORACLE_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

/* The file begins with this, which a test reads, and its size is what the test
 * has given it: ORACLE_HEAD bytes, then 16 for each record. */
enum { ORACLE_HEAD = 64 };
struct tls_oracle {
	_Atomic uint64_t
	    sealed;		/* records under a key and nonce that are new */
	_Atomic uint64_t again; /* with the same in them, after a death */
	_Atomic uint64_t other; /* with another plaintext: aborted */
	_Atomic uint64_t lost;	/* not noted, as the file was full */
};

#ifdef CHATD_KILL_POINTS
/* Notes in that file from now on. -1: it cannot be opened. */
int tls_oracle_open(const char *path);

/* What is sealed next: what is authenticated with it, its plaintext, and the
 * type in it (0: none). */
struct tls_oracle_record {
	const uint8_t *key, *nonce; /* 32 and 12 bytes */
	const uint8_t *aad, *plain;
	size_t aad_len, len;
	uint8_t suite, type;
};
void tls_oracle_note(const struct tls_oracle_record *record);
#define TLS_ORACLE(...) \
	tls_oracle_note(&(const struct tls_oracle_record){__VA_ARGS__})
#else
#define TLS_ORACLE(...) ((void)0)
#endif

#endif
