/* One client: its socket, its frames, what it says and when. */
#include <arpa/inet.h>
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "soak.h"

enum {
	WINDOW = 2,   /* messages that it has not heard itself */
	WHISPERS = 6, /* that their receivers have not heard */
	ASKED = 8,    /* questions without an answer */
	BEHIND =
	    600, /* a client may be so many of the lobby's messages behind */
	SHAKE_MS = 10000,
	LEAVE_MS = 8000, /* of silence */
	SLOW_BYTES = 4096
};
enum { OP_CONT, OP_TEXT, OP_CLOSE = 8, OP_PING, OP_PONG };

struct client client[CLIENTS_MAX];
struct counts counts;
int poll_fd;

/* What the loop waits for on its socket. */
static void
watch(uint32_t i, bool read)
{
	struct epoll_event ev = {.events = read ? EPOLLIN : 0, .data.u32 = i};

	epoll_ctl(poll_fd, EPOLL_CTL_MOD, client[i].fd, &ev);
}

/* The connection is no more. */
static void
gone(uint32_t i)
{
	struct client *c = &client[i];

	wire_close(i);
	close(c->fd);
	c->fd = -1;
	c->phase = AWAY;
	c->turn_ms = now_ms + 20 + dice(300);
	c->in_len = c->out_len = 0;
	c->located = false;
	c->hold_ms = c->deaf_ms = 0;
	c->asked = c->answered = 0;
	if (set.reader)
		reader_gone(i);
}

void
client_connect(uint32_t i)
{
	struct sockaddr_in in = {.sin_family = AF_INET,
	    .sin_port = htons(
		(uint16_t)(wire_is_tls(i) ? daemon_.tls_port : daemon_.port)),
	    .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	struct epoll_event ev = {.events = EPOLLIN, .data.u32 = i};
	struct client *c = &client[i];
	int size = SLOW_BYTES;

	if (c->in == NULL) {
		c->in = malloc(IN_BYTES);
		c->out = malloc(OUT_BYTES);
	}
	c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (c->fd < 0)
		err(2, "socket");
	if (c->slow)
		setsockopt(c->fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
	if (connect(c->fd, (struct sockaddr *)&in, sizeof(in)) < 0 &&
	    errno != EINPROGRESS) {
		counts.retries++;
		gone(i);
		return;
	}
	epoll_ctl(poll_fd, EPOLL_CTL_ADD, c->fd, &ev);
	wire_open(i);
	c->phase = SHAKING;
	c->close_heard = c->own_heard = false;
	c->id = 0;
	c->shake_ms = now_ms;
	c->out_len = (size_t)sprintf((char *)c->out,
	    "GET %s?user=u%03u HTTP/1.1\r\nHost: localhost:%d\r\n"
	    "Upgrade: websocket\r\nConnection: Upgrade\r\n"
	    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
	    "Sec-WebSocket-Version: 13\r\n\r\n",
	    c->json ? "/connection/websocket" : "/ws", i, daemon_.port);
}

void
frame_put(struct client *c, int opcode, bool fin, const void *bytes, size_t len)
{
	uint8_t *to = c->out + c->out_len, key[4];
	const uint8_t *from = bytes;
	uint32_t k = dice(UINT32_MAX);
	size_t n, head = 2;

	if (c->out_len + len + 14 > OUT_BYTES)
		errx(2, "a client's output is full");
	to[0] = (uint8_t)((fin ? 0x80 : 0) | opcode);
	if (len < 126) {
		to[1] = (uint8_t)(0x80 | len);
	} else {
		to[1] = 0x80 | 126;
		to[2] = (uint8_t)(len >> 8);
		to[3] = (uint8_t)len;
		head = 4;
	}
	memcpy(key, &k, 4);
	memcpy(to + head, key, 4);
	to += head + 4;
	for (n = 0; n < len; n++)
		to[n] = from[n] ^ key[n & 3];
	c->out_len += head + 4 + len;
}

void
expect(struct client *c, enum answer_kind kind, uint32_t value)
{
	uint32_t k = c->asked++ % ANSWERS;

	c->answer[k].kind = (uint8_t)kind;
	c->answer[k].value = value;
	c->answer[k].after = c->sent;
}

/* A ping, which will be answered by its own text. */
static void
ping(struct client *c)
{
	uint32_t value = c->asked;
	char text[16];

	frame_put(c, OP_PING, true, text, (size_t)sprintf(text, "p%u", value));
	expect(c, A_PONG, value);
}

void
message_put(struct client *c, const char *bytes, size_t len)
{
	size_t n, at = 0;
	int opcode = OP_TEXT;

	/* now and then in fragments, with pings between them */
	while (len - at > 2 && dice(12) == 0) {
		n = 1 + dice((uint32_t)(len - at - 1));
		frame_put(c, opcode, false, bytes + at, n);
		opcode = OP_CONT;
		at += n;
		counts.fragments++;
		if (dice(2) && c->asked - c->answered < ASKED * 2)
			ping(c);
	}
	frame_put(c, opcode, true, bytes + at, len - at);
}

void
client_leave(uint32_t i)
{
	struct client *c = &client[i];

	frame_put(c, OP_CLOSE, true, "\x03\xe8", 2);
	c->phase = LEAVING;
	c->turn_ms = now_ms + LEAVE_MS;
	counts.leaves++;
}

void
client_flush(uint32_t i)
{
	struct client *c = &client[i];
	const void *bytes;
	size_t n;
	ssize_t r;

	if (now_ms < c->hold_ms)
		return;
	bytes = wire_next(i, &n);
	if (n == 0)
		return;
	if (c->phase != SHAKING && n > 1 && dice(6) == 0) {
		n = 1 + dice((uint32_t)n - 1); /* cut, the rest later */
		c->hold_ms = now_ms + 1 + dice(dice(20) ? 4 : 60);
		counts.cut++;
	}
	r = send(c->fd, bytes, n, MSG_NOSIGNAL | MSG_DONTWAIT);
	if (r > 0) /* else full, or gone: reading says which */
		wire_sent(i, (size_t)r);
}

/* How far the last one of all is behind in the lobby. */
static uint32_t
behind(void)
{
	static uint64_t looked_ms;
	static uint32_t most;
	uint32_t i;

	if (looked_ms == now_ms)
		return most;
	looked_ms = now_ms;
	most = 0;
	for (i = 0; i < set.clients; i++)
		if (client[i].located && client[i].phase == OPEN &&
		    order.n - 1 - client[i].at > most)
			most = order.n - 1 - client[i].at;
	return most;
}

/* Says something in the lobby. */
static void
say_lobby(uint32_t i)
{
	struct client *c = &client[i];
	struct text t;

	text_make(&t, i, c->sent++, -1);
	counts.lobby++;
	if (c->json)
		json_say(i, -1, &t);
	else
		message_put(c, t.bytes, t.len);
}

/* Says something to one who stays. */
static void
say_whisper(uint32_t i)
{
	static char line[TEXT_MAX + 128];
	struct client *c = &client[i];
	uint32_t to = dice(set.clients);
	struct text t;
	int n;

	if (client[to].mover || client[to].phase != OPEN || to == i)
		return;
	text_make(&t, i, c->to_sent[to]++, (int)to);
	c->whispered++;
	counts.whispers++;
	n = sprintf(line, "/msg u%03u ", to);
	memcpy(line + n, t.bytes, t.len);
	message_put(c, line, (size_t)n + t.len);
}

void
client_ask_who(uint32_t i)
{
	message_put(&client[i], "/who", 4);
	expect(&client[i], A_WHO, 0);
}

void
client_say(uint32_t i)
{
	static const char nobody[] = "/msg nobody are you there?";
	struct client *c = &client[i];
	uint32_t what = dice(100);

	if (c->out_len > OUT_BYTES / 4 || c->asked - c->answered >= ASKED)
		return;
	if (set.reader && what < 30) {
		reader_say(i);
	} else if (what < 72) {
		if (c->sent - c->heard < WINDOW && behind() < BEHIND)
			say_lobby(i);
	} else if (c->json) {
		return;
	} else if (what < 88) {
		if (c->whispered - c->whispers_heard < WHISPERS)
			say_whisper(i);
	} else if (what < 94) {
		ping(c);
	} else if (what < 97) {
		message_put(c, nobody, sizeof(nobody) - 1);
		expect(c, A_NOBODY, 0);
	} else
		client_ask_who(i);
}

/* The server's close frame. */
static void
close_heard(uint32_t i, const uint8_t *p, size_t len)
{
	struct client *c = &client[i];
	int code = len >= 2 ? p[0] << 8 | p[1] : 0;

	if (c->phase != LEAVING || (code != 1000 && !c->json)) {
		fault(F_DISCONNECT, "client %u: closed with %d %.*s", i, code,
		    len > 2 ? (int)len - 2 : 0, p + 2);
		return;
	}
	c->close_heard = true;
	if (c->asked != c->answered)
		fault(F_ANSWER, "client %u: closed with %u answers due", i,
		    c->asked - c->answered);
	if (dice(2)) /* does not wait for the FIN */
		gone(i);
}

/* One frame. */
static void
frame_heard(uint32_t i, int opcode, const uint8_t *p, size_t len)
{
	struct client *c = &client[i];

	counts.deliveries++;
	counts.bytes += len;
	switch (opcode) {
	case OP_TEXT:
		if (c->json)
			json_text(i, (const char *)p, len);
		else
			heard_text(i, (const char *)p, len);
		break;
	case OP_PONG:
		heard_answer(i, A_PONG, (const char *)p, len);
		break;
	case OP_PING:
		if (c->phase == OPEN)
			frame_put(c, OP_PONG, true, p, len);
		break;
	case OP_CLOSE:
		close_heard(i, p, len);
		break;
	default:
		fault(F_CORRUPT, "client %u: a frame of type %d", i, opcode);
	}
}

/* The answer to the request; bytes of it, 0: not whole yet. */
static size_t
answer_heard(uint32_t i)
{
	struct client *c = &client[i];
	uint8_t *end = memmem(c->in, c->in_len, "\r\n\r\n", 4);

	if (end == NULL)
		return 0;
	if (memcmp(c->in, "HTTP/1.1 101 ", 13) != 0)
		fault(F_OTHER, "client %u: refused: %.40s", i, c->in);
	c->phase = OPEN;
	c->first = c->heard = c->sent;
	c->turn_ms = now_ms + 500 + dice(4000);
	c->open_ms = now_ms;
	counts.joins++;
	if (c->json) {
		c->phase = SHAKING;
		json_hello(i);
	} else if (set.reader) {
		char line[32];

		message_put(
		    c, line, (size_t)sprintf(line, "/join %s", reader_room(i)));
		expect(c, A_JOINED, 0);
		reader_joined(i);
	}
	return (size_t)(end + 4 - c->in);
}

/* Takes a frame off the input; false if there is none. */
static bool
frame_take(uint32_t i, size_t *at)
{
	struct client *c = &client[i];
	const uint8_t *p = c->in + *at;
	size_t left = c->in_len - *at, len, head = 2;

	if (left < 2)
		return false;
	len = p[1] & 0x7f;
	if (len == 126) {
		head = 4;
		if (left < head)
			return false;
		len = (size_t)p[2] << 8 | p[3];
	} else if (len == 127) {
		head = 10;
		if (left < head)
			return false;
		len = (size_t)p[7] << 16 | (size_t)p[8] << 8 | p[9];
		if (len > IN_BYTES / 2) {
			fault(F_CORRUPT, "client %u: a huge frame", i);
			len = 0;
		}
	}
	if (left < head + len)
		return false;
	*at += head + len;
	if ((p[0] & 0x80) == 0 || p[1] & 0x80)
		fault(F_CORRUPT, "client %u: head %02x %02x", i, p[0], p[1]);
	frame_heard(i, p[0] & 0x0f, p + head, len);
	return true;
}

/* Its end: right only after a close handshake, or before any answer. */
static void
eof(uint32_t i, const char *why)
{
	struct client *c = &client[i];

	if (c->phase == SHAKING && !c->json && c->in_len == 0)
		counts.retries++;
	else if (c->phase == SHAKING && c->json && c->id == 0 && c->in_len == 0)
		counts.retries++;
	else if (!c->close_heard)
		fault(F_DISCONNECT, "client %u: dropped (phase %d): %s", i,
		    c->phase, why);
	gone(i);
	if (counts.retries % 16 != 0)
		c->turn_ms = now_ms + 5;
}

void
client_read(uint32_t i)
{
	struct client *c = &client[i];
	size_t at = 0, n = c->slow ? 3000 : IN_BYTES;
	ssize_t r;

	if (now_ms < c->deaf_ms)
		return;
	if (n > IN_BYTES - c->in_len)
		n = IN_BYTES - c->in_len;
	r = wire_recv(i, c->in + c->in_len, n);
	if (r == 0 || (r < 0 && errno != EAGAIN && errno != EINTR)) {
		eof(i, r == 0 ? "end" : strerror(errno));
		return;
	}
	if (r < 0)
		return;
	c->in_len += (size_t)r;
	if (c->phase == LEAVING) /* messages from before are still coming */
		c->turn_ms = now_ms + LEAVE_MS;
	if (c->phase == SHAKING && (!c->json || c->id == 0))
		at = answer_heard(i);
	if (c->phase != SHAKING || c->id != 0)
		while (c->fd >= 0 && frame_take(i, &at))
			;
	if (c->fd < 0)
		return;
	memmove(c->in, c->in + at, c->in_len - at);
	c->in_len -= at;
	if (c->slow && dice(60) == 0) {
		c->deaf_ms = now_ms + 20 + dice(150);
		watch(i, false);
	}
}

/* Its port, for who looks at the kernel's lists. */
static int
client_port(const struct client *c)
{
	struct sockaddr_in in = {.sin_port = 0};
	socklen_t len = sizeof(in);

	(void)getsockname(c->fd, (struct sockaddr *)&in, &len);
	return ntohs(in.sin_port);
}

/* Connects, leaves or reads again, when its time has come. */
void
client_time(uint32_t i, bool still)
{
	struct client *c = &client[i];

	if (c->deaf_ms != 0 && now_ms >= c->deaf_ms && c->fd >= 0) {
		c->deaf_ms = 0;
		watch(i, true);
	}
	switch (c->phase) {
	case AWAY:
		if (now_ms >= c->turn_ms)
			client_connect(i);
		break;
	case SHAKING:
		if (now_ms - c->shake_ms < SHAKE_MS)
			break;
		fault(F_OTHER,
		    "client %u, port %d: no answer to its request; %s, %zu and "
		    "%zu bytes unsent, %zu heard",
		    i, client_port(c),
		    wire_is_tls(i)   ? wire_state(i)
			: c->id != 0 ? "it said hello"
				     : "TCP",
		    c->out_len, wire_waits(i), c->in_len);
		gone(i);
		break;
	case OPEN:
		if (c->mover && !still && now_ms >= c->turn_ms)
			client_leave(i);
		break;
	case LEAVING:
		if (now_ms < c->turn_ms)
			break;
		fault(F_OTHER, "client %u: its close is not answered", i);
		gone(i);
		break;
	}
}

bool
client_is_quiet(const struct client *c)
{
	return c->phase == OPEN && c->out_len == 0 &&
	    wire_waits((uint32_t)(c - client)) == 0 &&
	    c->asked == c->answered && c->located && c->at + 1 == order.n &&
	    c->whispered == c->whispers_heard;
}
