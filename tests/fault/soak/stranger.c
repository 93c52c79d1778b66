/* Clients with ever new names, who leave without a close handshake. */
#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "soak.h"

enum { STRANGERS = 12 }; /* here at once */

static int here[STRANGERS]; /* + 1 */

/* Closes one. */
static void
go(int k)
{
	if (here[k] != 0)
		close(here[k] - 1);
	here[k] = 0;
}

/* One comes, and says that at once: a masked frame, or nothing. */
static void
come(const char *frame, size_t frame_len)
{
	static unsigned n;
	const struct sockaddr_in in = {.sin_family = AF_INET,
	    .sin_port = htons((uint16_t)daemon_.port),
	    .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	char request[320];
	int k = (int)(n % STRANGERS), len, fd;

	go(k);
	fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	len = snprintf(request, sizeof(request),
	    "GET /ws?user=%s%u HTTP/1.1\r\nHost: localhost\r\n"
	    "Upgrade: websocket\r\nConnection: Upgrade\r\n"
	    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
	    "Sec-WebSocket-Version: 13\r\n\r\n",
	    /* some names are too long for an entry */
	    n % 3 ? "stranger" : "a-stranger-with-quite-a-long-name-", n);
	n++;
	memcpy(request + len, frame, frame_len);
	len += (int)frame_len;
	if (connect(fd, (const struct sockaddr *)&in, sizeof(in)) < 0 ||
	    send(fd, request, (size_t)len, MSG_NOSIGNAL) != len) {
		close(fd);
		return;
	}
	here[k] = fd + 1;
}

void
stranger_come(void)
{
	come("", 0);
}

void
stranger_crashes(void)
{
	static const char frame[] = "\x81\x8e\0\0\0\0crash on input";

	come(frame, sizeof(frame) - 1);
}

void
strangers_go(void)
{
	int k;

	for (k = 0; k < STRANGERS; k++)
		go(k);
}
