/* report_channels: channels that have members, for `chatctl show channels`. */
#include <event2/buffer.h>
#include <inttypes.h>
#include <stdlib.h>

#include "door/registry.h"
#include "hub/presence.h"
#include "hub/subscription.h"
#include "private.h"
#include "report_part.h"

/* Counts the members that one connection makes. Returns what was looked at. */
static int
channels_count_one(struct report *r, uint32_t i, const struct slot *s)
{
	const struct hub *h = &r->master->hub;
	const struct door *door = door_by_id(s->door);
	struct subscription_walk w = subscription_walk(h, i);
	uint32_t sub, channel;
	int n = 1;

	if (door != NULL && door->lobby)
		r->count[PRESENCE_LOBBY]++;
	while ((sub = subscription_walk_next(h, &w)) != SHM_NONE) {
		channel = subscription_channel(&h->subscription[sub]);
		if (channel < h->n_entries &&
		    (SHM_ONCE(h->subscription[sub].flags) &
			SUBSCRIPTION_REVOKED) == 0)
			r->count[channel]++;
		n++;
	}
	return n;
}

/* Counts the members of each channel, a part at a time; true: done. */
static bool
channels_begin(struct report *r)
{
	const struct hub *h = &r->master->hub;
	struct slot s;
	uint64_t id;

	if (r->count == NULL &&
	    (r->count = calloc(h->n_entries, sizeof(*r->count))) == NULL) {
		r->failed = true;
		return true;
	}
	for (int n = 0; n < REPORT_STEP_ITEMS; r->at++) {
		if ((r->at = slot_ever(h, r->at)) >= h->n_slots)
			return true;
		n += report_connection(r, r->at, &s, &id)
		    ? channels_count_one(r, r->at, &s)
		    : 1;
	}
	return false;
}

/* The head line. */
static void
channels_head(struct report *r, struct evbuffer *out)
{
	report_put(r, out, "%11s %-15s %7s %15s %-8s CHANNEL\n", "CONNECTIONS",
	    "WORKERS", "HISTORY", "OFFSET", "EPOCH");
}

/* One channel as an object. */
static void
channel_put_json(struct report *r, struct evbuffer *out,
    const struct presence_view *v, uint32_t members, uint32_t history)
{
	report_put(r, out, "{\"channel\":");
	report_text(r, out, v->name, v->name_len);
	report_put(
	    r, out, ",\"connections\":%" PRIu32 ",\"workers\":", members);
	report_mask(r, out, v->mask & r->alive);
	report_put(r, out,
	    ",\"history\":%" PRIu32 ",\"offset\":%" PRIu64
	    ",\"epoch\":\"%08" PRIx32 "\"}",
	    history, v->offset, v->epoch);
}

/* One channel, or an entry that is none. */
static bool
channel_next(struct report *r, struct evbuffer *out)
{
	const struct hub *h = &r->master->hub;
	const uint32_t i = presence_next(h, r->at);
	const struct conf_channel *rule;
	struct presence_view v;
	uint32_t history;

	r->at = i + 1;
	if (i >= h->n_entries)
		return false;
	if (presence_is_user(h, i) || (presence_mask(h, i) & r->alive) == 0 ||
	    !presence_read(h, i, &v) || v.name_len == 0 ||
	    (v.mask & r->alive) == 0)
		return true;
	rule = conf_channel_find(&r->master->live, v.name, v.name_len);
	history = rule != NULL ? rule->history : 0;
	report_comma(r, out);
	if (r->json) {
		channel_put_json(r, out, &v, r->count[i], history);
		return true;
	}
	report_put(r, out, "%11" PRIu32 " ", r->count[i]);
	report_mask(r, out, v.mask & r->alive);
	report_put(r, out, "%7" PRIu32 " %15" PRIu64 " %08" PRIx32 " ", history,
	    v.offset, v.epoch);
	report_text(r, out, v.name, v.name_len);
	report_put(r, out, "\n");
	return true;
}

const struct subject report_channels = {.name = "channels",
    .begin = channels_begin,
    .next = channel_next,
    .head = channels_head,
    .open = "[",
    .close = "]\n"};
