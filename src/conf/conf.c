/* conf: a configuration with its defaults, and what its keys may be set to. */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conf/conf.h"
#include "parse.h"
#include "units.h"

enum { SUBSCRIPTIONS_EACH = 8 /* of a connection on average */ };

/* Sets a key to its default, word by word if it is a list; false: no memory. */
static bool
default_set(struct conf *c, const struct conf_key *key)
{
	char *copy, *rest, *word;
	bool good = true;

	if (!conf_key_is_list(key))
		return conf_set(c, key, key->usual) == NULL;
	if ((rest = copy = strdup(key->usual)) == NULL)
		return false;
	while ((word = strsep(&rest, " ")) != NULL)
		good = good && conf_set(c, key, word) == NULL;
	free(copy);
	return good;
}

/* A conf with every default. */
struct conf *
conf_new(void)
{
	const struct conf_key *key;
	struct conf *c;

	if ((c = calloc(1, sizeof(*c))) == NULL)
		return NULL;
	for (key = conf_keys; key->name != NULL; key++)
		if (key->usual != NULL && !default_set(c, key)) {
			conf_free(c);
			return NULL;
		}
	/* A file's lines take the place of these. */
	c->listen_is_default = true;
	c->exempt_set = false;
	c->tls.protocols.given = c->tls.ciphers.given = c->tls.groups.given = 0;
	return c;
}

/* Frees a conf and its strings; NULL is fine. */
void
conf_free(struct conf *c)
{
	if (c == NULL)
		return;
	conf_clear_listen(c);
	free(c->user);
	free(c->pidfile);
	free(c->control);
	free(c->log_file);
	free(c->webroot);
	free(c->store);
	free(c->store_backup);
	conf_tls_free(&c->tls);
	for (int i = 0; i < CONF_KEYS_MAX; i++)
		free(c->where[i]);
	freezero(c, sizeof(*c)); /* it holds secrets */
}

/* Forgets all addresses. */
void
conf_clear_listen(struct conf *c)
{
	int i;

	for (i = 0; i < c->n_listen; i++) {
		free(c->listen[i]);
		free(c->listen_words[i]);
		free(c->listen_where[i]);
		c->listen[i] = c->listen_words[i] = c->listen_where[i] = NULL;
	}
	c->n_listen = 0;
	c->listen_is_default = false;
}

/* Adds an address; the first one takes the default's place. */
int
conf_add_listen(struct conf *c, const char *address)
{
	const size_t len = strcspn(address, " ");
	char *copy, *words = NULL;

	if (!c->listen_is_default && c->n_listen == CONF_LISTEN_MAX) {
		errno = ENOSPC;
		return -1;
	}
	if ((copy = strndup(address, len)) == NULL)
		return -1;
	if (address[len] != '\0' &&
	    (words = strdup(address + len + 1)) == NULL) {
		free(copy);
		return -1;
	}
	if (c->listen_is_default && c->n_listen == 1)
		conf_clear_listen(c);
	c->listen_is_default = false;
	c->listen_words[c->n_listen] = words;
	c->listen[c->n_listen++] = copy;
	return 0;
}

/* Whether a text is an address and its words. */
bool
conf_listen_is(const struct conf *c, int i, const char *text)
{
	const size_t len = strlen(c->listen[i]);
	const char *words = c->listen_words[i];

	if (strncmp(text, c->listen[i], len) != 0)
		return false;
	return words == NULL
	    ? text[len] == '\0'
	    : text[len] == ' ' && strcmp(text + len + 1, words) == 0;
}

/* Adds a word behind the newest address. */
const char *
conf_listen_word(struct conf *c, const char *word)
{
	char **words = &c->listen_words[c->n_listen - 1], *all;

	if (*word == '\0' || strchr(word, ' ') != NULL)
		return conf_complain("listen: \"%s\" is no word", word);
	if (asprintf(&all, "%s%s%s", *words != NULL ? *words : "",
		*words != NULL ? " " : "", word) == -1)
		return conf_complain("%s", strerror(errno));
	free(*words);
	*words = all;
	return NULL;
}

/* Stores a key's number. */
static void
store(struct conf *c, const struct conf_key *key, uint64_t value)
{
	conf_number_store((char *)c + key->offset, key->size, value);
}

/* A number, size or time within the key's range. */
static const char *
set_number(struct conf *c, const struct conf_key *key, const char *value)
{
	static const char *const form[] = {[CONF_KIND_NUMBER] = "a number",
	    [CONF_KIND_SIZE] = "a size like 64K (K, M, G)",
	    [CONF_KIND_TIME] = "a time like 10s (ms, s, m, h, d)"};
	char range[CONF_RANGE_TEXT];
	uint64_t v;
	int r;

	if ((key->flags & CONF_KEY_OFF) && strcmp(value, "off") == 0) {
		store(c, key, 0);
		return NULL;
	}
	if (key->kind == CONF_KIND_NUMBER)
		r = conf_parse_number(value, &v);
	else if (key->kind == CONF_KIND_SIZE)
		r = conf_parse_size(value, &v);
	else
		r = conf_parse_time(value, &v);
	if (r == -1)
		return conf_complain("%s: \"%s\" is not %s; allowed is %s",
		    key->name, value, form[key->kind],
		    conf_key_range(key, range));
	if (!conf_key_allows(key, v))
		return conf_complain("%s: %s is out of range; allowed is %s",
		    key->name, value, conf_key_range(key, range));
	store(c, key, v);
	return NULL;
}

/* A user's name, or a path from the root; NULL where that is off. */
static const char *
set_text(struct conf *c, const struct conf_key *key, const char *value)
{
	const bool off = key->flags & CONF_KEY_OFF && strcmp(value, "off") == 0;
	const size_t max = key->max;
	char *copy = NULL, *old;

	if (*value == '\0')
		return conf_complain("%s: empty", key->name);
	if (!off && key->kind == CONF_KIND_PATH && *value != '/')
		return conf_complain(
		    "%s: \"%s\" does not begin with a slash", key->name, value);
	if (strlen(value) > max)
		return conf_complain(
		    "%s: longer than %zu bytes", key->name, max);
	if (!off && (copy = strdup(value)) == NULL)
		return conf_complain("%s", strerror(errno));
	memcpy(&old, (char *)c + key->offset, sizeof(old));
	free(old);
	memcpy((char *)c + key->offset, &copy, sizeof(copy));
	return NULL;
}

/* What is wrong with a secret; it is not shown. */
static const char *
judge_secret(const struct conf_key *key, const char *value)
{
	if (strcasestr(value, "CHANGE-ME") != NULL)
		return conf_complain("%s: it is the one of the sample, which "
				     "everybody knows; `openssl rand -base64 "
				     "48` makes one",
		    key->name);
	if (strlen(value) < key->min)
		return conf_complain("%s: it has %zu bytes, and at least %u "
				     "are needed; `openssl rand -base64 48` "
				     "makes one",
		    key->name, strlen(value), (unsigned)key->min);
	return NULL;
}

/* A text or secret that is kept in place. */
static const char *
set_string(struct conf *c, const struct conf_key *key, const char *value)
{
	const char *wrong;

	if (*value == '\0')
		return conf_complain("%s: empty", key->name);
	if (key->kind == CONF_KIND_SECRET &&
	    (wrong = judge_secret(key, value)) != NULL)
		return wrong;
	if (strlen(value) >= key->size)
		return conf_complain(
		    "%s: longer than %zu bytes", key->name, key->size - 1);
	memcpy((char *)c + key->offset, value, strlen(value) + 1);
	return NULL;
}

/* One of two or three words. */
static const char *
set_word(struct conf *c, const struct conf_key *key, const char *value)
{
	const char *const *words = conf_key_words(key);

	for (uint64_t i = 0; words[i] != NULL; i++)
		if (strcmp(value, words[i]) == 0) {
			store(c, key, i);
			return NULL;
		}
	if (words[2] == NULL)
		return conf_complain("%s: \"%s\" is neither %s nor %s",
		    key->name, value, words[1], words[0]);
	return conf_complain("%s: \"%s\" is none of %s, %s and %s", key->name,
	    value, words[2], words[1], words[0]);
}

/* no, yes, or yes even where strangers come by. */
static const char *
set_insecure(struct conf *c, const char *value)
{
	const bool public = strcmp(value, "public") == 0;

	if (!public && strcmp(value, "yes") != 0 && strcmp(value, "no") != 0)
		return conf_complain(
		    "insecure: \"%s\" is neither yes, no nor public", value);
	c->live.insecure_set = 1;
	c->live.insecure = public || strcmp(value, "yes") == 0;
	c->live.insecure_public = public;
	return NULL;
}

/* An address "host:port" that is not there yet. */
static const char *
set_listen(struct conf *c, const char *value)
{
	const char *colon = strrchr(value, ':');
	uint64_t port;
	int i;

	if (colon == NULL || colon == value ||
	    conf_parse_number(colon + 1, &port) == -1 || port > 65535)
		return conf_complain(
		    "listen: \"%s\" is not ADDRESS:PORT with a "
		    "port from 0 to 65535",
		    value);
	if (*value != '[' && memchr(value, ':', colon - value) != NULL)
		return conf_complain(
		    "listen: \"%s\": an IPv6 address stands in "
		    "brackets, \"[::1]:8080\"",
		    value);
	for (i = 0; i < c->n_listen && !c->listen_is_default; i++)
		if (strcmp(c->listen[i], value) == 0)
			return conf_complain(
			    "listen: %s is there twice", value);
	if (conf_add_listen(c, value) == -1)
		return errno == ENOSPC
		    ? conf_complain(
			  "listen: more than %d addresses", CONF_LISTEN_MAX)
		    : conf_complain("%s", strerror(errno));
	return NULL;
}

/* Sets a key that has one value. */
const char *
conf_set(struct conf *c, const struct conf_key *key, const char *value)
{
	switch (key->kind) {
	case CONF_KIND_NUMBER:
	case CONF_KIND_SIZE:
	case CONF_KIND_TIME:
		return set_number(c, key, value);
	case CONF_KIND_TEXT:
	case CONF_KIND_PATH:
		return set_text(c, key, value);
	case CONF_KIND_LISTEN:
		return set_listen(c, value);
	case CONF_KIND_YES_NO:
	case CONF_KIND_LOG:
	case CONF_KIND_SLOW:
	case CONF_KIND_WHOM:
	case CONF_KIND_SYNC:
	case CONF_KIND_STORE_FULL:
		return set_word(c, key, value);
	case CONF_KIND_INSECURE:
		return set_insecure(c, value);
	case CONF_KIND_STRING:
	case CONF_KIND_SECRET:
		return set_string(c, key, value);
	case CONF_KIND_CHANNEL:	    /* a block: conf_channel_begin */
	case CONF_KIND_CERTIFICATE: /* conf_certificate_begin */
	case CONF_KINDS:
		break;
	case CONF_KIND_RATE:
		return conf_set_rate(c, key, value, NULL);
	case CONF_KIND_ORIGIN:
		return conf_add_origin(c, value);
	case CONF_KIND_HOST:
		return conf_add_host(c, value);
	case CONF_KIND_PREFIX:
		return conf_add_exempt(c, value);
	case CONF_KIND_NAMES:
		return conf_add_name(c, key, value);
	}
	return conf_complain("%s: not a value", key->name);
}

/* "N/s" or "off"; burst NULL = as much as a second brings. */
const char *
conf_set_rate(struct conf *c, const struct conf_key *key, const char *rate,
    const char *burst)
{
	char range[CONF_RANGE_TEXT];
	const char *rest;
	uint64_t n, b;

	if (strcmp(rate, "off") == 0 || strcmp(rate, "0") == 0) {
		if (burst != NULL)
			return conf_complain(
			    "%s: %s takes no burst", key->name, rate);
		c->live.message_rate = c->live.message_burst = 0;
		return NULL;
	}
	if ((rest = conf_parse_digits(rate, &n)) == NULL ||
	    strcmp(rest, "/s") != 0)
		return conf_complain(
		    "%s: \"%s\" is not a rate like 8/s", key->name, rate);
	if (n == 0 || !conf_key_allows(key, n))
		return conf_complain("%s: %s is out of range; allowed is %s",
		    key->name, rate, conf_key_range(key, range));
	b = n;
	if (burst != NULL &&
	    (conf_parse_number(burst, &b) == -1 || b == 0 ||
		!conf_key_allows(key, b)))
		return conf_complain("%s: burst \"%s\" is not a number from "
				     "%llu to %llu",
		    key->name, burst, (unsigned long long)key->min,
		    (unsigned long long)key->max);
	c->live.message_rate = (uint32_t)n;
	c->live.message_burst = (uint32_t)b;
	return NULL;
}

/* The shared pools hold what one connection may use of them. */
const char *
conf_finish(struct conf *c, const char **where)
{
	if (conf_where(c, "subscriptions") == NULL)
		c->subscriptions = SUBSCRIPTIONS_EACH * c->connections;
	if ((*where = conf_where(c, "message-size")) == NULL &&
	    (*where = conf_where(c, "input-memory")) == NULL)
		*where = conf_where(c, "output-memory");
	if (c->live.message_size > c->input_bytes)
		return conf_complain("message-size is %u, and input-memory "
				     "%llu: it must hold a message",
		    c->live.message_size, (unsigned long long)c->input_bytes);
	if (c->live.message_size > c->output_bytes / CONF_OUTPUT_MESSAGES)
		return conf_complain("message-size %u needs an output-memory "
				     "of %lluK at least (%d times as much)",
		    c->live.message_size,
		    (unsigned long long)c->live.message_size *
			CONF_OUTPUT_MESSAGES / 1024,
		    CONF_OUTPUT_MESSAGES);
	if ((*where = conf_where(c, "queue")) == NULL)
		*where = conf_where(c, "output-memory");
	if (c->live.queue_bytes > c->output_bytes)
		return conf_complain("queue is %u, and output-memory %llu: it "
				     "must hold a queue",
		    c->live.queue_bytes, (unsigned long long)c->output_bytes);
	*where = conf_where(c, "store-sync");
	return conf_store_judge(c, c);
}
