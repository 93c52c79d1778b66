/* takeover - clients of tests/bench/takeover.js: when they are answered.
 *
 *   takeover PORT FIRST CLIENTS [tls]
 *
 * Connects them, users tFIRST and so on, and prints "ready". Then for each line
 * on stdin so many of them ask (a ping), "asked" is printed, and when all have
 * been answered a line "FIRST LAST MISSING": when the first and the last of
 * them was, in ms of CLOCK_MONOTONIC, and how many were not within 30 s.
 */
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include <arpa/inet.h>
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "secure.h"

enum {
	PER_ADDRESS = 20000, /* clients, or ports would run out */
	WAIT_MS = 30000,
	EVENTS = 1024
};

struct client {
	int fd;
	bool waits;
	struct secure *tls; /* NULL: plain */
};

static struct client *client;
static int n_clients, set;
static bool tls;

static double
now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

/* Reads what there is, which is no answer. False: the connection has ended. */
static bool
client_drain(struct client *c)
{
	static char bytes[512 * 1024];
	int more;
	ssize_t n;

	while (
	    (n = secure_recv(c->tls, c->fd, bytes, sizeof(bytes), &more)) > 0)
		;
	return n < 0 && errno == EAGAIN;
}

/* Connects a client and waits for its 101. */
static void
client_come(struct client *c, int k, const struct sockaddr_in *to)
{
	const struct sockaddr_in from = {.sin_family = AF_INET,
	    .sin_addr.s_addr =
		htonl(INADDR_LOOPBACK + (uint32_t)(k / PER_ADDRESS))};
	const int yes = 1;
	static char text[512 * 1024];
	int more;
	ssize_t n;

	c->fd = socket(AF_INET, SOCK_STREAM, 0);
	if (c->fd < 0)
		err(1, "socket");
	setsockopt(
	    c->fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &yes, sizeof(yes));
	if (bind(c->fd, (const void *)&from, sizeof(from)) < 0 ||
	    connect(c->fd, (const void *)to, sizeof(*to)) < 0)
		err(1, "connect");
	if (tls) {
		c->tls = secure_new(c->fd, 0);
		if (secure_handshake(c->tls) != 1)
			errx(1, "client %d: %s", k, secure_error());
	}
	n = snprintf(text, sizeof(text),
	    "GET /ws?user=t%d HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket"
	    "\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
	    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
	    k);
	if (secure_send(c->tls, c->fd, text, (size_t)n) != n)
		err(1, "send");
	do /* over TLS tickets come first */
		n = secure_recv(c->tls, c->fd, text, sizeof(text), &more);
	while (n < 0 && errno == EAGAIN);
	if (n < 12 || memcmp(text, "HTTP/1.1 101", 12) != 0)
		errx(1, "client %d is not welcome: %.*s", k, (int)n, text);
	if (fcntl(c->fd, F_SETFL, O_NONBLOCK) < 0)
		err(1, "fcntl");
}

/* All come. */
static void
clients_come(uint16_t port, int first)
{
	const struct sockaddr_in to = {.sin_family = AF_INET,
	    .sin_port = htons(port),
	    .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	struct epoll_event e = {.events = EPOLLIN};
	int k;

	for (k = 0; k < n_clients; k++) {
		client_come(&client[k], first + k, &to);
		e.data.ptr = &client[k];
		if (epoll_ctl(set, EPOLL_CTL_ADD, client[k].fd, &e) < 0)
			err(1, "epoll_ctl");
	}
}

/* So many ask, spread over all. */
static void
ask(int askers)
{
	static const char ping[] = {(char)0x89, (char)0x80, 0, 0, 0, 0};
	struct client *c;
	int k;

	for (k = 0; k < askers; k++) {
		c = &client[(long)k * n_clients / askers];
		if (!client_drain(c))
			errx(1, "a client was disconnected");
		if (secure_send(c->tls, c->fd, ping, sizeof(ping)) !=
		    sizeof(ping))
			err(1, "send");
		c->waits = true;
	}
}

/* Prints when they are answered. */
static void
listen_to(int askers)
{
	struct epoll_event e[EVENTS];
	const double begun = now_ms();
	double first = 0, last = 0;
	struct client *c;
	int n, k;

	while (askers > 0 &&
	    (n = epoll_wait(
		 set, e, EVENTS, WAIT_MS - (int)(now_ms() - begun))) > 0)
		for (k = 0; k < n; k++) {
			c = e[k].data.ptr;
			if (!client_drain(c))
				errx(1, "a client was disconnected");
			if (!c->waits)
				continue;
			c->waits = false;
			askers--;
			last = now_ms();
			if (first == 0)
				first = last;
		}
	printf("%.1f %.1f %d\n", first, last, askers);
	fflush(stdout);
}

int
main(int argc, char *argv[])
{
	struct rlimit files;
	char line[64];
	int askers;

	if (argc != 4 && (argc != 5 || strcmp(argv[4], "tls") != 0))
		errx(1, "takeover PORT FIRST CLIENTS [tls]");
	tls = argc == 5;
	n_clients = atoi(argv[3]);
	client = calloc((size_t)n_clients, sizeof(*client));
	set = epoll_create1(0);
	if (getrlimit(RLIMIT_NOFILE, &files) < 0)
		err(1, "getrlimit");
	files.rlim_cur = files.rlim_max;
	if (client == NULL || set < 0 || setrlimit(RLIMIT_NOFILE, &files) < 0)
		err(1, "no room for %d clients", n_clients);
	clients_come((uint16_t)atoi(argv[1]), atoi(argv[2]));
	printf("ready\n");
	fflush(stdout);
	while (fgets(line, sizeof(line), stdin) != NULL) {
		askers = atoi(line);
		if (askers < 1 || askers > n_clients)
			errx(1, "%d clients ask of %d", askers, n_clients);
		ask(askers);
		printf("asked\n");
		fflush(stdout);
		listen_to(askers);
	}
	return 0;
}
