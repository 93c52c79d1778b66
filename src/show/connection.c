/* All that shared memory has of one connection, but what was said: what
 * `chatctl show connection` says. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "hub/input.h"
#include "hub/output.h"
#include "hub/presence.h"
#include "hub/subscription.h"
#include "show/subject.h"

enum {
	/* Looks at a connection that changes meanwhile. Larger: one that is
	 * busy keeps the master for longer; smaller: more is told that may not
	 * fit together. */
	CONNECTION_LOOKS = 8,
	/* Subscriptions that are told one by one. Larger: longer answers;
	 * smaller: some are only counted. */
	CONNECTION_SUBSCRIPTIONS = 100,
	CONNECTION_FLAGS = 256 /* bytes of flags by name */
};

/* What is seen of a connection. */
struct connection_look {
	uint64_t life, id;
	struct slot slot;
	struct output_seen output;
	uint64_t input_end, input_bytes; /* of unfinished input */
	uint32_t input_raw;
	bool input, input_whole;
	bool steady; /* nothing changed while it was looked at */
};

/* A flag's bit and name; 0 ends a list. */
struct connection_flag {
	uint32_t bit;
	const char *name;
};

static const struct connection_flag connection_flags[] = {{SLOT_GAP, "gap"},
    {SLOT_MOVED, "moved"}, {SLOT_AWAY, "away"}, {SLOT_OWN_AWAY, "own-away"},
    {SLOT_LEAVING, "leaving"}, {SLOT_ENTERING, "entering"},
    {SLOT_CLOSE_HEARD, "close-heard"}, {SLOT_SUB_INFO, "sub-info"},
    {SLOT_TOLD, "told"}, {SLOT_PROVED, "proved"}, {SLOT_OWED, "owed"},
    {0, NULL}};

static const struct connection_flag subscription_flags[] = {
    {SUBSCRIPTION_JOIN_LEAVE, "join-leave"}, {SUBSCRIPTION_GAP, "gap"},
    {SUBSCRIPTION_PRESENT, "present"}, {SUBSCRIPTION_SERVER, "server"},
    {SUBSCRIPTION_TOLD, "told"}, {SUBSCRIPTION_AWAY, "away"},
    {SUBSCRIPTION_REVOKED, "revoked"}, {0, NULL}};

/* Why it is closed. */
static const char *const connection_reasons[REASONS] = {[REASON_NONE] = "none",
    [REASON_GOING_AWAY] = "going-away",
    [REASON_RESTARTING] = "restarting",
    [REASON_KICKED] = "kicked",
    [REASON_IDLE] = "idle",
    [REASON_NO_PONG] = "no-pong",
    [REASON_SLOW] = "slow",
    [REASON_RATE] = "rate",
    [REASON_TEXT_ONLY] = "text-only",
    [REASON_TOO_BIG] = "too-big",
    [REASON_UTF8] = "utf8",
    [REASON_PROTOCOL] = "protocol",
    [REASON_BUSY] = "busy",
    [REASON_MEMORY] = "memory",
    [REASON_INTERNAL] = "internal"};

/* Prints the names of the flags that are set: "gap,moved", "-" for none; in
 * JSON an array. Aligned to a width of at least so much. */
static void
connection_put_names(struct show *s, const struct connection_flag *all,
    uint32_t flags, int width)
{
	char text[CONNECTION_FLAGS] = "";
	size_t len = 0;

	for (; all->name != NULL; all++)
		if ((flags & all->bit) != 0 && len < sizeof(text))
			len += (size_t)snprintf(text + len, sizeof(text) - len,
			    s->json ? "%s\"%s\"" : "%s%s", len > 0 ? "," : "",
			    all->name);
	if (s->json)
		show_put(s, "[%s]", text);
	else
		show_put(s, "%-*s", width, len > 0 ? text : "-");
}

/* Takes ID, as `show connections` prints it. */
static int
connection_ask(
    struct show *s, int argc, char **argv, char *error, size_t error_len)
{
	const char *id = argc > 0 ? argv[0] : "";
	const size_t len = strlen(id);

	if (len == 0 || len > 16 ||
	    strspn(id, "0123456789abcdefABCDEF") != len) {
		snprintf(error, error_len,
		    "show connection: \"%s\" is no ID, which has 16 "
		    "hexadecimal digits",
		    id);
		return -1;
	}
	s->conn = strtoull(id, NULL, 16);
	if (slot_find(s->from.hub, s->conn) != SHM_NONE)
		return 0;
	snprintf(error, error_len, "there is no connection %s", id);
	return -1;
}

/* Looks at the input that is kept. */
static void
connection_look_input(
    const struct hub *h, uint32_t i, struct connection_look *l)
{
	const struct input_part *part = input_part(h, i);

	l->input = part != NULL;
	if (part == NULL)
		return;
	l->input_end = SHM_ONCE(part->end);
	l->input_bytes = SHM_ONCE(part->bytes);
	l->input_raw = SHM_ONCE(part->raw);
	l->input_whole = SHM_ONCE(part->whole) != 0;
}

/* Whether a connection has not changed since the slot was copied. */
static bool
connection_is_steady(const struct slot *now, const struct slot *copy)
{
	shm_copied();
	return SHM_LOAD(now->life) == SHM_OWN(copy->life) &&
	    SHM_LOAD(now->appended) == SHM_OWN(copy->appended) &&
	    SHM_LOAD(now->chunk) == SHM_OWN(copy->chunk) &&
	    SHM_LOAD(now->part) == SHM_OWN(copy->part) &&
	    SHM_LOAD(now->answered) == SHM_OWN(copy->answered) &&
	    SHM_LOAD(now->committed) == SHM_OWN(copy->committed);
}

/* Looks until nothing changes meanwhile, a few times. False: the connection is
 * gone. */
static bool
connection_look(const struct hub *h, uint64_t conn, struct connection_look *l)
{
	const uint32_t i = (uint32_t)conn;

	for (int n = 0; n < CONNECTION_LOOKS; n++) {
		*l = (struct connection_look){0};
		if (!slot_read(h, i, &l->slot, &l->id) || l->id != conn)
			return false;
		output_look(h, i, &l->output);
		connection_look_input(h, i, l);
		l->steady = connection_is_steady(&h->slot[i], &l->slot);
		if (l->steady)
			break;
	}
	return true;
}

/* Prints the name of a member of the object, or of a line. */
static void
connection_name(struct show *s, const char *name)
{
	if (s->json)
		show_put(s, "%s\"%s\":", s->some ? "," : "", name);
	else
		show_put(s, "%s%-18s ", s->some ? "\n" : "", name);
	s->some = true;
}

/* A number. */
static void
connection_number(struct show *s, const char *name, uint64_t value)
{
	connection_name(s, name);
	show_put(s, "%" PRIu64, value);
}

/* A word that is ours. */
static void
connection_word(struct show *s, const char *name, const char *word)
{
	connection_name(s, name);
	show_put(s, s->json ? "\"%s\"" : "%s", word);
}

/* A yes or no. */
static void
connection_bool(struct show *s, const char *name, bool value)
{
	connection_name(s, name);
	if (s->json)
		show_put(s, "%s", value ? "true" : "false");
	else
		show_put(s, "%s", value ? "yes" : "no");
}

/* Text of a client's. */
static void
connection_text(struct show *s, const char *name, const char *text, size_t len)
{
	connection_name(s, name);
	if (len > 0 || s->json)
		show_text(s, text, len);
	else
		show_put(s, "-");
}

/* In which phase of its life it is. */
static const char *
connection_phase(const struct slot *slot)
{
	static const char *const names[] = {[SLOT_OPEN] = "open",
	    [SLOT_ENDING] = "ending",
	    [SLOT_CLOSING] = "closing",
	    [SLOT_MOVING] = "moving"};
	const uint64_t state = SHM_OWN(slot->life) & 7;
	const char *name =
	    state < sizeof(names) / sizeof(names[0]) ? names[state] : NULL;

	return name != NULL ? name : "?";
}

/* Whether a reader of the journal is to answer for its newest message. */
static const char *
connection_awaits(const struct slot *slot)
{
	switch (SHM_OWN(slot->awaits)) {
	case AWAITS_NOTHING:
		return "nothing";
	case AWAITS_RESULT:
		return "result";
	default:
		return "done";
	}
}

/* Who it is. */
static void
connection_put_who(struct show *s, const struct connection_look *l)
{
	const struct slot *slot = &l->slot;
	char user[PRESENCE_NAME_MAX], peer[64], id[17];

	snprintf(id, sizeof(id), "%016" PRIx64, l->id);
	connection_word(s, "id", id);
	connection_word(s, "phase", connection_phase(slot));
	connection_number(s, "worker", slot->worker);
	connection_number(s, "descriptor",
	    (uint32_t)slot_socket(s->from.hub, (uint32_t)l->id));
	connection_text(
	    s, "user", user, presence_user(s->from.hub, slot->user, user));
	connection_text(s, "device", slot->device, slot->device_len);
	slot_peer_name(slot, peer);
	connection_text(s, "peer", peer, strlen(peer));
	connection_word(
	    s, "transport", hub_word(s->from.words.transport, slot->transport));
	connection_word(
	    s, "framing", hub_word(s->from.words.framing, slot->framing));
	connection_word(s, "door", hub_word(s->from.words.door, slot->door));
	connection_number(
	    s, "connected_s", show_age_s(s->from.now_ms, slot->connected_ms));
}

/* How far its input is done, and what of it is kept. */
static void
connection_put_input(struct show *s, const struct connection_look *l)
{
	const uint64_t answered = SHM_OWN(l->slot.answered);
	const uint64_t committed = SHM_OWN(l->slot.committed);
	const uint64_t done = answered > committed ? answered : committed;

	connection_number(
	    s, "input_read", l->input ? l->input_end : KEY_POSITION(done));
	connection_number(s, "input_done", KEY_POSITION(done));
	connection_number(s, "input_commands", KEY_COUNT(done));
	connection_number(s, "input_bytes", l->input_bytes);
	connection_number(s, "input_waiting", l->input_raw);
	connection_word(s, "input_message",
	    !l->input		 ? "none"
		: l->input_whole ? "whole"
				 : "part");
	connection_number(s, "published", SHM_OWN(l->slot.committed_at));
	if (s->from.hub->readers != 0)
		connection_word(s, "awaits", connection_awaits(&l->slot));
}

/* What goes to it. */
static void
connection_put_output(struct show *s, const struct connection_look *l)
{
	const struct output_seen *o = &l->output;

	connection_number(s, "delivered", SHM_OWN(l->slot.last));
	connection_number(s, "frames", SHM_OWN(l->slot.appended));
	connection_number(s, "frames_kept", o->references);
	connection_number(s, "output_from", o->from);
	connection_number(s, "output_end", o->end);
	connection_bool(s, "output_sound", o->whole);
	connection_number(s, "skipped", l->slot.skipped & ~SLOT_SKIPPED_MORE);
}

/* How it stands with its end, and its flags. */
static void
connection_put_flags(struct show *s, const struct connection_look *l)
{
	const struct slot *slot = &l->slot;

	connection_name(s, "flags");
	connection_put_names(s, connection_flags, slot->flags, 0);
	connection_number(s, "door_flags", slot->flags & ~SLOT_FLAGS);
	connection_number(s, "close_code", slot->close_code);
	connection_word(s, "close_reason",
	    slot->close_reason < REASONS
		? connection_reasons[slot->close_reason]
		: "?");
	connection_number(s, "expires_ms", slot->expires_ms);
	connection_bool(s, "steady", l->steady);
}

/* One subscription. */
static void
connection_put_one(struct show *s, const struct subscription *sub, bool first)
{
	const uint64_t offset = SHM_OWN(sub->offset);
	struct presence_view v;

	if (!presence_read(s->from.hub, subscription_channel(sub), &v) ||
	    v.epoch != sub->epoch)
		v.name_len = 0;
	if (s->json) {
		show_put(s, "%s{\"channel\":", first ? "" : ",");
		show_text(s, v.name, v.name_len);
		if (offset == SUBSCRIPTION_HELD)
			show_put(s, ",\"offset\":null");
		else
			show_put(s, ",\"offset\":%" PRIu64, offset);
		show_put(s, ",\"flags\":");
		connection_put_names(s, subscription_flags, sub->flags, 0);
		show_put(s, "}");
		return;
	}
	if (offset == SUBSCRIPTION_HELD)
		show_put(s, "\n  %15s ", "held");
	else
		show_put(s, "\n  %15" PRIu64 " ", offset);
	connection_put_names(s, subscription_flags, sub->flags, 31);
	show_put(s, " ");
	if (v.name_len > 0)
		show_text(s, v.name, v.name_len);
	else
		show_put(s, "-");
}

/* The subscriptions, the first of them one by one. */
static void
connection_put_subscriptions(struct show *s, uint32_t i)
{
	const struct hub *h = s->from.hub;
	struct subscription_walk w = subscription_walk(h, i);
	uint32_t n = subscription_count(h, i), k, at;
	struct subscription sub;

	connection_number(s, "subscriptions", n);
	if (s->json)
		show_put(s, ",\"channels\":[");
	else if (n > 0)
		show_put(s, "\n  %15s %-31s CHANNEL", "OFFSET", "FLAGS");
	for (k = 0; k < CONNECTION_SUBSCRIPTIONS &&
	     (at = subscription_walk_next(h, &w)) != SHM_NONE;
	     k++) {
		memcpy(&sub, &h->subscription[at], sizeof(sub));
		connection_put_one(s, &sub, k == 0);
	}
	if (s->json)
		show_put(s, "]");
	else if (n > k)
		show_put(s, "\n  and %" PRIu32 " more", n - k);
}

/* All of it at once. */
static bool
connection_next(struct show *s)
{
	struct connection_look l;

	if (s->some)
		return false;
	if (!connection_look(s->from.hub, s->conn, &l)) {
		/* it was there when it was asked for */
		connection_word(s, "phase", "gone");
	} else {
		connection_put_who(s, &l);
		connection_put_input(s, &l);
		connection_put_output(s, &l);
		connection_put_flags(s, &l);
		connection_put_subscriptions(s, (uint32_t)l.id);
	}
	if (!s->json)
		show_put(s, "\n");
	return true;
}

const struct show_subject show_one_connection = {.name = "connection",
    .ask = connection_ask,
    .next = connection_next,
    .open = "{",
    .close = "}\n"};
