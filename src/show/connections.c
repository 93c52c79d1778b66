/* Connections: what `chatctl show connections` says. */
#include <inttypes.h>
#include <string.h>

#include "hub/presence.h"
#include "show/subject.h"

enum {
	/* Longest: "255.255.255.255:65535", "[...]:65535", "centrifugo". */
	PEER4_WIDTH = 21,
	PEER6_WIDTH = 47,
	DOOR_WIDTH = 10
};

/* Finds out how wide the addresses of connections are: as IPv4's, if all are.
 */
static bool
connections_begin(struct show *s)
{
	const struct hub *h = s->from.hub;

	s->peer_width = PEER4_WIDTH;
	if (s->json)
		return true;
	for (uint32_t i = slot_ever(h, 0); i < h->n_slots;
	     i = slot_ever(h, i + 1))
		if (slot_is_open(h, i) && SHM_ONCE(h->slot[i].family) == 6)
			s->peer_width = PEER6_WIDTH;
	return true;
}

/* The head line. */
static void
connections_head(struct show *s)
{
	show_put(s, "%-16s %6s %-*s %-*s %9s USER\n", "ID", "WORKER",
	    s->peer_width, "PEER", DOOR_WIDTH, "DOOR", "SINCE/S");
}

/* A connection as an object. */
static void
connections_put_json(struct show *s, uint64_t id, const struct slot *slot,
    const struct presence_view *user)
{
	char peer[64];

	show_put(s, "{\"id\":\"%016" PRIx64 "\",\"user\":", id);
	show_text(s, user->name + 1, user->name_len - 1);
	show_put(s, ",\"device\":");
	show_text(s, slot->device, slot->device_len);
	show_put(s, ",\"worker\":%d,\"peer\":", slot->worker);
	slot_peer_name(slot, peer);
	show_text(s, peer, strlen(peer));
	show_put(s, ",\"door\":\"%s\",\"connected_s\":%" PRIu64 "}",
	    hub_word(s->from.words.door, slot->door),
	    show_age_s(s->from.now_ms, slot->connected_ms));
}

/* A connection as a line. */
static void
connections_put_line(struct show *s, uint64_t id, const struct slot *slot,
    const struct presence_view *user)
{
	char peer[64];

	show_put(s, "%016" PRIx64 " %6d %-*s %-*s %9" PRIu64 " ", id,
	    slot->worker, s->peer_width, slot_peer_name(slot, peer), DOOR_WIDTH,
	    hub_word(s->from.words.door, slot->door),
	    show_age_s(s->from.now_ms, slot->connected_ms));
	show_text(s, user->name + 1, user->name_len - 1);
	if (slot->device_len > 0) {
		show_put(s, " on ");
		show_text(s, slot->device, slot->device_len);
	}
	show_put(s, "\n");
}

/* One connection. */
static bool
connections_next(struct show *s)
{
	const struct hub *h = s->from.hub;
	struct presence_view v = {.name_len = 0};
	struct slot slot;
	uint64_t id;
	uint32_t i = slot_ever(h, s->at);

	s->at = i + 1;
	if (i >= h->n_slots)
		return false;
	if (!show_connection(s, i, &slot, &id))
		return true;
	if (!presence_read(h, slot.user, &v) || v.name_len == 0)
		v.name_len = 1; /* its door has no users */
	/* else the entry may be another user's by now */
	if (!slot_is_live(h, id))
		return true;
	show_comma(s);
	(s->json ? connections_put_json : connections_put_line)(
	    s, id, &slot, &v);
	return true;
}

const struct show_subject show_connections = {.name = "connections",
    .begin = connections_begin,
    .next = connections_next,
    .head = connections_head,
    .open = "[",
    .close = "]\n"};
