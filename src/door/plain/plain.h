/* plain: what the files of this door share. Private to the folder. */
#ifndef CHATD_SRC_DOOR_PLAIN_H
#define CHATD_SRC_DOOR_PLAIN_H

#include "room/channel.h"
#include "conn/conn.h"
#include "room/publish.h"
#include "room/user.h"
#include "codec/json.h"
#include "codec/name.h"
#include "door/door.h"

extern const struct door plain_door;

/* plain.c */

/* A command needs a channel that is not open: it waits, or is told that it has
 * waited in vain. Either way nothing more is done with it now. */
void plain_cold(struct chat *ch, uint32_t conn, uint64_t position,
    const struct channel_position *at);

/* What was said has been accepted, now or before it waited. Nothing is answered
 * if all is well, or not known yet. */
void plain_accepted(struct chat *ch, uint32_t conn, uint64_t position);

/* What became of a publication, with the answer if there is one yet; false: it
 * was refused for what the channel is. */
bool plain_published(struct chat *ch, uint32_t conn, uint64_t position,
    enum publish_result r, const struct publication *p);

/* line.c */

/* A name as it stands in a line (name_show()), terminated; good until the next
 * call. Of one that is longer than any the beginning. */
const char *plain_name(const char *name, size_t len);

/* Who said it, as it stands in a line; good until the next call. */
struct iovec plain_user(const struct publication *p);

/* The text of a publication as people read it: that of {"text": TEXT}, or
 * compact JSON. */
struct iovec plain_text(const struct publication *p);

/* A text that becomes part of lines: each of its own but the first is indented,
 * so that none is taken for one of the answer's. */
void plain_put_text(struct json_writer *w, const char *text, size_t len);

/* room.c: "/join ROOM" and its kind, given what follows the word. */
void plain_join(struct chat *ch, uint32_t conn, const char *args, size_t len,
    uint64_t position);
void plain_leave(struct chat *ch, uint32_t conn, const char *args, size_t len,
    uint64_t position);
void plain_rooms(struct chat *ch, uint32_t conn, uint64_t position);
void plain_to(struct chat *ch, uint32_t conn, const char *args, size_t len,
    uint64_t position);
void plain_drained(struct chat *ch, uint32_t conn);

/* history.c: "/history ROOM [N [BEFORE]]". */
void plain_history(struct chat *ch, uint32_t conn, const char *args, size_t len,
    uint64_t position);

/* The words around a room's name in an answer, and the reason behind them, if
 * there is one, or NULL. `before` NULL: nothing is said (any more). */
struct room_answer {
	const char *before, *after;
	const char *why;
};

/* Says it. */
void plain_tell_room(struct chat *ch, uint32_t conn, uint64_t position,
    struct room_answer answer, const char *room, size_t len);

/* Publishes a text to a room where the rules allow it; returns why not. */
struct room_answer plain_say(struct chat *ch, uint32_t conn, const char *room,
    size_t room_len, const char *text, size_t len, uint64_t position);

#endif
