/* json: clients at the centrifugo door: what those at the plain door do, as far
 * as that door has it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "soak.h"

void
json_hello(uint32_t i)
{
	static const char hello[] = "{\"id\":1,\"connect\":{}}\n"
				    "{\"id\":2,\"subscribe\":{\"channel\":"
				    "\"lobby\"}}";

	char more[96];

	client[i].id = 2;
	client[i].offset = 0;
	message_put(&client[i], hello, sizeof(hello) - 1);
	if (!set.reader)
		return;
	client[i].id = 3;
	message_put(&client[i], more,
	    (size_t)sprintf(more,
		"{\"id\":3,\"subscribe\":{\"channel\":\"%s\"}}",
		reader_room(i)));
	reader_joined(i);
}

/* One publish command. */
static int
publish(struct client *c, char *to, const struct text *t)
{
	int n = sprintf(to,
	    "{\"id\":%u,\"publish\":{\"channel\":\"lobby\",\"data\":"
	    "{\"text\":\"",
	    ++c->id);

	memcpy(to + n, t->bytes, t->len);
	n += (int)t->len;
	return n + sprintf(to + n, "\"}}}");
}

void
json_say(uint32_t i, int to, const struct text *t)
{
	static char frame[4 * (TEXT_MAX + 256)];
	struct client *c = &client[i];
	uint32_t first = c->id + 1;
	int n = publish(c, frame, t), more;
	struct text next;

	/* several commands in one frame */
	for (more = (int)dice(3); more > 0 && n < TEXT_MAX; more--) {
		text_make(&next, i, c->sent++, -1);
		counts.lobby++;
		frame[n++] = '\n';
		n += publish(c, frame + n, &next);
	}
	message_put(c, frame, (size_t)n);
	for (; first <= c->id; first++)
		expect(c, A_REPLY, first);
}

/* The bytes between two words; NULL if they are not there. */
static const char *
between(const char *p, size_t len, const char *before, size_t *out)
{
	const char *at = memmem(p, len, before, strlen(before)), *end;

	if (at == NULL)
		return NULL;
	at += strlen(before);
	end = memchr(at, '"', len - (size_t)(at - p));
	if (end == NULL)
		return NULL;
	*out = (size_t)(end - at);
	return at;
}

/* A number behind a word; 0 if it is not there. */
static uint64_t
number(const char *p, size_t len, const char *before)
{
	const char *at = memmem(p, len, before, strlen(before));

	return at != NULL ? strtoull(at + strlen(before), NULL, 10) : 0;
}

/* Whether a push is of the client's room. */
static bool
is_in_room(uint32_t i, const char *line, size_t len)
{
	char key[48];

	sprintf(key, "\"channel\":\"%s\"", reader_room(i));
	return memmem(line, len, key, strlen(key)) != NULL;
}

/* A publication. */
static void
push(uint32_t i, const char *line, size_t len)
{
	struct client *c = &client[i];
	const char *text, *user;
	size_t text_len, user_len;
	uint64_t offset = number(line, len, "\"offset\":");
	uint32_t from;

	text = between(line, len, "\"text\":\"", &text_len);
	user = between(line, len, "\"user\":\"", &user_len);
	if (text == NULL || user == NULL ||
	    !heard_name(user, user_len, &from)) {
		fault(F_CORRUPT, "client %u: %.*s", i,
		    len < 200 ? (int)len : 200, line);
		return;
	}
	if (set.reader && is_in_room(i, line, len)) {
		reader_heard(i, from, text, text_len);
		return;
	}
	if (memmem(line, len, "\"channel\":\"lobby\"", 17) == NULL) {
		heard_whisper(i, from, text, text_len);
		return;
	}
	if (offset == 0 || (c->offset != 0 && offset != c->offset + 1))
		fault(F_ORDER, "client %u: offset %llu behind %llu", i,
		    (unsigned long long)offset, (unsigned long long)c->offset);
	c->offset = offset;
	heard_lobby(i, from, text, text_len);
}

/* One line. */
static void
line_heard(uint32_t i, const char *line, size_t len)
{
	struct client *c = &client[i];
	uint32_t id;
	uint32_t k = c->answered % ANSWERS;

	if (len == 2 && memcmp(line, "{}", 2) == 0) {
		if (c->phase != LEAVING) /* its subscribe may be unanswered */
			frame_put(c, 1, true, "{}", 2);
		return;
	}
	if (memcmp(line, "{\"push\"", 7) == 0) {
		push(i, line, len);
		return;
	}
	id = (uint32_t)number(line, len < 30 ? len : 30, "\"id\":");
	if (set.reader && c->phase == OPEN && reader_reply(i, id, line, len)) {
		c->answered++;
	} else if (memmem(line, len, "\"error\"", 7) != NULL) {
		fault(F_ANSWER, "client %u: %.*s", i, (int)len, line);
	} else if (id == 3 && c->phase == SHAKING) {
		c->phase = OPEN;
	} else if (id == 2 && c->phase == SHAKING) {
		c->phase = set.reader ? SHAKING : OPEN;
		c->offset = number(line, len, "\"offset\":");
	} else if (id == 1 && c->phase == SHAKING) {
		return;
	} else if (c->asked == c->answered || c->answer[k].kind != A_REPLY ||
	    c->answer[k].value != id) {
		fault(F_ANSWER, "client %u: reply %u, not %u: %.*s", i, id,
		    c->answer[k].value, (int)len, line);
	} else
		c->answered++;
}

void
json_text(uint32_t i, const char *text, size_t len)
{
	const char *end;

	while (len > 0) {
		end = memchr(text, '\n', len);
		if (end == NULL)
			end = text + len;
		line_heard(i, text, (size_t)(end - text));
		len -= (size_t)(end - text);
		text = end;
		if (len > 0) {
			text++;
			len--;
		}
	}
}
