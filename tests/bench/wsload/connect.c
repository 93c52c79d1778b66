/* connect: opens the clients' connections, as many at a time as may be. */
#include "engine.h"

#include "secure.h"
#include "util.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

void
engine_session(struct engine *e)
{
	const struct sockaddr_in to = {
	    .sin_family = AF_INET,
	    .sin_addr.s_addr = htonl(e->opt->host),
	    .sin_port = htons((uint16_t)e->opt->port),
	};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || connect(fd, (const struct sockaddr *)&to, sizeof to) < 0)
		die("connect: %s", strerror(errno));
	secure_session(fd);
	close(fd);
}

static void
start_connect(struct engine *e, int i)
{
	struct client *c = &e->client[i];
	const int on = 1;
	struct sockaddr_in from = {
	    .sin_family = AF_INET,
	    .sin_addr.s_addr = htonl(INADDR_LOOPBACK +
		(uint32_t)((e->opt->first + i) % e->opt->sources)),
	};
	struct sockaddr_in to = {
	    .sin_family = AF_INET,
	    .sin_addr.s_addr = htonl(e->opt->host),
	    .sin_port = htons((uint16_t)e->opt->port),
	};

	c->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (c->fd < 0)
		die("socket %d: %s", i, strerror(errno));
	setsockopt(c->fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
	setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
	if (bind(c->fd, (struct sockaddr *)&from, sizeof from) < 0)
		die("bind %s: %s", inet_ntoa(from.sin_addr), strerror(errno));
	c->connect_ns = now_ns();
	c->state = CL_CONNECTING;
	e->in_flight++;
	int r = connect(c->fd, (struct sockaddr *)&to, sizeof to);
	if (r < 0 && errno != EINPROGRESS) {
		engine_fail(e, i, "connect: %s%s", strerror(errno),
		    errno == EADDRNOTAVAIL ? " (more --sources needed)" : "");
		return;
	}
	struct epoll_event ev = {
	    .events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, .data.fd = i};
	if (epoll_ctl(e->ep, EPOLL_CTL_ADD, c->fd, &ev) < 0)
		die("epoll_ctl: %s", strerror(errno));
}

void
engine_connect_all(struct engine *e)
{
	int next = 0;
	int hold = e->opt->scenario == SC_HOLD;
	uint64_t start = e->now = now_ns();

	while (e->ready < e->clients - (hold ? e->failed : 0)) {
		uint64_t until = e->deadline;
		while (next < e->clients && e->in_flight < e->opt->inflight) {
			if (e->opt->connect_rate > 0) {
				uint64_t due = start +
				    (uint64_t)((double)next /
					e->opt->connect_rate * 1e9);
				if (due > e->now) {
					until = due;
					break;
				}
			}
			start_connect(e, next++);
		}
		engine_poll(e, until);
		if (e->errors && !hold)
			die("could not connect all clients: %d of %d open; %s",
			    e->opened, e->clients, e->first_error);
		if (engine_out_of_time(e))
			die("out of time while connecting: %d of %d open, %d "
			    "ready",
			    e->opened, e->clients, e->ready);
	}
}
