/* bundle: pieces of bytes by kind and name, in one block of memory. */
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/bundle.h"

enum { ALIGN = 8, SIZE_MIN = 16 * 1024 };

/* In front of each piece: name with its NUL, then bytes, then padding. */
struct head {
	uint32_t kind;
	int32_t error;
	uint32_t name_len; /* with the NUL */
	uint32_t len;
};

/* Up to the next piece. */
static size_t
piece_size(const struct head *h)
{
	size_t n = sizeof(*h) + h->name_len + h->len;

	return (n + ALIGN - 1) / ALIGN * ALIGN;
}

/* Makes room for n more bytes; false and errno. */
static bool
bundle_grow(struct bundle *b, size_t n)
{
	size_t size = b->size == 0 ? SIZE_MIN : b->size;
	char *more;

	if (n > BUNDLE_MAX - b->len) {
		errno = EFBIG;
		return false;
	}
	while (size < b->len + n)
		size *= 2;
	if (size == b->size)
		return true;
	/* not realloc: what it leaves behind may hold secrets */
	if ((more = calloc(1, size)) == NULL)
		return false;
	if (b->len > 0)
		memcpy(more, b->bytes, b->len);
	freezero(b->bytes, b->size);
	b->bytes = more;
	b->size = size;
	return true;
}

int
bundle_put(struct bundle *b, enum bundle_kind kind, const char *name, int error,
    const void *bytes, size_t len)
{
	struct head h = {.kind = kind, .error = error};
	char *at;

	if (len > BUNDLE_MAX || strlen(name) >= BUNDLE_MAX) {
		errno = EFBIG;
		return -1;
	}
	h.name_len = (uint32_t)strlen(name) + 1;
	h.len = (uint32_t)len;
	if (!bundle_grow(b, piece_size(&h)))
		return -1;
	at = b->bytes + b->len;
	memset(at, 0, piece_size(&h));
	memcpy(at, &h, sizeof(h));
	memcpy(at + sizeof(h), name, h.name_len);
	if (len > 0)
		memcpy(at + sizeof(h) + h.name_len, bytes, len);
	b->len += piece_size(&h);
	return 0;
}

/* The head of the piece at an offset; false: it is not whole. */
static bool
piece_at(const char *bytes, size_t len, size_t at, struct head *h)
{
	size_t room = len - at;

	if (room < sizeof(*h))
		return false;
	memcpy(h, bytes + at, sizeof(*h));
	room -= sizeof(*h);
	if (h->name_len == 0 || h->name_len > room ||
	    h->len > room - h->name_len || piece_size(h) > len - at)
		return false;
	return memchr(bytes + at + sizeof(*h), '\0', h->name_len) ==
	    bytes + at + sizeof(*h) + h->name_len - 1;
}

bool
bundle_get(const struct bundle *b, enum bundle_kind kind, const char *name,
    struct bundle_piece *out)
{
	struct head h;
	const char *its;

	for (size_t at = 0; at < b->len && piece_at(b->bytes, b->len, at, &h);
	     at += piece_size(&h)) {
		its = b->bytes + at + sizeof(h);
		if (h.kind != kind || strcmp(its, name) != 0)
			continue;
		*out = (struct bundle_piece){
		    .bytes = its + h.name_len, .len = h.len, .error = h.error};
		return true;
	}
	return false;
}

int
bundle_adopt(struct bundle *b, char *bytes, size_t len)
{
	struct head h;

	for (size_t at = 0; at < len; at += piece_size(&h))
		if (len > BUNDLE_MAX || !piece_at(bytes, len, at, &h)) {
			errno = EBADMSG;
			return -1;
		}
	*b = (struct bundle){.bytes = bytes, .len = len, .size = len};
	return 0;
}

void
bundle_free(struct bundle *b)
{
	freezero(b->bytes, b->size);
	*b = (struct bundle){.bytes = NULL};
}
