#include "archive_rows.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/utf8.h"
#include "codec/json.h"

bool
archive_row(const struct archive_rows *rows, size_t *at, struct publication *p)
{
	size_t n;

	if (*at >= rows->len)
		return false;
	n = publication_decode(rows->bytes + *at, rows->len - *at, p);
	*at += n;
	return n != 0;
}

/* Whether a text is such JSON, or there is none. */
static bool
row_is_json(const char *text, size_t len, enum json_type type)
{
	struct json_value v;

	/* a break would end a line of a frame */
	return len == 0 ||
	    (memchr(text, '\n', len) == NULL &&
		memchr(text, '\r', len) == NULL &&
		json_validate(text, len, &v) &&
		(type == JSON_NONE || v.type == type));
}

/* Whether a row has what clients may be told: it comes from another process. */
static bool
row_is_sound(const struct publication *p)
{
	if (p->format != FORMAT_TEXT && p->format != FORMAT_JSON)
		return p->data_len == 0 && p->user_len == 0 &&
		    p->info_len == 0 && p->tags_len == 0;
	return utf8_valid(p->user, p->user_len) &&
	    utf8_valid(p->sub_info, p->sub_info_len) &&
	    row_is_json(p->info, p->info_len, JSON_NONE) &&
	    row_is_json(p->tags, p->tags_len, JSON_OBJECT) &&
	    (p->format == FORMAT_TEXT ? utf8_valid(p->data, p->data_len)
				      : p->data_len > 0 &&
			row_is_json(p->data, p->data_len, JSON_NONE));
}

/* Whether a page's row is one that was asked for, and behind the one before it
 * in the order asked for. */
static bool
row_is_next(
    const struct message_ask *ask, const struct publication *p, uint64_t last)
{
	if (ask->what != ASK_PAGE)
		return true;
	if (p->offset <= ask->since || p->before >= p->offset ||
	    (ask->upto != 0 && p->offset > ask->upto))
		return false;
	return last == 0 ||
	    (ask->reverse ? p->offset < last : p->offset > last);
}

bool
rows_are_sound(
    const struct message_ask *ask, const uint8_t *bytes, size_t len, uint32_t n)
{
	const struct archive_rows rows = {.bytes = bytes, .len = len};
	struct publication p;
	uint64_t last = 0;
	size_t at = 0;

	while (archive_row(&rows, &at, &p)) {
		if (n-- == 0 || !row_is_next(ask, &p, last) ||
		    !row_is_sound(&p))
			return false;
		last = p.offset;
	}
	return n == 0 && at == len;
}

uint8_t *
rows_copy(const void *bytes, size_t len, int fd)
{
	const int seals = fd != -1 ? fcntl(fd, F_GET_SEALS) : 0;
	uint8_t *copy;

	/* what is no sealed memory file might make the reading of it wait */
	if (seals == -1 || (fd != -1 && (seals & F_SEAL_WRITE) == 0) ||
	    (copy = malloc(len)) == NULL)
		return NULL;
	if (fd == -1)
		memcpy(copy, bytes, len);
	else if (pread(fd, copy, len, 0) != (ssize_t)len) {
		free(copy);
		return NULL;
	}
	return copy;
}
