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
	CONF_KIND_ORIGIN,      /* may repeat */
	CONF_KIND_HOST,	       /* may repeat */
	CONF_KIND_PREFIX,      /* may repeat */
	CONF_KIND_CHANNEL,     /* may repeat */
	CONF_KIND_CERTIFICATE, /* may repeat */
	CONF_KIND_NAMES,       /* a list from a fixed set; may repeat */
	CONF_KIND_INSECURE,
	CONF_KIND_SLOW,
	CONF_KIND_WHOM,
	CONF_KIND_SYNC,
	CONF_KIND_STORE_FULL,
	CONF_KIND_STRING, /* kept in place, NUL-terminated */
	CONF_KIND_SECRET, /* a STRING that is never shown */
	CONF_KINDS
};

enum {
	CONF_KEY_OFF = 1, /* 0 and "off" are allowed below the minimum, "off"
			   * in place of a path */
	CONF_KEY_BELOW_MAX = 2 /* the maximum itself is not allowed */
};

enum { CONF_RANGE_TEXT = 80 };

/* One key: a row of keys.def, which says what each member is. */
struct conf_key {
	const char *name;
	enum conf_kind kind;
	const char *field;   /* its name in struct conf */
	size_t offset, size; /* of that field */
	uint64_t min, max;
	int flags;
	const char *usual; /* the default; NULL: none */
	bool reloads;	   /* a reload applies it */
	const char *words;
};

/* Every key there is, ended by a NULL name. */
extern const struct conf_key conf_keys[];

/* Whether its field lies in conf_live, and so is changed in running workers. */
bool conf_key_is_live(const struct conf_key *key);

/* Whether its field lies in conf_tls, and so is changed by other processes. */
bool conf_key_is_tls(const struct conf_key *key);

/* Of a key of CONF_KIND_NAMES: its set, ended by NULL. */
const char *const *conf_key_names(const struct conf_key *key);

/* The words that a key's value is one of, ended by NULL, each stored as its
 * place in the list; NULL: it is not one of some words. */
const char *const *conf_key_words(const struct conf_key *key);

/* Whether the field is a number, which conf_key_allows() judges. */
bool conf_key_is_number(const struct conf_key *key);
bool conf_key_allows(const struct conf_key *key, uint64_t value);

/* What a number, size, time or rate may be: "from 10ms to 1h", "from 1/s to
 * 1000000/s, or off". Returns out. */
const char *
conf_key_range(const struct conf_key *key, char out[CONF_RANGE_TEXT]);

/* A number's field of 1, 4 or 8 bytes. */
void conf_number_store(void *field, size_t size, uint64_t value);
uint64_t conf_number_load(const void *field, size_t size);

/* Whether a key takes several values, in a line or a block. */
static inline bool
conf_key_is_list(const struct conf_key *key)
{
	return key->kind == CONF_KIND_ORIGIN || key->kind == CONF_KIND_HOST ||
	    key->kind == CONF_KIND_PREFIX || key->kind == CONF_KIND_NAMES;
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

/* Each sets a key's value and returns NULL, or says what is wrong with it (a
 * text that lives until the next call). */
const char *
conf_set(struct conf *c, const struct conf_key *key, const char *value);
const char *conf_set_rate(struct conf *c, const struct conf_key *key,
    const char *rate, const char *burst);
const char *conf_add_origin(struct conf *c, const char *origin);
const char *conf_add_host(struct conf *c, const char *host);
const char *conf_add_exempt(struct conf *c, const char *prefix);

const char *
conf_add_name(struct conf *c, const struct conf_key *key, const char *name);

/* A line of `certificate`: its file, and pairs of a word and a file. As above.
 */
struct conf_certificate_draft {
	const char *chain, *key, *staple;
};
const char *conf_certificate_begin(
    struct conf_certificate_draft *d, const struct conf *c, const char *chain);
const char *conf_certificate_set(
    struct conf_certificate_draft *d, const char *word, const char *file);
const char *
conf_certificate_end(const struct conf_certificate_draft *d, struct conf *c);

void conf_tls_free(struct conf_tls *tls);

/* A word behind the address that was added last; as above. */
const char *conf_listen_word(struct conf *c, const char *word);

/* A channel block: begin, set for each rule, end; as above. */
const char *conf_channel_begin(
    struct conf_channel_draft *d, const struct conf *c, const char *pattern);
const char *conf_channel_set(
    struct conf_channel_draft *d, const char *rule, const char *value);
const char *
conf_channel_end(const struct conf_channel_draft *d, struct conf *c);

/* Notes where a key is set; of `listen`, where its last address is; of one that
 * may repeat, where it is set first. False: no memory. */
bool conf_note_where(
    struct conf *c, const struct conf_key *key, const char *file, int line);

bool conf_note_first(
    struct conf *c, const struct conf_key *key, const char *file, int line);

/* Judges keys against each other once all are known; as above, and *where is
 * the line to blame. */
const char *conf_finish(struct conf *c, const char **where);

#endif
