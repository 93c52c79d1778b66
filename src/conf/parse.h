/*
 * parse: what conf.c lends to parse.y. Private to src/conf.
 */
#ifndef CHATD_CONF_PARSE_H
#define CHATD_CONF_PARSE_H

#include <stddef.h>
#include <stdint.h>

#include "conf/conf.h"

/* How a key's value is written; parse.y has a token for each. */
enum conf_kind {
	CONF_KIND_NUMBER,
	CONF_KIND_SIZE,
	CONF_KIND_TIME,
	CONF_KIND_YES_NO,
	CONF_KIND_TEXT,
	CONF_KIND_PATH,
	CONF_KIND_LISTEN, /* may repeat */
	CONF_KIND_LOG,
	CONF_KIND_RATE,
	CONF_KIND_ORIGIN,  /* may repeat */
	CONF_KIND_HOST,	   /* may repeat */
	CONF_KIND_PREFIX,  /* may repeat */
	CONF_KIND_CHANNEL, /* may repeat */
	CONF_KIND_INSECURE,
	CONF_KIND_SLOW,
	CONF_KIND_WHOM,
	CONF_KIND_STRING, /* kept in place, NUL-terminated */
	CONF_KIND_SECRET  /* the same, and never shown */
};

enum {
	CONF_KEY_OFF = 1,      /* 0 and "off" are allowed below the minimum */
	CONF_KEY_BELOW_MAX = 2 /* the maximum itself is not allowed */
};

/* One key: where its value goes and what it may be. */
struct conf_key {
	const char *name;
	enum conf_kind kind;
	size_t offset, size; /* of the field in struct conf */
	uint64_t min, max;
	int flags;
	const char *range; /* min and max as people write them */
};

/* Every key there is, ended by a NULL name. conf_live says which a reload
 * changes: those whose field lies in `live`. */
extern const struct conf_key conf_keys[];

/* Whether a key takes several values, in a line or a block. */
static inline bool
conf_key_is_list(const struct conf_key *key)
{
	return key->kind == CONF_KIND_ORIGIN || key->kind == CONF_KIND_HOST ||
	    key->kind == CONF_KIND_PREFIX;
}

/* A channel block that is not complete yet. */
struct conf_channel_draft {
	struct conf_channel channel;
	unsigned set; /* a bit for each rule that it has */
	bool failed;  /* a rule was wrong */
};

/* Formats what is wrong into one buffer, whose text lives until the next
 * call. */
const char *
conf_complain(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* The key that is nearest to a misspelt one, or NULL; and the complaint. */
const char *conf_nearest(const char *word);
const char *conf_unknown(const char *word);

/* Reads leading digits; returns what follows them, or NULL. */
const char *conf_parse_digits(const char *text, uint64_t *value);

/* Decimal digits and nothing else. -1 when malformed or above 2^64 - 1. */
int conf_parse_number(const char *text, uint64_t *value);

/* Each sets a key's value and returns NULL, or says what is wrong with it (a
 * text that lives until the next call). */
const char *
conf_set(struct conf *c, const struct conf_key *key, const char *value);
const char *conf_set_rate(struct conf *c, const char *rate, const char *burst);
const char *conf_add_origin(struct conf *c, const char *origin);
const char *conf_add_host(struct conf *c, const char *host);
const char *conf_add_exempt(struct conf *c, const char *prefix);

/* What limit-exempt is if the file has none. */
void conf_exempt_usual(struct conf_live *live);

/* A channel block: begin, set for each rule, end; as above. */
const char *conf_channel_begin(
    struct conf_channel_draft *d, const struct conf *c, const char *pattern);
const char *conf_channel_set(
    struct conf_channel_draft *d, const char *rule, const char *value);
const char *
conf_channel_end(const struct conf_channel_draft *d, struct conf *c);

/* Notes where a key is set. False: no memory. */
bool conf_note_where(
    struct conf *c, const struct conf_key *key, const char *file, int line);

/* Judges keys against each other once all are known; as above, and *where is
 * the line to blame. */
const char *conf_finish(struct conf *c, const char **where);

#endif
