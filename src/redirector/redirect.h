/* redirect: what a request by plain HTTP is answered: where it is to go, or
 * that it asks for a file. Pure. */
#ifndef CHATD_SRC_REDIRECTOR_REDIRECT_H
#define CHATD_SRC_REDIRECTOR_REDIRECT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "challenge.h"
#include "codec/http.h"

enum {
	/* Bytes of a request's head; the key `request-size` has its default
	 * from there. Larger: clients that send slowly cost more memory;
	 * smaller: cookies of a whole domain do not fit. */
	REDIRECT_HEAD_MAX = 16 * 1024,
	/* Of an answer: it has the target that the head had, or a file. */
	REDIRECT_ANSWER_MAX = REDIRECT_HEAD_MAX + 2048,
	REDIRECT_HTTPS = 443 /* the port that is not named */
};

struct redirect {
	uint16_t port;	 /* where clients are sent */
	bool challenges; /* files that answer them are served */
};

/*
 * Answers a whole head of len bytes. Returns the answer's length, or 0: the
 * file of `token` is asked for; *bare then says that only its head is.
 */
size_t redirect_answer(const struct redirect *r, const char *head, size_t len,
    char token[CHALLENGE_TOKEN], bool *bare, char out[REDIRECT_ANSWER_MAX]);

/* An answer with a file, or, body NULL, with that status and line of text. */
size_t redirect_file(int status, const char *body, size_t len, bool bare,
    char out[REDIRECT_ANSWER_MAX]);

/* The answer to what is no head: 400, 431. */
size_t
redirect_refuse(const struct http_request *r, char out[REDIRECT_ANSWER_MAX]);

#endif
