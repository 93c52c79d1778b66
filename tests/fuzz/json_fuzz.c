/*
 * json_fuzz: judged as by a plain recursive reader, what is read is whole, what
 * is written reads as it was, and bytes that were never validated are walked
 * without leaving them.
 */
#include "fuzz.h"

#include "base/utf8.h"
#include "codec/json.h"

/* The plain reader: where it is. */
struct plain {
	const char *p, *end;
};

/* Takes one byte if it is in the set. */
static bool
plain_take(struct plain *r, const char *set)
{
	if (r->p == r->end || *r->p == '\0' || strchr(set, *r->p) == NULL)
		return false;
	r->p++;
	return true;
}

/* Takes as many bytes of the set as there are; whether there was one. */
static bool
plain_take_all(struct plain *r, const char *set)
{
	const char *start = r->p;

	while (plain_take(r, set))
		;
	return r->p > start;
}

/* Takes a word. */
static bool
plain_word(struct plain *r, const char *word)
{
	size_t len = strlen(word);

	if ((size_t)(r->end - r->p) < len || memcmp(r->p, word, len) != 0)
		return false;
	r->p += len;
	return true;
}

/* Takes a number. */
static bool
plain_number(struct plain *r)
{
	plain_take(r, "-");
	if (!plain_take(r, "0") && !plain_take_all(r, "0123456789"))
		return false;
	if (plain_take(r, ".") && !plain_take_all(r, "0123456789"))
		return false;
	if (!plain_take(r, "eE"))
		return true;
	plain_take(r, "+-");
	return plain_take_all(r, "0123456789");
}

/* Takes a string; its UTF-8 is judged with the whole text's. */
static bool
plain_string(struct plain *r)
{
	static const char hex[] = "0123456789abcdefABCDEF";

	if (!plain_take(r, "\""))
		return false;
	while (r->p < r->end) {
		if (plain_take(r, "\""))
			return true;
		if (plain_take(r, "\\")) {
			if (plain_take(r, "\"\\/bfnrt"))
				continue;
			if (!plain_take(r, "u") || !plain_take(r, hex) ||
			    !plain_take(r, hex) || !plain_take(r, hex) ||
			    !plain_take(r, hex))
				return false;
		} else if ((unsigned char)*r->p++ < 0x20)
			return false;
	}
	return false;
}

/* Takes a value at that depth. */
static bool
plain_value(struct plain *r, int depth)
{
	static const char space[] = " \t\r\n";
	bool object;

	plain_take_all(r, space);
	if (r->p == r->end)
		return false;
	if (*r->p == '"')
		return plain_string(r);
	if (*r->p == 't')
		return plain_word(r, "true");
	if (*r->p == 'f')
		return plain_word(r, "false");
	if (*r->p == 'n')
		return plain_word(r, "null");
	if (*r->p != '{' && *r->p != '[')
		return plain_number(r);
	object = *r->p++ == '{';
	if (depth == JSON_DEPTH_MAX)
		return false;
	plain_take_all(r, space);
	if (plain_take(r, object ? "}" : "]"))
		return true;
	do {
		plain_take_all(r, space);
		if (object && !plain_string(r))
			return false;
		plain_take_all(r, space);
		if (object && !plain_take(r, ":"))
			return false;
		if (!plain_value(r, depth + 1))
			return false;
		plain_take_all(r, space);
	} while (plain_take(r, ","));
	return plain_take(r, object ? "}" : "]");
}

/* Judges a text the plain way. */
static bool
plain_accepts(const char *text, size_t len)
{
	struct plain r = {text, text + len};

	if (!utf8_valid(text, len) || !plain_value(&r, 0))
		return false;
	plain_take_all(&r, " \t\r\n");
	return r.p == r.end;
}

/* A value lies within its container. */
static void
require_within(struct json_value v, struct json_value outer)
{
	REQUIRE(v.p >= outer.p && v.p + v.len <= outer.p + outer.len);
}

/* A string comes back after it was decoded and written, and equals itself. */
static void
require_string(struct json_value v)
{
	char *out = malloc(v.len), *text;
	ssize_t len = json_string(v, out, v.len - 2);
	struct json_writer w;
	struct json_value again;

	REQUIRE(len >= 0 && utf8_valid(out, (size_t)len));
	REQUIRE(len == 0 || json_string(v, out, (size_t)len - 1) == -1);
	REQUIRE(json_string(v, out, (size_t)len) == len);
	json_writer_init_growing(&w, 6 * v.len);
	json_put_string(&w, out, (size_t)len);
	REQUIRE(!json_writer_failed(&w));
	REQUIRE(json_validate(w.buf, w.len, &again) && again.len == w.len);
	text = malloc((size_t)len + 1);
	REQUIRE(json_string(again, text, (size_t)len) == len);
	REQUIRE(len == 0 || memcmp(out, text, (size_t)len) == 0);
	text[len] = '\0';
	REQUIRE(json_string_equals(v, text) == (strlen(text) == (size_t)len));
	json_writer_deinit(&w);
	free(text);
	free(out);
}

/* Reads everything in a value; `valid` if it was validated. Returns how many
 * values there are. */
static size_t
walk(struct json_value v, bool valid, int depth)
{
	struct json_value name, inner, found;
	struct json_iter iter;
	size_t n = 1;
	int64_t i64;
	uint64_t u64;
	double d;
	bool b;

	if (valid && v.type == JSON_STRING)
		require_string(v);
	json_string_equals(v, "publish");
	if (json_uint64(v, &u64) && u64 <= INT64_MAX)
		REQUIRE(json_int64(v, &i64) && i64 == (int64_t)u64);
	json_double(v, &d);
	json_bool(v, &b);
	if (depth == 0)
		return n;
	iter = json_iter(v, JSON_OBJECT);
	while (json_next_member(&iter, &name, &inner)) {
		require_within(name, v);
		require_within(inner, v);
		n += walk(name, valid, 0) + walk(inner, valid, depth - 1);
	}
	iter = json_iter(v, JSON_ARRAY);
	while (json_next_element(&iter, &inner)) {
		require_within(inner, v);
		n += walk(inner, valid, depth - 1);
	}
	if (json_member(v, "a", &found))
		require_within(found, v);
	return n;
}

/* What must be true of a good text. */
static void
require_good(struct json_value v)
{
	size_t n = walk(v, true, JSON_DEPTH_MAX + 1);
	struct json_writer w, w2;
	struct json_value compact;

	json_writer_init_growing(&w, v.len);
	json_put_compact(&w, v);
	REQUIRE(!json_writer_failed(&w));
	REQUIRE(json_validate(w.buf, w.len, &compact));
	REQUIRE(compact.type == v.type);
	REQUIRE(walk(compact, true, JSON_DEPTH_MAX + 1) == n);
	json_writer_init_growing(&w2, w.len);
	json_put_compact(&w2, compact);
	REQUIRE(w2.len == w.len && memcmp(w.buf, w2.buf, w.len) == 0);
	json_writer_deinit(&w2);
	json_writer_deinit(&w);
}

/* Any bytes become {"text":"..."}. */
static void
require_text(const char *text, size_t len)
{
	struct json_value v, inner;
	struct json_writer w;

	json_writer_init_growing(&w, SIZE_MAX);
	json_open(&w, '{');
	json_put_name(&w, "text");
	json_put_string(&w, text, len);
	json_close(&w, '}');
	REQUIRE(!json_writer_failed(&w));
	REQUIRE(json_validate(w.buf, w.len, &v) && v.len == w.len);
	REQUIRE(json_member(v, "text", &inner));
	REQUIRE(inner.type == JSON_STRING);
	json_writer_deinit(&w);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const enum json_type types[] = {JSON_NULL, JSON_BOOL,
	    JSON_NUMBER, JSON_STRING, JSON_ARRAY, JSON_OBJECT};
	const char *text = (const char *)data;
	struct json_value v, outline;
	size_t i;

	if (json_validate(text, size, &v)) {
		REQUIRE(plain_accepts(text, size));
		REQUIRE(v.p >= text && v.p + v.len <= text + size);
		require_good(v);
	} else {
		REQUIRE(!plain_accepts(text, size));
		REQUIRE(v.type == JSON_NONE && v.p == NULL && v.len == 0);
	}
	/* An object that is good is its own outline. */
	if (json_outline(text, size, &outline)) {
		REQUIRE(outline.type == JSON_OBJECT && *outline.p == '{');
		REQUIRE(outline.p >= text &&
		    outline.p + outline.len <= text + size);
		REQUIRE(v.type != JSON_OBJECT || v.len == outline.len);
		walk(outline, false, 8);
	} else
		REQUIRE(v.type != JSON_OBJECT);
	require_text(text, size);
	/* Bytes that another process changed since they were validated. */
	for (i = 0; size > 0 && i < sizeof(types) / sizeof(*types); i++)
		walk((struct json_value){text, size, types[i]}, false, 8);
	return 0;
}
