/*
 * json: RFC 8259 text, read in place and written in one pass. Layer 1, pure;
 * only a growing writer allocates.
 *
 * Reading: json_validate() once, then everything else on the values it gave. A
 * value is a span of the validated bytes. The readers stay within the span
 * whatever is in it, so bytes that another process overwrites after they were
 * validated (shared memory) give wrong answers, never a read outside of the
 * span.
 *
 * Names are matched exactly (case too), escapes in them decoded. Of equal
 * names in one object the last wins, as in JavaScript and Go.
 */
#ifndef CHATD_CODEC_JSON_H
#define CHATD_CODEC_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/types.h>

enum { JSON_DEPTH_MAX = 64 }; /* containers within each other */

enum json_type {
	JSON_NONE, /* no such member, or not valid: p is NULL, len 0 */
	JSON_NULL,
	JSON_BOOL,
	JSON_NUMBER,
	JSON_STRING, /* with its quotes */
	JSON_ARRAY,  /* with its brackets */
	JSON_OBJECT
};

struct json_value {
	const char *p; /* into the validated bytes, not terminated */
	size_t len;
	enum json_type type;
};

/*
 * Judges a whole text: one value, white space around it. Accepts what
 * JavaScript's JSON.parse accepts, except more than JSON_DEPTH_MAX levels and
 * bytes that are not UTF-8. Returns false with *value JSON_NONE, else *value
 * is the text's value without the white space.
 */
bool json_validate(const char *text, size_t len, struct json_value *value);

/*
 * The outline of an object that json_validate() refuses: its span in a text
 * that begins with it, by brackets and strings alone, whatever is in them and
 * however deep. False: the text is no object, or it does not end in it. Readers
 * may be used on *object, with answers that may be wrong.
 */
bool json_outline(const char *text, size_t len, struct json_value *object);

/* Whether a member is missing or null, which Go's decoders treat alike. */
static inline bool
json_absent(struct json_value v)
{
	return v.type <= JSON_NULL;
}

/* Finds a member; false with *value JSON_NONE if there is none or `object` is
 * no object. Reads the whole object: see json_members() for several. */
bool json_member(
    struct json_value object, const char *name, struct json_value *value);

/* Finds n members in one pass: values[i] is that of names[i] or JSON_NONE. */
void json_members(struct json_value object, const char *const *names, size_t n,
    struct json_value *values);

/* Where a walk over a container is. */
struct json_iter {
	const char *p, *end;
};

/* Begins a walk; one over another type than `type` ends at once. */
struct json_iter json_iter(struct json_value container, enum json_type type);

/* The next member or element; false at the end. All members are seen, also
 * those whose name comes again. `name` is a JSON_STRING. */
bool json_next_member(
    struct json_iter *iter, struct json_value *name, struct json_value *value);
bool json_next_element(struct json_iter *iter, struct json_value *value);

/*
 * Decodes a string's escapes into out. Returns the length, at most v.len - 2,
 * or -1 if v is no string or takes more than cap bytes. `out` may be v.p. A
 * lone surrogate becomes U+FFFD; \u0000 comes out as a NUL byte.
 */
ssize_t json_string(struct json_value v, char *out, size_t cap);

/* Whether v is a string without lone surrogates: what names something must be,
 * or two texts would be one name. */
bool json_string_is_whole(struct json_value v);

/* Whether v is a string that decodes to this text. */
bool json_string_equals(struct json_value v, const char *text);

/*
 * Numbers and booleans: false if the type is another or the number is out of
 * range; *out is then left as it is. Integers have neither fraction nor
 * exponent (1.0 and 1e3 are none), as in Go; -0 is no unsigned one.
 */
bool json_bool(struct json_value v, bool *out);
bool json_int64(struct json_value v, int64_t *out);
bool json_uint32(struct json_value v, uint32_t *out);
bool json_uint64(struct json_value v, uint64_t *out);

/* Any number of at most 63 characters that a double holds (1e999: false). */
bool json_double(struct json_value v, double *out);

/*
 * A writer. Errors (too little room, no memory) are sticky: what follows is
 * ignored, and json_writer_failed() is asked once at the end.
 *
 * Commas come by themselves: a name or value that follows a complete value
 * gets one in front. So json_put() with '\n' between two texts is enough.
 */
struct json_writer {
	char *buf; /* what is written is buf[0, len), not terminated */
	size_t len, cap;
	size_t limit; /* of a growing buffer, bytes; 0: the caller's buffer */
	bool failed;
};

/* Writes into the caller's buffer of cap bytes. */
void json_writer_init(struct json_writer *w, char *buf, size_t cap);

/* Writes into a buffer of its own, which grows up to `limit` (> 0) bytes. */
void json_writer_init_growing(struct json_writer *w, size_t limit);

/* Frees the buffer if it is the writer's own. */
void json_writer_deinit(struct json_writer *w);

/* Begins anew with the same buffer, and forgets a failure. */
void json_writer_reset(struct json_writer *w);

static inline bool
json_writer_failed(const struct json_writer *w)
{
	return w->failed;
}

/* Bytes as they are, no comma. */
void json_put(struct json_writer *w, const char *p, size_t len);

/* '{' or '['; '}' or ']'. */
void json_open(struct json_writer *w, char bracket);
void json_close(struct json_writer *w, char bracket);

/* "name": of the member whose value is put next. The name is written as it
 * is: without quotes, backslashes, control characters. */
void json_put_name(struct json_writer *w, const char *name);

/* A string, escaped where it must be. Bytes that are not UTF-8 become U+FFFD
 * each: the result is always valid. */
void json_put_string(struct json_writer *w, const char *text, size_t len);

void json_put_int(struct json_writer *w, int64_t n);
void json_put_uint(struct json_writer *w, uint64_t n);
void json_put_bool(struct json_writer *w, bool b);

/* A complete JSON text as it is: the span of a validated value (white space
 * at its end would hide that a comma is due). With line breaks in it, it must
 * not go where texts are separated by them: json_put_compact() then. */
void json_put_raw(struct json_writer *w, const char *p, size_t len);

/* A validated value without insignificant white space; null for JSON_NONE. */
void json_put_compact(struct json_writer *w, struct json_value v);

#endif
