/* Rooms at the plain door. */
#include <stdio.h>
#include <string.h>

#include "room/quota.h"
#include "room/event.h"
#include "plain.h"

enum {
	/* Of an answer of /rooms. Larger: it fills a small queue; smaller: not
	 * all are told whose names are long. */
	ROOMS_BYTES = 64 * 1024,
	ROOMS_MORE = 32 /* of them for ", and 17 more" */
};

/* A room that a command names. */
struct room_word {
	char text[NAME_WORD_MAX];
	size_t len;
};

/* Takes the one room that a command names; tells how it is used if there is
 * none or more than that. */
static bool
room_take(struct chat *ch, uint32_t conn, const char **args, size_t *len,
    struct room_word *room, bool alone, uint64_t position, const char *usage)
{
	if (!name_take(args, len, room->text, &room->len) ||
	    (alone && *len > 0) || (!alone && *len == 0)) {
		conn_tell(ch, conn, position, "* usage: %s", usage);
		return false;
	}
	if (conf_channel_name_ok(room->text, room->len) &&
	    !presence_name_is_user(room->text, room->len))
		return true;
	conn_tell(ch, conn, position, "* %s is not a room",
	    plain_name(room->text, room->len));
	return false;
}

/* Whether a name is the lobby's. */
static bool
room_is_lobby(const char *room, size_t len)
{
	return len == PRESENCE_LOBBY_LEN &&
	    memcmp(room, PRESENCE_LOBBY_NAME, len) == 0;
}

/* Whether the rules let clients of this door join, who have a name. */
static bool
room_may_join(struct chat *ch, const struct conf_channel *rule)
{
	return rule->subscribe == CONF_SUBSCRIBE_ALL ||
	    rule->subscribe == CONF_SUBSCRIBE_USERS ||
	    (rule->subscribe == CONF_SUBSCRIBE_TOKEN && ch->live.insecure);
}

/* An answer with a room's name between these two texts. */
static struct room_answer
room_says(const char *before, const char *after)
{
	return (struct room_answer){before, after, NULL};
}

/* What to say of a refusal: the quota that it was for, or if it was for none
 * `other`. */
static struct room_answer
room_refused(const char *before, const char *after, struct room_answer other)
{
	const char *why = quota_text();

	return why == NULL ? other : (struct room_answer){before, after, why};
}

/* Joins; returns what to say of it. */
static struct room_answer
room_join(struct chat *ch, uint32_t conn, const char *room, size_t len,
    uint64_t position)
{
	const struct conf_channel *rule =
	    conf_channel_find(&ch->live, room, len);
	struct subscription terms = {.key = KEY(position, ch->answers + 1)};
	struct channel_position at;
	enum channel_result r;
	uint32_t sub;

	if (rule == NULL)
		return room_says("there is no room ", "");
	if (room_is_lobby(room, len))
		return room_says("you are in ", " already");
	if (!room_may_join(ch, rule)) {
		channel_undo(ch, conn, room, len, terms.key);
		return room_says("you may not join ", "");
	}
	if (rule->presence)
		terms.flags |= SUBSCRIPTION_PRESENT;
	if (rule->join_leave)
		terms.flags |= SUBSCRIPTION_JOIN_LEAVE;
	r = channel_subscribe(ch, conn, room, len, &terms, &at, &sub);
	if (r == CHANNEL_ALREADY &&
	    subscription_key(&ch->hub->subscription[sub]) == terms.key)
		r = CHANNEL_OK; /* by this very command, before a takeover */
	switch (r) {
	case CHANNEL_OK:
		channel_tell_join(ch, sub);
		return room_says("joined ", "");
	case CHANNEL_ALREADY:
		return room_says("you are in ", " already");
	case CHANNEL_COLD:
		plain_cold(ch, conn, position, &at);
		return room_says(NULL, "");
	case CHANNEL_LIMIT:
		return room_refused("you are in too many rooms to join ", "",
		    room_says("you are in too many rooms to join ", ""));
	default:
		return room_refused("", " was not joined",
		    room_says("the server is full: ", " was not joined"));
	}
}

void
plain_tell_room(struct chat *ch, uint32_t conn, uint64_t position,
    struct room_answer answer, const char *room, size_t len)
{
	if (answer.before == NULL)
		return;
	conn_tell(ch, conn, position, "* %s%s%s%s%s", answer.before,
	    plain_name(room, len), answer.after, answer.why != NULL ? ": " : "",
	    answer.why != NULL ? answer.why : "");
}

/* A command that is only a room: carries it out and answers with the result. */
static void
room_change(struct chat *ch, uint32_t conn, const char *args, size_t len,
    uint64_t position, const char *usage,
    struct room_answer (*change)(struct chat *ch, uint32_t conn,
	const char *room, size_t len, uint64_t position))
{
	struct room_word room;

	if (room_take(ch, conn, &args, &len, &room, true, position, usage))
		plain_tell_room(ch, conn, position,
		    change(ch, conn, room.text, room.len, position), room.text,
		    room.len);
}

void
plain_join(struct chat *ch, uint32_t conn, const char *args, size_t len,
    uint64_t position)
{
	room_change(ch, conn, args, len, position, "/join ROOM", room_join);
}

/* Leaves; returns what to say of it. */
static struct room_answer
room_leave(struct chat *ch, uint32_t conn, const char *room, size_t len,
    uint64_t position)
{
	struct slot *s = conn_slot(ch, conn);

	if (room_is_lobby(room, len))
		return room_says("everybody here is in the ", "");
	if (channel_subscription(ch, conn, room, len) != SHM_NONE) {
		SHM_STORE(s->left, (uint32_t)position);
		channel_finish(ch, conn, room, len);
	} else if (!ch->replaying || SHM_OWN(s->left) != (uint32_t)position)
		return room_says("you are not in ", "");
	/* else by this very command, before a takeover */
	return room_says("left ", "");
}

void
plain_leave(struct chat *ch, uint32_t conn, const char *args, size_t len,
    uint64_t position)
{
	room_change(ch, conn, args, len, position, "/leave ROOM", room_leave);
}

void
plain_rooms(struct chat *ch, uint32_t conn, uint64_t position)
{
	static char text[ROOMS_BYTES];
	struct subscription_walk w = subscription_walk(ch->hub, conn);
	char name[PRESENCE_NAME_MAX + 1], shown[NAME_SHOWN_MAX];
	uint32_t sub, more = 0;
	size_t at = 0, len;

	while ((sub = subscription_walk_next(ch->hub, &w)) != SHM_NONE) {
		len = channel_name(ch->hub,
		    subscription_channel(&ch->hub->subscription[sub]), name);
		len = name_show(name, len, shown);
		if (more > 0 || at + len + 2 > sizeof(text) - ROOMS_MORE) {
			more++;
			continue;
		}
		memcpy(text + at, ", ", 2);
		memcpy(text + at + 2, shown, len);
		at += len + 2;
	}
	text[at] = '\0';
	if (more > 0)
		snprintf(text + at, sizeof(text) - at, ", and %u more", more);
	conn_tell(
	    ch, conn, position, "* you are in %s%s", PRESENCE_LOBBY_NAME, text);
}

struct room_answer
plain_say(struct chat *ch, uint32_t conn, const char *room, size_t room_len,
    const char *text, size_t len, uint64_t position)
{
	const struct publishing what = {
	    .conn = conn, .format = FORMAT_TEXT, .data = text, .len = len};
	const struct conf_channel *rule =
	    conf_channel_find(&ch->live, room, room_len);
	enum publish_result r;
	struct publication p;
	uint64_t mask;

	if (rule == NULL)
		return room_says("there is no room ", "");
	if (rule->publish == CONF_PUBLISH_NONE)
		return room_says("you may not write to ", "");
	if (rule->publish == CONF_PUBLISH_SUBSCRIBERS &&
	    !room_is_lobby(room, room_len) &&
	    channel_subscription(ch, conn, room, room_len) == SHM_NONE)
		return room_says("you are not in ", "");
	r = publish(ch, room, room_len, PUBLISH_MAKE, &what, &p, &mask);
	if (plain_published(ch, conn, position, r, &p))
		return room_says(NULL, "");
	if (r == PUBLISH_TOO_BIG)
		return room_says("too long for ", "");
	return room_refused("nothing was written to ", "",
	    room_says("the server is full: nothing was written to ", ""));
}

void
plain_to(struct chat *ch, uint32_t conn, const char *args, size_t len,
    uint64_t position)
{
	struct room_word room;
	struct room_answer bad;

	if (!room_take(
		ch, conn, &args, &len, &room, false, position, "/to ROOM TEXT"))
		return;
	bad = plain_say(ch, conn, room.text, room.len, args, len, position);
	plain_tell_room(ch, conn, position, bad, room.text, room.len);
}

void
plain_drained(struct chat *ch, uint32_t conn)
{
	struct subscription_walk w = subscription_walk(ch->hub, conn);
	struct slot *s = conn_slot(ch, conn);
	uint32_t n = s->skipped, sub;

	s->skipped = 0;
	if (s->flags & SLOT_GAP) /* perhaps in its user's own channel */
		s->flags = (s->flags & ~SLOT_GAP) | SLOT_OWED;
	while ((sub = subscription_walk_next(ch->hub, &w)) != SHM_NONE)
		ch->hub->subscription[sub].flags &= ~(uint32_t)SUBSCRIPTION_GAP;
	conn_tell(ch, conn, 0,
	    n & SLOT_SKIPPED_MORE ? "* messages were skipped"
		: n == 1	  ? "* %u message was skipped"
				  : "* %u messages were skipped",
	    n);
}
