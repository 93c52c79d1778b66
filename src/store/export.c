/* export: what is stored of one user, as lines of JSON. */
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "codec/json.h"
#include "task.h"

enum {
	/* Bytes of a line: a message of 16M whose characters take six each, and
	 * some room. */
	EXPORT_LINE_MAX = 128 * 1024 * 1024
};

struct export
{
	struct task *task;
	struct store *store;
	const char *user;
	struct json_writer w;
};

/* Begins a line of that kind. */
static void
export_begin(struct export *e, const char *kind)
{
	json_writer_reset(&e->w);
	json_open(&e->w, '{');
	json_put_name(&e->w, "kind");
	json_put_string(&e->w, kind, strlen(kind));
}

/* Writes the line; false: nobody reads on, or not in time: behind a hole there
 * is to be no more. */
static bool
export_end(struct export *e)
{
	json_close(&e->w, '}');
	json_put(&e->w, "\n", 1);
	if (json_writer_failed(&e->w)) {
		log_warn("export of %s: a row is larger than a line may be",
		    log_text(e->user, strlen(e->user)));
		return true;
	}
	task_begin(e->task, true);
	return fwrite(e->w.buf, 1, e->w.len, e->task->out) == e->w.len &&
	    !ferror(e->task->out);
}

/* A member with a text, if there is one. */
static void
export_text(struct export *e, const char *name, const char *text, size_t len)
{
	if (len == 0)
		return;
	json_put_name(&e->w, name);
	json_put_string(&e->w, text, len);
}

/* A member with a JSON value, or, if it is none, a text. */
static void
export_value(struct export *e, const char *name, const char *text, size_t len)
{
	struct json_value v;

	if (len == 0)
		return;
	json_put_name(&e->w, name);
	if (json_validate(text, len, &v))
		json_put_compact(&e->w, v);
	else
		json_put_string(&e->w, text, len);
}

/* A message. */
static bool
export_row(void *arg, const struct store_row *r)
{
	const struct publication *p = &r->pub;
	struct export *e = arg;

	export_begin(e, "message");
	json_put_name(&e->w, "time");
	json_put_int(&e->w, p->time_ms);
	export_text(e, "channel", r->name, r->name_len);
	json_put_name(&e->w, "offset");
	json_put_uint(&e->w, p->offset);
	if (p->format == FORMAT_JSON)
		export_value(e, "data", p->data, p->data_len);
	else if (!r->erased) {
		json_put_name(&e->w, "text");
		json_put_string(&e->w, p->data, p->data_len);
	}
	export_value(e, "info", p->info, p->info_len);
	export_value(e, "sub_info", p->sub_info, p->sub_info_len);
	export_value(e, "tags", p->tags, p->tags_len);
	return export_end(e);
}

/* What is known of the user. */
static enum store_result
export_user(struct export *e)
{
	static const char sql[] = "SELECT first_seen, last_seen, proved,"
				  " delivered FROM user WHERE name = ?1";
	sqlite3_stmt *stmt = database_statement(e->store, sql);
	enum store_result r;

	if (stmt != NULL)
		bind_text(stmt, 1, e->user, strlen(e->user));
	r = database_row(e->store, stmt, "reading a user");
	if (r == STORE_OK) {
		export_begin(e, "user");
		export_text(e, "name", e->user, strlen(e->user));
		json_put_name(&e->w, "first_seen");
		json_put_int(&e->w, sqlite3_column_int64(stmt, 0));
		json_put_name(&e->w, "last_seen");
		json_put_int(&e->w, sqlite3_column_int64(stmt, 1));
		json_put_name(&e->w, "proved");
		json_put_bool(&e->w, sqlite3_column_int(stmt, 2) != 0);
		json_put_name(&e->w, "delivered");
		json_put_uint(&e->w, column_number(stmt, 3));
		(void)export_end(e);
	}
	sqlite3_reset(stmt);
	return r == STORE_NONE ? STORE_OK : r;
}

/* A text column of an event. */
static void
export_column(struct export *e, const char *name, sqlite3_stmt *stmt, int at)
{
	size_t len;
	const char *text = column_text(stmt, at, &len);

	export_text(e, name, text, len);
}

/* What the user did. */
static enum store_result
export_events(struct export *e)
{
	static const char sql[] =
	    "SELECT e.time, e.kind, c.name, e.device, e.peer FROM event e"
	    " LEFT JOIN channel c ON c.id = e.channel"
	    " WHERE e.user = ?1 ORDER BY e.id";
	sqlite3_stmt *stmt = database_statement(e->store, sql);
	enum store_result r;

	if (stmt != NULL)
		bind_text(stmt, 1, e->user, strlen(e->user));
	while (
	    (r = database_row(e->store, stmt, "reading events")) == STORE_OK) {
		export_begin(e, "event");
		json_put_name(&e->w, "time");
		json_put_int(&e->w, sqlite3_column_int64(stmt, 0));
		export_column(e, "event", stmt, 1);
		export_column(e, "channel", stmt, 2);
		export_column(e, "device", stmt, 3);
		export_column(e, "peer", stmt, 4);
		if (!export_end(e))
			break;
	}
	sqlite3_reset(stmt);
	return r == STORE_NONE ? STORE_OK : r;
}

/* All of it, as it is at one moment. */
static enum store_result
export_all(struct export *e)
{
	const struct store_query q = {.what = STORE_OF_USER,
	    .name = e->user,
	    .name_len = strlen(e->user)};
	enum store_result r = database_exec(e->store, "BEGIN", "beginning");

	if (r == STORE_OK)
		r = export_user(e);
	if (r == STORE_OK && !ferror(e->task->out))
		r = store_find(e->store, &q, export_row, e);
	if (r == STORE_NONE)
		r = STORE_OK;
	return r == STORE_OK && !ferror(e->task->out) ? export_events(e) : r;
}

void
task_export(struct task *t)
{
	struct export e = {.task = t, .user = t->argv[1]};
	enum store_result r;

	if ((e.store = task_open(t)) == NULL)
		return;
	json_writer_init_growing(&e.w, EXPORT_LINE_MAX);
	r = export_all(&e);
	if (r == STORE_OK && (ferror(t->out) || fflush(t->out) == EOF)) {
		log_warn("export of %s: its answer was not read in time: cut "
			 "off",
		    log_text(e.user, strlen(e.user)));
		fclose(t->out);
	} else if (r != STORE_OK && t->begun) {
		/* an answer without its end is told as one */
		log_error("export of %s: %s", log_text(e.user, strlen(e.user)),
		    store_error(e.store));
		fclose(t->out);
	} else if (r != STORE_OK)
		task_refuse(t, "%s", store_error(e.store));
	else if (!t->begun)
		task_refuse(t, "nothing is stored of %s", e.user);
	else
		task_end(t);
	json_writer_deinit(&e.w);
	store_close(e.store);
}
