/*
 * live: the live configuration on its way to a worker that may be of another
 * version: lines of a name and a value, numbers in decimal, texts in
 * hexadecimal. A line `channel` begins the next channel's. Unknown names are
 * passed over; what is not mentioned stays as it is.
 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "parse.h"

/* A field that travels. */
struct live_field {
	const char *name;
	size_t offset, size; /* of a number 1, 2, 4 or 8 bytes */
	bool text;	     /* terminated, in that many bytes */
	uint64_t max;	     /* of a number; 0: what fits into it */
};

#define NUMBER(s, f, max)                                                     \
	{                                                                     \
#f, offsetof(struct s, f), sizeof(((struct s *)0)->f), false, \
		    max                                                       \
	}
#define TEXT(s, f)                                                             \
	{                                                                      \
#f, offsetof(struct s, f), sizeof(((struct s *)0)->f), true, 0 \
	}

/* Fields that belong to no key; the others are in keys.def. */
static const struct live_field live_fields[] = {
    NUMBER(conf_live, message_burst, CONF_RATE_MAX),
    NUMBER(conf_live, insecure_set, 1),
    NUMBER(conf_live, insecure_public, 1),
    TEXT(conf_live, machine),
};

static const struct live_field channel_fields[] = {
    TEXT(conf_channel, pattern),
    NUMBER(conf_channel, len, 0),
    NUMBER(conf_channel, prefix, 0),
    NUMBER(conf_channel, subscribe, 0),
    NUMBER(conf_channel, publish, 0),
    NUMBER(conf_channel, recovery, 0),
    NUMBER(conf_channel, presence, 0),
    NUMBER(conf_channel, join_leave, 0),
    NUMBER(conf_channel, history, 0),
    NUMBER(conf_channel, history_age_ms, 0),
    NUMBER(conf_channel, store, 0),
    NUMBER(conf_channel, offline, 0),
};

enum {
	N_LIVE = sizeof(live_fields) / sizeof(live_fields[0]),
	N_CHANNEL = sizeof(channel_fields) / sizeof(channel_fields[0])
};

/* The text that is being written. */
struct live_text {
	char *at;
	size_t left;
};

/* Appends to it; it is large enough for all that there may be. */
static void __attribute__((format(printf, 2, 3)))
live_text_put(struct live_text *t, const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(t->at, t->left, fmt, ap);
	va_end(ap);
	if (n < 0 || (size_t)n >= t->left)
		n = 0; /* cannot be: CONF_LIVE_MAX is more than all */
	t->at += n;
	t->left -= (size_t)n;
}

/* Appends a line with bytes. */
static void
bytes_put(struct live_text *t, const char *name, const char *bytes, size_t len)
{
	live_text_put(t, "%s ", name);
	for (; len > 0; len--, bytes++)
		live_text_put(t, "%02x", (unsigned char)*bytes);
	live_text_put(t, "\n");
}

/* Appends a field's line. */
static void
field_put(struct live_text *t, const struct live_field *f, const void *from,
    const char *prefix)
{
	const char *at = (const char *)from + f->offset;
	char name[64];

	snprintf(name, sizeof(name), "%s%s", prefix, f->name);
	if (f->text)
		bytes_put(t, name, at, strnlen(at, f->size - 1));
	else
		live_text_put(t, "%s %llu\n", name,
		    (unsigned long long)conf_number_load(at, f->size));
}

/* Appends the lines of some fields. */
static void
fields_put(struct live_text *t, const struct live_field *f, size_t n,
    const void *from, const char *prefix)
{
	for (; n > 0; n--, f++)
		field_put(t, f, from, prefix);
}

/* Whether a key's own field travels, and as what: lists and channels are
 * written and read apart. */
static bool
key_field(const struct conf_key *key, struct live_field *f)
{
	static const char prefix[] = "live.";

	f->text =
	    key->kind == CONF_KIND_STRING || key->kind == CONF_KIND_SECRET;
	if (!conf_key_is_live(key) || (!f->text && !conf_key_is_number(key)))
		return false;
	f->name = key->field + sizeof(prefix) - 1;
	f->offset = key->offset - offsetof(struct conf, live);
	f->size = key->size;
	f->max = 0; /* the key's range is judged */
	return true;
}

/* Appends the lines of the keys' own fields. */
static void
keys_put(struct live_text *t, const struct conf_live *live)
{
	struct live_field f;

	for (const struct conf_key *key = conf_keys; key->name != NULL; key++)
		if (key_field(key, &f))
			field_put(t, &f, live, "");
}

void
conf_live_bare(struct conf_live *live)
{
	struct live_field f;

	for (const struct conf_key *key = conf_keys; key->name != NULL; key++)
		if (key->kind == CONF_KIND_SECRET && key_field(key, &f))
			explicit_bzero((char *)live + f.offset, f.size);
}

size_t
conf_live_write(const struct conf_live *live, char out[CONF_LIVE_MAX])
{
	struct live_text t = {out, CONF_LIVE_MAX};

	keys_put(&t, live);
	fields_put(&t, live_fields, N_LIVE, live, "");
	bytes_put(&t, "origin", live->origin, live->origin_len);
	bytes_put(&t, "host", live->host, live->host_len);
	bytes_put(&t, "exempt", (const char *)live->exempt,
	    live->n_exempt * sizeof(live->exempt[0]));
	live_text_put(&t, "channels\n");
	for (int k = 0; k < live->n_channels; k++) {
		live_text_put(&t, "channel\n");
		fields_put(&t, channel_fields, N_CHANNEL, &live->channel[k],
		    "channel.");
	}
	return (size_t)(t.at - out);
}

/* Reads hexadecimal; its length in bytes, or -1. */
static int
hex_read(const char *text, size_t len, char *out, size_t room)
{
	static const char digits[] = "0123456789abcdef";
	const char *high, *low;
	size_t k;

	if (len % 2 != 0 || len / 2 > room)
		return -1;
	for (k = 0; k < len; k += 2) {
		high = memchr(digits, text[k], 16);
		low = memchr(digits, text[k + 1], 16);
		if (high == NULL || low == NULL)
			return -1;
		out[k / 2] = (char)((high - digits) << 4 | (low - digits));
	}
	return (int)(len / 2);
}

/* Reads a number that fits into so many bytes. */
static bool
number_read(const char *text, size_t len, size_t size, uint64_t *value)
{
	const uint64_t most =
	    size >= sizeof(uint64_t) ? UINT64_MAX : (1ull << size * 8) - 1;
	uint64_t digit;

	*value = 0;
	for (; len > 0; len--, text++) {
		if (*text < '0' || *text > '9')
			return false;
		digit = (uint64_t)(*text - '0');
		if (*value > (most - digit) / 10)
			return false;
		*value = *value * 10 + digit;
	}
	return true;
}

/* Stores one value; false: it is malformed or does not fit. */
static bool
field_store(const struct live_field *f, void *to, const char *text, size_t len)
{
	char *at = (char *)to + f->offset;
	uint64_t value;
	int n;

	if (f->text) {
		n = hex_read(text, len, at, f->size - 1);
		if (n < 0 || memchr(at, '\0', (size_t)n) != NULL)
			return false;
		memset(at + n, 0, f->size - (size_t)n);
		return true;
	}
	if (len == 0 || !number_read(text, len, f->size, &value) ||
	    (f->max != 0 && value > f->max))
		return false;
	conf_number_store(at, f->size, value);
	return true;
}

/* One line's name and value. */
struct live_line {
	const char *name, *value;
	size_t name_len, value_len;
};

/* Whether a line has that name. */
static bool
line_is(const struct live_line *l, const char *name)
{
	return strlen(name) == l->name_len &&
	    memcmp(name, l->name, l->name_len) == 0;
}

/* Stores a line's value into the field of its name, if there is one. */
static bool
line_store(
    const struct live_line *l, const struct live_field *f, size_t n, void *to)
{
	for (; n > 0; n--, f++)
		if (line_is(l, f->name))
			return field_store(f, to, l->value, l->value_len);
	return true;
}

/* Whether a key allows what was stored. */
static bool
key_allows_stored(const struct conf_key *key, const struct live_field *f,
    const struct conf_live *live)
{
	const char *at = (const char *)live + f->offset;

	if (f->text)
		return at[0] == '\0' || strlen(at) >= key->min;
	return conf_key_allows(key, conf_number_load(at, f->size));
}

/* Stores a line's value into the field of its name, if there is one; false: it
 * is malformed, or nothing that the key or field may be. */
static bool
line_store_live(const struct live_line *l, struct conf_live *live)
{
	struct live_field f;

	for (const struct conf_key *key = conf_keys; key->name != NULL; key++)
		if (key_field(key, &f) && line_is(l, f.name))
			return field_store(&f, live, l->value, l->value_len) &&
			    key_allows_stored(key, &f, live);
	return line_store(l, live_fields, N_LIVE, live);
}

/* Takes a list of terminated texts; false: it is malformed. */
static bool
line_take_list(
    const struct live_line *l, char *list, size_t room, uint16_t *used)
{
	int n = hex_read(l->value, l->value_len, list, room);

	*used = (uint16_t)(n < 0 ? 0 : n);
	return n >= 0;
}

/* Takes the prefixes of limit-exempt; false: malformed. */
static bool
line_take_exempt(const struct live_line *l, struct conf_live *live)
{
	const size_t each = sizeof(live->exempt[0]);
	int n = hex_read(
	    l->value, l->value_len, (char *)live->exempt, sizeof(live->exempt));

	live->n_exempt = (uint8_t)(n < 0 ? 0 : (size_t)n / each);
	return n >= 0 && (size_t)n % each == 0;
}

/* Takes one line; false: it is malformed. */
static bool
live_line_take(struct conf_live *live, const struct live_line *l)
{
	static const char prefix[] = "channel.";
	struct live_line inner = *l;

	if (line_is(l, "origin"))
		return line_take_list(
		    l, live->origin, sizeof(live->origin), &live->origin_len);
	if (line_is(l, "host"))
		return line_take_list(
		    l, live->host, sizeof(live->host), &live->host_len);
	if (line_is(l, "exempt"))
		return line_take_exempt(l, live);
	if (line_is(l, "channels")) {
		live->n_channels = 0;
		return true;
	}
	if (line_is(l, "channel")) {
		if (live->n_channels >= CONF_CHANNELS_MAX)
			return false;
		memset(&live->channel[live->n_channels++], 0,
		    sizeof(live->channel[0]));
		return true;
	}
	if (l->name_len < sizeof(prefix) ||
	    memcmp(l->name, prefix, sizeof(prefix) - 1) != 0)
		return line_store_live(l, live);
	if (live->n_channels == 0)
		return false;
	inner.name += sizeof(prefix) - 1;
	inner.name_len -= sizeof(prefix) - 1;
	return line_store(&inner, channel_fields, N_CHANNEL,
	    &live->channel[live->n_channels - 1]);
}

/* What is wrong with the lists that were taken; NULL if nothing is. Numbers and
 * texts have been judged one by one. */
static const char *
live_judge(const struct conf_live *live)
{
	if (live->origin_len > 0 && live->origin[live->origin_len - 1] != '\0')
		return "origins not terminated";
	if (live->host_len > 0 && live->host[live->host_len - 1] != '\0')
		return "hosts not terminated";
	for (int k = 0; k < live->n_exempt; k++)
		if (live->exempt[k].bits > 128)
			return "a prefix of addresses is too long";
	return conf_channels_judge(live);
}

const char *
conf_live_read(struct conf_live *live, const char *text, size_t len)
{
	const char *end;
	struct live_line l;

	for (; len > 0; len -= (size_t)(end + 1 - text), text = end + 1) {
		end = memchr(text, '\n', len);
		if (end == NULL)
			return "a line has no end";
		l.name = text;
		l.value = memchr(text, ' ', (size_t)(end - text));
		l.name_len = (size_t)((l.value != NULL ? l.value : end) - text);
		l.value = l.value != NULL ? l.value + 1 : end;
		l.value_len = (size_t)(end - l.value);
		if (!live_line_take(live, &l))
			return conf_complain(
			    "%.*s is malformed or out of range",
			    (int)(l.name_len < 64 ? l.name_len : 64), l.name);
	}
	return live_judge(live);
}
