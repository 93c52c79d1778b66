#include "answer.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/memory_file.h"
#include "net/link.h"
#include "search.h"

_Static_assert((int)ASK_PAGE == (int)STORE_PAGE &&
	(int)ASK_MATCHES == (int)STORE_MATCHES &&
	(int)ASK_USER == (int)STORE_USER,
    "a question is one to the database");

enum {
	/* Of the buffer that is kept between answers. Larger: more memory;
	 * smaller: it is made anew for more of them. */
	ANSWER_KEPT = 1024 * 1024,
	/* A question for words takes no longer; others as long as a client
	 * waits. Larger: pages wait longer where a client asks for what costs
	 * much; smaller: on a slow disk more questions are refused for now. */
	ANSWER_MATCHES_MS = 500
};

/* An answer that is being put together. */
static struct answer {
	const struct message_ask *ask;
	struct message_rows head;
	uint32_t messages;
	bool failed; /* no memory */
	uint8_t *payload;
	size_t len, cap; /* of the payload: head and rows */
} answer;

/* Makes room for so many bytes more. */
static bool
answer_room(struct answer *a, size_t bytes)
{
	const size_t cap = 2 * a->cap + bytes;
	uint8_t *p;

	if (bytes <= a->cap - a->len)
		return true;
	if ((p = realloc(a->payload, cap)) == NULL)
		return false;
	a->payload = p;
	a->cap = cap;
	return true;
}

/* A row as it is sent. What is no message has its place in the channel alone.
 */
static struct publication
answer_publication(const struct message_ask *ask, const struct store_row *r)
{
	const struct publication *p = &r->pub;
	struct publication out = *p;

	if (p->format != FORMAT_TEXT && p->format != FORMAT_JSON)
		return (struct publication){.offset = p->offset,
		    .before = p->before,
		    .time_ms = p->time_ms,
		    .format = p->format};
	if (ask->what == ASK_MATCHES) {
		out.sub_info = r->name;
		out.sub_info_len = (uint16_t)r->name_len;
	}
	return out;
}

/* Takes one row into the answer; false: it has all that it may have. */
static bool
answer_row(void *arg, const struct store_row *r)
{
	struct answer *a = arg;
	const struct publication p = answer_publication(a->ask, r);
	const bool message = p.format == FORMAT_TEXT || p.format == FORMAT_JSON;
	const size_t bytes = publication_bytes(&p);

	/* offsets of another epoch mean nothing to who asks */
	if (a->ask->what == ASK_PAGE && r->channel.stream != a->ask->stream)
		return false;
	if ((message && a->messages == a->ask->limit) ||
	    (a->head.n > 0 &&
		a->len + bytes > sizeof(a->head) + a->ask->bytes)) {
		a->head.more = 1;
		return false;
	}
	if (bytes > ASK_BYTES_MAX || !answer_room(a, bytes)) {
		a->failed = true;
		return false;
	}
	a->len += publication_encode(&p, a->payload + a->len);
	a->messages += message;
	a->head.n++;
	return true;
}

/* It cannot be answered now. */
static void
answer_refuse(struct answer *a)
{
	a->head = (struct message_rows){
	    .number = a->ask->number, .result = ROWS_FAILED};
	a->len = sizeof(a->head);
}

/* Sends the answer, in the datagram or in a file. A worker that does not read
 * its link asks again, or has given up. */
static void
answer_send(struct answer *a, int link, uint64_t *unread)
{
	int fd = -1, sent;

	if (a->len > MESSAGE_MAX - sizeof(struct message_head)) {
		*unread += a->len;
		/* what is in the link is this process's memory */
		if (*unread > sizeof(a->head) + ASK_BYTES_MAX)
			answer_refuse(a);
	}
	a->head.bytes = a->len - sizeof(a->head);
	memcpy(a->payload, &a->head, sizeof(a->head));
	if (a->len <= MESSAGE_MAX - sizeof(struct message_head)) {
		sent = link_send(link, MSG_ROWS, a->payload, a->len, -1);
	} else {
		fd = memory_file_fill(memory_file("chatd-rows"),
		    a->payload + sizeof(a->head), a->head.bytes);
		sent = fd == -1 ? -1
				: link_send(link, MSG_ROWS_FILE, &a->head,
				      sizeof(a->head), fd);
	}
	if (sent == -1 && errno != EPIPE && errno != ECONNRESET)
		log_debug("an answer of %zu bytes is not sent: %s", a->len,
		    strerror(errno));
	if (fd != -1)
		close(fd);
}

/* Gives much memory back. */
static void
answer_shrink(struct answer *a)
{
	if (a->cap <= ANSWER_KEPT)
		return;
	free(a->payload);
	a->payload = NULL;
	a->cap = a->len = 0;
}

/* Looks for what is asked for. */
static enum store_result
answer_find(struct answer *a, struct store *s, const char *names)
{
	const struct message_ask *ask = a->ask;
	const struct store_query q = {.what = (enum store_what)ask->what,
	    .name = names,
	    .name_len = ask->name_len,
	    .text = names + ask->name_len,
	    .text_len = ask->text_len,
	    .since = ask->since,
	    .upto = ask->upto,
	    .oldest_ms = ask->oldest_ms,
	    .keep = ask->keep,
	    .reverse = ask->reverse != 0,
	    /* of a page what is no message does not count */
	    .limit = ask->what == ASK_PAGE
		? UINT32_MAX
		: ask->limit + (ask->what == ASK_MATCHES),
	    .limit_ms =
		ask->what == ASK_MATCHES ? ANSWER_MATCHES_MS : ASK_WAIT_MS};

	return s != NULL ? store_find(s, &q, answer_row, a) : STORE_FAILED;
}

enum store_result
answer_ask(struct store *s, const void *payload, int link, struct asker *by)
{
	struct answer *a = &answer;
	struct message_ask ask;
	enum store_result r;

	memcpy(&ask, payload, sizeof(ask));
	a->ask = &ask;
	a->head = (struct message_rows){.number = ask.number};
	a->messages = 0;
	a->failed = false;
	a->len = 0;
	if (!answer_room(a, sizeof(a->head)))
		return STORE_FAILED;
	a->len = sizeof(a->head);
	if (link_unread(link) == 0)
		by->unread = 0;
	if (by->unread > ASK_BYTES_MAX ||
	    (ask.what == ASK_MATCHES && s != NULL &&
		!search_may_begin(s, &by->share))) {
		a->failed = true; /* it is to read; pages go before */
		r = STORE_OK;
	} else {
		r = answer_find(a, s, (const char *)payload + sizeof(ask));
		if (ask.what == ASK_MATCHES && s != NULL)
			search_ended(s, &by->share);
	}
	if (a->failed || (r != STORE_OK && r != STORE_NONE)) {
		answer_refuse(a);
	} else if (r == STORE_NONE && ask.what == ASK_MATCHES) {
		a->head.result = ROWS_ABSENT;
	}
	answer_send(a, link, &by->unread);
	answer_shrink(a);
	return r;
}
