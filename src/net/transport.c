#include "net/transport.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>

/* A test build adds rows: -DCHATD_TRANSPORTS_MORE='ROW(name)'. */
#ifndef CHATD_TRANSPORTS_MORE
#define CHATD_TRANSPORTS_MORE
#endif

/* In the order of their numbers, from TRANSPORT_USUAL on. The slot of a
 * connection has the number of its transport, so a row keeps its place in every
 * release. */
#define TRANSPORTS ROW(tcp) ROW(tls) CHATD_TRANSPORTS_MORE

#define ROW(name) extern const struct transport name##_transport;
TRANSPORTS
#undef ROW

#define ROW(name) &name##_transport,
const struct transport *const transports[TRANSPORTS_MAX] = {NULL, TRANSPORTS};
#undef ROW

void
transport_rest_free(const struct transport_socket *s, size_t from, size_t n)
{
	/* the second one where it is not shared: of a connection without a
	 * slot */
	if (madvise(s->rest + from, n, MADV_REMOVE) == -1)
		(void)madvise(s->rest + from, n, MADV_DONTNEED);
}

void
transport_forget(const struct transport *t, const struct transport_socket *s)
{
	if (t == NULL || t->state_bytes == 0 || s->state == NULL)
		return;
	if (t->rested != NULL && t->rested(s) != 0)
		transport_rest_free(s, 0, TRANSPORT_REST);
	memset(s->state, 0, t->state_bytes);
	if (t->forgotten != NULL)
		t->forgotten(s);
}

ssize_t
transport_send(const struct transport *t, const struct transport_socket *s,
    const void *bytes, size_t len)
{
	static uint8_t sealed[TRANSPORT_SEALED_MAX];
	ssize_t n = (ssize_t)len;

	if (t->seal != NULL) {
		if (len > TRANSPORT_PLAIN_MAX)
			len = TRANSPORT_PLAIN_MAX;
		n = t->seal(s, bytes, len, sealed);
		bytes = sealed;
	}
	if (n == 0)
		errno = EAGAIN;
	if (n <= 0)
		return -1;
	n = send(s->fd, bytes, (size_t)n, MSG_DONTWAIT | MSG_NOSIGNAL);
	return t->seal == NULL || n <= 0 ? n : t->sent(s, (size_t)n);
}

uint8_t
transport_find(const char *name)
{
	for (uint8_t k = 1; k < TRANSPORTS_MAX; k++)
		if (transports[k] != NULL &&
		    strcmp(transports[k]->name, name) == 0)
			return k;
	return 0;
}
