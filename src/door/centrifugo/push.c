/* push: publications, joins and leaves as this door's clients get them. */
#include <string.h>

#include "centrifugo.h"

enum {
	PUSH_MAX = 128 * 1024 * 1024, /* the largest message, escaped */
	PUSH_KEEP = 256 * 1024	      /* a larger buffer is given back */
};

/* A member whose value is JSON that others kept in shared memory: it is left
 * out if it is not (any more). */
static void
put_kept(struct json_writer *w, const char *name, const char *json, size_t len)
{
	struct json_value v;

	if (len == 0 || !json_validate(json, len, &v))
		return;
	json_put_name(w, name);
	json_put_raw(w, v.p, v.len);
}

void
put_client(struct json_writer *w, uint64_t id, const char *user,
    size_t user_len, const char *info, size_t info_len, const char *sub_info,
    size_t sub_info_len)
{
	char client[C_CLIENT_ID];

	/* these two are always there, as from centrifuge */
	client_id(id, client);
	json_open(w, '{');
	json_put_name(w, "user");
	json_put_string(w, user, user_len);
	json_put_name(w, "client");
	json_put_string(w, client, id != 0 ? C_CLIENT_ID - 1 : 0);
	put_kept(w, "conn_info", info, info_len);
	put_kept(w, "chan_info", sub_info, sub_info_len);
	json_close(w, '}');
}

/* Everything of a publication but its data. */
static void
put_about(struct json_writer *w, const struct publication *p)
{
	if (p->sender != 0 || p->user_len > 0) {
		json_put_name(w, "info");
		put_client(w, p->sender, p->user, p->user_len, p->info,
		    p->info_len, p->sub_info, p->sub_info_len);
	}
	json_put_name(w, "offset");
	json_put_uint(w, p->offset);
	if (p->tags_len > 0) {
		json_put_name(w, "tags");
		json_put_raw(w, p->tags, p->tags_len);
	}
	json_put_name(w, "time");
	json_put_int(w, p->time_ms);
}

/* The data: a text becomes {"text":"..."}. */
static void
put_data(struct json_writer *w, const struct publication *p)
{
	if (p->format == FORMAT_JSON) {
		json_put_raw(w, p->data, p->data_len);
		return;
	}
	json_open(w, '{');
	json_put_name(w, "text");
	json_put_string(w, p->data, p->data_len);
	json_close(w, '}');
}

void
put_publication(struct json_writer *w, const struct publication *p)
{
	json_open(w, '{');
	json_put_name(w, "data");
	put_data(w, p);
	put_about(w, p);
	json_close(w, '}');
}

void
put_match(struct json_writer *w, const struct publication *p)
{
	struct publication pub = *p;

	pub.sub_info_len = 0;
	json_open(w, '{');
	json_put_name(w, "channel");
	json_put_string(w, p->sub_info, p->sub_info_len);
	json_put_name(w, "data");
	put_data(w, &pub);
	put_about(w, &pub);
	json_close(w, '}');
}

/* A channel has opened that its client has from the server: where it stands, as
 * a reply to connect would have said. */
static void
put_opened(struct chat *ch, struct json_writer *w, const struct publication *p,
    const char *name, size_t len)
{
	static const struct conf_channel none;
	struct channel_name channel = {
	    .rule = conf_channel_find(&ch->live, name, len)};
	const struct channel_position at = {.channel = p->channel,
	    .epoch = p->epoch,
	    .stream = p->stream,
	    .offset = p->offset};

	if (channel.rule == NULL)
		channel.rule = &none;
	json_put_name(w, "subscribe");
	(void)put_subscription(
	    ch, w, &channel, &at, &(struct recovery){.wanted = false}, 0);
}

int
centrifugo_render(
    struct chat *ch, const struct publication *p, struct iovec *parts)
{
	static struct json_writer w;
	char name[PRESENCE_NAME_MAX + 1];
	size_t len = channel_name(ch->hub, p->channel, name);

	if (w.cap > PUSH_KEEP)
		json_writer_deinit(&w);
	if (w.limit == 0)
		json_writer_init_growing(&w, PUSH_MAX);
	json_writer_reset(&w);
	json_put(&w, "{\"push\":{", 9);
	json_put_name(&w, "channel");
	json_put_string(&w, name, len);
	if (p->format == FORMAT_OPENED) {
		put_opened(ch, &w, p, name, len);
	} else if (publication_is_event(p)) {
		json_put_name(&w, p->format == FORMAT_JOIN ? "join" : "leave");
		json_open(&w, '{');
		json_put_name(&w, "info");
		put_client(&w, p->sender, p->user, p->user_len, p->info,
		    p->info_len, p->sub_info, p->sub_info_len);
		json_close(&w, '}');
	} else {
		json_put_name(&w, "pub");
		put_publication(&w, p);
	}
	json_put(&w, "}}", 2);
	if (json_writer_failed(&w))
		return 0;
	parts[0] = (struct iovec){w.buf, w.len};
	return 1;
}
