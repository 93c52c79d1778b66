/* floor - the least a WebSocket fan-out can cost: one process, one epoll, no
 * rooms, no names, no queues. Every message received goes to every client as
 * one ready-made frame.
 *
 *   floor PORT send       one send() per message and client
 *   floor PORT uring      the same sends, batched through io_uring
 *   floor PORT tick       all messages of one epoll batch leave in one send()
 *                         per client
 *   floor PORT uringtick  both
 *   floor PORT private    "NUMBER TEXT" goes to the client that connected with
 *                         user=uNUMBER, one send() per message
 *   floor PORT privtick   the same, all of one epoll batch for one client in
 *                         one send()
 *   floor PORT privuring  the same, those sends batched through io_uring
 *
 *   floor call            no server: prints the us of CPU that a bare system
 *                         call takes
 */
#define _GNU_SOURCE
#include "ws.h"

#include <arpa/inet.h>
#include <errno.h>
#include <liburing.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum { MAX = 1 << 18, BATCH = 256, SQ = 4096, RX = 1 << 16, TICK = 1 << 20 };
enum {
	M_SEND,
	M_URING,
	M_TICK,
	M_URINGTICK,
	M_PRIVATE,
	M_PRIVTICK,
	M_PRIVURING
};

static struct conn {
	int open;      /* handshake done */
	int at;	       /* index in list[] */
	int len;       /* bytes kept */
	uint8_t *kept; /* of an incomplete frame or request */
	uint8_t *out;  /* privtick: waiting for the end of the tick */
	size_t out_len, out_cap;
} conn[MAX];		      /* by fd */
static int list[MAX], n_list; /* fds of open clients */
static int by_user[MAX];
static int mode, ep;
static struct io_uring ring;
static uint8_t tick[TICK];
static size_t tick_len;
static unsigned long full;
static int dirty[MAX], n_dirty;

static int uring(void);
static void reap(void);

static void
die(const char *s)
{
	perror(s);
	exit(1);
}

static void
drop(int fd)
{
	struct conn *c = &conn[fd];
	if (c->open) {
		list[c->at] = list[--n_list];
		conn[list[c->at]].at = c->at;
	}
	free(c->kept);
	memset(c, 0, sizeof *c);
	if (uring())
		io_uring_register_files_update(
		    &ring, (unsigned)fd, (int[]){-1}, 1);
	close(fd);
}

static void
reap(void)
{
	struct io_uring_cqe *cqe;
	while (io_uring_peek_cqe(&ring, &cqe) == 0) {
		if (cqe->res < 0 && full++ == 0)
			fprintf(stderr, "floor: send through io_uring: %s\n",
			    strerror(-cqe->res));
		io_uring_cqe_seen(&ring, cqe);
	}
}

static int
uring(void)
{
	return mode == M_URING || mode == M_URINGTICK || mode == M_PRIVURING;
}

static void
flush_dirty(void)
{
	for (int i = 0; i < n_dirty; i++) {
		struct conn *c = &conn[dirty[i]];
		if (mode == M_PRIVURING) {
			struct io_uring_sqe *sqe = io_uring_get_sqe(&ring);
			if (!sqe) {
				io_uring_submit(&ring);
				sqe = io_uring_get_sqe(&ring);
			}
			io_uring_prep_send(sqe, dirty[i], c->out, c->out_len,
			    MSG_NOSIGNAL | MSG_DONTWAIT);
			sqe->flags = IOSQE_FIXED_FILE | IOSQE_CQE_SKIP_SUCCESS;
		} else if (send(dirty[i], c->out, c->out_len,
			       MSG_NOSIGNAL | MSG_DONTWAIT) < 0) {
			full++;
		}
	}
	if (mode == M_PRIVURING) {
		io_uring_submit(&ring);
		reap();
	}
	for (int i = 0; i < n_dirty; i++)
		conn[dirty[i]].out_len = 0;
	n_dirty = 0;
}

static void
send_all(const uint8_t *p, size_t len)
{
	if (uring()) {
		for (int i = 0; i < n_list; i++) {
			struct io_uring_sqe *sqe = io_uring_get_sqe(&ring);
			if (!sqe) {
				io_uring_submit(&ring);
				sqe = io_uring_get_sqe(&ring);
			}
			io_uring_prep_send(
			    sqe, list[i], p, len, MSG_NOSIGNAL | MSG_DONTWAIT);
			sqe->flags = IOSQE_FIXED_FILE | IOSQE_CQE_SKIP_SUCCESS;
		}
		io_uring_submit(&ring);
		reap();
		return;
	}
	for (int i = 0; i < n_list; i++)
		if (send(list[i], p, len, MSG_NOSIGNAL | MSG_DONTWAIT) !=
			(ssize_t)len &&
		    full++ == 0)
			fprintf(stderr, "floor: a socket is full: %s\n",
			    strerror(errno));
}

static size_t
server_frame(uint8_t *out, const uint8_t *p, size_t len)
{
	size_t h = 2;
	out[0] = 0x81;
	if (len < 126) {
		out[1] = (uint8_t)len;
	} else {
		out[1] = 126;
		out[2] = (uint8_t)(len >> 8);
		out[3] = (uint8_t)len;
		h = 4;
	}
	memcpy(out + h, p, len);
	return h + len;
}

static void
message(const uint8_t *p, size_t len)
{
	static uint8_t frame[RX + 16];
	if (mode == M_PRIVATE) {
		int to = atoi((const char *)p), fd = by_user[to];
		const uint8_t *sp = memchr(p, ' ', len);
		if (sp && fd > 0) {
			size_t n = server_frame(
			    frame, sp + 1, len - (size_t)(sp + 1 - p));
			if (send(fd, frame, n, MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
				full++;
		}
	} else if (mode == M_PRIVTICK || mode == M_PRIVURING) {
		int to = atoi((const char *)p), fd = by_user[to];
		const uint8_t *sp = memchr(p, ' ', len);
		if (sp && fd > 0) {
			struct conn *c = &conn[fd];
			if (c->out_len == 0)
				dirty[n_dirty++] = fd;
			if (c->out_len + len + 16 > c->out_cap)
				c->out = realloc(c->out,
				    c->out_cap = 2 * (c->out_len + len + 16));
			c->out_len += server_frame(c->out + c->out_len, sp + 1,
			    len - (size_t)(sp + 1 - p));
		}
	} else if (mode == M_TICK || mode == M_URINGTICK) {
		if (tick_len + len + 16 > TICK) {
			send_all(tick, tick_len);
			tick_len = 0;
		}
		tick_len += server_frame(tick + tick_len, p, len);
	} else {
		send_all(frame, server_frame(frame, p, len));
	}
}

static int
handshake(int fd, uint8_t *p, int len)
{
	char *end = memmem(p, (size_t)len, "\r\n\r\n", 4), *key,
	     accept[WS_ACCEPT_LEN], out[256];
	if (!end)
		return 0;
	*end = 0;
	key = strcasestr((char *)p, "\r\nSec-WebSocket-Key: ");
	if (!key) {
		drop(fd);
		return len;
	}
	ws_accept_for(key + 21, accept);
	int n = snprintf(out, sizeof out,
	    "HTTP/1.1 101 Switching Protocols\r\nUpgrade: "
	    "websocket\r\nConnection: "
	    "Upgrade\r\nSec-WebSocket-Accept: %.28s\r\n\r\n",
	    accept);
	if (send(fd, out, (size_t)n, MSG_NOSIGNAL) != n)
		die("send");
	conn[fd].open = 1;
	conn[fd].at = n_list;
	list[n_list++] = fd;
	char *user = strstr((char *)p, "user=u");
	if (user)
		by_user[atoi(user + 6)] = fd;
	return (int)(end + 4 - (char *)p);
}

static int
frames(uint8_t *p, int len)
{
	int used = 0;
	while (len - used >= 6) {
		uint8_t *f = p + used;
		size_t n = f[1] & 127, h = 2;
		if (n == 126) {
			if (len - used < 8)
				break;
			n = (size_t)f[2] << 8 | f[3];
			h = 4;
		}
		if ((size_t)(len - used) < h + 4 + n)
			break;
		uint8_t *key = f + h, *body = key + 4;
		for (size_t i = 0; i < n; i++)
			body[i] ^= key[i & 3];
		used += (int)(h + 4 + n);
		if ((f[0] & 15) < 3)
			message(body, n);
	}
	return used;
}

static void
readable(int fd)
{
	static uint8_t rx[RX];
	struct conn *c = &conn[fd];
	int have = c->len, used = 0;
	if (have)
		memcpy(rx, c->kept, (size_t)have);
	ssize_t r = recv(fd, rx + have, (size_t)(RX - 1 - have), 0);
	if (r <= 0) {
		if (r == 0 || errno != EAGAIN)
			drop(fd);
		return;
	}
	int len = have + (int)r;
	if (!c->open)
		used = handshake(fd, rx, len);
	if (c->open)
		used += frames(rx + used, len - used);
	c->len = len - used;
	if (c->len) {
		c->kept = realloc(c->kept, (size_t)c->len);
		memcpy(c->kept, rx + used, (size_t)c->len);
	} else if (have) {
		free(c->kept);
		c->kept = NULL;
	}
}

/* us of CPU of a system call that does nothing: the best of some tries. */
static double
bare_call(void)
{
	enum { TRIES = 20, CALLS = 20000 };
	double best = 0;

	for (int i = 0; i < TRIES; i++) {
		struct timespec a, b;
		clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &a);
		for (int k = 0; k < CALLS; k++)
			syscall(SYS_getppid);
		clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &b);
		double us = ((double)(b.tv_sec - a.tv_sec) * 1e9 +
				(double)(b.tv_nsec - a.tv_nsec)) *
		    1e-3 / CALLS;
		if (i == 0 || us < best)
			best = us;
	}
	return best;
}

int
main(int argc, char **argv)
{
	static const char *const names[] = {"send", "uring", "tick",
	    "uringtick", "private", "privtick", "privuring"};
	struct sockaddr_in a = {
	    .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	struct rlimit rl;
	const int on = 1;

	if (argc == 2 && strcmp(argv[1], "call") == 0) {
		printf("%.3f\n", bare_call());
		return 0;
	}
	if (argc != 3)
		return 2;
	for (mode = 0; mode < 7 && strcmp(argv[2], names[mode]) != 0; mode++)
		;
	getrlimit(RLIMIT_NOFILE, &rl);
	rl.rlim_cur = rl.rlim_max < MAX ? rl.rlim_max : MAX;
	setrlimit(RLIMIT_NOFILE, &rl);
	if (uring()) {
		struct io_uring_params p = {
		    .flags = IORING_SETUP_SINGLE_ISSUER |
			IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_SUBMIT_ALL};
		int r = io_uring_queue_init_params(SQ, &ring, &p);
		if (r < 0 ||
		    (r = io_uring_register_files_sparse(
			 &ring, (unsigned)rl.rlim_cur)) < 0) {
			fprintf(stderr, "io_uring: %s\n", strerror(-r));
			return 1;
		}
	}
	int ls = socket(AF_INET, SOCK_STREAM, 0);
	a.sin_port = htons((uint16_t)atoi(argv[1]));
	setsockopt(ls, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
	if (bind(ls, (struct sockaddr *)&a, sizeof a) < 0 ||
	    listen(ls, 4096) < 0)
		die("listen");
	ep = epoll_create1(0);
	struct epoll_event ev[BATCH] = {{.events = EPOLLIN, .data.fd = ls}};
	epoll_ctl(ep, EPOLL_CTL_ADD, ls, &ev[0]);

	for (;;) {
		int n = epoll_wait(ep, ev, BATCH, -1);
		for (int i = 0; i < n; i++) {
			int fd = ev[i].data.fd;
			if (fd != ls) {
				readable(fd);
				continue;
			}
			fd = accept4(ls, NULL, NULL, SOCK_NONBLOCK);
			if (fd < 0 || fd >= MAX)
				continue;
			setsockopt(
			    fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
			struct epoll_event e = {
			    .events = EPOLLIN, .data.fd = fd};
			epoll_ctl(ep, EPOLL_CTL_ADD, fd, &e);
			if (uring())
				io_uring_register_files_update(
				    &ring, (unsigned)fd, &fd, 1);
		}
		if (tick_len) {
			send_all(tick, tick_len);
			tick_len = 0;
		}
		if (n_dirty)
			flush_dirty();
	}
}
