/*
 * http_chunked_fuzz: a body in chunks is decoded alike whole and byte by byte,
 * and what it decodes to is no longer than what was taken.
 */
#include "fuzz.h"

#include "codec/http_chunked.h"

/* What became of a text: its data is in out[0, len). */
struct outcome {
	enum http_chunked_result result;
	size_t taken, len;
	char *out;
};

/* Decodes a text in steps of so many bytes. */
static struct outcome
decode(const uint8_t *data, size_t size, size_t step)
{
	struct outcome o = {HTTP_CHUNKED_MORE, 0, 0, malloc(size + 1)};
	struct http_chunked c = {0};
	size_t part, used, n;
	char *piece;

	while (o.result == HTTP_CHUNKED_MORE && o.taken < size) {
		part = size - o.taken < step ? size - o.taken : step;
		piece = malloc(part);
		memcpy(piece, data + o.taken, part);
		o.result = http_chunked_take(&c, piece, part, &used, &n);
		REQUIRE(used <= part && n <= used);
		REQUIRE(o.result != HTTP_CHUNKED_MORE || used == part);
		memcpy(o.out + o.len, piece, n);
		o.len += n;
		o.taken += used;
		free(piece);
	}
	return o;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const size_t steps[] = {1, 7, 100};
	struct outcome whole = decode(data, size, size + 1), o;
	size_t i;

	for (i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
		o = decode(data, size, steps[i]);
		REQUIRE(o.result == whole.result && o.taken == whole.taken);
		REQUIRE(o.len == whole.len);
		REQUIRE(memcmp(o.out, whole.out, o.len) == 0);
		free(o.out);
	}
	free(whole.out);
	return 0;
}
