/* take: what is written of publications, channels and holes. */
#include <string.h>

#include "base/clock.h"
#include "database.h"
#include "event.h"
#include "search.h"

/* A channel's row by its name; *out as the file has it, or will have it. */
static enum store_result
channel_read(
    struct store *s, const char *name, size_t len, struct store_channel *out)
{
	static const char sql[] =
	    "SELECT id, epoch, top, (SELECT max(offset) FROM publication"
	    " WHERE channel = c.id) FROM channel c WHERE name = ?1";
	sqlite3_stmt *stmt = database_statement(s, sql);
	const struct store_dirty *dirty;
	enum store_result r;

	if (stmt != NULL)
		sqlite3_bind_text64(
		    stmt, 1, name, len, SQLITE_STATIC, SQLITE_UTF8);
	r = database_row(s, stmt, "looking for a channel");
	if (r == STORE_OK) {
		*out =
		    (struct store_channel){.id = sqlite3_column_int64(stmt, 0),
			.stream = column_number(stmt, 1),
			.top = column_number(stmt, 2),
			.newest = column_number(stmt, 3)};
		dirty = database_dirty_find(s, out->id);
		if (dirty != NULL)
			out->top = dirty->top;
		/* only others can have written that */
		if (out->newest > out->top)
			out->top = out->newest;
	}
	sqlite3_reset(stmt);
	return r;
}

/* A new row. */
static enum store_result
channel_make(struct store *s, const char *name, size_t len, uint64_t stream,
    struct store_channel *out)
{
	static const char sql[] =
	    "INSERT INTO channel(name, epoch, top, seen) VALUES(?1, ?2, 0, ?3)";
	sqlite3_stmt *stmt = database_statement(s, sql);
	enum store_result r;

	if (stmt != NULL) {
		sqlite3_bind_text64(
		    stmt, 1, name, len, SQLITE_STATIC, SQLITE_UTF8);
		bind_number(stmt, 2, stream);
		sqlite3_bind_int64(stmt, 3, clock_wall_coarse_ms());
	}
	r = database_run(s, stmt, "making a channel");
	*out = (struct store_channel){
	    .id = sqlite3_last_insert_rowid(s->db), .stream = stream};
	return r;
}

enum store_result
store_channel(struct store *s, const char *name, size_t len, uint64_t stream,
    struct store_channel *out)
{
	enum store_result r = channel_read(s, name, len, out);

	if (r != STORE_NONE || stream == 0)
		return r;
	if ((r = database_begin(s, true)) != STORE_OK)
		return r;
	return channel_make(s, name, len, stream, out);
}

enum store_result
store_channel_renew(struct store *s, struct store_channel *c, uint64_t stream)
{
	static const char sql[] = "UPDATE channel SET epoch = ?2 WHERE id = ?1";
	enum store_result r = database_begin(s, true);
	sqlite3_stmt *stmt;

	if (r != STORE_OK)
		return r;
	if ((stmt = database_statement(s, sql)) != NULL) {
		sqlite3_bind_int64(stmt, 1, c->id);
		bind_number(stmt, 2, stream);
	}
	c->stream = stream;
	return database_run(s, stmt, "giving a channel another epoch");
}

/* Notes that a message is not known to be delivered. */
static enum store_result
proposal_note(
    struct store *s, const struct store_channel *c, const struct publication *p)
{
	static const char sql[] =
	    "INSERT INTO proposal(position, publication)"
	    " SELECT ?1, id FROM publication WHERE channel = ?2 AND offset = ?3"
	    " ON CONFLICT DO NOTHING";
	sqlite3_stmt *stmt = database_statement(s, sql);

	if (stmt != NULL) {
		bind_number(stmt, 1, p->position);
		sqlite3_bind_int64(stmt, 2, c->id);
		bind_number(stmt, 3, p->offset);
	}
	return database_run(s, stmt, "writing a proposal");
}

/* The row of a publication. */
static enum store_result
publication_write(struct store *s, const struct store_channel *c,
    const struct publication *p, uint64_t before)
{
	static const char sql[] =
	    "INSERT INTO publication(channel, offset, before, time, sender,"
	    " user, format, data, info, sub_info, tags)"
	    " VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)";
	sqlite3_stmt *stmt = database_statement(s, sql);
	enum store_result r;

	if (stmt != NULL) {
		sqlite3_bind_int64(stmt, 1, c->id);
		bind_number(stmt, 2, p->offset);
		bind_number(stmt, 3, before);
		sqlite3_bind_int64(stmt, 4, p->time_ms);
		if (p->sender != 0)
			bind_number(stmt, 5, p->sender);
		bind_text(stmt, 6, p->user, p->user_len);
		sqlite3_bind_int(stmt, 7, p->format);
		sqlite3_bind_text64(stmt, 8, p->data != NULL ? p->data : "",
		    p->data_len, SQLITE_STATIC, SQLITE_UTF8);
		bind_text(stmt, 9, p->info, p->info_len);
		bind_text(stmt, 10, p->sub_info, p->sub_info_len);
		bind_text(stmt, 11, p->tags, p->tags_len);
	}
	r = database_run(s, stmt, "writing a row");
	if (r != STORE_OK)
		return r;
	s->rows_more++;
	return search_add(s, sqlite3_last_insert_rowid(s->db), c->id, p);
}

enum store_result
store_take(
    struct store *s, struct store_channel *c, const struct publication *p)
{
	const bool proposed = (p->flags & PUBLICATION_PROPOSED) != 0;
	uint64_t before = p->before;
	enum store_result r;

	if (publication_is_event(p))
		return event_take(s, c, p);
	r = database_begin(s, true);

	/* of several that are proposed at once, each has what the channel had
	 * when it was proposed */
	if (proposed && before < c->top)
		before = c->top;
	if (r == STORE_OK)
		r = publication_write(s, c, p, before);
	if (r == STORE_OK && proposed)
		r = proposal_note(s, c, p);
	if (r != STORE_OK)
		return r;
	if (p->offset > c->top)
		c->top = p->offset;
	if (p->offset > c->newest)
		c->newest = p->offset;
	return database_dirty(s, c->id, c->top, p->time_ms);
}

enum store_result
store_answered(struct store *s, uint64_t position)
{
	static const char sql[] = "DELETE FROM proposal WHERE position <= ?1";
	enum store_result r = database_begin(s, false);
	sqlite3_stmt *stmt;

	if (r != STORE_OK)
		return r;
	if ((stmt = database_statement(s, sql)) != NULL)
		bind_bound(stmt, 1, position);
	return database_run(s, stmt, "writing that proposals are answered");
}

enum store_result
store_leap(struct store *s, uint64_t by)
{
	static const char sql[] =
	    "UPDATE channel SET top = top + ?1 WHERE top > 0"
	    " AND top <= 9223372036854775807 - ?1";
	enum store_result r = database_begin(s, false);
	sqlite3_stmt *stmt;

	if (r != STORE_OK || (r = database_flush(s)) != STORE_OK)
		return r;
	if ((stmt = database_statement(s, sql)) != NULL)
		bind_number(stmt, 1, by);
	return database_run(s, stmt, "moving offsets on");
}

enum store_result
store_renew(struct store *s)
{
	/* none is 0 */
	static const char sql[] = "UPDATE channel SET epoch = random() | 1";
	enum store_result r = database_begin(s, false);

	return r != STORE_OK
	    ? r
	    : database_run(s, database_statement(s, sql), "beginning anew");
}

enum store_result
store_hole(struct store *s, struct store_channel *c, uint64_t after,
    uint64_t before, int64_t time_ms, const char *why)
{
	static const char sql[] =
	    "INSERT INTO hole(channel, after, before, time, why)"
	    " VALUES(?1, ?2, ?3, ?4, ?5)";
	enum store_result r = database_begin(s, true);
	sqlite3_stmt *stmt;

	if (r != STORE_OK)
		return r;
	if ((stmt = database_statement(s, sql)) != NULL) {
		if (c != NULL)
			sqlite3_bind_int64(stmt, 1, c->id);
		bind_number(stmt, 2, after);
		bind_number(stmt, 3, before);
		sqlite3_bind_int64(stmt, 4, time_ms);
		bind_text(stmt, 5, why, strlen(why));
	}
	if ((r = database_run(s, stmt, "writing a hole")) != STORE_OK)
		return r;
	s->holes_more++;
	if (c == NULL || before <= c->top)
		return STORE_OK;
	c->top = before;
	return database_dirty(s, c->id, c->top, time_ms);
}
