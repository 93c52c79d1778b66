#include "find.h"

#include "limit.h"
#include "search.h"

enum {
	/* Columns of FIND_COLUMNS. */
	AT_NAME,
	AT_ID,
	AT_EPOCH,
	AT_TOP,
	AT_OFFSET,
	AT_BEFORE,
	AT_TIME,
	AT_SENDER,
	AT_USER,
	AT_FORMAT,
	AT_DATA,
	AT_INFO,
	AT_SUB_INFO,
	AT_TAGS,
	AT_ERASED,
	AT_POSITION
};

/* A length as publications have it: what does not fit was not written by
 * chatd, and is left out. */
static const char *
row_text(sqlite3_stmt *stmt, int at, size_t most, size_t *len)
{
	const char *text = column_text(stmt, at, len);

	if (*len > most)
		*len = 0;
	return text;
}

/* A row as it was stored. */
static void
row_fill(sqlite3_stmt *stmt, bool position, struct store_row *r)
{
	struct publication *p = &r->pub;
	size_t user, data, info, sub_info, tags;

	r->name = column_text(stmt, AT_NAME, &r->name_len);
	r->channel =
	    (struct store_channel){.id = sqlite3_column_int64(stmt, AT_ID),
		.stream = column_number(stmt, AT_EPOCH),
		.top = column_number(stmt, AT_TOP)};
	*p = (struct publication){.offset = column_number(stmt, AT_OFFSET),
	    .before = column_number(stmt, AT_BEFORE),
	    .time_ms = sqlite3_column_int64(stmt, AT_TIME),
	    .sender = column_number(stmt, AT_SENDER),
	    .format = (uint8_t)sqlite3_column_int(stmt, AT_FORMAT)};
	p->user = row_text(stmt, AT_USER, UINT8_MAX, &user);
	p->data = row_text(stmt, AT_DATA, UINT32_MAX, &data);
	p->info = row_text(stmt, AT_INFO, UINT16_MAX, &info);
	p->sub_info = row_text(stmt, AT_SUB_INFO, UINT16_MAX, &sub_info);
	p->tags = row_text(stmt, AT_TAGS, UINT16_MAX, &tags);
	p->user_len = (uint8_t)user;
	p->data_len = (uint32_t)data;
	p->info_len = (uint16_t)info;
	p->sub_info_len = (uint16_t)sub_info;
	p->tags_len = (uint16_t)tags;
	r->erased = sqlite3_column_int(stmt, AT_ERASED) != 0;
	if (position)
		p->position = column_number(stmt, AT_POSITION);
}

enum store_result
find_rows(struct store *s, sqlite3_stmt *stmt, bool position,
    bool (*row)(void *arg, const struct store_row *r), void *arg)
{
	struct store_row out;
	enum store_result r;

	while ((r = database_row(s, stmt, "reading rows")) == STORE_OK) {
		row_fill(stmt, position, &out);
		if (!row(arg, &out))
			break;
	}
	/* a statement that is not reset keeps its transaction open */
	sqlite3_reset(stmt);
	return r == STORE_NONE ? STORE_OK : r;
}

sqlite3_int64
find_limit(const struct store_query *q)
{
	return q->limit != 0 ? (sqlite3_int64)q->limit : -1;
}

/* The channel that is asked for, but for its newest row: that is not looked
 * for. */
static enum store_result
find_channel(
    struct store *s, const struct store_query *q, struct store_channel *out)
{
	static const char sql[] =
	    "SELECT id, epoch, top FROM channel WHERE name = ?1";
	sqlite3_stmt *stmt = database_statement(s, sql);
	enum store_result r;

	if (stmt != NULL)
		sqlite3_bind_text64(
		    stmt, 1, q->name, q->name_len, SQLITE_STATIC, SQLITE_UTF8);
	r = database_row(s, stmt, "looking for a channel");
	if (r == STORE_OK)
		*out =
		    (struct store_channel){.id = sqlite3_column_int64(stmt, 0),
			.stream = column_number(stmt, 1),
			.top = column_number(stmt, 2)};
	sqlite3_reset(stmt);
	return r;
}

/* A statement's only number, of a channel and another one. */
static enum store_result
find_number(struct store *s, const char *sql, int64_t channel, int64_t other,
    int64_t *out)
{
	sqlite3_stmt *stmt = database_statement(s, sql);

	if (stmt != NULL) {
		sqlite3_bind_int64(stmt, 1, channel);
		sqlite3_bind_int64(stmt, 2, other);
	}
	return database_number(s, stmt, "reading rows", out);
}

enum store_result
find_behind(struct store *s, int64_t channel, uint32_t n, uint64_t *offset)
{
	static const char nth[] = "SELECT offset FROM publication"
				  " WHERE channel = ?1"
				  " ORDER BY offset DESC LIMIT 1 OFFSET ?2";
	/* FORMAT_LEAP, as the index of these is written */
	static const char leaps[] =
	    "SELECT count(*) FROM publication"
	    " WHERE channel = ?1 AND format = 29 AND offset >= ?2";
	int64_t found = 0, passed, last = 0;
	enum store_result r;

	do {
		passed = found;
		r = find_number(s, nth, channel, n + passed, &last);
		if (r == STORE_OK)
			r = find_number(s, leaps, channel, last, &found);
	} while (r == STORE_OK && found > passed);
	if (r == STORE_OK)
		*offset = (uint64_t)last;
	return r;
}

/* The offset above which a channel's newest rows lie that are kept. Rows whose
 * offsets are fewer are fewer themselves, so that a page of those does not
 * count. */
static enum store_result
find_since(struct store *s, const struct store_query *q,
    const struct store_channel *c, uint64_t *since)
{
	enum store_result r;
	uint64_t behind = 0;

	*since = q->since;
	if (q->keep == 0 || c->top <= q->keep || *since >= c->top - q->keep ||
	    (q->reverse && q->upto == 0 && q->limit != 0 &&
		q->limit <= q->keep && q->oldest_ms == 0))
		return STORE_OK;
	r = find_behind(s, c->id, q->keep, &behind);
	if (r == STORE_OK && behind > *since)
		*since = behind;
	return r == STORE_NONE ? STORE_OK : r;
}

/* Offsets and times that are asked for; limit 0: all. */
static void
find_bind(sqlite3_stmt *stmt, const struct store_query *q, uint64_t since)
{
	bind_bound(stmt, 2, since);
	bind_bound(stmt, 3, q->upto != 0 ? q->upto : UINT64_MAX);
	sqlite3_bind_int64(stmt, 4, q->oldest_ms);
	sqlite3_bind_int64(stmt, 5, find_limit(q));
}

#define FIND_PAGE                                                    \
	"SELECT" FIND_COLUMNS " FROM" FIND_TABLES                    \
	" WHERE p.channel = ?1 AND p.offset > ?2 AND p.offset <= ?3" \
	" AND p.time >= ?4 ORDER BY p.offset"

/* Publications of a channel. */
static enum store_result
find_page(struct store *s, const struct store_query *q,
    bool (*row)(void *arg, const struct store_row *r), void *arg)
{
	static const char up[] = FIND_PAGE " LIMIT ?5";
	static const char down[] = FIND_PAGE " DESC LIMIT ?5";
	struct store_channel c;
	enum store_result r = find_channel(s, q, &c);
	sqlite3_stmt *stmt;
	uint64_t since;

	if (r != STORE_OK || (r = find_since(s, q, &c, &since)) != STORE_OK)
		return r;
	if ((stmt = database_statement(s, q->reverse ? down : up)) != NULL) {
		sqlite3_bind_int64(stmt, 1, c.id);
		find_bind(stmt, q, since);
	}
	return find_rows(s, stmt, false, row, arg);
}

/* Channels, the one first that was published to last. */
static enum store_result
find_channels(struct store *s, const struct store_query *q,
    bool (*row)(void *arg, const struct store_row *r), void *arg)
{
	static const char sql[] =
	    "SELECT name, id, epoch, top, (SELECT max(offset) FROM publication"
	    " WHERE channel = c.id), seen FROM (SELECT * FROM channel"
	    " WHERE name NOT NULL AND seen >= ?1 ORDER BY seen DESC LIMIT ?2) c"
	    " ORDER BY seen DESC";
	enum store_result r = database_flush(s);
	struct store_row out = {.name = NULL};
	sqlite3_stmt *stmt;

	if (r != STORE_OK)
		return r;
	if ((stmt = database_statement(s, sql)) != NULL) {
		sqlite3_bind_int64(stmt, 1, q->oldest_ms);
		sqlite3_bind_int64(stmt, 2, find_limit(q));
	}
	while ((r = database_row(s, stmt, "reading channels")) == STORE_OK) {
		out.name = column_text(stmt, 0, &out.name_len);
		out.channel =
		    (struct store_channel){.id = sqlite3_column_int64(stmt, 1),
			.stream = column_number(stmt, 2),
			.top = column_number(stmt, 3),
			.newest = column_number(stmt, 4)};
		out.pub.time_ms = sqlite3_column_int64(stmt, 5);
		if (!row(arg, &out))
			break;
	}
	sqlite3_reset(stmt);
	return r == STORE_NONE ? STORE_OK : r;
}

/* All that a user has published. There is no index of users: it reads the whole
 * table. */
static enum store_result
find_of_user(struct store *s, const struct store_query *q,
    bool (*row)(void *arg, const struct store_row *r), void *arg)
{
	static const char sql[] = "SELECT" FIND_COLUMNS " FROM" FIND_TABLES
				  " WHERE p.user = ?1 AND p.time >= ?2"
				  " ORDER BY p.id LIMIT ?3";
	sqlite3_stmt *stmt = database_statement(s, sql);

	if (stmt != NULL) {
		bind_text(stmt, 1, q->name, q->name_len);
		sqlite3_bind_int64(stmt, 2, q->oldest_ms);
		sqlite3_bind_int64(stmt, 3, find_limit(q));
	}
	return find_rows(s, stmt, false, row, arg);
}

/* What was proposed, and is not known to be delivered. */
static enum store_result
find_proposals(struct store *s, const struct store_query *q,
    bool (*row)(void *arg, const struct store_row *r), void *arg)
{
	static const char sql[] =
	    "SELECT" FIND_COLUMNS ", o.position FROM proposal o"
	    " JOIN publication p ON p.id = o.publication"
	    " JOIN channel c ON c.id = p.channel ORDER BY o.position LIMIT ?1";
	sqlite3_stmt *stmt = database_statement(s, sql);

	if (stmt != NULL)
		sqlite3_bind_int64(stmt, 1, find_limit(q));
	return find_rows(s, stmt, true, row, arg);
}

/* What is known of a user. */
static enum store_result
find_user(struct store *s, const struct store_query *q,
    bool (*row)(void *arg, const struct store_row *r), void *arg)
{
	static const char sql[] =
	    "SELECT name, delivered, last_seen FROM user WHERE name = ?1";
	sqlite3_stmt *stmt = database_statement(s, sql);
	struct store_row out = {.name = NULL};
	enum store_result r;

	if (stmt != NULL)
		bind_text(stmt, 1, q->name, q->name_len);
	r = database_row(s, stmt, "looking for a user");
	if (r == STORE_OK) {
		out.name = column_text(stmt, 0, &out.name_len);
		out.pub.offset = column_number(stmt, 1);
		out.pub.time_ms = sqlite3_column_int64(stmt, 2);
		(void)row(arg, &out);
	}
	sqlite3_reset(stmt);
	return r;
}

/* Finds what is asked for. */
static enum store_result
find_what(struct store *s, const struct store_query *q,
    bool (*row)(void *arg, const struct store_row *r), void *arg)
{
	switch (q->what) {
	case STORE_PAGE:
		return find_page(s, q, row, arg);
	case STORE_CHANNELS:
		return find_channels(s, q, row, arg);
	case STORE_MATCHES:
		return search_find(s, q, row, arg);
	case STORE_OF_USER:
		return find_of_user(s, q, row, arg);
	case STORE_PROPOSALS:
		return find_proposals(s, q, row, arg);
	case STORE_USER:
		return find_user(s, q, row, arg);
	}
	return STORE_NONE;
}

enum store_result
store_find(struct store *s, const struct store_query *q,
    bool (*row)(void *arg, const struct store_row *r), void *arg)
{
	if (q->limit_ms == 0)
		return find_what(s, q, row, arg);
	limit_begin(s, q->limit_ms);
	return limit_end(s, q->limit_ms, find_what(s, q, row, arg));
}
