/* chat_fixture: workers in one process, as far as the chat layer needs them:
 * each sees the same memory as itself and has connections of its own. One that
 * "dies" is looked at no more. */
#ifndef CHATD_TESTS_CHAT_FIXTURE_H
#define CHATD_TESTS_CHAT_FIXTURE_H

#include "hub_fixture.h"
#include "tcp_pair.h"

#include <event2/event.h>
#include <event2/event_struct.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "hub/lock.h"
#include "takeover/adopt.h"
#include "room/channel.h"
#include "conn/conn.h"
#include "takeover/give.h"
#include "takeover/clean.h"
#include "takeover/move.h"
#include "room/publish.h"
#include "room/rooms.h"
#include "door/door.h"
#include "door/registry.h"
#include "net/loop.h"
#include "net/ready.h"
#include "worker/chat.h"
#include "net/batch.h"

/* The doors that tests mean, each in its folder's header. */
extern const struct door plain_door, echo_door, centrifugo_door;

#ifndef FIXTURE_NODES /* a test may need more */
#define FIXTURE_NODES 64
#endif
enum { NODES = FIXTURE_NODES };

struct node {
	struct hub h;
	struct chat ch;
};

/* What they leave in this process stays in reach, or it would look like a
 * leak. */
static struct node nodes[NODES];
static int n_nodes;

/* What a test adds to the settings of its workers. */
static void (*node_live)(struct conf_live *live);

/* A worker over that memory. */
static inline struct node *
node_new(const struct hub *h, int worker)
{
	struct conf_live live = {.message_size = 65536,
	    .queue_bytes = 1 << 20,
	    .connection_channels = 128,
	    .ping_ms = 25000,
	    .pong_ms = 10000,
	    .handshake_ms = 10000};
	struct node *n = &nodes[n_nodes++];

	assert_true(n_nodes <= NODES);
	n->h = *h;
	hub_become(&n->h, worker);
	n->h.table = (uint32_t)worker + 1;
	if (node_live != NULL)
		node_live(&live);
	assert_int_equal(
	    chat_init(&n->ch, &n->h, &live, loop_new(), batch_new(false)), 0);
	assert_true(chat_set_doors(&n->ch, door_registry));
	return n;
}

/* A worker that judges requests, too. */
static inline struct node *
node_judging(const struct hub *h, int worker)
{
	struct node *n = node_new(h, worker);

	n->ch.live.insecure = 1;
	n->ch.live.request_size = 8192;
	n->ch.judge = &door_judge;
	return n;
}

/* A request for a WebSocket, and half of it. */
#define REQUEST_HALF "GET /ws?user=alice HTTP/1.1\r\nHost: localhost\r\n"
#define REQUEST                                         \
	REQUEST_HALF                                    \
	"Upgrade: websocket\r\nConnection: Upgrade\r\n" \
	"Sec-WebSocket-Version: 13\r\n"                 \
	"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"

/* A connection that is accepted here, of which nothing was read; the client's
 * end in *client. Returns its number. */
static inline uint32_t
client_comes(struct chat *ch, int *client)
{
	struct sockaddr_in a;
	uint32_t i;
	int fd;

	tcp_pair(client, &fd, &a);
	i = conn_accept(ch, 0, fd, (void *)&a);
	assert_int_not_equal(i, SHM_NONE);
	return i;
}

/* A connection at a door here, of a user ("": of none yet); the client's end in
 * *client. Returns its number. */
static inline uint32_t
node_open_at(
    struct node *n, const struct door *door, const char *user, int *client)
{
	const uint32_t i = client_comes(&n->ch, client);

	assert_int_equal(
	    conn_open(&n->ch, i, door, user, strlen(user), "", 0, "101", 3, 0),
	    0);
	chat_turn(&n->ch);
	return i;
}

/* node_open_at() the plain door. */
static inline uint32_t
node_open(struct node *n, const char *user, int *client)
{
	return node_open_at(n, &plain_door, user, client);
}

/* What a client's frame is longer than its bytes, at most. */
enum { CLIENT_FRAME_HEAD = 8 };

/* Builds a client's frame, of less than 65,536 bytes and masked with zeros;
 * returns its size. */
static inline size_t
client_frame(uint8_t *frame, uint8_t first, const void *bytes, size_t len)
{
	uint8_t *p = frame;

	*p++ = first;
	if (len < 126) {
		*p++ = (uint8_t)(0x80 | len);
	} else {
		*p++ = 0x80 | 126;
		*p++ = (uint8_t)(len >> 8);
		*p++ = (uint8_t)len;
	}
	memset(p, 0, 4);
	memcpy(p + 4, bytes, len);
	return (size_t)(p + 4 + len - frame);
}

/* Adds a rule to the configuration; all may do all. */
static inline struct conf_channel *
rule_add(struct conf_live *live, const char *pattern)
{
	struct conf_channel *c = &live->channel[live->n_channels++];
	size_t len = strlen(pattern);

	*c = (struct conf_channel){.publish = CONF_PUBLISH_ALL,
	    .subscribe = CONF_SUBSCRIBE_ALL,
	    .presence = 1};
	memcpy(c->pattern, pattern, len + 1);
	c->prefix = pattern[len - 1] == '*';
	c->len = (uint8_t)(len - c->prefix);
	return c;
}

/* A client sends a text, which is read here at once. */
static inline void
node_read(struct node *n, uint32_t i, int client, const char *text)
{
	uint8_t frame[256];
	struct pollfd p = {n->ch.conn[i].fd, POLLIN, 0};
	size_t len = strlen(text);

	assert_true(len + CLIENT_FRAME_HEAD <= sizeof(frame));
	len = client_frame(frame, 0x81, text, len);
	assert_int_equal(send(client, frame, len, 0), len);
	assert_int_equal(poll(&p, 1, 30000), 1);
	conn_read(&n->ch, i);
}

/* Goes on with the connections of a worker that is dead: fd[slot] is the
 * descriptor + 1 that its slot claims, 0: none. */
static inline void
node_adopt(struct node *n, const int *fd, const struct adopt_fault *fault,
    struct adopt_result *r)
{
	struct hub *h = &n->h;
	uint32_t i;

	for (i = slot_ever(h, 0); i < h->n_slots; i = slot_ever(h, i + 1))
		if (slot_holder(h, i) == h->self) {
			if (fd[i] != 0)
				slot_socket_set(h, i, fd[i] - 1);
			else
				SHM_STORE(h->socket[i], 0);
		}
	adopt_all(&n->ch, fault, r);
}

/* The worker that comes after a dead one of that memory, which held the lock
 * perhaps, with its table of descriptors. */
static inline struct node *
node_next(const struct hub *h, struct adopt_result *r)
{
	static const struct adopt_fault none;
	struct node *n = node_new(h, 0);

	hub_lock(&n->h);
	hub_unlock(&n->h);
	move_redo(&n->h, 0);
	slot_recall(&n->h, 0);
	adopt_all(&n->ch, &none, r);
	return n;
}

/* A descriptor for another process: what it would be given. */
static inline int
node_fd(struct node *n, uint32_t i)
{
	return dup(n->ch.conn[i].fd);
}

/* Says something in a channel. */
static inline void
node_say(struct node *n, const char *channel, const char *text)
{
	const struct publishing what = {.conn = SHM_NONE,
	    .format = FORMAT_TEXT,
	    .user = "server",
	    .user_len = 6,
	    .data = text,
	    .len = strlen(text)};
	struct publication p;
	uint64_t mask;

	assert_int_equal(publish(&n->ch, channel, strlen(channel), PUBLISH_MAKE,
			     &what, &p, &mask),
	    PUBLISH_OK);
}

/* All that a client gets until `last` comes, which it must. */
static inline const char *
client_all(int client, const char *last, size_t *len)
{
	static char all[65536];
	struct pollfd p = {client, POLLIN, 0};
	size_t have = 0;
	ssize_t r;

	while (memmem(all, have, last, strlen(last)) == NULL) {
		assert_int_equal(poll(&p, 1, 30000), 1);
		r = recv(client, all + have, sizeof(all) - 1 - have, 0);
		assert_true(r > 0);
		have += (size_t)r;
	}
	*len = have;
	return all;
}

/* How often a text is in that. */
static inline int
text_count(const char *all, size_t len, const char *text)
{
	const char *at = all;
	int n = 0;

	while ((at = memmem(at, len - (size_t)(at - all), text,
		    strlen(text))) != NULL) {
		at++;
		n++;
	}
	return n;
}

/* How often a client has got a text within that. */
static inline int
client_got(int client, const char *text, const char *last)
{
	size_t have;
	const char *all = client_all(client, last, &have);

	return text_count(all, have, text);
}

#endif
