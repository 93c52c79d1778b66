/* What stands in lines of the plain door: names, texts, and those of them that
 * are a part of an answer. */
#include <string.h>

#include "plain.h"

static const char indent[] = "    ";

const char *
plain_name(const char *name, size_t len)
{
	static char shown[NAME_SHOWN_MAX + 1];

	if (len > PRESENCE_NAME_MAX - 1)
		len = PRESENCE_NAME_MAX - 1;
	shown[name_show(name, len, shown)] = '\0';
	return shown;
}

struct iovec
plain_user(const struct publication *p)
{
	static char server[] = "*server*", nobody[] = "*anonymous*";
	static char shown[NAME_SHOWN_MAX];

	/* no client's publication is from no connection */
	if (p->sender == 0 &&
	    (p->user_len == 0 ||
		(p->user_len == sizeof(server) - 1 &&
		    memcmp(p->user, server, p->user_len) == 0)))
		return (struct iovec){server, sizeof(server) - 1};
	if (p->user_len == 0)
		return (struct iovec){nobody, sizeof(nobody) - 1};
	return (struct iovec){shown, name_show(p->user, p->user_len, shown)};
}

/* The length of the line break that a text begins with, as anything takes one
 * for it that cuts texts into lines; 0: none. */
static size_t
line_break(const char *text, size_t len)
{
	const unsigned char *p = (const unsigned char *)text;

	if (p[0] == '\r')
		return len > 1 && p[1] == '\n' ? 2 : 1;
	if ((p[0] >= '\n' && p[0] <= '\f') || (p[0] >= 0x1c && p[0] <= 0x1e))
		return 1;
	if (len > 1 && p[0] == 0xc2 && p[1] == 0x85) /* U+0085 */
		return 2;
	if (len > 2 && p[0] == 0xe2 && p[1] == 0x80 &&
	    (p[2] == 0xa8 || p[2] == 0xa9)) /* U+2028, U+2029 */
		return 3;
	return 0;
}

void
plain_put_text(struct json_writer *w, const char *text, size_t len)
{
	size_t at = 0, begin = 0, n;

	while (at < len) {
		n = line_break(text + at, len - at);
		at += n > 0 ? n : 1;
		if (n == 0)
			continue;
		json_put(w, text + begin, at - begin);
		json_put(w, indent, sizeof(indent) - 1);
		begin = at;
	}
	if (at > begin)
		json_put(w, text + begin, at - begin);
}

/* The T of {"text": T}, decoded; false if the data is anything else. */
static bool
line_text_only(struct json_value data, struct json_value *text)
{
	struct json_iter iter = json_iter(data, JSON_OBJECT);
	struct json_value name, more;

	return json_next_member(&iter, &name, text) &&
	    json_string_equals(name, "text") && text->type == JSON_STRING &&
	    !json_next_member(&iter, &name, &more);
}

struct iovec
plain_text(const struct publication *p)
{
	static struct json_writer w;
	struct json_value data, text;
	ssize_t n;

	if (p->format == FORMAT_TEXT)
		return (struct iovec){(void *)p->data, p->data_len};
	json_writer_deinit(&w);
	json_writer_init_growing(&w, (size_t)p->data_len + 1);
	if (!json_validate(p->data, p->data_len, &data))
		return (struct iovec){NULL, 0};
	if (!line_text_only(data, &text)) {
		json_put_compact(&w, data);
		return (struct iovec){w.buf, w.len};
	}
	/* decoded in place of the copy of its text: it only shrinks */
	json_put(&w, text.p, text.len);
	if (json_writer_failed(&w))
		return (struct iovec){NULL, 0};
	text.p = w.buf;
	n = json_string(text, w.buf, w.len);
	return (struct iovec){w.buf, n < 0 ? 0 : (size_t)n};
}
