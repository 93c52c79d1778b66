/* talker: a client, at the Centrifugo door as a rule, that says a great deal at
 * once, and what it is answered. */
#ifndef CHATD_TESTS_TALKER_H
#define CHATD_TESTS_TALKER_H

#include "chat_fixture.h"

#include "codec/ws.h"

#include <netinet/tcp.h>
#include <stdio.h>

enum { TALK_MAX = 200000, TALK_ANSWERS = 8192, TALK_SLOTS = 64, TALK_HEAD = 3 };

static const struct adopt_fault talk_no_fault __attribute__((unused));

/* A worker 0 with that client, and what is said to it. */
struct talker {
	struct hub h;
	struct node *n;
	void (*set)(struct node *n); /* its successor; NULL: talk_set() */
	uint32_t i;
	uint64_t id;
	int client, fd;	       /* fd: for another process */
	uint8_t *out;	       /* all that it says */
	size_t len, sent;      /* of that */
	uint32_t asked;	       /* commands and pings in it */
	uint32_t commands;     /* of those */
	uint32_t publishes;    /* and of these */
	char in[TALK_MAX * 4]; /* all that it has heard */
	size_t have, read;
	uint32_t answered; /* in order; pings among them by their number */
	uint32_t pushes;   /* publications */
};

/* Adds a frame to what is said. */
static inline void
talk_frame(struct talker *t, int opcode, bool fin, const char *text, size_t len)
{
	assert_true(t->len + len + CLIENT_FRAME_HEAD <= TALK_MAX);
	assert_true(len < 65536);
	t->len += client_frame(
	    t->out + t->len, (uint8_t)((fin ? 0x80 : 0) | opcode), text, len);
}

/* Adds a ping, which is answered in its turn. */
static inline void
talk_ping(struct talker *t)
{
	char number[16];

	t->asked++;
	talk_frame(t, WS_PING, true, number,
	    (size_t)snprintf(number, sizeof(number), "%u", t->asked));
}

/* A command as one line; its number is its place among all that is asked. */
static inline size_t
talk_command(struct talker *t, char *line, size_t cap, int kind)
{
	static const char *const what[] = {"ping\":{}",
	    "publish\":{\"channel\":\"room\",\"data\":1}",
	    "presence_stats\":{\"channel\":\"room\"}",
	    "history\":{\"channel\":\"room\",\"limit\":5}", "connect\":{}",
	    "subscribe\":{\"channel\":\"room\"}"};

	t->asked++;
	t->commands++;
	t->publishes += kind == 1;
	return (size_t)snprintf(
	    line, cap, "{\"id\":%u,\"%s}", t->asked, what[kind]);
}

/* Takes the answers out of what has been heard: each comes once and in the
 * order in which that was asked. */
static inline void
talk_judge(struct talker *t)
{
	const uint8_t *p;
	unsigned number;
	char text[64];
	size_t len, head;

	while (t->read + 2 <= t->have) {
		p = (const uint8_t *)t->in + t->read;
		len = p[1];
		head = len == 126 ? 4 : 2;
		assert_true(len <= 126);
		if (t->read + head > t->have)
			break;
		if (len == 126)
			len = (size_t)p[2] << 8 | p[3];
		if (t->read + head + len > t->have)
			break;
		t->read += head + len;
		snprintf(text, sizeof(text), "%.*s",
		    (int)(len < sizeof(text) ? len : sizeof(text) - 1),
		    p + head);
		if (sscanf(text, "{\"id\":%u,", &number) == 1 ||
		    (p[0] == (0x80 | WS_PONG) &&
			sscanf(text, "%u", &number) == 1)) {
			assert_int_equal(number, t->answered + 1);
			assert_null(strstr(text, "\"error\""));
			t->answered++;
		} else if (strncmp(text, "{\"push\":", 8) == 0)
			t->pushes++;
		else
			fail_msg("heard %d %s", p[0], text);
	}
}

/* Hears what has come; false: nothing within so long. */
static inline bool
talk_listen(struct talker *t, int ms)
{
	struct pollfd p = {t->client, POLLIN, 0};
	ssize_t r;

	if (poll(&p, 1, ms) != 1)
		return false;
	r = recv(t->client, t->in + t->have, sizeof(t->in) - t->have, 0);
	assert_true(r > 0);
	t->have += (size_t)r;
	talk_judge(t);
	return true;
}

/* Hears all that its worker has written to it. */
static inline void
talk_hear(struct talker *t, struct node *n)
{
	while (t->have + TALK_HEAD < output_written(&n->ch.conn[t->i].out))
		assert_true(talk_listen(t, 5000));
}

/* Its worker has read nothing more than it has done, or keeps. */
static inline bool
talk_is_done(const struct talker *t)
{
	return t->sent == t->len && t->answered == t->asked;
}

/* Sends so much of what is left to be said. */
static inline void
talk_send(struct talker *t, size_t most)
{
	size_t len = t->len - t->sent < most ? t->len - t->sent : most;
	ssize_t r = send(t->client, t->out + t->sent, len, MSG_DONTWAIT);

	if (r > 0)
		t->sent += (size_t)r;
}

/* A turn of its worker, which begins when there is something to do, or soon. */
static inline void
talk_turn(struct node *n, uint32_t i)
{
	struct pollfd p = {n->ch.conn[i].fd, POLLIN, 0};

	if (n->ch.n_waiting == 0)
		(void)poll(&p, 1, 1);
	if (n->ch.conn[i].phase == CONN_OPEN && !n->ch.conn[i].waits &&
	    !n->ch.conn[i].paused)
		conn_read(&n->ch, i);
	chat_turn(&n->ch);
}

/* How a worker is set here: it takes one command a turn. */
static inline void
talk_set(struct node *n)
{
	n->ch.live.insecure = true;
	n->ch.live.private = CONF_WHOM_ALL;
	n->ch.budget_bytes = 1;
}

/* A hub of which these are the readers, and a client at that door. */
static inline void
talk_begin_with(struct talker *t, const struct door *door, const char *user,
    uint8_t readers)
{
	memset(t, 0, sizeof(*t));
	fixture_hub_readers(
	    &t->h, TALK_SLOTS, 100, 1 << 20, 4 << 20, 1 << 20, readers, 0);
	t->n = node_new(&t->h, 0);
	talk_set(t->n);
	t->i = node_open_at(t->n, door, user, &t->client);
	t->id = slot_id(&t->h, t->i);
	t->fd = node_fd(t->n, t->i);
	t->out = malloc(TALK_MAX);
	assert_non_null(t->out);
	assert_int_equal(setsockopt(t->client, IPPROTO_TCP, TCP_NODELAY,
			     &(int){1}, sizeof(int)),
	    0);
	client_all(t->client, "101", &t->have);
	t->have = 0;
}

static inline void
talk_begin(struct talker *t)
{
	talk_begin_with(t, &centrifugo_door, "", 0);
}

static inline void
talk_end(struct talker *t)
{
	close(t->client);
	close(t->fd);
	free(t->out);
	hub_destroy(&t->h);
}

/* The next worker 0 has it. */
static inline struct node *
talk_take_over(struct talker *t)
{
	static int fd[TALK_SLOTS];
	struct node *n = node_new(&t->h, 0);
	struct adopt_result r;

	(t->set != NULL ? t->set : talk_set)(n);
	slot_recall(&n->h, 0);
	move_redo(&n->h, 0);
	memset(fd, 0, sizeof(fd));
	fd[t->i] = dup(t->fd) + 1;
	node_adopt(n, fd, &talk_no_fault, &r);
	assert_int_equal(r.corrupted, 0);
	return n;
}

#endif
