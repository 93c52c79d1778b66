/* answer: answers to requests of connections that are not open. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "conn/conn.h"
#include "conn/socket.h"

/* What an answer's socket has not taken yet, and what comes after it. */
struct conn_answer {
	uint32_t len, sent; /* of the answer's rest */
	uint32_t next;	    /* input behind the request, bytes */
	bool keep;	    /* another request may come */
	char bytes[];	    /* the rest, then that input */
};

/* Puts off the next request, or the end, until the answer's rest has left. */
static void
answer_wait(struct chat *ch, uint32_t i, struct conn_answer *a)
{
	struct conn *c = &ch->conn[i];

	conn_forget_request(ch, i);
	c->phase = CONN_ANSWER;
	c->answer = a;
	c->due_ms = (uint32_t)(ch->now_ms + ch->live.handshake_ms);
	c->blocked = true;
	c->paused = true; /* one request at a time */
	conn_watch(ch, i);
}

/* Keeps the rest of an answer; NULL: there is no memory. */
static struct conn_answer *
answer_new(
    const char *rest, size_t len, bool keep, const char *next, size_t next_len)
{
	struct conn_answer *a = malloc(sizeof(*a) + len + next_len);

	if (a == NULL) {
		log_warn("no memory for the rest of an answer");
		return NULL;
	}
	*a = (struct conn_answer){
	    .len = (uint32_t)len, .next = (uint32_t)next_len, .keep = keep};
	memcpy(a->bytes, rest, len);
	if (next_len > 0)
		memcpy(a->bytes + len, next, next_len);
	return a;
}

/* The connection waits for its next request. */
static void
answer_again(struct chat *ch, uint32_t i)
{
	ch->conn[i].again = true;
	ch->conn[i].due_ms = (uint32_t)(ch->now_ms + ch->live.handshake_ms);
}

void
conn_refuse(struct chat *ch, uint32_t i, const void *answer, size_t len)
{
	(void)conn_reply(ch, i, answer, len, false, NULL, 0);
}

bool
conn_reply(struct chat *ch, uint32_t i, const void *answer, size_t len,
    bool keep, const char *next, size_t next_len)
{
	ssize_t sent = conn_send(ch, i, answer, len);
	size_t rest = sent > 0 ? len - (size_t)sent : len;
	struct conn_answer *a = NULL;

	if (rest == 0 && keep) {
		answer_again(ch, i);
		return true;
	}
	if (rest > 0 && (sent >= 0 || errno == EAGAIN))
		a = answer_new((const char *)answer + len - rest, rest, keep,
		    next, next_len);
	if (a != NULL)
		answer_wait(ch, i, a);
	else /* all is sent, or no more can be sent */
		conn_linger(ch, i);
	return false;
}

/* All of an answer has left; true: another request may come. */
static bool
answer_done(struct chat *ch, uint32_t i)
{
	struct conn *c = &ch->conn[i];
	struct conn_answer *a = c->answer;

	if (!a->keep || ch->parting) {
		conn_linger(ch, i);
		return false;
	}
	memset(&c->request, 0, sizeof(c->request));
	c->phase = CONN_REQUEST;
	conn_pending(ch, 1);
	answer_again(ch, i);
	c->blocked = false;
	c->paused = false;
	conn_watch(ch, i);
	return true;
}

void *
conn_answer_more(struct chat *ch, uint32_t i, char **next, size_t *len)
{
	struct conn *c = &ch->conn[i];
	struct conn_answer *a = c->answer;
	ssize_t n = conn_send(ch, i, a->bytes + a->sent, a->len - a->sent);

	if (n < 0 && errno != EAGAIN && errno != EINTR) {
		conn_drop(ch, i, strerror(errno));
		return NULL;
	}
	if (n > 0)
		a->sent += (uint32_t)n;
	*next = a->bytes + a->len;
	*len = a->next;
	return a->sent == a->len && answer_done(ch, i) ? a : NULL;
}

void
conn_part(struct chat *ch)
{
	uint32_t i = SHM_NONE;

	ch->parting = true;
	while (conn_next(ch, &i))
		if (ch->conn[i].phase == CONN_REQUEST && ch->conn[i].again &&
		    ch->conn[i].request.len == 0)
			conn_linger(ch, i);
}
