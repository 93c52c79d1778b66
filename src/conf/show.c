#include "conf/show.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include "parse.h"
#include "units.h"

enum { IPV4_AT = 96 /* bits before an IPv4 address */ };

/* Whether there is a number of words in a key's value. */
static bool
show_is_list(const struct conf_key *key)
{
	return conf_key_is_list(key) || key->kind == CONF_KIND_LISTEN ||
	    key->kind == CONF_KIND_CHANNEL ||
	    key->kind == CONF_KIND_CERTIFICATE;
}

bool
conf_show_key(const struct conf *c, int number, struct conf_shown *out)
{
	const struct conf_key *key = &conf_keys[number];

	if (key->name == NULL)
		return false;
	*out = (struct conf_shown){.name = key->name,
	    .usual = key->usual,
	    .where = c->where[number],
	    .words = key->words,
	    .reloads = key->reloads,
	    .list = show_is_list(key)};
	if (key->kind == CONF_KIND_LISTEN)
		out->where = c->listen_where[0];
	return true;
}

/* A number, size, time or rate. */
static void
show_number(const struct conf_live *live, const struct conf_key *key,
    uint64_t value, char out[CONF_WORD_TEXT])
{
	char text[UNITS_TEXT];

	if (value == 0 && key->flags & CONF_KEY_OFF)
		strlcpy(out, "off", CONF_WORD_TEXT);
	else if (key->kind == CONF_KIND_SIZE)
		strlcpy(out, units_size(value, text), CONF_WORD_TEXT);
	else if (key->kind == CONF_KIND_TIME)
		strlcpy(out, units_time(value, text), CONF_WORD_TEXT);
	else if (key->kind == CONF_KIND_RATE)
		snprintf(out, CONF_WORD_TEXT, "%llu/s burst %u",
		    (unsigned long long)value, live->message_burst);
	else
		snprintf(
		    out, CONF_WORD_TEXT, "%llu", (unsigned long long)value);
}

/* An address that is not counted as one, or those that begin so. */
static void
show_prefix(const struct conf_prefix *p, char out[CONF_WORD_TEXT])
{
	static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
	const bool v4 =
	    p->bits >= IPV4_AT && memcmp(p->address, mapped, 12) == 0;
	char text[INET6_ADDRSTRLEN], bits[16] = "";

	if (p->bits < 128)
		snprintf(bits, sizeof(bits), "/%d",
		    v4 ? p->bits - IPV4_AT : p->bits);
	inet_ntop(v4 ? AF_INET : AF_INET6, p->address + (v4 ? 12 : 0), text,
	    sizeof(text));
	snprintf(out, CONF_WORD_TEXT, "%s%s", text, bits);
}

/* The text of a number in a list of terminated ones; false: none. */
static bool
show_listed(const char *list, size_t used, int number, char out[CONF_WORD_TEXT])
{
	const char *at = list, *end = list + used;

	for (; at < end && number > 0; number--)
		at += strnlen(at, (size_t)(end - at)) + 1;
	if (at >= end)
		return false;
	snprintf(out, CONF_WORD_TEXT, "%.*s",
	    (int)strnlen(at, (size_t)(end - at)), at);
	return true;
}

/* An address, and the words behind it. */
static void
show_listen(const struct conf *c, int number, char out[CONF_WORD_TEXT])
{
	const char *words = c->listen_words[number];

	snprintf(out, CONF_WORD_TEXT, "%s%s%s", c->listen[number],
	    words != NULL ? " " : "", words != NULL ? words : "");
}

/* A certificate's files, as they are written behind the key. */
static void
show_certificate(const struct conf_certificate *c, char out[CONF_WORD_TEXT])
{
	snprintf(out, CONF_WORD_TEXT, "%s key %s%s%s", c->chain, c->key,
	    c->staple != NULL ? " ocsp " : "",
	    c->staple != NULL ? c->staple : "");
}

/* The word of a number of a key that is a list; false: none. */
static bool
show_list(const struct conf *c, const struct conf_live *live,
    const struct conf_key *key, int number, char out[CONF_WORD_TEXT])
{
	const struct conf_names *names;

	switch (key->kind) {
	case CONF_KIND_LISTEN:
		if (number >= c->n_listen)
			return false;
		show_listen(c, number, out);
		return true;
	case CONF_KIND_ORIGIN:
		return show_listed(live->origin, live->origin_len, number, out);
	case CONF_KIND_HOST:
		return show_listed(live->host, live->host_len, number, out);
	case CONF_KIND_PREFIX:
		if (number >= live->n_exempt)
			return false;
		show_prefix(&live->exempt[number], out);
		return true;
	case CONF_KIND_CERTIFICATE:
		if (number >= c->tls.n_certificates)
			return false;
		show_certificate(&c->tls.certificate[number], out);
		return true;
	case CONF_KIND_NAMES:
		names = (const void *)((const char *)c + key->offset);
		if (number >= names->n)
			return false;
		strlcpy(out, conf_key_names(key)[names->at[number]],
		    CONF_WORD_TEXT);
		return true;
	default: /* CONF_KIND_CHANNEL */
		if (number >= live->n_channels)
			return false;
		strlcpy(out, live->channel[number].pattern, CONF_WORD_TEXT);
		return true;
	}
}

/* The only word of a key's value; false: it is not set. */
static bool
show_single(const struct conf_live *live, const struct conf_key *key,
    const char *field, char out[CONF_WORD_TEXT])
{
	const char *const *words = conf_key_words(key);
	const char *text = field;
	uint64_t value;

	if (key->kind == CONF_KIND_TEXT || key->kind == CONF_KIND_PATH)
		memcpy(&text, field, sizeof(text));
	else if (conf_key_is_number(key)) {
		value = conf_number_load(field, key->size);
		if (words == NULL)
			show_number(live, key, value, out);
		else
			strlcpy(out,
			    !conf_key_allows(key, value) ? "?"
				: key->kind == CONF_KIND_INSECURE &&
				    live->insecure_public
				? "public"
				: words[value],
			    CONF_WORD_TEXT);
		return true;
	}
	if (text == NULL && key->flags & CONF_KEY_OFF)
		text = "off";
	if (text == NULL || text[0] == '\0')
		return false;
	strlcpy(
	    out, key->kind == CONF_KIND_SECRET ? "set" : text, CONF_WORD_TEXT);
	return true;
}

bool
conf_show_word(const struct conf *c, const struct conf_live *live, int number,
    int word, char out[CONF_WORD_TEXT])
{
	const struct conf_key *key = &conf_keys[number];
	const char *field = conf_key_is_live(key)
	    ? (const char *)live + key->offset - offsetof(struct conf, live)
	    : (const char *)c + key->offset;

	if (show_is_list(key))
		return show_list(c, live, key, word, out);
	return word == 0 && show_single(live, key, field, out);
}
