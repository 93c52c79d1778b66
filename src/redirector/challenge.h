/*
 * challenge: files that answer ACME's http-01 challenges (RFC 8555 8.3), as
 * certbot's webroot plugin and others write them. A disk may hang, and the
 * process that speaks with clients has no file system; so a process beside it
 * reads them, one at a time, and knows nothing but a token of each request.
 */
#ifndef CHATD_SRC_REDIRECTOR_CHALLENGE_H
#define CHATD_SRC_REDIRECTOR_CHALLENGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	/* A token with its NUL. Those of Let's Encrypt have 43 bytes. */
	CHALLENGE_TOKEN = 129,
	/* Bytes of a file: a token, a dot and 43 bytes. Larger: who may write
	 * to the folder can have more served; smaller: nothing. */
	CHALLENGE_FILE_MAX = 1024,
	CHALLENGE_DIRECTORY = 1025 /* bytes of the folder's name, with a NUL */
};

/* Between the two processes. */
struct challenge_ask {
	uint32_t number; /* comes back with the answer */
	char token[CHALLENGE_TOKEN];
};

struct challenge_answer {
	uint32_t number;
	int32_t error; /* errno; EFBIG: too long, EINVAL: no regular file */
	uint32_t len;
	char bytes[CHALLENGE_FILE_MAX];
};

/* Copies a token if it may be one: 1 to 128 of A to Z, a to z, 0 to 9, "-" and
 * "_". */
bool challenge_token(const char *p, size_t len, char out[CHALLENGE_TOKEN]);

/* Makes the process, which reads below that directory: before the caller
 * confines itself, whose descriptors above it closes. Returns the link to it.
 * Fatal if it cannot. */
int challenge_begin(const char *directory);

/* False, at once: it does not take any more, so the disk hangs. */
bool challenge_ask(int link, const struct challenge_ask *ask);

/* 1: an answer, 0: none now, -1: that process has ended. */
int challenge_read(int link, struct challenge_answer *out);

/* What the process does with one request. Fills *out. */
void challenge_file(
    const char *directory, const char *token, struct challenge_answer *out);

#endif
