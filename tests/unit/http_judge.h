/* http_judge: what the tests of http share. */
#ifndef CHATD_TESTS_HTTP_JUDGE_H
#define CHATD_TESTS_HTTP_JUDGE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "codec/http.h"

/* A POST below /api/ may have a body. */
static inline bool
judge_takes_body(struct http_span path)
{
	return path.len > 5 && memcmp(path.p, "/api/", 5) == 0;
}

/*
 * Finds the end and parses, as a connection would. Returns 0, or the status.
 * What has come lies at the end of its own memory, so that a sanitizer sees a
 * read beyond it.
 */
static inline int
judge(const char *bytes, size_t len, size_t step, struct http_request *r)
{
	size_t scanned = 0, have;
	char *copy;
	int n = 0;

	memset(r, 0, sizeof(*r));
	for (have = 0; have < len && n == 0;) {
		have = len - have < step ? len : have + step;
		copy = malloc(have);
		memcpy(copy, bytes, have);
		n = http_head_end(copy, have, &scanned, r);
		free(copy);
	}
	if (n == 0)
		fail_msg("no end: %s", bytes);
	if (n > 0 && (size_t)n != len)
		fail_msg("end after %d of %zu: %s", n, len, bytes);
	if (n > 0)
		n = http_parse(bytes, len, judge_takes_body, r);
	if (n == -1) {
		assert_non_null(r->reason);
		assert_null(strchr(r->reason, '\n'));
		return r->status;
	}
	return 0;
}

/* The verdict on a head must not depend on how it comes. A long one, which is
 * copied for each piece, comes in larger pieces. */
static inline int
verdict(const char *bytes, size_t len, struct http_request *r)
{
	struct http_request other;
	int status = judge(bytes, len, len, r);
	const size_t piece = len > 2048 ? 37 : 1;
	size_t step;

	for (step = 1; step <= 5; step += 2)
		assert_int_equal(
		    judge(bytes, len, step * piece, &other), status);
	return status;
}

/* A span as a string, in one of a few static buffers. */
static inline const char *
text(struct http_span s)
{
	static char buffers[4][256];
	static int turn;
	char *out = buffers[turn++ % 4];

	if (s.p == NULL)
		return "(none)";
	snprintf(out, sizeof(buffers[0]), "%.*s", (int)s.len, s.p);
	return out;
}

#endif
