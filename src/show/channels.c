/* channels: those that have members, for `chatctl show channels`. */
#include <inttypes.h>
#include <stdlib.h>

#include "hub/journal.h"
#include "hub/presence.h"
#include "hub/subscription.h"
#include "show/subject.h"

/* Counts the members that one connection makes. Returns what was looked at. */
static int
channels_count_one(struct show *s, uint32_t i, const struct slot *slot)
{
	const struct hub *h = s->from.hub;
	struct subscription_walk w = subscription_walk(h, i);
	uint32_t sub, channel;
	int n = 1;

	if (slot->door < HUB_WORDS && s->from.words.lobby >> slot->door & 1)
		s->count[PRESENCE_LOBBY]++;
	while ((sub = subscription_walk_next(h, &w)) != SHM_NONE) {
		channel = subscription_channel(&h->subscription[sub]);
		if (channel < h->n_entries &&
		    (SHM_ONCE(h->subscription[sub].flags) &
			SUBSCRIPTION_REVOKED) == 0)
			s->count[channel]++;
		n++;
	}
	return n;
}

/* Counts the members of each channel, a part at a time; true: done. */
static bool
channels_begin(struct show *s)
{
	const struct hub *h = s->from.hub;
	struct slot slot;
	uint64_t id;

	if (s->count == NULL &&
	    (s->count = calloc(h->n_entries, sizeof(*s->count))) == NULL) {
		s->failed = true;
		return true;
	}
	for (int n = 0; n < SHOW_STEP_ITEMS; s->at++) {
		if ((s->at = slot_ever(h, s->at)) >= h->n_slots)
			return true;
		n += show_connection(s, s->at, &slot, &id)
		    ? channels_count_one(s, s->at, &slot)
		    : 1;
	}
	return false;
}

/* The head line. */
static void
channels_head(struct show *s)
{
	show_put(s, "%11s %-15s %13s %15s %-8s ", "CONNECTIONS", "WORKERS",
	    "HISTORY", "OFFSET", "EPOCH");
	if (s->from.hub->readers != 0)
		show_put(
		    s, "%-7s %-18s %-18s ", "STATE", "READERS", "REQUIRED BY");
	show_put(s, "CHANNEL\n");
}

/* Where a channel stands with the reader that knows it. */
static const char *
channels_state(const struct presence_view *v)
{
	static const char *const names[] = {[PRESENCE_OPEN] = "open",
	    [PRESENCE_COLD] = "cold",
	    [PRESENCE_OPENING] = "opening",
	    [PRESENCE_OPENING + 1] = "?"};

	return names[PRESENCE_WARMTH_OF(v->flags)];
}

/* Begins to count what is kept of a channel. */
static void
channels_kept_begin(struct show *s, const struct presence_view *v)
{
	struct show_kept *k = &s->kept;
	uint64_t age_ms = 0;

	k->begun = true;
	k->position = v->newest;
	k->epoch = v->epoch;
	k->n = 0;
	k->keep = UINT32_MAX;
	if (s->from.history != NULL)
		s->from.history(
		    &s->from, v->name, v->name_len, &k->keep, &age_ms);
	k->oldest_ms = age_ms != 0 ? s->from.wall_ms - (int64_t)age_ms : 0;
}

/*
 * Counts on along the channel's chain in the journal, as far as this part goes;
 * true: done. A publication is in one chain, so all channels together find no
 * more of them than the index has places, unless it is corrupted; the look that
 * finds the end of a chain is one more for each channel.
 */
static bool
channels_kept_count(struct show *s)
{
	const struct hub *h = s->from.hub;
	struct show_kept *k = &s->kept;
	struct publication p;

	while (k->position != 0 && k->n < k->keep && k->looked < h->n_index) {
		if (s->work >= SHOW_STEP_ITEMS)
			return false;
		s->work++;
		if (journal_peek(h, k->position, &p) != JOURNAL_OK ||
		    p.channel != s->at || p.epoch != k->epoch ||
		    p.time_ms < k->oldest_ms)
			break;
		k->looked++;
		k->n++;
		k->position = p.previous < k->position ? p.previous : 0;
	}
	k->begun = false;
	return true;
}

/* One channel as an object. */
static void
channels_put_json(struct show *s, const struct presence_view *v)
{
	show_put(s, "{\"channel\":");
	show_text(s, v->name, v->name_len);
	show_put(
	    s, ",\"connections\":%" PRIu32 ",\"workers\":", s->count[s->at]);
	show_mask(s, v->mask & s->from.alive);
	show_put(s, ",\"kept\":%" PRIu32 ",\"history\":", s->kept.n);
	if (s->from.history != NULL)
		show_put(s, "%" PRIu32, s->kept.keep);
	else
		show_put(s, "null");
	show_put(s, ",\"offset\":%" PRIu64 ",\"epoch\":\"%08" PRIx64 "\"",
	    v->offset, v->stream);
	if (s->from.hub->readers != 0) {
		show_put(
		    s, ",\"state\":\"%s\",\"readers\":", channels_state(v));
		show_readers(s, PRESENCE_READERS(v->flags), 0);
		show_put(s, ",\"required_by\":");
		show_readers(s, PRESENCE_REQUIRES(v->flags), 0);
	}
	show_put(s, "}");
}

/* One channel as a line. */
static void
channels_put_line(struct show *s, const struct presence_view *v)
{
	char history[32];

	show_put(s, "%11" PRIu32 " ", s->count[s->at]);
	show_mask(s, v->mask & s->from.alive);
	if (s->from.history != NULL)
		snprintf(history, sizeof(history), "%" PRIu32 " of %" PRIu32,
		    s->kept.n, s->kept.keep);
	else
		snprintf(history, sizeof(history), "%" PRIu32, s->kept.n);
	show_put(s, "%13s %15" PRIu64 " %08" PRIx64 " ", history, v->offset,
	    v->stream);
	if (s->from.hub->readers != 0) {
		show_put(s, "%-7s ", channels_state(v));
		show_readers(s, PRESENCE_READERS(v->flags), 18);
		show_readers(s, PRESENCE_REQUIRES(v->flags), 18);
	}
	show_text(s, v->name, v->name_len);
	show_put(s, "\n");
}

/* Whether that entry is a channel with members; copies it. */
static bool
channels_read(const struct show *s, uint32_t i, struct presence_view *v)
{
	const struct hub *h = s->from.hub;

	return !presence_is_user(h, i) &&
	    (presence_mask(h, i) & s->from.alive) != 0 &&
	    presence_read(h, i, v) && v->name_len > 0 &&
	    (v->mask & s->from.alive) != 0;
}

/* One channel, a part of its count, or an entry that is no channel. */
static bool
channels_next(struct show *s)
{
	const struct hub *h = s->from.hub;
	struct presence_view v;

	s->at = presence_next(h, s->at);
	if (s->at >= h->n_entries)
		return false;
	if (channels_read(s, s->at, &v)) {
		if (!s->kept.begun)
			channels_kept_begin(s, &v);
		if (!channels_kept_count(s))
			return true;
		show_comma(s);
		(s->json ? channels_put_json : channels_put_line)(s, &v);
	}
	s->kept.begun = false;
	s->at++;
	return true;
}

const struct show_subject show_channels = {.name = "channels",
    .begin = channels_begin,
    .next = channels_next,
    .head = channels_head,
    .open = "[",
    .close = "]\n"};
