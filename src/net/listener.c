#include "net/listener.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
	HOST_MAX = 256,
	PORT_TRIES = 20 /* port 0: the v6 twin of a free v4 port may be taken */
};

/* Cuts "host:port" and "[v6]:port" in two; -1 with a message. */
static int
address_split(const char *address, char host[HOST_MAX], uint16_t *port,
    char *error, size_t error_len)
{
	const char *colon = strrchr(address, ':'), *from = address, *problem;
	size_t len;

	if (colon == NULL || colon == address || colon[1] == '\0') {
		snprintf(error, error_len,
		    "address %s: give host:port, for example localhost:8080",
		    address);
		return -1;
	}
	len = (size_t)(colon - from);
	if (from[0] == '[' && from[len - 1] == ']') {
		from++;
		len -= 2;
	} else if (memchr(from, ':', len) != NULL) {
		snprintf(error, error_len,
		    "address %s: write IPv6 in brackets, as in [::1]:8080",
		    address);
		return -1;
	}
	if (len == 0 || len >= HOST_MAX) {
		snprintf(error, error_len, "address %s: bad host", address);
		return -1;
	}
	memcpy(host, from, len);
	host[len] = '\0';
	*port = (uint16_t)strtonum(colon + 1, 0, 65535, &problem);
	if (problem != NULL ||
	    strspn(colon + 1, "0123456789") != strlen(colon + 1)) {
		snprintf(error, error_len,
		    "address %s: the port is a number from 0 to 65535",
		    address);
		return -1;
	}
	return 0;
}

/* Adds an IPv4 address in host order. */
static void
targets_add_v4(struct listener_targets *t, uint32_t address)
{
	struct sockaddr_in sin = {
	    .sin_family = AF_INET, .sin_addr.s_addr = htonl(address)};

	memcpy(&t->sa[t->n], &sin, sizeof(sin));
	t->len[t->n++] = sizeof(sin);
}

/* Adds an IPv6 address. */
static void
targets_add_v6(struct listener_targets *t, struct in6_addr address)
{
	struct sockaddr_in6 sin6 = {
	    .sin6_family = AF_INET6, .sin6_addr = address};

	memcpy(&t->sa[t->n], &sin6, sizeof(sin6));
	t->len[t->n++] = sizeof(sin6);
}

/* Whether an address is in the list already. */
static bool
targets_have(const struct listener_targets *t, const struct addrinfo *ai)
{
	for (int i = 0; i < t->n; i++)
		if (t->len[i] == ai->ai_addrlen &&
		    memcmp(&t->sa[i], ai->ai_addr, ai->ai_addrlen) == 0)
			return true;
	return false;
}

/*
 * Finds what a host means. "localhost" does not depend on /etc/hosts. No
 * AI_ADDRCONFIG: it hides ::1 on a machine that has no other v6 address; an
 * address that the machine lacks shows when it is bound.
 */
static int
targets_find(
    struct listener_targets *t, const char *host, char *error, size_t error_len)
{
	const struct addrinfo hints = {.ai_family = AF_UNSPEC,
	    .ai_socktype = SOCK_STREAM,
	    .ai_flags = AI_PASSIVE};
	struct addrinfo *all, *ai;
	int r;

	t->n = 0;
	if (strcmp(host, "*") == 0) {
		targets_add_v4(t, INADDR_ANY);
		targets_add_v6(t, in6addr_any);
		return 0;
	}
	if (strcasecmp(host, "localhost") == 0) {
		targets_add_v4(t, INADDR_LOOPBACK);
		targets_add_v6(t, in6addr_loopback);
		return 0;
	}
	if ((r = getaddrinfo(host, NULL, &hints, &all)) != 0) {
		snprintf(error, error_len, "cannot resolve %s: %s", host,
		    r == EAI_SYSTEM ? strerror(errno) : gai_strerror(r));
		return -1;
	}
	for (ai = all; ai != NULL && t->n < LISTENER_MAX; ai = ai->ai_next) {
		if (ai->ai_addrlen > sizeof(t->sa[0]) || targets_have(t, ai))
			continue;
		memcpy(&t->sa[t->n], ai->ai_addr, ai->ai_addrlen);
		t->len[t->n++] = ai->ai_addrlen;
	}
	freeaddrinfo(all);
	return 0;
}

/* Writes a port into a socket address. */
static void
port_set(struct sockaddr_storage *sa, uint16_t port)
{
	if (sa->ss_family == AF_INET)
		((struct sockaddr_in *)sa)->sin_port = htons(port);
	else
		((struct sockaddr_in6 *)sa)->sin6_port = htons(port);
}

/* The port that a socket is bound to, 0 if it cannot be told. */
static uint16_t
port_get(int fd)
{
	struct sockaddr_storage sa;
	socklen_t len = sizeof(sa);

	if (getsockname(fd, (struct sockaddr *)&sa, &len) == -1)
		return 0;
	return ntohs(sa.ss_family == AF_INET
		? ((struct sockaddr_in *)&sa)->sin_port
		: ((struct sockaddr_in6 *)&sa)->sin6_port);
}

/* Makes and binds one socket; -1 and errno. */
static int
listener_socket_bind(const struct sockaddr_storage *sa, socklen_t len)
{
	const int on = 1;
	int fd, saved;

	fd = socket(
	    sa->ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd == -1)
		return -1;
	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) == -1 ||
	    setsockopt(fd, SOL_SOCKET, SO_OOBINLINE, &on, sizeof(on)) == -1 ||
	    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) == -1)
		goto fail;
	if (sa->ss_family == AF_INET6 &&
	    setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on)) == -1)
		goto fail;
	if (bind(fd, (const struct sockaddr *)sa, len) == -1)
		goto fail;
	return fd;
fail:
	saved = errno;
	close(fd);
	errno = saved;
	return -1;
}

/* Whether an error says that the machine has no such address or family. */
static bool
error_is_absence(int error)
{
	return error == EAFNOSUPPORT || error == EADDRNOTAVAIL;
}

/* Says in words why an address could not be bound. */
static void
listener_error_explain(int problem, const struct sockaddr_storage *sa,
    char *error, size_t error_len)
{
	char name[LISTENER_TEXT];

	listener_name((const struct sockaddr *)sa, name);
	if (problem == EADDRINUSE)
		snprintf(error, error_len, "address %s is taken", name);
	else if (problem == EACCES || problem == EPERM)
		snprintf(error, error_len, "no permission to bind %s", name);
	else if (error_is_absence(problem))
		snprintf(error, error_len,
		    "address %s is not one of this machine", name);
	else
		snprintf(error, error_len, "cannot bind %s: %s", name,
		    strerror(problem));
}

/*
 * Binds all targets, or none. Absent addresses are passed over as long as one
 * is there. Returns how many, or -1 with errno and *bad = the one that failed.
 */
static int
targets_bind(
    struct listener_targets *t, uint16_t port, int fd[LISTENER_MAX], int *bad)
{
	int n = 0, saved = EADDRNOTAVAIL;

	*bad = 0;
	for (int i = 0; i < t->n; i++) {
		port_set(&t->sa[i], port);
		fd[n] = listener_socket_bind(&t->sa[i], t->len[i]);
		if (fd[n] != -1) {
			if (port == 0)
				port = port_get(fd[n]);
			n++;
		} else if (!error_is_absence(errno)) {
			saved = errno;
			*bad = i;
			while (n > 0)
				close(fd[--n]);
			break;
		}
	}
	errno = saved;
	return n > 0 ? n : -1;
}

bool
listener_is_literal(const char *address)
{
	struct in6_addr any;
	char host[HOST_MAX], error[1];
	uint16_t port;

	return address_split(address, host, &port, error, sizeof(error)) ==
	    -1 ||
	    strcmp(host, "*") == 0 || strcasecmp(host, "localhost") == 0 ||
	    inet_pton(AF_INET, host, &any) == 1 ||
	    inet_pton(AF_INET6, host, &any) == 1;
}

int
listener_resolve(const char *address, struct listener_targets *t, char *error,
    size_t error_len)
{
	char host[HOST_MAX];
	uint16_t port;

	memset(t, 0, sizeof(*t));
	if (address_split(address, host, &port, error, error_len) == -1)
		return -1;
	return targets_find(t, host, error, error_len);
}

int
listener_bind(const char *address, int fd[LISTENER_MAX], int *n, char *error,
    size_t error_len)
{
	struct listener_targets t;

	if (listener_resolve(address, &t, error, error_len) == -1)
		return -1;
	return listener_bind_targets(address, &t, fd, n, error, error_len);
}

int
listener_bind_targets(const char *address, struct listener_targets *t,
    int fd[LISTENER_MAX], int *n, char *error, size_t error_len)
{
	char host[HOST_MAX];
	int bound[LISTENER_MAX], count, bad, tries = 0;
	uint16_t port;

	if (address_split(address, host, &port, error, error_len) == -1)
		return -1;
	do {
		count = targets_bind(t, port, bound, &bad);
	} while (count == -1 && errno == EADDRINUSE && port == 0 &&
	    ++tries < PORT_TRIES);
	if (count == -1) {
		listener_error_explain(errno, &t->sa[bad], error, error_len);
		return -1;
	}
	if (*n + count > LISTENER_MAX) {
		while (count > 0)
			close(bound[--count]);
		snprintf(error, error_len,
		    "address %s: more than %d addresses in all", address,
		    LISTENER_MAX);
		return -1;
	}
	memcpy(fd + *n, bound, (size_t)count * sizeof(fd[0]));
	*n += count;
	return 0;
}

void
listener_bound(int fd, uint32_t send_bytes)
{
	const int bytes = send_bytes < INT_MAX ? (int)send_bytes : INT_MAX;
#ifdef SO_BUF_LOCK
	const int unlocked = 0;

	/* Listeners that a service manager kept may have a bound. Linux before
	 * 5.14 cannot take it away: then it stays. */
	if (send_bytes == 0)
		(void)setsockopt(
		    fd, SOL_SOCKET, SO_BUF_LOCK, &unlocked, sizeof(unlocked));
#endif
	/* Neither fails for a socket; without privilege wmem_max is less. */
	if (send_bytes != 0 &&
	    setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &bytes, sizeof(bytes)) ==
		-1)
		(void)setsockopt(
		    fd, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof(bytes));
}

int
listener_listen(int fd)
{
	return listen(fd, INT_MAX); /* the kernel cuts it to somaxconn */
}

int
listener_mend(int fd)
{
	const int flags = fcntl(fd, F_GETFL);
	int listens = 0;
	socklen_t len = sizeof(listens);

	if (flags == -1 ||
	    getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &len) == -1)
		return -1;
	if (listens && (flags & O_NONBLOCK) != 0)
		return 0;
	if (fcntl(fd, F_SETFL, flags | O_NONBLOCK) == -1 ||
	    (!listens && listener_listen(fd) == -1))
		return -1;
	return 1;
}
