/* The table of members, by Centrifugo's client.proto, api.proto and token
 * claims as of late 2026. */
#include <string.h>

#include "base/log.h"
#include "base/siphash.h"
#include "hub/seen.h"
#include "hub/stats.h"
#include "member.h"

enum {
	MEMBER_BAD_REQUEST = 107,  /* would be carried out by half */
	MEMBER_NOT_AVAILABLE = 108 /* a kind of request that is not here */
};

/* One member: taken (fate 0), passed over on purpose, or the error. */
struct member {
	const char *name;
	uint16_t len;
	uint16_t fate;
};

enum { MEMBER_PASSED = 1 };

#define TAKEN(n)                    \
	{                           \
		n, sizeof(n) - 1, 0 \
	}
#define PASSED(n)                               \
	{                                       \
		n, sizeof(n) - 1, MEMBER_PASSED \
	}
#define REFUSED(n, code)               \
	{                              \
		n, sizeof(n) - 1, code \
	}

/* Taken ones come first, in the order of member.h. */
static const struct member command_members[] = {TAKEN("connect"), TAKEN("ping"),
    TAKEN("subscribe"), TAKEN("unsubscribe"), TAKEN("publish"),
    TAKEN("presence"), TAKEN("presence_stats"), TAKEN("history"), TAKEN("rpc"),
    TAKEN("send"), TAKEN("refresh"), TAKEN("sub_refresh"), TAKEN("id")};

static const struct member connect_members[] = {TAKEN("token"), TAKEN("subs"),
    TAKEN("name"), TAKEN("version"), TAKEN("headers"),
    /* for a backend that is asked, which there is not */
    PASSED("data"),
    /* abilities of the client: the result says that none of them is used */
    PASSED("flag"), PASSED("profile"), PASSED("dict")};

static const struct member subscribe_members[] = {TAKEN("channel"),
    TAKEN("token"), TAKEN("recover"), TAKEN("offset"), TAKEN("epoch"),
    TAKEN("flag"), TAKEN("positioned"), TAKEN("recoverable"),
    TAKEN("join_leave"), PASSED("data"),
    /* an offer: the result says that publications come whole */
    PASSED("delta"),
    /* a tags filter: the client would get what it has filtered out */
    REFUSED("tf", MEMBER_BAD_REQUEST),
    /* other kinds of subscription */
    REFUSED("type", MEMBER_NOT_AVAILABLE),
    REFUSED("phase", MEMBER_NOT_AVAILABLE),
    REFUSED("cursor", MEMBER_NOT_AVAILABLE),
    REFUSED("limit", MEMBER_NOT_AVAILABLE),
    REFUSED("asc", MEMBER_NOT_AVAILABLE)};

static const struct member channel_members[] = {TAKEN("channel")};

static const struct member publish_members[] = {TAKEN("channel"), TAKEN("data"),
    REFUSED("type", MEMBER_NOT_AVAILABLE), REFUSED("key", MEMBER_NOT_AVAILABLE),
    REFUSED("removed", MEMBER_NOT_AVAILABLE)};

static const struct member history_members[] = {
    TAKEN("channel"), TAKEN("limit"), TAKEN("since"), TAKEN("reverse")};

static const struct member rpc_members[] = {TAKEN("method"), TAKEN("data")};

static const struct member send_members[] = {PASSED("data")};

static const struct member refresh_members[] = {TAKEN("token")};

static const struct member sub_refresh_members[] = {TAKEN("token"),
    TAKEN("channel"), REFUSED("type", MEMBER_NOT_AVAILABLE),
    REFUSED("track", MEMBER_NOT_AVAILABLE),
    REFUSED("untrack", MEMBER_NOT_AVAILABLE)};

static const struct member api_publish_members[] = {TAKEN("channel"),
    TAKEN("data"), TAKEN("tags"), REFUSED("b64data", MEMBER_BAD_REQUEST),
    REFUSED("skip_history", MEMBER_BAD_REQUEST),
    REFUSED("idempotency_key", MEMBER_BAD_REQUEST),
    REFUSED("delta", MEMBER_BAD_REQUEST),
    REFUSED("version", MEMBER_BAD_REQUEST),
    REFUSED("version_epoch", MEMBER_BAD_REQUEST)};

static const struct member api_search_members[] = {
    TAKEN("channel"), TAKEN("text"), TAKEN("limit"), TAKEN("offset")};

/* Those that are PASSED are read elsewhere, or mean something to a backend
 * alone. A token may have claims that are its issuer's own: they are not
 * counted. */
static const struct member claims_members[] = {TAKEN("expire_at"),
    TAKEN("channels"), PASSED("sub"), PASSED("info"), PASSED("exp"),
    PASSED("nbf"), PASSED("iat"), PASSED("aud"), PASSED("iss"), PASSED("jti"),
    PASSED("meta"), PASSED("channel"), REFUSED("subs", MEMBER_BAD_REQUEST),
    REFUSED("b64info", MEMBER_BAD_REQUEST),
    REFUSED("caps", MEMBER_BAD_REQUEST)};

static const struct member sub_claims_members[] = {TAKEN("expire_at"),
    PASSED("sub"), PASSED("info"), PASSED("exp"), PASSED("nbf"), PASSED("iat"),
    PASSED("aud"), PASSED("iss"), PASSED("jti"), PASSED("channel"),
    REFUSED("client", MEMBER_BAD_REQUEST), REFUSED("data", MEMBER_BAD_REQUEST),
    REFUSED("b64data", MEMBER_BAD_REQUEST),
    REFUSED("b64info", MEMBER_BAD_REQUEST),
    REFUSED("override", MEMBER_BAD_REQUEST)};

/* The members of one kind of object. */
static const struct member_table {
	const char *what; /* in the log */
	const struct member *member;
	size_t n, taken;
	bool open; /* members that the protocol does not define are allowed here
		    */
} member_tables[MEMBERS] = {
#define TABLE(what, t, taken)                                   \
	{                                                       \
		what, t, sizeof(t) / sizeof(t[0]), taken, false \
	}
#define OPEN(what, t, taken)                                   \
	{                                                      \
		what, t, sizeof(t) / sizeof(t[0]), taken, true \
	}
    [MEMBER_COMMAND] = TABLE("a command", command_members, COMMAND_MEMBERS),
    [MEMBER_CONNECT] = TABLE("connect", connect_members, CONNECT_MEMBERS),
    [MEMBER_SUBSCRIBE] =
	TABLE("subscribe", subscribe_members, SUBSCRIBE_MEMBERS),
    [MEMBER_UNSUBSCRIBE] =
	TABLE("unsubscribe", channel_members, CHANNEL_MEMBERS),
    [MEMBER_PUBLISH] = TABLE("publish", publish_members, PUBLISH_TAGS),
    [MEMBER_PRESENCE] = TABLE("presence", channel_members, CHANNEL_MEMBERS),
    [MEMBER_PRESENCE_STATS] =
	TABLE("presence_stats", channel_members, CHANNEL_MEMBERS),
    [MEMBER_HISTORY] = TABLE("history", history_members, HISTORY_MEMBERS),
    [MEMBER_PING] = {"ping", NULL, 0, 0, false},
    [MEMBER_RPC] = TABLE("rpc", rpc_members, RPC_MEMBERS),
    [MEMBER_SEND] = TABLE("send", send_members, 0),
    [MEMBER_REFRESH] = TABLE("refresh", refresh_members, REFRESH_CHANNEL),
    [MEMBER_SUB_REFRESH] =
	TABLE("sub_refresh", sub_refresh_members, REFRESH_MEMBERS),
    [MEMBER_API_PUBLISH] =
	TABLE("/api/publish", api_publish_members, PUBLISH_MEMBERS),
    [MEMBER_API_HISTORY] =
	TABLE("/api/history", history_members, HISTORY_MEMBERS),
    [MEMBER_API_SEARCH] =
	TABLE("/api/search", api_search_members, SEARCH_MEMBERS),
    [MEMBER_CLAIMS] = OPEN("a token", claims_members, CLAIM_MEMBERS),
    [MEMBER_SUB_CLAIMS] =
	OPEN("a subscription token", sub_claims_members, CLAIM_CHANNELS),
#undef TABLE
#undef OPEN
};

_Static_assert(
    sizeof(command_members) / sizeof(command_members[0]) == COMMAND_MEMBERS,
    "COMMAND_ID");

/* Whether a member's value is the one that holds without the member. */
static bool
member_is_zero(struct json_value v)
{
	switch (v.type) {
	case JSON_NONE:
	case JSON_NULL:
		return true;
	case JSON_BOOL:
		return v.p[0] == 'f';
	case JSON_NUMBER:
		return v.len == 1 && v.p[0] == '0';
	case JSON_STRING:
		return v.len == 2;
	default:
		return v.len == 2; /* one with blanks in it asks for something
				    */
	}
}

/* Counts a member that the protocol does not define, and logs each name
 * once. */
static void
member_unknown(
    struct chat *ch, const struct member_table *t, struct json_value name)
{
	struct hub *h = ch->hub;

	SHM_COUNT(h->me->unknown_members, 1);
	if (hub_first_seen(h, siphash(h->hash_key, name.p, name.len)))
		log_info("member \"%s\" of %s is not known here and is passed "
			 "over (`show stats` counts unknown_members)",
		    name.len < 2 ? "" : log_text(name.p + 1, name.len - 2),
		    t->what);
}

/* Finds a member by its name, which may have escapes; NULL: the protocol does
 * not define it. */
static const struct member *
member_find(const struct member_table *t, struct json_value name)
{
	const struct member *m = t->member, *end = m + t->n;
	size_t len = name.len - 2;

	if (memchr(name.p, '\\', name.len) != NULL) {
		for (; m < end; m++)
			if (json_string_equals(name, m->name))
				return m;
		return NULL;
	}
	for (; m < end; m++)
		if (m->len == len && memcmp(m->name, name.p + 1, len) == 0)
			return m;
	return NULL;
}

int
members_take(struct chat *ch, enum member_of of, struct json_value object,
    struct json_value *value, const char **refused)
{
	const struct member_table *t = &member_tables[of];
	struct json_iter iter = json_iter(object, JSON_OBJECT);
	struct json_value name, v;
	const struct member *m;
	int bad = 0;
	size_t k;

	for (k = 0; k < t->taken; k++)
		value[k] = (struct json_value){0};
	while (json_next_member(&iter, &name, &v)) {
		m = name.len >= 2 ? member_find(t, name) : NULL;
		if (m == NULL) {
			if (!t->open)
				member_unknown(ch, t, name);
		} else if (m->fate == 0) {
			value[m - t->member] = v;
		} else if (m->fate != MEMBER_PASSED && bad == 0 &&
		    !member_is_zero(v)) {
			bad = m->fate;
			*refused = m->name;
		}
	}
	return bad;
}
