/*
 * http_chunked: a request's body that comes in chunks (RFC 9112 7.1), judged
 * strictly: extensions and trailers are passed over, up to a limit. Layer 1,
 * pure.
 */
#ifndef CHATD_CODEC_HTTP_CHUNKED_H
#define CHATD_CODEC_HTTP_CHUNKED_H

#include <stddef.h>
#include <stdint.h>

enum {
	/* Bytes of a line that says a chunk's length, extensions included.
	 * Larger: a body of single bytes costs more to read; smaller: requests
	 * with long extensions are refused. */
	HTTP_CHUNK_LINE_MAX = 256,
	/* Bytes of all trailer fields, which are not used. */
	HTTP_TRAILER_MAX = 4096
};

enum http_chunked_result {
	HTTP_CHUNKED_MORE, /* all was taken, and there is more to come */
	HTTP_CHUNKED_DONE, /* the body has ended */
	HTTP_CHUNKED_BAD   /* malformed, or a line or trailer is too long */
};

/* Where a body is; zero at its beginning. */
struct http_chunked {
	uint64_t left; /* bytes of this chunk's data that are still to come */
	uint32_t line; /* bytes of the line, or trailer, so far */
	uint8_t state;
};

/*
 * Takes bytes[0, len): the data in it is moved to its front, *n bytes. *used
 * is how many bytes were taken; with DONE what is behind them is the next
 * request's and is left where it is.
 */
enum http_chunked_result http_chunked_take(
    struct http_chunked *c, char *bytes, size_t len, size_t *used, size_t *n);

#endif
