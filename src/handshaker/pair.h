/* pair: a certificate with those above it, its private key, and perhaps an OCSP
 * response about it. */
#ifndef CHATD_HANDSHAKER_PAIR_H
#define CHATD_HANDSHAKER_PAIR_H

#include <openssl/x509.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include "codec/tls_files.h"

enum { PAIR_NAME_MAX = 253 }; /* bytes of a DNS name: RFC 1035 2.3.4 */

struct pair {
	char *path; /* of the certificate */
	X509 *cert;
	STACK_OF(X509) * above; /* what is sent behind it */
	EVP_PKEY *key;
	int type;     /* of its key; each can be there once for one name */
	char **names; /* DNS names that it is for, in lower case */
	size_t n_names;
	uint8_t *staple; /* NULL: none */
	size_t staple_len;
	time_t staple_until; /* it is of no use from then on; 0: not known */
	char staple_wrong[1280]; /* why there is none, though there is a file;
				  * "": nothing is wrong */
	time_t until;		 /* the certificate is good; 0: not known */
};

/* Takes a file in. Returns 0, or -1 with one line that names it. A staple that
 * is of no use is told by pair_judge(), and is not served. */
int pair_take(
    struct pair *p, const struct tls_file *f, char *error, size_t error_len);

/* Whether all is there and fits together. */
int pair_judge(const struct pair *p, void (*warn)(const char *line),
    char *error, size_t error_len);

/* Whether it is for that name, in lower case, word for word. */
bool pair_has(const struct pair *p, const char *name);

void pair_free(struct pair *p);

#endif
