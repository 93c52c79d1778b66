/* key: the table of keys, and what a row says of a value. */
#include <stdio.h>
#include <string.h>
#include <sys/un.h>

#include "parse.h"
#include "units.h"

_Static_assert(
    (int)CONF_SOCKET_BYTES == sizeof(((struct sockaddr_un *)0)->sun_path) - 1,
    "a control socket's name and its NUL fit");

const struct conf_key conf_keys[] = {
#define RELOAD true
#define START false
#define KEY(name, kind, field, min, max, flags, usual, reloads, words) \
	{name, CONF_KIND_##kind, #field, offsetof(struct conf, field), \
	    sizeof(((struct conf *)0)->field), min, max, flags, usual, \
	    reloads, words},
#include "keys.def"
#undef KEY
#undef RELOAD
#undef START
    {.name = NULL}};

_Static_assert(sizeof(conf_keys) / sizeof(conf_keys[0]) <= CONF_KEYS_MAX,
    "room for the place of each key");

/* The words that a kind of key takes; the first one is stored as 0. */
static const char *const kind_words[][4] = {
    [CONF_KIND_YES_NO] = {"no", "yes", NULL},
    [CONF_KIND_LOG] = {"brief", "verbose", NULL},
    [CONF_KIND_SLOW] = {"disconnect", "skip", NULL},
    [CONF_KIND_WHOM] = {"none", "users", "all", NULL},
    [CONF_KIND_INSECURE] = {"no", "yes", NULL},
    [CONF_KIND_SYNC] = {"full", "normal", NULL},
    [CONF_KIND_STORE_FULL] = {"continue", "refuse", NULL},
};
_Static_assert(sizeof(kind_words) / sizeof(kind_words[0]) <= CONF_KINDS,
    "a row for no more kinds than there are");

const char *const *
conf_key_words(const struct conf_key *key)
{
	const size_t n = sizeof(kind_words) / sizeof(kind_words[0]);

	return (size_t)key->kind < n && kind_words[key->kind][0] != NULL
	    ? kind_words[key->kind]
	    : NULL;
}

bool
conf_key_is_number(const struct conf_key *key)
{
	switch (key->kind) {
	case CONF_KIND_NUMBER:
	case CONF_KIND_SIZE:
	case CONF_KIND_TIME:
	case CONF_KIND_RATE:
		return true;
	default:
		return conf_key_words(key) != NULL;
	}
}

bool
conf_key_is_live(const struct conf_key *key)
{
	return key->offset >= offsetof(struct conf, live);
}

bool
conf_key_is_tls(const struct conf_key *key)
{
	return key->offset >= offsetof(struct conf, tls) &&
	    key->offset <
	    offsetof(struct conf, tls) + sizeof(((struct conf *)0)->tls);
}

bool
conf_key_allows(const struct conf_key *key, uint64_t value)
{
	if (value == 0 && (key->flags & CONF_KEY_OFF))
		return true;
	return value >= key->min && value <= key->max &&
	    (value != key->max || (key->flags & CONF_KEY_BELOW_MAX) == 0);
}

/* A number in the unit of a kind. */
static const char *
number_text(enum conf_kind kind, uint64_t value, char out[UNITS_TEXT])
{
	if (kind == CONF_KIND_SIZE)
		return units_size(value, out);
	if (kind == CONF_KIND_TIME)
		return units_time(value, out);
	snprintf(out, UNITS_TEXT, "%llu%s", (unsigned long long)value,
	    kind == CONF_KIND_RATE ? "/s" : "");
	return out;
}

const char *
conf_key_range(const struct conf_key *key, char out[CONF_RANGE_TEXT])
{
	const bool below = (key->flags & CONF_KEY_BELOW_MAX) != 0;
	char min[UNITS_TEXT], max[UNITS_TEXT];

	snprintf(out, CONF_RANGE_TEXT, "%s%s%s%s%s",
	    below ? "at least " : "from ",
	    number_text(key->kind, key->min, min),
	    below ? " and below " : " to ",
	    number_text(key->kind, key->max, max),
	    key->flags & CONF_KEY_OFF ? ", or off" : "");
	return out;
}

void
conf_number_store(void *field, size_t size, uint64_t value)
{
	const uint32_t v4 = (uint32_t)value;
	const uint8_t v1 = (uint8_t)value;

	if (size == sizeof(v1))
		memcpy(field, &v1, sizeof(v1));
	else if (size == sizeof(v4))
		memcpy(field, &v4, sizeof(v4));
	else
		memcpy(field, &value, sizeof(value));
}

uint64_t
conf_number_load(const void *field, size_t size)
{
	uint64_t v8;
	uint32_t v4;
	uint8_t v1;

	if (size == sizeof(v1))
		return memcpy(&v1, field, sizeof(v1)), v1;
	if (size == sizeof(v4))
		return memcpy(&v4, field, sizeof(v4)), v4;
	return memcpy(&v8, field, sizeof(v8)), v8;
}
