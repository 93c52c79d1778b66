/*
 * tls_oracle: of test builds: which plaintext was sealed with each key and
 * nonce, by all processes: a file that CHATD_TLS_ORACLE names, of any size, all
 * zero at first, or memory that a test shares. A process that seals another
 * plaintext with the same ones dies before
 * that goes out. Layer 2.
 */
#ifndef CHATD_NET_TLS_ORACLE_H
#define CHATD_NET_TLS_ORACLE_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

struct tls_oracle {
	_Atomic uint64_t sealed, again; /* records; of those, not first */
	_Atomic uint64_t broken;	/* with another plaintext */
	_Atomic uint64_t full;		/* not noted: there was no place */
	struct {
		_Atomic uint64_t id, text; /* of key and nonce; of the rest */
	} place[];
};

#ifdef CHATD_KILL_POINTS
/* Notes in that memory from now on. */
void tls_oracle_use(struct tls_oracle *oracle, size_t bytes);
/* A record is sealed, with a key of that many bytes. */
void tls_oracle_note(const uint8_t *key, size_t key_len, uint64_t nonce,
    uint8_t type, const uint8_t *plain, size_t len);
#define TLS_ORACLE(key, key_len, nonce, type, plain, len) \
	tls_oracle_note((key), (key_len), (nonce), (type), (plain), (len))
#else
#define TLS_ORACLE(key, key_len, nonce, type, plain, len) ((void)0)
#endif

#endif
