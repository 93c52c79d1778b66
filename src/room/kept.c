#include "room/kept.h"

#include <string.h>

#include "base/clock.h"
#include "hub/journal.h"
#include "hub/line.h"
#include "hub/lock.h"
#include "hub/presence.h"
#include "room/rooms.h"

/* Entries that are looked at in each call. Larger: after a reload channels are
 * readers' sooner (of a million all are after 6 s); smaller: less of a turn is
 * spent on it (1 ms if none of them is cached). */
enum {
	KEPT_STEP = 16 * 1024,
	/* Between two looks at all: another process may have written there what
	 * it likes. Larger: a channel is in no database, or waits in vain, for
	 * longer; smaller: an idle daemon does more. */
	KEPT_AGAIN_MS = 60 * 1000
};

/* How much a channel's reader does: each does what those before it do. */
enum kept { KEPT_NOT, KEPT_TOLD, KEPT_KEPT, KEPT_ACKED, KEPT_STRICT };

/* What the configuration says of a channel's store. */
static enum kept
kept_stored(const struct kept_rules *k, const char *name, size_t len)
{
	const struct conf_channel *rule;

	if (!(k->hub->readers & 1 << READER_STORE))
		return KEPT_NOT;
	rule = conf_channel_find(k->live, name, len);
	switch (rule != NULL ? rule->store : CONF_STORE_NO) {
	case CONF_STORE_YES:
		return k->live->store_full == CONF_STORE_FULL_REFUSE
		    ? KEPT_KEPT
		    : KEPT_TOLD;
	case CONF_STORE_ACK:
		return KEPT_ACKED;
	case CONF_STORE_STRICT:
		return KEPT_STRICT;
	default:
		return KEPT_NOT;
	}
}

#ifdef CHATD_KILL_POINTS
/* What is said of a channel to READER_HOOKS: its name does, for tests. */
static enum kept
kept_hooked(const struct kept_rules *k, const char *name, size_t len)
{
	static const char *const words[] = {[KEPT_TOLD] = "told",
	    [KEPT_KEPT] = "kept",
	    [KEPT_ACKED] = "acked",
	    [KEPT_STRICT] = "strict"};
	bool user = presence_name_is_user(name, len);
	enum kept kept;

	if (!(k->hub->readers & 1 << READER_HOOKS))
		return KEPT_NOT;
	name += user;
	len -= user;
	for (kept = KEPT_STRICT; kept > KEPT_NOT; kept--)
		if (len >= strlen(words[kept]) &&
		    memcmp(name, words[kept], strlen(words[kept])) == 0)
			break;
	return kept;
}
#else
/* What is said of a channel to READER_HOOKS. */
static enum kept
kept_hooked(const struct kept_rules *k, const char *name, size_t len)
{
	return KEPT_NOT;
}
#endif

/* What a rule says of a reader, as flags of a presence entry. */
static uint8_t
kept_flags(enum kept kept, unsigned reader)
{
	const uint8_t bit = (uint8_t)(1u << reader);

	return kept == KEPT_NOT ? 0
	    : kept == KEPT_TOLD ? bit
				: (uint8_t)(bit | bit << PRESENCE_REQUIRED);
}

/* For struct hub. */
static uint8_t
kept_flags_cb(void *arg, const char *name, size_t len)
{
	const struct kept_rules *k = arg;

	return kept_flags(kept_stored(k, name, len), READER_STORE) |
	    kept_flags(kept_hooked(k, name, len), READER_HOOKS);
}

/* Whether a rule says that publications wait: most configurations have none,
 * and look for none at each. */
static bool
kept_waits(const struct conf_live *live)
{
	for (int i = 0; i < live->n_channels; i++)
		if (live->channel[i].store >= CONF_STORE_ACK)
			return true;
	return false;
}

void
kept_use(struct kept_rules *k, struct hub *h, const struct conf_live *live)
{
	*k = (struct kept_rules){h, live, kept_waits(live)};
	h->flags_of = kept_flags_cb;
	h->flags_arg = k;
}

/* Gives an entry that is there the flags of its channel. */
static void
kept_mend(struct hub *h, uint32_t e)
{
	struct presence_view v;
	uint8_t flags;

	if (!presence_read(h, e, &v))
		return;
	flags = h->flags_of(h->flags_arg, v.name, v.name_len);
	if (PRESENCE_WARM(v.flags, PRESENCE_OPEN) == flags)
		return;
	hub_lock(h);
	if (SHM_LOAD(h->entry[e].epoch) == v.epoch)
		presence_flags_set(h, e, flags);
	hub_unlock(h);
}

void
kept_init(struct chat *ch)
{
	struct hub *h = ch->hub;

	kept_use(&ch->rooms->rules, h, &ch->live);
	/* Entries from before, as of an upgrade, or the lobby: none is to be
	 * published to with the wrong readers. */
	while (h->readers != 0 && ch->rooms->kept_at < h->n_entries) {
		kept_sweep(ch);
		line_tick(h);
	}
	ch->rooms->kept_ms = clock_ms() + KEPT_AGAIN_MS;
}

void
kept_redo(struct chat *ch)
{
	ch->rooms->kept_at = 0;
	ch->rooms->rules.settles = kept_waits(&ch->live);
}

void
kept_sweep(struct chat *ch)
{
	struct hub *h = ch->hub;
	uint32_t *at = &ch->rooms->kept_at, left = KEPT_STEP;

	if (h->readers == 0)
		return;
	if (*at >= h->n_entries && ch->now_ms >= ch->rooms->kept_ms)
		*at = 0;
	if (*at == 0)
		ch->rooms->kept_ms = ch->now_ms + KEPT_AGAIN_MS;
	for (; left > 0 && *at < h->n_entries; left--) {
		*at = presence_next(h, *at);
		if (*at < h->n_entries)
			kept_mend(h, (*at)++);
	}
}

uint8_t
kept_settle(const struct chat *ch, const char *name, size_t len)
{
	const struct kept_rules *k = &ch->rooms->rules;
	const enum kept stored =
	    k->settles ? kept_stored(k, name, len) : KEPT_NOT;
	const enum kept hooked = kept_hooked(k, name, len);

	switch (stored > hooked ? stored : hooked) {
	case KEPT_ACKED:
		return PUBLICATION_WAITS;
	case KEPT_STRICT:
		return PUBLICATION_WAITS | PUBLICATION_PROPOSED;
	default:
		return 0;
	}
}
