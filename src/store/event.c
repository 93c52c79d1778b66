/* event: what has happened to users and channels, and what is known of users.
 */
#include "event.h"

#include <string.h>

#include "hub/event.h"
#include "hub/slot.h"

enum { EVENT_PEER = 64 }; /* bytes of an address as text */

/* A row of an event; texts NULL, and c NULL: none. */
struct event {
	int64_t time_ms;
	const struct store_channel *c;
	const char *user, *device, *peer;
	size_t user_len, device_len, peer_len;
};

/* Writes it. kind: one word, chatd-store(5). */
static enum store_result
event_write(struct store *s, const struct event *e, const char *kind)
{
	static const char sql[] =
	    "INSERT INTO event(time, kind, channel, user, device, peer)"
	    " VALUES(?1, ?2, ?3, ?4, ?5, ?6)";
	enum store_result r = database_begin(s, true);
	sqlite3_stmt *stmt;

	if (r != STORE_OK)
		return r;
	if ((stmt = database_statement(s, sql)) != NULL) {
		sqlite3_bind_int64(stmt, 1, e->time_ms);
		bind_text(stmt, 2, kind, strlen(kind));
		if (e->c != NULL)
			sqlite3_bind_int64(stmt, 3, e->c->id);
		bind_text(stmt, 4, e->user, e->user_len);
		bind_text(stmt, 5, e->device, e->device_len);
		bind_text(stmt, 6, e->peer, e->peer_len);
	}
	return database_run(s, stmt, "writing an event");
}

enum store_result
store_event(struct store *s, const char *kind, int64_t time_ms)
{
	return event_write(s, &(struct event){.time_ms = time_ms}, kind);
}

/* A statement about a user: its name, two numbers. */
static enum store_result
user_run(struct store *s, const char *sql, const struct event *e, uint64_t n)
{
	enum store_result r = database_begin(s, true);
	sqlite3_stmt *stmt;

	if (r != STORE_OK || e->user_len == 0)
		return r;
	if ((stmt = database_statement(s, sql)) != NULL) {
		bind_text(stmt, 1, e->user, e->user_len);
		sqlite3_bind_int64(stmt, 2, e->time_ms);
		bind_number(stmt, 3, n);
	}
	return database_run(s, stmt, "writing a user");
}

/* A user comes. last_seen is when the user was here before, until the user goes
 * again: so that who is told what came since then is told no time of now. */
static enum store_result
user_comes(struct store *s, const struct event *e, bool proved)
{
	static const char sql[] =
	    "INSERT INTO user(name, first_seen, last_seen, proved)"
	    " VALUES(?1, ?2, ?2, ?3) ON CONFLICT(name) DO UPDATE"
	    " SET proved = 1 WHERE proved = 0 AND excluded.proved != 0";

	return user_run(s, sql, e, proved);
}

/* A connection of the user's has ended. */
static enum store_result
user_goes(struct store *s, const struct event *e)
{
	static const char sql[] =
	    "INSERT INTO user(name, first_seen, last_seen, proved)"
	    " VALUES(?1, ?2, ?2, ?3) ON CONFLICT(name) DO UPDATE"
	    " SET last_seen = excluded.last_seen"
	    " WHERE excluded.last_seen > last_seen";

	return user_run(s, sql, e, 0);
}

/* The user has got all up to that offset. One that is more than the channel has
 * is of a channel that has begun anew since. */
static enum store_result
user_has_got(struct store *s, const struct event *e, uint64_t offset)
{
	static const char more[] =
	    "INSERT INTO user(name, first_seen, last_seen, delivered)"
	    " VALUES(?1, ?2, ?2, ?3) ON CONFLICT(name) DO UPDATE"
	    " SET delivered = excluded.delivered"
	    " WHERE excluded.delivered > delivered";
	static const char anew[] =
	    "UPDATE user SET delivered = ?3 WHERE name = ?1 AND delivered >"
	    " (SELECT top FROM channel WHERE name = '#' || ?1)";
	enum store_result r = user_run(s, more, e, offset);

	if (r != STORE_OK || e->user_len == 0 || sqlite3_changes(s->db) != 0)
		return r;
	r = database_flush(s);
	return r == STORE_OK ? user_run(s, anew, e, offset) : r;
}

/* Takes the device and the peer of a CONNECT or DISCONNECT apart; its code. */
static uint16_t
event_connection(
    const struct publication *p, struct event *e, char peer[EVENT_PEER])
{
	struct slot at = {.family = 0};
	struct event_end end;

	if (p->data_len < sizeof(end))
		return 0;
	memcpy(&end, p->data, sizeof(end));
	e->device = p->data + sizeof(end);
	e->device_len = p->data_len - sizeof(end);
	at.family = end.family;
	at.peer_port = end.port;
	memcpy(at.peer, end.peer, sizeof(at.peer));
	if (end.family != 0) {
		e->peer = slot_peer_name(&at, peer);
		e->peer_len = strlen(peer);
	}
	return end.code;
}

/* Takes the user of "#alice" out of a channel's name. */
static void
event_user(struct event *e, const char *name, size_t len)
{
	if (len > 1 && name[0] == '#') {
		e->user = name + 1;
		e->user_len = len - 1;
	}
}

enum store_result
event_take(
    struct store *s, const struct store_channel *c, const struct publication *p)
{
	struct event e = {
	    .time_ms = p->time_ms, .user = p->user, .user_len = p->user_len};
	enum store_result r = STORE_OK;
	char peer[EVENT_PEER];
	uint16_t code;

	switch (p->format) {
	case FORMAT_JOIN:
	case FORMAT_LEAVE:
		e.c = c;
		return event_write(
		    s, &e, p->format == FORMAT_JOIN ? "join" : "leave");
	case FORMAT_KICK:
		e.device = p->data;
		e.device_len = p->data_len;
		return event_write(s, &e, "kick");
	case FORMAT_ONLINE:
	case FORMAT_OFFLINE:
		event_user(&e, p->data, p->data_len);
		return event_write(
		    s, &e, p->format == FORMAT_ONLINE ? "online" : "offline");
	case FORMAT_CONNECT:
		code = event_connection(p, &e, peer);
		r = user_comes(s, &e, code != 0);
		return r == STORE_OK ? event_write(s, &e, "connect") : r;
	case FORMAT_DISCONNECT:
		(void)event_connection(p, &e, peer);
		r = user_goes(s, &e);
		return r == STORE_OK ? event_write(s, &e, "disconnect") : r;
	case FORMAT_DELIVERED:
		return user_has_got(s, &e, p->offset);
	default:
		return STORE_OK;
	}
}

enum store_result
user_prune(
    struct store *s, bool proved, int64_t oldest_ms, uint32_t rows, uint32_t *n)
{
	static const char sql[] =
	    "DELETE FROM user WHERE name IN (SELECT name FROM user"
	    " WHERE proved = ?3 AND last_seen < ?1 LIMIT ?2)";
	enum store_result r = database_begin(s, false);
	sqlite3_stmt *stmt;

	*n = 0;
	if (r != STORE_OK)
		return r;
	if ((stmt = database_statement(s, sql)) != NULL) {
		sqlite3_bind_int64(stmt, 1, oldest_ms);
		sqlite3_bind_int64(stmt, 2, rows);
		sqlite3_bind_int(stmt, 3, proved);
	}
	r = database_run(s, stmt, "pruning users");
	if (r == STORE_OK)
		*n = (uint32_t)sqlite3_changes(s->db);
	return r;
}
