#include "engine.h"

#include "secure.h"
#include "util.h"
#include "ws.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
	RX_SIZE = 1 << 20,
	BATCH = 256,
	MAX_RESPONSE = 16384,
	CONTROL_MAX = 125
};

void
engine_init(struct engine *e, const struct options *opt)
{
	memset(e, 0, sizeof *e);
	e->opt = opt;
	e->clients = opt->clients;
	e->client = xcalloc((size_t)e->clients, sizeof *e->client);
	for (int i = 0; i < e->clients; i++)
		e->client[i].fd = -1;
	e->rx = xcalloc(1, RX_SIZE);
	e->now = now_ns();
	e->deadline = e->now + (uint64_t)(opt->time_limit * 1e9);
	e->ep = epoll_create1(EPOLL_CLOEXEC);
	if (e->ep < 0)
		die("epoll_create1: %s", strerror(errno));
}

int
engine_out_of_time(struct engine *e)
{
	return e->now >= e->deadline;
}

static void
drop(struct engine *e, int i)
{
	struct client *c = &e->client[i];
	if (c->state == CL_OPEN)
		e->alive--;
	if (c->state == CL_CONNECTING || c->state == CL_SECURING ||
	    c->state == CL_SECURE || c->state == CL_HANDSHAKE)
		e->in_flight--;
	if (c->state != CL_DEAD && !c->ready)
		e->failed++;
	if (c->tls != NULL)
		secure_free(c->tls);
	c->tls = NULL;
	if (c->fd >= 0)
		close(c->fd);
	c->fd = -1;
	c->state = CL_DEAD;
	free(c->stash);
	free(c->out);
	c->stash = c->out = NULL;
	c->stash_len = c->out_len = 0;
}

void
engine_fail(struct engine *e, int i, const char *fmt, ...)
{
	if (!e->closing && e->errors++ == 0) {
		va_list ap;
		int n = snprintf(
		    e->first_error, sizeof e->first_error, "client %d: ", i);
		va_start(ap, fmt);
		vsnprintf(e->first_error + n, sizeof e->first_error - (size_t)n,
		    fmt, ap);
		va_end(ap);
		fprintf(stderr, "wsload: %s\n", e->first_error);
	}
	drop(e, i);
}

static void
keep(uint8_t **buf, uint32_t *len, const void *p, size_t n)
{
	*buf = xrealloc(*buf, *len + n);
	memcpy(*buf + *len, p, n);
	*len += (uint32_t)n;
}

void
engine_send(struct engine *e, int i, const void *p, size_t len)
{
	struct client *c = &e->client[i];
	size_t done = 0;

	if (c->state == CL_DEAD)
		return;
	if (c->out_len == 0) {
		ssize_t r = secure_send(c->tls, c->fd, p, len);
		if (r < 0 && errno != EAGAIN) {
			engine_fail(e, i, "send: %s", strerror(errno));
			return;
		}
		done = r > 0 ? (size_t)r : 0;
		e->sends++;
		e->bytes_out += done;
	}
	if (done < len)
		keep(&c->out, &c->out_len, (const uint8_t *)p + done,
		    len - done);
}

static void
flush_out(struct engine *e, int i)
{
	struct client *c = &e->client[i];
	uint8_t *out = c->out;
	uint32_t len = c->out_len;

	c->out = NULL;
	c->out_len = 0;
	engine_send(e, i, out, len);
	free(out);
}

/* ---- handshake ---- */

static void
send_request(struct engine *e, int i)
{
	const struct options *o = e->opt;
	char key[WS_KEY_LEN], req[8192];
	size_t n = 0;

	int name = o->first + i;
	char *url = expand(o->url, name, name ^ 1, "", 0, NULL, NULL);
	ws_make_key((uint64_t)i, key);
	n += (size_t)snprintf(req, sizeof req,
	    "GET %s HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nUpgrade: websocket\r\n"
	    "Connection: Upgrade\r\nSec-WebSocket-Key: %.*s\r\n"
	    "Sec-WebSocket-Version: 13\r\n",
	    url, o->port, WS_KEY_LEN, key);
	free(url);
	if (o->protocol && n < sizeof req)
		n += (size_t)snprintf(req + n, sizeof req - n,
		    "Sec-WebSocket-Protocol: %s\r\n", o->protocol);
	for (int h = 0; h < o->headers && n < sizeof req; h++) {
		char *line =
		    expand(o->header[h], name, name ^ 1, "", 0, NULL, NULL);
		n += (size_t)snprintf(req + n, sizeof req - n, "%s\r\n", line);
		free(line);
	}
	if (n < sizeof req)
		n += (size_t)snprintf(req + n, sizeof req - n, "\r\n");
	if (n >= sizeof req)
		die("the request is too long");
	e->client[i].state = CL_HANDSHAKE;
	engine_send(e, i, req, n);
}

static void
send_hellos(struct engine *e, int i)
{
	uint8_t *all = NULL;
	uint32_t len = 0;
	int opcode = e->opt->binary ? WS_BINARY : WS_TEXT,
	    name = e->opt->first + i;

	for (int h = 0; h < e->opt->hellos; h++) {
		size_t n;
		char *text =
		    expand(e->opt->hello[h], name, name ^ 1, "", 0, &n, NULL);
		uint8_t *frame = xcalloc(1, n + WS_MAX_HEAD);
		size_t flen = ws_client_frame(
		    frame, opcode, text, n, 0x5aa5c33cu + (uint32_t)i);
		keep(&all, &len, frame, flen);
		free(frame);
		free(text);
	}
	if (len)
		engine_send(e, i, all, len);
	free(all);
}

static void
set_ready(struct engine *e, int i)
{
	if (!e->client[i].ready) {
		e->client[i].ready = 1;
		e->ready++;
	}
}

/* The value of a header within a response head, or NULL. */
static const char *
find_header(const char *head, const char *name, size_t *len)
{
	size_t n = strlen(name);
	for (const char *p = strstr(head, "\r\n"); p && p[2];
	     p = strstr(p + 2, "\r\n")) {
		const char *line = p + 2;
		if (strncasecmp(line, name, n) == 0 && line[n] == ':') {
			const char *v = line + n + 1, *end = strstr(v, "\r\n");
			while (*v == ' ' || *v == '\t')
				v++;
			while (end > v && (end[-1] == ' ' || end[-1] == '\t'))
				end--;
			*len = (size_t)(end - v);
			return v;
		}
	}
	return NULL;
}

/* Handles the response once it is whole; returns the bytes used. */
static size_t
take_response(struct engine *e, int i, const uint8_t *p, size_t avail)
{
	const uint8_t *end = memmem(p, avail, "\r\n\r\n", 4);
	char head[MAX_RESPONSE], key[WS_KEY_LEN], want[WS_ACCEPT_LEN];

	if (!end) {
		if (avail >= sizeof head - 1)
			engine_fail(e, i, "endless response to the handshake");
		return 0;
	}
	size_t len = (size_t)(end - p) + 4, n;
	if (len >= sizeof head) {
		engine_fail(e, i, "response to the handshake too long");
		return len;
	}
	memcpy(head, p, len);
	head[len] = 0;
	if (strncmp(head, "HTTP/1.1 101", 12) != 0) {
		engine_fail(e, i, "handshake refused: %.*s",
		    (int)strcspn(head, "\r\n"), head);
		return len;
	}
	ws_make_key((uint64_t)i, key);
	ws_accept_for(key, want);
	const char *v = find_header(head, "Sec-WebSocket-Accept", &n);
	if (!v || n != WS_ACCEPT_LEN || memcmp(v, want, n) != 0) {
		engine_fail(e, i,
		    "wrong Sec-WebSocket-Accept: %.*s instead of %.*s",
		    v ? (int)n : 4, v ? v : "none", WS_ACCEPT_LEN, want);
		return len;
	}
	v = find_header(head, "Upgrade", &n);
	if (!v || n != 9 || strncasecmp(v, "websocket", 9) != 0) {
		engine_fail(e, i, "no \"Upgrade: websocket\" in the response");
		return len;
	}
	if (find_header(head, "Sec-WebSocket-Extensions", &n)) {
		engine_fail(
		    e, i, "the server uses an extension that was not offered");
		return len;
	}
	v = find_header(head, "Sec-WebSocket-Protocol", &n);
	if (v &&
	    (!e->opt->protocol || n != strlen(e->opt->protocol) ||
		memcmp(v, e->opt->protocol, n) != 0)) {
		engine_fail(e, i,
		    "the server chose a protocol that was not offered: %.*s",
		    (int)n, v);
		return len;
	}
	hist_add(&e->handshake, e->now - e->client[i].connect_ns);
	e->client[i].state = CL_OPEN;
	e->opened++;
	e->alive++;
	e->in_flight--;
	send_hellos(e, i);
	if (!e->opt->ready)
		set_ready(e, i);
	return len;
}

/* ---- frames ---- */

static void
take_control(struct engine *e, int i, int opcode, const uint8_t *p, size_t len)
{
	uint8_t frame[CONTROL_MAX + WS_MAX_HEAD];

	if (len > CONTROL_MAX) {
		engine_fail(e, i, "control frame of %zu bytes", len);
	} else if (opcode == WS_PING) {
		e->pings++;
		engine_send(e, i, frame,
		    ws_client_frame(frame, WS_PONG, p, len, 0x17d2a964u));
	} else if (opcode == WS_CLOSE && e->opt->scenario == SC_HOLD) {
		e->closes++;
		engine_send(e, i, frame,
		    ws_client_frame(frame, WS_CLOSE, p, len, 0x17d2a964u));
		drop(e, i);
	} else if (opcode == WS_CLOSE) {
		engine_fail(e, i, "the server sent a close frame: %d %.*s",
		    len >= 2 ? p[0] << 8 | p[1] : 1005,
		    len > 2 ? (int)len - 2 : 0, (const char *)p + 2);
	} else if (opcode != WS_PONG) {
		engine_fail(e, i, "frame with unknown opcode %d", opcode);
	}
}

/* Handles all whole frames; returns the bytes used. */
static size_t
take_frames(struct engine *e, int i, const uint8_t *p, size_t avail)
{
	struct client *c = &e->client[i];
	size_t used = 0;
	struct ws_frame f;

	while (c->state == CL_OPEN) {
		int r = ws_server_frame(p + used, avail - used, &f);
		if (r == WS_FRAME_SHORT)
			break;
		if (r == WS_FRAME_BAD) {
			engine_fail(e, i, "bad frame head %02x %02x", p[used],
			    p[used + 1]);
			break;
		}
		if (f.len > RX_SIZE - 16) {
			engine_fail(e, i, "frame of %zu bytes", f.len);
			break;
		}
		if (avail - used < f.head + f.len)
			break;
		const uint8_t *payload = p + used + f.head;
		used += f.head + f.len;
		e->frames_in++;
		if (f.opcode <= WS_BINARY) {
			if (!c->ready &&
			    memmem(payload, f.len, e->opt->ready,
				strlen(e->opt->ready)))
				set_ready(e, i);
			if (e->on_payload)
				e->on_payload(e->arg, i, payload, f.len);
		} else {
			take_control(e, i, f.opcode, payload, f.len);
		}
	}
	return used;
}

static void
read_client(struct engine *e, int i, uint32_t events)
{
	struct client *c = &e->client[i];

	while (c->state == CL_HANDSHAKE || c->state == CL_OPEN) {
		size_t have = c->stash_len, room = RX_SIZE - have, used = 0;
		if (have)
			memcpy(e->rx, c->stash, have);
		int more;
		ssize_t r =
		    secure_recv(c->tls, c->fd, e->rx + have, room, &more);
		if (r == 0 || (r < 0 && errno != EAGAIN)) {
			engine_fail(e, i, "%s%s",
			    c->state == CL_HANDSHAKE ? "during the handshake: "
						     : "",
			    r == 0 ? "connection closed by the server"
				   : strerror(errno));
			return;
		}
		if (r < 0)
			return;
		e->now = now_ns();
		e->reads++;
		e->bytes_in += (uint64_t)r;
		size_t avail = have + (size_t)r;
		if (c->state == CL_HANDSHAKE)
			used = take_response(e, i, e->rx, avail);
		if (c->state == CL_OPEN)
			used += take_frames(e, i, e->rx + used, avail - used);
		if (c->state == CL_DEAD)
			return;
		c->stash_len = 0;
		if (used < avail) {
			keep(&c->stash, &c->stash_len, e->rx + used,
			    avail - used);
		} else if (have) {
			free(c->stash);
			c->stash = NULL;
		}
		/* Edge-triggered: a short read means the socket is empty,
		 * unless the peer's end of stream is still to come. */
		if (!more && (size_t)r < room &&
		    !(events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)))
			return;
	}
}

/* Goes on with a handshake of TLS, and behind it with the request. */
static void
secure_more(struct engine *e, int i)
{
	struct client *c = &e->client[i];
	int r = secure_handshake(c->tls);

	if (r < 0) {
		engine_fail(
		    e, i, "during the TLS handshake: %s", secure_error());
	} else if (r > 0) {
		e->resumed += secure_resumed(c->tls);
		if (e->opt->scenario == SC_SHAKE)
			c->state = CL_SECURE;
		else
			send_request(e, i);
	}
}

/* Scenario shake: leaves when the server has said something behind its
 * handshake, such as tickets. */
static void
secure_leave(struct engine *e, int i)
{
	uint8_t none[4096];
	ssize_t n = recv(e->client[i].fd, none, sizeof none, 0);

	if (n < 0 && errno == EAGAIN)
		return;
	if (n <= 0) {
		engine_fail(
		    e, i, "behind the TLS handshake: closed by the server");
		return;
	}
	hist_add(&e->handshake, e->now - e->client[i].connect_ns);
	e->opened++;
	set_ready(e, i);
	drop(e, i);
}

static void
handle_event(struct engine *e, int i, uint32_t events)
{
	struct client *c = &e->client[i];

	if (c->state == CL_CONNECTING &&
	    (events & (EPOLLOUT | EPOLLERR | EPOLLHUP))) {
		int err = 0;
		socklen_t len = sizeof err;
		getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &err, &len);
		if (err) {
			engine_fail(e, i, "connect: %s", strerror(err));
			return;
		}
		if (!e->opt->tls) {
			send_request(e, i);
		} else {
			c->tls = secure_new(c->fd, e->opt->tls_resume);
			c->state = CL_SECURING;
			secure_more(e, i);
		}
	} else if (c->state == CL_SECURING) {
		secure_more(e, i);
		/* what came with it is read below: there is no further event */
		events |= EPOLLIN;
	} else if (events & EPOLLOUT) {
		if (c->tls != NULL)
			secure_flush(c->tls, c->fd);
		if (c->out_len)
			flush_out(e, i);
	}
	if (c->state == CL_SECURE) {
		secure_leave(e, i);
	} else if (events & ~(uint32_t)EPOLLOUT) {
		read_client(e, i, events);
		if (e->on_client_done)
			e->on_client_done(e->arg);
	}
}

void
engine_poll(struct engine *e, uint64_t until)
{
	struct epoll_event ev[BATCH];
	struct timespec wait = {0};

	if (until > e->deadline)
		until = e->deadline;
	e->now = now_ns();
	if (until > e->now) {
		wait.tv_sec = (time_t)((until - e->now) / NS_PER_S);
		wait.tv_nsec = (long)((until - e->now) % NS_PER_S);
	}
	int n = epoll_pwait2(e->ep, ev, BATCH, &wait, NULL);
	if (n < 0 && errno != EINTR)
		die("epoll_pwait2: %s", strerror(errno));
	e->now = now_ns();
	for (int k = 0; k < n; k++)
		handle_event(e, ev[k].data.fd, ev[k].events);
}

void
engine_run_until(struct engine *e, uint64_t until)
{
	while (e->now < until && !engine_out_of_time(e))
		engine_poll(e, until);
}

void
engine_close_all(struct engine *e)
{
	const struct linger reset = {.l_onoff = 1, .l_linger = 0};
	e->closing = 1;
	for (int i = 0; i < e->clients; i++) {
		if (e->client[i].fd >= 0)
			setsockopt(e->client[i].fd, SOL_SOCKET, SO_LINGER,
			    &reset, sizeof reset);
		drop(e, i);
	}
}
