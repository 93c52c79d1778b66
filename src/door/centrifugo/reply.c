/* Replies and pushes as text; errors and ends in words. */
#include <stdio.h>
#include <string.h>

#include "centrifugo.h"
#include "room/quota.h"

enum {
	REPLY_MAX = 64 * 1024 * 1024, /* a frame is less */
	REPLY_KEEP = 256 * 1024	      /* a larger buffer is given back */
};

const char *
centrifugo_text(enum centrifugo_error code)
{
	static const struct {
		enum centrifugo_error code;
		const char *text;
	} all[] = {{C_INTERNAL, "internal server error"},
	    {C_UNKNOWN_CHANNEL, "unknown channel"},
	    {C_PERMISSION_DENIED, "permission denied"},
	    {C_ALREADY_SUBSCRIBED, "already subscribed"},
	    {C_LIMIT_EXCEEDED, "limit exceeded"},
	    {C_BAD_REQUEST, "bad request"}, {C_NOT_AVAILABLE, "not available"},
	    {C_TOKEN_EXPIRED, "token expired"}, {C_EXPIRED, "expired"},
	    {C_TOO_MANY_REQUESTS, "too many requests"},
	    {C_UNRECOVERABLE, "unrecoverable position"},
	    {C_OUTCOME_UNKNOWN, "outcome unknown"},
	    {C_END_SHUTDOWN, "shutdown"},
	    {C_END_SERVER_ERROR, "internal server error"},
	    {C_END_EXPIRED, "connection expired"}, {C_END_SLOW, "slow"},
	    {C_END_INSUFFICIENT, "insufficient state"},
	    {C_END_NO_PONG, "no pong"}, {C_END_TOO_MANY, "too many requests"},
	    {C_END_INVALID_TOKEN, "invalid token"},
	    {C_END_BAD_REQUEST, "bad request"}, {C_END_STALE, "stale"},
	    {C_END_FORCED, "force disconnect"},
	    {C_END_CHANNEL_LIMIT, "channel limit"},
	    {C_END_NOT_AVAILABLE, "not available"}};
	size_t k;

	for (k = 0; k < sizeof(all) / sizeof(all[0]); k++)
		if (all[k].code == code)
			return all[k].text;
	return "";
}

void
centrifugo_end(struct chat *ch, uint32_t conn, enum centrifugo_error code)
{
	conn_end(ch, conn, (enum close_code)code, REASON_NONE);
}

static struct json_writer writer;

/* The one writer, empty. */
static struct json_writer *
writer_take(void)
{
	if (writer.cap > REPLY_KEEP)
		json_writer_deinit(&writer);
	if (writer.limit == 0)
		json_writer_init_growing(&writer, REPLY_MAX);
	json_writer_reset(&writer);
	json_open(&writer, '{');
	return &writer;
}

struct json_writer *
reply_begin(const struct command *c, const char *what)
{
	struct json_writer *w = writer_take();

	json_put_name(w, "id");
	json_put_uint(w, c->id);
	json_put_name(w, what);
	return w;
}

void
reply_end(const struct command *c, struct json_writer *w)
{
	json_close(w, '}');
	if (json_writer_failed(w) ||
	    w->len + FRAMING_AROUND_MAX > frame_max(c->ch->hub)) {
		reply_error(c, C_LIMIT_EXCEEDED);
		return;
	}
	conn_answer(c->ch, c->conn, FRAMING_TEXT,
	    &(struct iovec){w->buf, w->len}, 1, c->position);
}

void
reply_empty(const struct command *c, const char *what)
{
	struct json_writer *w = reply_begin(c, what);

	json_put(w, "{}", 2);
	reply_end(c, w);
}

void
put_error(struct json_writer *w, enum centrifugo_error code, const char *why)
{
	const char *text = why != NULL ? why : quota_text();

	if (text == NULL)
		text = centrifugo_text(code);
	json_open(w, '{');
	json_put_name(w, "code");
	json_put_uint(w, code);
	json_put_name(w, "message");
	json_put_string(w, text, strlen(text));
	if (code == C_INTERNAL || code == C_TOO_MANY_REQUESTS) {
		json_put_name(w, "temporary");
		json_put_bool(w, true);
	}
	json_close(w, '}');
}

void
reply_error(const struct command *c, enum centrifugo_error code)
{
	struct json_writer *w;

	if (code == C_WAITS)
		return;
	if (code >= 3000) {
		(void)quota_text(); /* there is no answer to tell it in */
		centrifugo_end(c->ch, c->conn, code);
		return;
	}
	w = reply_begin(c, "error");
	put_error(w, code, NULL);
	reply_end(c, w);
}

enum centrifugo_error
cold_error(struct chat *ch, const struct channel_position *at)
{
	return hold_channel(ch, at->channel, at->epoch) ? C_WAITS : C_INTERNAL;
}

enum centrifugo_error
outcome_error(enum hold_outcome outcome)
{
	switch (outcome) {
	case HOLD_DONE:
		return C_OK;
	case HOLD_WAITS:
		return C_WAITS;
	case HOLD_TEMPORARY:
		return C_INTERNAL;
	default:
		return C_OUTCOME_UNKNOWN;
	}
}

struct json_writer *
push_begin(const char *channel, size_t len)
{
	struct json_writer *w = writer_take();

	json_put_name(w, "push");
	json_open(w, '{');
	json_put_name(w, "channel");
	json_put_string(w, channel, len);
	return w;
}

void
push_send(struct chat *ch, uint32_t conn, struct json_writer *w)
{
	json_close(w, '}');
	json_close(w, '}');
	if (!json_writer_failed(w))
		conn_answer(ch, conn, FRAMING_TEXT,
		    &(struct iovec){w->buf, w->len}, 1, 0);
}

void
client_id(uint64_t id, char out[C_CLIENT_ID])
{
	snprintf(out, C_CLIENT_ID, "%016llx", (unsigned long long)id);
}

/* Room for an epoch as text, with its NUL. */
enum { EPOCH_TEXT = 17 };

/* An epoch as text, 8 digits or more; returns its length. */
static size_t
epoch_text(uint64_t epoch, char out[EPOCH_TEXT])
{
	return (size_t)snprintf(
	    out, EPOCH_TEXT, "%08llx", (unsigned long long)epoch);
}

void
put_name(struct json_writer *w, const char *name, size_t len)
{
	json_put_string(w, name, len);
	json_put(w, ":", 1);
}

void
put_epoch(struct json_writer *w, uint64_t epoch)
{
	char text[EPOCH_TEXT];
	size_t len = epoch_text(epoch, text);

	json_put_name(w, "epoch");
	json_put_string(w, text, len);
}

bool
is_epoch(struct json_value v, uint64_t epoch)
{
	char text[EPOCH_TEXT];

	epoch_text(epoch, text);
	return json_string_equals(v, text);
}
