/*
 * world: what fuzz targets share that need a worker: its memory, channels'
 * rules, and clients at socket pairs, of which each message is judged. The
 * worker lives as long as the process; world_rest() demands that an input has
 * left nothing but publications in it, and no descriptor.
 */
#ifndef CHATD_TESTS_FUZZ_WORLD_H
#define CHATD_TESTS_FUZZ_WORLD_H

#include "fuzz.h"

#define FIXTURE_NODES 8
#include "../unit/chat_fixture.h"

#include <fcntl.h>
#include <signal.h>

#include "base/log.h"
#include "base/utf8.h"
#include "codec/json.h"
#include "codec/ws.h"

enum {
	WORLD_SLOTS = 64,
	WORLD_NAMES = 50,     /* users, and channels */
	WORLD_MESSAGE = 4096, /* message-size */
	WORLD_QUEUE = 65536,  /* queue */
	WORLD_SNDBUF = 4608,  /* the least that Linux gives */
	WORLD_CLIENTS = 4,
	WORLD_IDLE = 20, /* turns in which nothing more is read: it never is */
	WORLD_FDS = 256, /* that are looked at */
	WORLD_LINK_FDS = 2, /* of a link to another worker, which stays */
	WORLD_TURNS = 2000  /* more for one message is a loop without end */
};

#ifndef WORLD_READERS
#define WORLD_READERS 0 /* of the journal: bits */
#endif

#define WORLD_KEY "0123456789abcdef0123456789abcdef"

/* A client; fd -1: there is none. */
struct world_client {
	uint32_t conn;
	uint64_t id;
	const struct door *door;
	int fd;
	bool deaf;    /* reads nothing */
	bool greeted; /* has got its 101 */
	bool closed;  /* has got a close frame, or the end */
	uint32_t texts;
	size_t have;
	uint8_t in[1 << 20]; /* what it was sent, and has not judged */
};

static struct hub world_hub;
static bool world_trusts_nobody; /* another worker may have a client be told
				  * anything: frames alone are judged */
static struct node *world_node;
static int world_fds; /* descriptors when it was made */
static struct world_client world_client[WORLD_CLIENTS];

/* Rooms of every kind; of other names there are none. */
static inline void
world_rules(struct conf_live *live)
{
	struct conf_channel *c = rule_add(live, "room*");

	c->history = 20;
	c->recovery = c->join_leave = 1;
	c = rule_add(live, "old*");
	c->history = 5;
	c->history_age_ms = 1;
	rule_add(live, "mute*")->publish = CONF_PUBLISH_NONE;
	c = rule_add(live, "club*");
	c->publish = CONF_PUBLISH_SUBSCRIBERS;
	c->presence = 0;
	rule_add(live, "users*")->subscribe = CONF_SUBSCRIBE_USERS;
	rule_add(live, "token*")->subscribe = CONF_SUBSCRIBE_TOKEN;
	rule_add(live, "none*")->subscribe = CONF_SUBSCRIBE_NONE;
}

/* The settings that an input may change. */
static inline void
world_settings(struct chat *ch)
{
	struct conf_live *live = &ch->live;

	live->message_size = WORLD_MESSAGE;
	live->message_rate = 0;
	live->message_burst = 20;
	live->queue_bytes = WORLD_QUEUE;
	live->connection_channels = 8;
	live->connect_ms = 15000;
	live->token_size = 2048;
	live->token_leeway_ms = 1000;
	live->insecure = 1;
	live->private = live->who = CONF_WHOM_USERS;
	live->slow_policy = CONF_SLOW_DISCONNECT;
	live->idle_ms = 0;
	ch->budget_bytes = CHAT_BUDGET_BYTES;
}

/* How many descriptors this process has, of the first WORLD_FDS. */
static inline int
world_count_fds(void)
{
	int fd, n = 0;

	for (fd = 0; fd < WORLD_FDS; fd++)
		n += fcntl(fd, F_GETFD) != -1;
	return n;
}

/* Makes it, once. */
static inline void
world_make(void)
{
	struct conf_live *live;

	if (world_node != NULL)
		return;
	signal(SIGPIPE, SIG_IGN);
	REQUIRE(log_open(LOG_TO_FILE, "/dev/null") == 0);
	fixture_hub_readers(&world_hub, WORLD_SLOTS, WORLD_NAMES, 1 << 20,
	    4 << 20, 1 << 20, WORLD_READERS, 0);
	world_node = node_new(&world_hub, 0);
	live = &world_node->ch.live;
	world_rules(live);
	strcpy(live->token_key, WORLD_KEY);
	strcpy(live->api_key, "key");
	for (int k = 0; k < WORLD_CLIENTS; k++)
		world_client[k].fd = -1;
	world_fds = world_count_fds();
}

/* A client opens a connection at a door. */
static inline void
world_open(struct world_client *c, const struct door *door, const char *user)
{
	const struct sockaddr_in a = {
	    .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	struct chat *ch = &world_node->ch;
	size_t len = door == &centrifugo_door ? 0 : strlen(user);
	int fd[2], size = WORLD_SNDBUF;

	REQUIRE(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC,
		    0, fd) == 0);
	REQUIRE(
	    setsockopt(fd[0], SOL_SOCKET, SO_SNDBUF, &size, sizeof(size)) == 0);
	c->conn = conn_accept(ch, 0, fd[0], (const struct sockaddr *)&a);
	REQUIRE(c->conn != SHM_NONE && conn_has_slot(ch, c->conn));
	REQUIRE(
	    conn_open(ch, c->conn, door, user, len, "", 0, "101", 3, 0) == 0);
	REQUIRE(door != &centrifugo_door ||
	    centrifugo_door.keep_name(ch, c->conn, user, strlen(user)));
	c->id = slot_id(ch->hub, c->conn);
	c->door = door;
	c->fd = fd[1];
	c->deaf = c->greeted = c->closed = false;
	c->texts = 0;
	c->have = 0;
}

/* Whether all lines of a text begin as those of the plain door's answers. */
static inline bool
world_is_answer(const char *p, size_t len)
{
	const char *end = p + len, *stop;

	for (; p < end; p = stop + 1) {
		stop = memchr(p, '\n', (size_t)(end - p));
		if (stop == NULL)
			stop = end;
		if (stop - p < 2 ||
		    (memcmp(p, "* ", 2) != 0 &&
			(stop - p < 4 || memcmp(p, "    ", 4) != 0)))
			return false;
	}
	return len > 0;
}

/* A text at the plain door: an answer, or who says what. */
static inline void
world_judge_plain(const char *p, size_t len)
{
	static const char *const who[] = {
	    "alice ", "bob ", "carol ", "*server* ", "*anonymous* "};
	const char *close;
	size_t k, n;

	if (len >= 2 && memcmp(p, "* ", 2) == 0) {
		REQUIRE(world_is_answer(p, len));
		return;
	}
	if (len > 0 && p[0] == '[') { /* a name may have brackets, too */
		close = memmem(p, len, "] ", 2);
		REQUIRE(close != NULL);
		return;
	}
	for (k = 0; k < sizeof(who) / sizeof(who[0]); k++) {
		n = strlen(who[k]);
		if (len > n && memcmp(p, who[k], n) == 0)
			break;
	}
	REQUIRE(k < sizeof(who) / sizeof(who[0]));
	REQUIRE(memmem(p, len, " says: ", 7) != NULL ||
	    memmem(p, len, " whispers: ", 11) != NULL);
}

/* A text at the centrifugo door: an object that is a reply, a push or a ping.
 */
static inline void
world_judge_json(const char *p, size_t len)
{
	static const char *const names[] = {"id", "push", "error"};
	struct json_value all, v[3];
	uint32_t id;

	REQUIRE(json_validate(p, len, &all) && all.type == JSON_OBJECT);
	REQUIRE(memchr(p, '\n', len) == NULL);
	json_members(all, names, 3, v);
	if (!json_absent(v[0]))
		REQUIRE(json_uint32(v[0], &id) && id > 0 && json_absent(v[1]));
	else
		REQUIRE(v[1].type == JSON_OBJECT || len == 2);
}

/* One frame. */
static inline void
world_judge_frame(
    struct world_client *c, int first, const uint8_t *p, size_t len)
{
	REQUIRE(!c->closed && (first & 0x70) == 0);
	switch (first & 15) {
	case WS_TEXT:
		c->texts++;
		if (world_trusts_nobody)
			break;
		REQUIRE(utf8_valid((const char *)p, len));
		if (c->door == &plain_door)
			world_judge_plain((const char *)p, len);
		else if (c->door == &centrifugo_door)
			world_judge_json((const char *)p, len);
		break;
	case WS_CLOSE:
		REQUIRE(len <= 125 && len != 1);
		c->closed = true;
		break;
	case WS_PING:
	case WS_PONG:
		REQUIRE(len <= 125);
		break;
	default:
		REQUIRE(c->door == &echo_door);
	}
	REQUIRE(first & 0x80);
}

/* Judges all frames that are whole; returns how many bytes these are. */
static inline size_t
world_judge(struct world_client *c)
{
	const uint8_t *p;
	size_t at = 0, left, head, len;

	for (;; at += head + len) {
		p = c->in + at;
		left = c->have - at;
		if (!c->greeted) {
			if (left < 3)
				return at;
			REQUIRE(memcmp(p, "101", 3) == 0);
			c->greeted = true;
			head = 3;
			len = 0;
			continue;
		}
		if (left < 2)
			return at;
		len = p[1];
		REQUIRE(len < 128); /* no mask */
		head = len < 126 ? 2 : len == 126 ? 4 : 10;
		if (left < head)
			return at;
		if (head == 4)
			len = (size_t)p[2] << 8 | p[3];
		else if (head == 10)
			len = (size_t)p[6] << 24 | (size_t)p[7] << 16 |
			    (size_t)p[8] << 8 | p[9];
		REQUIRE(head == 2 || len > (head == 4 ? 125 : 65535));
		if (left - head < len)
			return at;
		world_judge_frame(c, p[0], p + head, len);
	}
}

/* A client hears what has come; whether anything has. */
static inline bool
world_hear(struct world_client *c)
{
	bool some = false;
	size_t used;
	ssize_t r;

	while (c->fd >= 0 && !c->deaf &&
	    (r = recv(c->fd, c->in + c->have, sizeof(c->in) - c->have, 0)) >
		0) {
		some = true;
		c->have += (size_t)r;
		used = world_judge(c);
		memmove(c->in, c->in + used, c->have - used);
		c->have -= used;
		REQUIRE(c->have < sizeof(c->in));
	}
	return some;
}

/* One turn of the worker: it reads what its sockets have. Milliseconds as of
 * chat_turn(). */
static inline int
world_turn(void)
{
	event_base_loop(world_node->ch.base, EVLOOP_NONBLOCK | EVLOOP_ONCE);
	return chat_turn(&world_node->ch);
}

/* Turns until all that can be done is done, and all is heard. */
static inline void
world_settle(void)
{
	int k, n, idle = 0;
	bool some;

	for (n = 0; idle < 2; n++) {
		REQUIRE(n < WORLD_TURNS);
		some = world_turn() == 0;
		for (k = 0; k < WORLD_CLIENTS; k++)
			some = world_hear(&world_client[k]) || some;
		idle = some ? 0 : idle + 1;
	}
}

/* A client sends bytes as they are, and the worker reads them. */
static inline void
world_send(struct world_client *c, const void *bytes, size_t len)
{
	const char *p = bytes;
	ssize_t r;
	int idle;

	for (idle = 0; len > 0 && idle < WORLD_IDLE; idle++) {
		r = send(c->fd, p, len, MSG_NOSIGNAL);
		if (r < 0 && errno != EAGAIN)
			return; /* the worker has ended it */
		if (r > 0) {
			p += r;
			len -= (size_t)r;
			idle = 0;
		}
		if (len > 0) {
			world_turn();
			world_hear(c);
		}
	}
}

/* A client sends a frame. */
static inline void
world_frame(
    struct world_client *c, uint8_t first, const void *bytes, size_t len)
{
	static uint8_t frame[1 << 17];

	REQUIRE(len < 65536);
	world_send(c, frame, client_frame(frame, first, bytes, len));
}

/* Others come: bob at the plain door, carol at the other one and in a room. */
static inline void
world_company(void)
{
	static const char come[] = "{\"id\":1,\"connect\":{}}\n"
				   "{\"id\":2,\"subscribe\":{\"channel\":"
				   "\"room\"}}";

	world_open(&world_client[1], &plain_door, "bob");
	world_open(&world_client[2], &centrifugo_door, "carol");
	world_frame(&world_client[2], 0x81, come, sizeof(come) - 1);
}

/* The clients leave. */
static inline void
world_leave(void)
{
	struct chat *ch = &world_node->ch;
	struct world_client *c;
	int k, n;

	for (k = 0; k < WORLD_CLIENTS; k++)
		if (world_client[k].fd >= 0)
			close(world_client[k].fd);
	for (n = 0; n < 20 && ch->n_conns > 0; n++)
		world_turn();
	for (k = 0; k < WORLD_CLIENTS; k++) {
		c = &world_client[k];
		if (c->fd >= 0 && slot_find(ch->hub, c->id) == c->conn)
			conn_drop(ch, c->conn, NULL); /* its deadline */
		c->fd = -1;
	}
	world_turn();
}

/* The steps of an input, so many at most: each is a byte that says which of so
 * many, two of length, and what is for it. */
static inline void
world_steps(void (*step)(int, const uint8_t *, size_t), int kinds, int most,
    const uint8_t *data, size_t size)
{
	size_t len;

	for (int n = 0; size >= 3 && n < most; n++) {
		len = (size_t)data[1] << 8 | data[2];
		if (len > size - 3)
			len = size - 3;
		step(data[0] % kinds, data + 3, len);
		data += 3 + len;
		size -= 3 + len;
	}
}

/* Nothing is left but publications. */
static inline void
world_rest(void)
{
	struct chat *ch = &world_node->ch;
	uint32_t i;

	world_leave();
	output_trim(&ch->output);
	REQUIRE(ch->n_conns == 0 && ch->n_open == 0 && ch->n_here == 0);
	REQUIRE(ch->n_waiting == 0 && ch->n_dirty == 0 && ch->n_dropped == 0);
	REQUIRE(ch->output.chunks.n_used == 0);
	REQUIRE(ch->input.pages.n_used == 0);
	REQUIRE(ch->rooms->subscriptions.n_used == 0);
	for (i = 0; i < world_hub.n_entries; i++) {
		REQUIRE(presence_mask(&world_hub, i) == 0);
		REQUIRE(!rooms_have(ch, i));
	}
	REQUIRE(world_count_fds() <= world_fds + WORLD_LINK_FDS);
}

#endif
