/* door_fixture: guests of one worker at its doors, and what each of them is
 * told, message by message. */
#ifndef CHATD_TESTS_DOOR_FIXTURE_H
#define CHATD_TESTS_DOOR_FIXTURE_H

#define FIXTURE_NODES 64
#include "chat_fixture.h"

#include <netinet/tcp.h>
#include <stdio.h>

#include "codec/ws.h"
#include "conf/conf.h"

enum { GUEST_TEXTS = 256, GUEST_BYTES = 1 << 18 };

/* A client. */
struct guest {
	uint32_t conn;
	uint64_t id;
	int fd;
	size_t have;
	uint8_t in[GUEST_BYTES]; /* that is no whole frame yet */
	char *text[GUEST_TEXTS]; /* told and not asked for yet */
	int n_texts;
	int code; /* it was closed with; 0: it was not */
	char reason[128];
};

static struct hub door_hub;
static struct node *door_node;
static struct guest alice, bob;

/* The rooms that there are. */
static inline void
door_rules(struct conf_live *live)
{
	struct conf_channel *c = rule_add(live, "room*");

	c->history = 20;
	c->recovery = 1;
	rule_add(live, "talk")->join_leave = 1;
	rule_add(live, "mute")->publish = CONF_PUBLISH_NONE;
	c = rule_add(live, "club");
	c->publish = CONF_PUBLISH_SUBSCRIBERS;
	c->presence = 0;
	rule_add(live, "users")->subscribe = CONF_SUBSCRIBE_USERS;
	rule_add(live, "token")->subscribe = CONF_SUBSCRIBE_TOKEN;
	rule_add(live, "none")->subscribe = CONF_SUBSCRIBE_NONE;
}

/* A worker over a hub with those readers of the journal: bits. */
static inline void
door_begin_readers(uint8_t readers)
{
	struct conf_live *live;

	fixture_hub_readers(
	    &door_hub, 64, 100, 1 << 20, 4 << 20, 1 << 20, readers, 0);
	door_node = node_new(&door_hub, 0);
	live = &door_node->ch.live;
	live->message_size = 8192;
	live->insecure = 1;
	live->connect_ms = 15000;
	live->connection_channels = 3;
	live->token_size = 8192;
	live->private = live->who = CONF_WHOM_USERS;
	door_rules(live);
}

/* A worker, before each test. */
static inline int
door_begin(void **state)
{
	door_begin_readers(0);
	return 0;
}

static inline void guest_forget(struct guest *g);

/* And after it. */
static inline int
door_end(void **state)
{
	guest_forget(&alice);
	guest_forget(&bob);
	close(alice.fd);
	close(bob.fd);
	hub_destroy(&door_hub);
	return 0;
}

/* What it was told is not asked for. */
static inline void
guest_forget(struct guest *g)
{
	for (; g->n_texts > 0; g->n_texts--)
		free(g->text[g->n_texts - 1]);
}

/* Takes a whole frame. */
static inline void
guest_frame(struct guest *g, int first, const uint8_t *p, size_t len)
{
	assert_int_equal(g->code, 0); /* nothing behind a close */
	switch (first) {
	case 0x80 | WS_TEXT:
		assert_true(g->n_texts < GUEST_TEXTS);
		g->text[g->n_texts] = malloc(len + 1);
		assert_non_null(g->text[g->n_texts]);
		memcpy(g->text[g->n_texts], p, len);
		g->text[g->n_texts++][len] = '\0';
		break;
	case 0x80 | WS_CLOSE:
		g->code = len >= 2 ? p[0] << 8 | p[1] : 1005;
		snprintf(g->reason, sizeof(g->reason), "%.*s",
		    len > 2 ? (int)len - 2 : 0, p + 2);
		break;
	default:
		fail_msg("a frame %02x", first);
	}
}

/* Takes all whole frames. */
static inline void
guest_frames(struct guest *g)
{
	size_t at = 0, head, len;
	const uint8_t *p;

	for (;; at += head + len) {
		p = g->in + at;
		if (g->have - at < 2)
			break;
		len = p[1];
		head = len < 126 ? 2 : len == 126 ? 4 : 10;
		if (g->have - at < head)
			break;
		if (head == 4)
			len = (size_t)p[2] << 8 | p[3];
		else if (head == 10)
			len = (size_t)p[7] << 16 | (size_t)p[8] << 8 | p[9];
		if (g->have - at < head + len)
			break;
		guest_frame(g, p[0], p + head, len);
	}
	memmove(g->in, g->in + at, g->have - at);
	g->have -= at;
}

/* The worker does all that there is to do, and what it has written is heard. */
static inline void
door_settle(void)
{
	struct guest *const all[] = {&alice, &bob};
	ssize_t r;

	for (int n = 0; n < 20; n++) {
		event_base_loop(
		    door_node->ch.base, EVLOOP_NONBLOCK | EVLOOP_ONCE);
		chat_turn(&door_node->ch);
		for (int k = 0; k < 2; k++) {
			if (all[k]->fd < 0)
				continue;
			r = recv(all[k]->fd, all[k]->in + all[k]->have,
			    sizeof(all[k]->in) - all[k]->have, MSG_DONTWAIT);
			if (r <= 0)
				continue;
			all[k]->have += (size_t)r;
			guest_frames(all[k]);
			n = 0;
		}
	}
}

/* A guest comes in. */
static inline void
guest_come(struct guest *g, const struct door *door, const char *user)
{
	char greeting[3];

	guest_forget(g);
	g->have = 0;
	g->code = 0;
	g->conn = node_open_at(
	    door_node, door, door == &centrifugo_door ? "" : user, &g->fd);
	g->id = slot_id(&door_hub, g->conn);
	assert_int_equal(setsockopt(door_node->ch.conn[g->conn].fd, IPPROTO_TCP,
			     TCP_NODELAY, &(int){1}, sizeof(int)),
	    0);
	assert_int_equal(
	    setsockopt(g->fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int)),
	    0);
	if (door == &centrifugo_door && user[0] != '\0')
		assert_true(centrifugo_door.keep_name(
		    &door_node->ch, g->conn, user, strlen(user)));
	assert_int_equal(recv(g->fd, greeting, 3, MSG_WAITALL), 3);
	assert_memory_equal(greeting, "101", 3);
	door_settle();
}

/* It sends a frame. */
static inline void
guest_send(struct guest *g, uint8_t first, const char *text, size_t len)
{
	static uint8_t frame[70000];
	struct pollfd p = {door_node->ch.conn[g->conn].fd, POLLIN, 0};

	assert_true(len + CLIENT_FRAME_HEAD <= sizeof(frame));
	len = client_frame(frame, first, text, len);
	assert_int_equal(send(g->fd, frame, len, 0), len);
	assert_int_equal(poll(&p, 1, 5000), 1);
	door_settle();
}

/* It says a text of any bytes. */
static inline void
guest_say_bytes(struct guest *g, const char *text, size_t len)
{
	guest_send(g, 0x80 | WS_TEXT, text, len);
}

static inline void
guest_say(struct guest *g, const char *text)
{
	guest_say_bytes(g, text, strlen(text));
}

/* What it has been told is just that: up to NULL. */
static inline void
guest_told_at(
    const char *file, int line, struct guest *g, const char *const *wanted)
{
	int k;

	for (k = 0; wanted[k] != NULL; k++) {
		if (k >= g->n_texts)
			print_error(
			    "%s:%d: not told: %s\n", file, line, wanted[k]);
		else if (strcmp(g->text[k], wanted[k]) != 0)
			print_error("%s:%d: told: %s\nwanted: %s\n", file, line,
			    g->text[k], wanted[k]);
		else
			continue;
		fail();
	}
	if (k < g->n_texts)
		fail_msg("%s:%d: told besides: %s", file, line, g->text[k]);
	guest_forget(g);
}

#define told(g, ...)   \
	guest_told_at( \
	    __FILE__, __LINE__, (g), (const char *const[]){__VA_ARGS__, NULL})
#define told_nothing(g) \
	guest_told_at(__FILE__, __LINE__, (g), (const char *const[]){NULL})

/* It says something and is told just that. */
#define says(g, text, ...)              \
	do {                            \
		guest_say((g), text);   \
		told((g), __VA_ARGS__); \
	} while (0)

/* It was closed with that. */
static inline void
guest_closed(struct guest *g, int code, const char *reason)
{
	told_nothing(g);
	assert_int_equal(g->code, code);
	assert_string_equal(g->reason, reason);
}

/* The server says something, as its API does. */
static inline void
server_says(const char *channel, int format, const char *user, const char *text)
{
	const struct publishing what = {.conn = SHM_NONE,
	    .format = (uint8_t)format,
	    .user = user,
	    .user_len = strlen(user),
	    .data = text,
	    .len = strlen(text)};
	struct publication p;
	uint64_t mask;

	assert_int_equal(publish(&door_node->ch, channel, strlen(channel),
			     PUBLISH_MAKE, &what, &p, &mask),
	    PUBLISH_OK);
	door_settle();
}

#endif
