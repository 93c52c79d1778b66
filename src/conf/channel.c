/* channel: which rules hold for a channel, and the blocks that say so. */

#include <string.h>

#include "base/nearest.h"
#include "base/utf8.h"
#include "parse.h"
#include "units.h"

enum { BUILT_IN = 2 }; /* of built_in[], which hold beside blocks */

/* What holds without a block of that pattern; the last one only without any
 * block. */
static const struct conf_channel built_in[] = {
    {.pattern = "lobby",
	.len = 5,
	.subscribe = CONF_SUBSCRIBE_ALL,
	.publish = CONF_PUBLISH_SUBSCRIBERS,
	.recovery = 1,
	.presence = 1,
	.history = 100,
	.history_age_ms = HOUR},
    {.pattern = "#*",
	.len = 1,
	.prefix = 1,
	.subscribe = CONF_SUBSCRIBE_NONE,
	.publish = CONF_PUBLISH_NONE,
	.recovery = 1,
	.history = 100,
	.history_age_ms = HOUR},
    {.pattern = "*",
	.len = 0,
	.prefix = 1,
	.subscribe = CONF_SUBSCRIBE_ALL,
	.publish = CONF_PUBLISH_SUBSCRIBERS,
	.recovery = 1,
	.presence = 1,
	.history = 100,
	.history_age_ms = HOUR}};

/* How well a pattern fits a name: more is better, 0 is not at all. */
static int
channel_fit(const struct conf_channel *ch, const char *name, size_t len)
{
	if (len < ch->len || (len > ch->len && !ch->prefix) ||
	    memcmp(name, ch->pattern, ch->len) != 0)
		return 0;
	return 2 * ch->len + (ch->prefix ? 1 : 2);
}

/* The best of n patterns that fits better than *fit, else `best`. */
static const struct conf_channel *
channel_best(const struct conf_channel *ch, size_t n, const char *name,
    size_t len, const struct conf_channel *best, int *fit)
{
	int f;

	for (; n > 0; n--, ch++)
		if ((f = channel_fit(ch, name, len)) > *fit) {
			*fit = f;
			best = ch;
		}
	return best;
}

/* The rules for a channel: of the blocks whose patterns fit, the most specific.
 * Two that are equally specific have the same pattern, so a block of the file,
 * which comes first, overrides the built-in one. */
const struct conf_channel *
conf_channel_find(const struct conf_live *live, const char *name, size_t len)
{
	const struct conf_channel *best;
	int fit = 0;

	best = channel_best(
	    live->channel, live->n_channels, name, len, NULL, &fit);
	return channel_best(built_in,
	    live->n_channels == 0 ? BUILT_IN + 1 : BUILT_IN, name, len, best,
	    &fit);
}

/* Whether a channel may be named so. */
bool
conf_channel_name_ok(const char *name, size_t len)
{
	const unsigned char *p = (const unsigned char *)name;
	size_t i;

	if (len < 1 || len > (size_t)CONF_CHANNEL_NAME_MAX + (name[0] == '#') ||
	    !utf8_valid(name, len))
		return false;
	for (i = 0; i < len; i++)
		if (p[i] < 0x20 || p[i] == 0x7f ||
		    (p[i] == 0xc2 && p[i + 1] < 0xa0)) /* U+0080 to U+009F */
			return false;
	return true;
}

/* Begins a block. */
const char *
conf_channel_begin(
    struct conf_channel_draft *d, const struct conf *c, const char *pattern)
{
	size_t i, len = strlen(pattern);
	const char *star = strchr(pattern, '*');

	memset(d, 0, sizeof(*d));
	d->channel.subscribe = CONF_SUBSCRIBE_TOKEN;
	if (len >= sizeof(d->channel.pattern))
		return conf_complain(
		    "channel: a pattern of more than %zu bytes",
		    sizeof(d->channel.pattern) - 1);
	if (!conf_channel_name_ok(pattern, len))
		return "channel: a pattern is 1 or more bytes of UTF-8 "
		       "without control characters";
	if (star != NULL && star[1] != '\0')
		return conf_complain(
		    "channel: \"%s\": a * stands at the end alone", pattern);
	for (i = 0; i < c->live.n_channels; i++)
		if (strcmp(c->live.channel[i].pattern, pattern) == 0)
			return conf_complain(
			    "channel: \"%s\" is there twice", pattern);
	if (c->live.n_channels == CONF_CHANNELS_MAX)
		return conf_complain(
		    "channel: more than %d blocks", CONF_CHANNELS_MAX);
	memcpy(d->channel.pattern, pattern, len);
	d->channel.prefix = star != NULL;
	d->channel.len = (uint8_t)(len - d->channel.prefix);
	return NULL;
}

/* A word of a list; -1: none of them. */
static int
word_index(const char *const *words, const char *value)
{
	int i;

	for (i = 0; words[i] != NULL; i++)
		if (strcmp(words[i], value) == 0)
			return i;
	return -1;
}

/* Sets one of the rules that are a word. */
static const char *
channel_set_word(uint8_t *field, const char *rule, const char *value,
    const char *const *words, const char *allowed)
{
	int i = word_index(words, value);

	if (i == -1)
		return conf_complain(
		    "%s: \"%.64s\" is not %s", rule, value, allowed);
	*field = (uint8_t)i;
	return NULL;
}

/* Sets history. */
static const char *
channel_set_history(struct conf_channel *ch, const char *value)
{
	uint64_t v;

	if (conf_parse_number(value, &v) == -1 || v > CONF_HISTORY_MAX)
		return conf_complain(
		    "history: \"%.32s\" is not a number from 0 to %d", value,
		    CONF_HISTORY_MAX);
	ch->history = (uint32_t)v;
	return NULL;
}

/* Sets history-age. */
static const char *
channel_set_age(struct conf_channel *ch, const char *value)
{
	uint64_t v = 0;

	if (strcmp(value, "off") != 0 &&
	    (conf_parse_time(value, &v) == -1 || v > 87600 * HOUR ||
		(v > 0 && v < 10)))
		return conf_complain(
		    "history-age: \"%.32s\" is not a time from 10ms to 87600h, "
		    "or off",
		    value);
	ch->history_age_ms = v;
	return NULL;
}

/* The rules of a block, in the order of their bits. */
enum channel_rule {
	RULE_SUBSCRIBE,
	RULE_PUBLISH,
	RULE_HISTORY,
	RULE_HISTORY_AGE,
	RULE_RECOVERY,
	RULE_PRESENCE,
	RULE_JOIN_LEAVE,
	RULE_STORE,
	RULE_OFFLINE
};

/* Complains about a word that is no rule. */
static const char *
channel_unknown(const char *const *rules, const char *word)
{
	struct nearest n = {.word = word};

	for (; *rules != NULL; rules++)
		nearest_offer(&n, *rules);
	return conf_complain("channel: there is no rule \"%.64s\"%s%s%s", word,
	    n.best != NULL ? "; did you mean " : "",
	    n.best != NULL ? n.best : "", n.best != NULL ? "?" : "");
}

/* Sets a rule of a block. */
static const char *
channel_set(struct conf_channel_draft *d, const char *rule, const char *value)
{
	static const char *const rules[] = {"subscribe", "publish", "history",
	    "history-age", "recovery", "presence", "join-leave", "store",
	    "offline", NULL};
	static const char *const subscribe[] = {
	    "none", "token", "users", "all", NULL};
	static const char *const publish[] = {
	    "none", "subscribers", "all", NULL};
	static const char *const yes_no[] = {"no", "yes", NULL};
	static const char *const store[] = {"no", "yes", "ack", "strict", NULL};
	static const char either[] = "yes or no";
	struct conf_channel *ch = &d->channel;
	int i = word_index(rules, rule);

	if (i == -1)
		return channel_unknown(rules, rule);
	if (d->set & 1u << i)
		return conf_complain("%s is set twice", rule);
	d->set |= 1u << i;
	switch ((enum channel_rule)i) {
	case RULE_SUBSCRIBE:
		return channel_set_word(&ch->subscribe, rule, value, subscribe,
		    "all, users, token or none");
	case RULE_PUBLISH:
		return channel_set_word(&ch->publish, rule, value, publish,
		    "all, subscribers or none");
	case RULE_HISTORY:
		return channel_set_history(ch, value);
	case RULE_HISTORY_AGE:
		return channel_set_age(ch, value);
	case RULE_RECOVERY:
		return channel_set_word(
		    &ch->recovery, rule, value, yes_no, either);
	case RULE_PRESENCE:
		return channel_set_word(
		    &ch->presence, rule, value, yes_no, either);
	case RULE_JOIN_LEAVE:
		return channel_set_word(
		    &ch->join_leave, rule, value, yes_no, either);
	case RULE_STORE:
		return channel_set_word(
		    &ch->store, rule, value, store, "yes, ack, strict or no");
	case RULE_OFFLINE:
		return channel_set_word(
		    &ch->offline, rule, value, yes_no, either);
	}
	return NULL;
}

/* Sets a rule of a block, and remembers if that went wrong. */
const char *
conf_channel_set(
    struct conf_channel_draft *d, const char *rule, const char *value)
{
	const char *wrong = channel_set(d, rule, value);

	if (wrong != NULL)
		d->failed = true;
	return wrong;
}

/* Ends a block: from here on it counts, if its rules go together. */
const char *
conf_channel_end(const struct conf_channel_draft *d, struct conf *c)
{
	const struct conf_channel *ch = &d->channel;

	if (d->failed || ch->pattern[0] == '\0')
		return NULL; /* that has been complained about */
	if (ch->pattern[0] == '#' && d->set & 1u << RULE_SUBSCRIBE &&
	    ch->subscribe != CONF_SUBSCRIBE_NONE)
		return conf_complain("channel: \"%s\" is what goes to one user "
				     "each: subscribe can only be none",
		    ch->pattern);
	if (ch->history == 0 && (ch->recovery || ch->history_age_ms != 0))
		return conf_complain("channel: \"%s\" has %s, but no history",
		    ch->pattern, ch->recovery ? "recovery" : "a history-age");
	if (ch->offline && ch->pattern[0] != '#')
		return conf_complain("channel: \"%s\" has offline, which is of "
				     "what goes to one user each: \"#*\"",
		    ch->pattern);
	if (ch->offline && ch->store == CONF_STORE_NO)
		return conf_complain("channel: \"%s\" has offline, but nothing "
				     "is kept of it: store yes",
		    ch->pattern);
	c->live.channel[c->live.n_channels++] = *ch;
	return NULL;
}

/* What is wrong with the rules of a live configuration. */
const char *
conf_channels_judge(const struct conf_live *live)
{
	const struct conf_channel *ch;

	if (live->n_channels > CONF_CHANNELS_MAX)
		return "number of channels out of range";
	for (ch = live->channel; ch < live->channel + live->n_channels; ch++) {
		if (memchr(ch->pattern, '\0', sizeof(ch->pattern)) == NULL ||
		    ch->prefix > 1 ||
		    strlen(ch->pattern) != (size_t)ch->len + ch->prefix)
			return "pattern of a channel out of range";
		if (ch->subscribe > CONF_SUBSCRIBE_ALL ||
		    ch->publish > CONF_PUBLISH_ALL ||
		    ch->history > CONF_HISTORY_MAX || ch->recovery > 1 ||
		    ch->presence > 1 || ch->join_leave > 1 ||
		    ch->store > CONF_STORE_STRICT || ch->offline > 1)
			return "rule of a channel out of range";
	}
	return NULL;
}
