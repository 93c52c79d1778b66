/* conf: defaults, keys and what they may be. parse.y reads the files. */

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

#include "conf/conf.h"
#include "parse.h"

#define K 1024ULL
#define M (1024 * K)
#define G (1024 * M)
#define SECOND 1000ULL
#define HOUR (3600 * SECOND)

#define LISTEN_DEFAULT "localhost:8080"

enum {
	RATE_MAX = 1000000,	/* messages a second: more is no limit */
	SUBSCRIPTIONS_EACH = 8, /* of a connection on average */
	PATH_MAX_BYTES = 1024,
	NAME_MAX_BYTES = 64
};

#define FIELD(f) offsetof(struct conf, f), sizeof(((struct conf *)0)->f)

const struct conf_key conf_keys[] = {
    {"listen", CONF_KIND_LISTEN, FIELD(listen), 0, 0, 0, NULL},
    {"workers", CONF_KIND_NUMBER, FIELD(workers), 0, CONF_WORKERS_MAX, 0,
	"from 0 to 64"},
    {"user", CONF_KIND_TEXT, FIELD(user), 0, 0, 0, NULL},
    {"pidfile", CONF_KIND_PATH, FIELD(pidfile), 0, 0, 0, NULL},
    {"control", CONF_KIND_PATH, FIELD(control), 0,
	sizeof(((struct sockaddr_un *)0)->sun_path) - 1, 0, NULL},
    {"log-file", CONF_KIND_PATH, FIELD(log_file), 0, 0, 0, NULL},
    {"log", CONF_KIND_LOG, FIELD(live.verbose), 0, 0, 0, NULL},
    {"connections", CONF_KIND_NUMBER, FIELD(connections), 16, 1048576, 0,
	"from 16 to 1048576"},
    {"users", CONF_KIND_NUMBER, FIELD(users), 16, 4194304, 0,
	"from 16 to 4194304"},
    {"channels", CONF_KIND_NUMBER, FIELD(channels), 16, 4194304, 0,
	"from 16 to 4194304"},
    {"subscriptions", CONF_KIND_NUMBER, FIELD(subscriptions), 16, 67108864, 0,
	"from 16 to 67108864"},
    {"journal", CONF_KIND_SIZE, FIELD(journal_bytes), M, 16 * G, 0,
	"from 1M to 16G"},
    {"output-memory", CONF_KIND_SIZE, FIELD(output_bytes), 4 * M, 4 * G,
	CONF_KEY_BELOW_MAX, "at least 4M and below 4G"},
    {"input-memory", CONF_KIND_SIZE, FIELD(input_bytes), M, 4 * G, 0,
	"from 1M to 4G"},
    {"message-size", CONF_KIND_SIZE, FIELD(live.message_size), 1,
	CONF_MESSAGE_SIZE_MAX, 0, "from 1 to 16M"},
    {"request-size", CONF_KIND_SIZE, FIELD(live.request_size),
	CONF_REQUEST_SIZE_MIN, CONF_REQUEST_SIZE_MAX, 0, "from 1K to 64K"},
    {"message-rate", CONF_KIND_RATE, FIELD(live.message_rate), 1, RATE_MAX,
	CONF_KEY_OFF, "from 1/s to 1000000/s, or off"},
    {"queue", CONF_KIND_SIZE, FIELD(live.queue_bytes), 4 * K, G, 0,
	"from 4K to 1G"},
    {"slow-policy", CONF_KIND_SLOW, FIELD(live.slow_policy), 0, 0, 0, NULL},
    {"channels-per-connection", CONF_KIND_NUMBER,
	FIELD(live.connection_channels), 1, CONF_CONNECTION_CHANNELS_MAX, 0,
	"from 1 to 1024"},
    {"channels-per-user", CONF_KIND_NUMBER, FIELD(live.user_channels), 1,
	4194304, CONF_KEY_OFF, "from 1 to 4194304, or off"},
    {"address-share", CONF_KIND_NUMBER, FIELD(live.address_share), 2, 1024,
	CONF_KEY_OFF, "from 2 to 1024, or off"},
    {"limit-exempt", CONF_KIND_PREFIX, FIELD(live.exempt), 0, 0, 0, NULL},
    {"idle-timeout", CONF_KIND_TIME, FIELD(live.idle_ms), 10, 1000 * HOUR,
	CONF_KEY_OFF, "from 10ms to 1000h, or off"},
    {"ping-interval", CONF_KIND_TIME, FIELD(live.ping_ms), 10, 24 * HOUR, 0,
	"from 10ms to 24h"},
    {"pong-timeout", CONF_KIND_TIME, FIELD(live.pong_ms), 10, HOUR, 0,
	"from 10ms to 1h"},
    {"handshake-timeout", CONF_KIND_TIME, FIELD(live.handshake_ms), 10, HOUR, 0,
	"from 10ms to 1h"},
    {"connect-timeout", CONF_KIND_TIME, FIELD(live.connect_ms), 10, HOUR, 0,
	"from 10ms to 1h"},
    {"drain-timeout", CONF_KIND_TIME, FIELD(live.drain_ms), 0, 24 * HOUR, 0,
	"from 0 to 24h"},
    {"watchdog", CONF_KIND_TIME, FIELD(live.watchdog_ms), 100, 60 * SECOND, 0,
	"from 100ms to 60s"},
    {"echo", CONF_KIND_YES_NO, FIELD(live.echo), 0, 0, 0, NULL},
    {"io-uring", CONF_KIND_YES_NO, FIELD(io_uring), 0, 0, 0, NULL},
    {"origin", CONF_KIND_ORIGIN, FIELD(live.origin), 0, 0, 0, NULL},
    {"webroot", CONF_KIND_PATH, FIELD(webroot), 0, 0, 0, NULL},
    {"host", CONF_KIND_HOST, FIELD(live.host), 0, 0, 0, NULL},
    {"insecure", CONF_KIND_INSECURE, FIELD(live.insecure), 0, 0, 0, NULL},
    {"private", CONF_KIND_WHOM, FIELD(live.private), 0, 0, 0, NULL},
    {"who", CONF_KIND_WHOM, FIELD(live.who), 0, 0, 0, NULL},
    {"token-key", CONF_KIND_SECRET, FIELD(live.token_key), CONF_TOKEN_KEY_MIN,
	0, 0, NULL},
    {"token-audience", CONF_KIND_STRING, FIELD(live.token_audience), 0, 0, 0,
	NULL},
    {"token-issuer", CONF_KIND_STRING, FIELD(live.token_issuer), 0, 0, 0, NULL},
    {"token-leeway", CONF_KIND_TIME, FIELD(live.token_leeway_ms), 0, HOUR, 0,
	"from 0 to 1h"},
    {"token-size", CONF_KIND_SIZE, FIELD(live.token_size), K,
	CONF_TOKEN_SIZE_MAX, 0, "from 1K to 64K"},
    {"api-key", CONF_KIND_SECRET, FIELD(live.api_key), 0, 0, 0, NULL},
    {"channel", CONF_KIND_CHANNEL, FIELD(live.channel), 0, 0, 0, NULL},
    {NULL, 0, 0, 0, 0, 0, 0, NULL}};
_Static_assert(sizeof(conf_keys) / sizeof(conf_keys[0]) <= CONF_KEYS_MAX,
    "room for the place of each key");

/* Formats a complaint into the one static buffer. */
const char *
conf_complain(const char *fmt, ...)
{
	static char text[256];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	return text;
}

/* A conf with every default. */
struct conf *
conf_new(void)
{
	struct conf *c;

	if ((c = calloc(1, sizeof(*c))) == NULL)
		return NULL;
	if ((c->listen[0] = strdup(LISTEN_DEFAULT)) == NULL) {
		free(c);
		return NULL;
	}
	c->n_listen = 1;
	c->listen_is_default = true;
	c->connections = 65536;
	c->users = 65536;
	c->channels = 65536;
	c->subscriptions = SUBSCRIPTIONS_EACH * c->connections;
	c->journal_bytes = 64 * M;
	c->output_bytes = 256 * M;
	c->input_bytes = 64 * M;
	c->io_uring = true;
	c->live.message_size = 64 * K;
	c->live.request_size = 16 * K;
	c->live.queue_bytes = M;
	c->live.ping_ms = 25 * SECOND;
	c->live.pong_ms = 10 * SECOND;
	c->live.handshake_ms = 10 * SECOND;
	c->live.connect_ms = 15 * SECOND;
	c->live.connection_channels = 128;
	c->live.user_channels = 1024;
	c->live.address_share = 8;
	conf_exempt_usual(&c->live);
	c->live.private = c->live.who = CONF_WHOM_USERS;
	c->live.drain_ms = 30 * SECOND;
	c->live.watchdog_ms = 2 * SECOND;
	c->live.token_leeway_ms = 10 * SECOND;
	c->live.token_size = 8 * K;
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
		c->listen[i] = NULL;
	}
	c->n_listen = 0;
	c->listen_is_default = false;
}

/* Adds an address; the first one takes the default's place. */
int
conf_add_listen(struct conf *c, const char *address)
{
	char *copy;

	if (!c->listen_is_default && c->n_listen == CONF_LISTEN_MAX) {
		errno = ENOSPC;
		return -1;
	}
	if ((copy = strdup(address)) == NULL)
		return -1;
	if (c->listen_is_default && c->n_listen == 1)
		conf_clear_listen(c);
	c->listen_is_default = false;
	c->listen[c->n_listen++] = copy;
	return 0;
}

/* Stores a number into a field of 1, 4 or 8 bytes; its range was checked. */
static void
store(struct conf *c, const struct conf_key *key, uint64_t value)
{
	char *field = (char *)c + key->offset;
	uint32_t v4 = (uint32_t)value;
	uint8_t v1 = (uint8_t)value;

	if (key->size == sizeof(v1))
		memcpy(field, &v1, sizeof(v1));
	else if (key->size == sizeof(v4))
		memcpy(field, &v4, sizeof(v4));
	else
		memcpy(field, &value, sizeof(value));
}

/* A number, size or time within the key's range. */
static const char *
set_number(struct conf *c, const struct conf_key *key, const char *value)
{
	static const char *const form[] = {[CONF_KIND_NUMBER] = "a number",
	    [CONF_KIND_SIZE] = "a size like 64K (K, M, G)",
	    [CONF_KIND_TIME] = "a time like 10s (ms, s, m, h)"};
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
		    key->name, value, form[key->kind], key->range);
	if (!(v == 0 && (key->flags & CONF_KEY_OFF)) &&
	    (v < key->min || v > key->max ||
		(v == key->max && (key->flags & CONF_KEY_BELOW_MAX))))
		return conf_complain("%s: %s is out of range; allowed is %s",
		    key->name, value, key->range);
	store(c, key, v);
	return NULL;
}

/* A user's name, or a path from the root. */
static const char *
set_text(struct conf *c, const struct conf_key *key, const char *value)
{
	size_t max = key->max;
	char *copy, *old;

	if (max == 0)
		max = key->kind == CONF_KIND_PATH ? PATH_MAX_BYTES
						  : NAME_MAX_BYTES;
	if (*value == '\0')
		return conf_complain("%s: empty", key->name);
	if (key->kind == CONF_KIND_PATH && *value != '/')
		return conf_complain(
		    "%s: \"%s\" does not begin with a slash", key->name, value);
	if (strlen(value) > max)
		return conf_complain(
		    "%s: longer than %zu bytes", key->name, max);
	if ((copy = strdup(value)) == NULL)
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

/* One of two words, the second of which is stored as 1. */
static const char *
set_either(struct conf *c, const struct conf_key *key, const char *value,
    const char *zero, const char *one)
{
	if (strcmp(value, zero) != 0 && strcmp(value, one) != 0)
		return conf_complain("%s: \"%s\" is neither %s nor %s",
		    key->name, value, one, zero);
	store(c, key, strcmp(value, one) == 0);
	return NULL;
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

/* Which clients: one of three words. */
static const char *
set_whom(struct conf *c, const struct conf_key *key, const char *value)
{
	static const char *const words[] = {[CONF_WHOM_NONE] = "none",
	    [CONF_WHOM_USERS] = "users",
	    [CONF_WHOM_ALL] = "all"};
	uint64_t k;

	for (k = CONF_WHOM_NONE; k <= CONF_WHOM_ALL; k++)
		if (strcmp(value, words[k]) == 0) {
			store(c, key, k);
			return NULL;
		}
	return conf_complain(
	    "%s: \"%s\" is none of all, users and none", key->name, value);
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
		return set_either(c, key, value, "no", "yes");
	case CONF_KIND_LOG:
		return set_either(c, key, value, "brief", "verbose");
	case CONF_KIND_SLOW:
		return set_either(c, key, value, "disconnect", "skip");
	case CONF_KIND_WHOM:
		return set_whom(c, key, value);
	case CONF_KIND_INSECURE:
		return set_insecure(c, value);
	case CONF_KIND_STRING:
	case CONF_KIND_SECRET:
		return set_string(c, key, value);
	case CONF_KIND_CHANNEL: /* a block: conf_channel_begin */
		break;
	case CONF_KIND_RATE:
		return conf_set_rate(c, value, NULL);
	case CONF_KIND_ORIGIN:
		return conf_add_origin(c, value);
	case CONF_KIND_HOST:
		return conf_add_host(c, value);
	case CONF_KIND_PREFIX:
		return conf_add_exempt(c, value);
	}
	return conf_complain("%s: not a value", key->name);
}

/* "N/s" or "off"; burst NULL = as much as a second brings. */
const char *
conf_set_rate(struct conf *c, const char *rate, const char *burst)
{
	const char *rest;
	uint64_t n, b;

	if (strcmp(rate, "off") == 0 || strcmp(rate, "0") == 0) {
		if (burst != NULL)
			return conf_complain(
			    "message-rate: %s takes no burst", rate);
		c->live.message_rate = c->live.message_burst = 0;
		return NULL;
	}
	if ((rest = conf_parse_digits(rate, &n)) == NULL ||
	    strcmp(rest, "/s") != 0)
		return conf_complain(
		    "message-rate: \"%s\" is not a rate like 8/s", rate);
	if (n < 1 || n > RATE_MAX)
		return conf_complain(
		    "message-rate: %s is out of range; allowed is "
		    "from 1/s to %d/s, or off",
		    rate, RATE_MAX);
	b = n;
	if (burst != NULL &&
	    (conf_parse_number(burst, &b) == -1 || b < 1 || b > RATE_MAX))
		return conf_complain(
		    "message-rate: burst \"%s\" is not a number "
		    "from 1 to %d",
		    burst, RATE_MAX);
	c->live.message_rate = (uint32_t)n;
	c->live.message_burst = (uint32_t)b;
	return NULL;
}

/* Where a key is set. */
const char *
conf_where(const struct conf *c, const char *key)
{
	for (int i = 0; conf_keys[i].name != NULL; i++)
		if (strcmp(conf_keys[i].name, key) == 0)
			return c->where[i];
	return NULL;
}

/* Notes where a key is set. */
bool
conf_note_where(
    struct conf *c, const struct conf_key *key, const char *file, int line)
{
	char *text;

	if (asprintf(&text, "%s:%d", file, line) == -1)
		return false;
	free(c->where[key - conf_keys]);
	c->where[key - conf_keys] = text;
	return true;
}

/* The shared pools hold what one connection may use of them. */
const char *
conf_finish(struct conf *c, const char **where)
{
	if (conf_where(c, "subscriptions") == NULL &&
	    c->subscriptions < SUBSCRIPTIONS_EACH * c->connections)
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
	return NULL;
}

/* Reads a file, not by a bundle. */
struct conf *
conf_load(const char *file, char *error, size_t error_len)
{
	return conf_load_bundle(file, NULL, error, error_len);
}
