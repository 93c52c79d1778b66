#include "room/quota.h"

#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "conn/recipient.h"
#include "hub/presence.h"
#include "hub/stats.h"

/* Larger: refusals are logged later; smaller: a flood of them fills the log. */
enum { QUOTA_LOG_MS = 1000 };

/* The words, key and counter of each reason. */
static const struct {
	const char *what, *key;
	size_t counter; /* in struct shm_worker */
} quotas[QUOTAS] = {
    [QUOTA_USERS] = {"the table of users is full", "users",
	offsetof(struct shm_worker, users_full)},
    [QUOTA_CHANNELS] = {"the table of channels is full", "channels",
	offsetof(struct shm_worker, channels_full)},
    [QUOTA_SUBSCRIPTIONS] = {"all subscriptions are in use", "subscriptions",
	offsetof(struct shm_worker, subscriptions_full)},
    [QUOTA_USERS_SHARE] = {"the address has its share of the users",
	"address-share", offsetof(struct shm_worker, over_address_share)},
    [QUOTA_CHANNELS_SHARE] = {"the address has its share of the channels",
	"address-share", offsetof(struct shm_worker, over_address_share)},
    [QUOTA_USER_CHANNELS] = {"the user has all channels that one may have",
	"channels-per-user",
	offsetof(struct shm_worker, over_channels_per_user)},
};

/* For each reason how many refusals were not logged, and when the next line may
 * come. */
static struct {
	uint64_t next_ms;
	uint32_t untold;
} quota_log[QUOTAS];

static char quota_last[128]; /* for the answer; "": none */

/* The key of a connection's address, IPv6 by /64; 0: it is not counted. */
static uint32_t
quota_address(const struct chat *ch, const struct slot *s)
{
	uint8_t whole[16] = {[10] = 0xff, [11] = 0xff};
	static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};

	if (s->family == 4)
		memcpy(whole + sizeof(mapped), s->peer, 4);
	else if (s->family == 6)
		memcpy(whole, s->peer, sizeof(whole));
	else
		return 0;
	if (conf_is_exempt(&ch->live, whole))
		return 0;
	return memcmp(whole, mapped, sizeof(mapped)) == 0
	    ? charge_key(ch->hub, whole + sizeof(mapped), 4)
	    : charge_key(ch->hub, whole, 8);
}

/* The key of a connection's user, whose entry the connection holds; 0: it has
 * none. */
static uint32_t
quota_user(const struct hub *h, const struct slot *s)
{
	uint32_t user = SHM_ONCE(s->user);

	if (!presence_is_user(h, user))
		return 0;
	return (SHM_ONCE(h->entry[user].hash) & ((1u << CHARGE_KEY_BITS) - 1)) |
	    1;
}

struct charge_terms
quota_terms(const struct chat *ch, uint32_t conn)
{
	const struct slot *s = &ch->hub->slot[conn];

	return (struct charge_terms){.address = quota_address(ch, s),
	    .user = quota_user(ch->hub, s),
	    .address_part = ch->live.address_share,
	    .user_max = ch->live.user_channels};
}

enum quota
quota_of(enum charge_kind kind, enum charge_result why)
{
	if (why == CHARGE_USER)
		return QUOTA_USER_CHANNELS;
	if (why == CHARGE_ADDRESS)
		return kind == CHARGE_USERS ? QUOTA_USERS_SHARE
					    : QUOTA_CHANNELS_SHARE;
	return kind == CHARGE_USERS ? QUOTA_USERS : QUOTA_CHANNELS;
}

/* The limit of a reason. */
static uint32_t
quota_limit(const struct chat *ch, enum quota quota)
{
	const struct hub *h = ch->hub;
	uint32_t part = ch->live.address_share;

	switch (quota) {
	case QUOTA_USERS:
		return h->n_users;
	case QUOTA_CHANNELS:
		return h->n_channels;
	case QUOTA_SUBSCRIPTIONS:
		return h->n_subscriptions;
	case QUOTA_USERS_SHARE:
		return part > 0 ? (h->n_users + part - 1) / part : 0;
	case QUOTA_CHANNELS_SHARE:
		return part > 0 ? (h->n_channels + part - 1) / part : 0;
	default:
		return ch->live.user_channels;
	}
}

/* Whether a refusal may be logged now; if so, the next one has to wait. */
static bool
quota_is_due(struct chat *ch, enum quota quota)
{
	if (ch->now_ms < quota_log[quota].next_ms)
		return false;
	quota_log[quota].next_ms = ch->now_ms + QUOTA_LOG_MS;
	return true;
}

void
quota_refuse(struct chat *ch, uint32_t conn, enum quota quota)
{
	_Atomic uint64_t *counter =
	    (void *)((char *)ch->hub->me + quotas[quota].counter);

	SHM_COUNT(*counter, 1);
	snprintf(quota_last, sizeof(quota_last), "%s (key %s, limit %u)",
	    quotas[quota].what, quotas[quota].key, quota_limit(ch, quota));
	if (quota_is_due(ch, quota))
		log_warn("%s: refused: %s",
		    conn != SHM_NONE ? conn_name(ch, conn) : "a request",
		    quota_last);
	else
		quota_log[quota].untold++;
}

const char *
quota_text(void)
{
	static char text[sizeof(quota_last)];

	if (quota_last[0] == '\0')
		return NULL;
	memcpy(text, quota_last, sizeof(text));
	quota_last[0] = '\0';
	return text;
}

void
quota_tell(struct chat *ch)
{
	for (enum quota q = 0; q < QUOTAS; q++) {
		if (quota_log[q].untold == 0 || !quota_is_due(ch, q))
			continue;
		log_warn("%u more refused: %s (key %s, limit %u)",
		    quota_log[q].untold, quotas[q].what, quotas[q].key,
		    quota_limit(ch, q));
		quota_log[q].untold = 0;
	}
}
