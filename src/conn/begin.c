#include "conn/begin.h"

#include <errno.h>
#include <string.h>

#include "base/log.h"
#include "conn/answer.h"
#include "conn/conn.h"
#include "conn/socket.h"
#include "hub/stats.h"

/* Tells one that cannot stay why, in its framing, and closes it. */
static void
begin_refuse(struct chat *ch, uint32_t i, enum close_code code, const char *why)
{
	const struct framing *framing =
	    framing_of(conn_endpoint(ch, i)->framing);
	uint8_t bytes[FRAMING_CLOSE_MAX];
	size_t n = framing->close(bytes, (uint16_t)code, why);

	log_warn("%s: refused: %s", conn_peer(ch, i), why);
	SHM_COUNT(ch->hub->me->refused, 1);
	conn_refuse(ch, i, bytes, n);
}

/* Writes what a door greets with. Returns its length, 0: it says nothing, or
 * the framing has no way to say it; -1: it is too long. */
static ssize_t
begin_greeting(
    const struct door *door, const struct framing *f, char out[BEGIN_MAX])
{
	struct iovec parts[3];
	struct framing_ends ends;
	size_t len = 0;
	int n;

	if (door->greeting == NULL)
		return 0;
	parts[1] =
	    (struct iovec){(void *)door->greeting, strlen(door->greeting)};
	n = f->wrap(&ends, FRAMING_TEXT, parts, 1);
	for (int k = 0; k < n; k++) {
		if (parts[k].iov_len > BEGIN_MAX - len)
			return -1;
		memcpy(out + len, parts[k].iov_base, parts[k].iov_len);
		len += parts[k].iov_len;
	}
	return (ssize_t)len;
}

/* Opens it, or refuses it. */
static void
begin_open(struct chat *ch, uint32_t i)
{
	const struct endpoint *e = conn_endpoint(ch, i);
	const struct door *door = ch->door[endpoint_only_door(e)];
	char bytes[BEGIN_MAX];
	ssize_t len = -1;

	if (door != NULL)
		len = begin_greeting(door, framing_of(e->framing), bytes);
	if (len == -1)
		begin_refuse(ch, i, CLOSE_INTERNAL,
		    "this program has no door here, or its greeting is too "
		    "long");
	else if (conn_open(
		     ch, i, door, NULL, 0, "", 0, bytes, (size_t)len, 0) != 0)
		begin_refuse(ch, i, CLOSE_TRY_LATER,
		    "output-memory is full (key `output-memory`)");
}

/* In a framing without HTTP it is at its endpoint's door from the first byte
 * on. */
static void
begin_at_door(struct chat *ch, uint32_t i)
{
	if (framing_of(conn_endpoint(ch, i)->framing)->http)
		return;
	if (ch->draining)
		begin_refuse(ch, i, CLOSE_RESTART, "draining");
	else if (!conn_has_slot(ch, i))
		begin_refuse(ch, i, CLOSE_TRY_LATER,
		    "all connections are in use (key `connections`)");
	else
		begin_open(ch, i);
}

void
conn_start(struct chat *ch, uint32_t i)
{
	struct conn *c = &ch->conn[i];
	const struct transport_socket s = conn_socket(ch, i);
	enum transport_wait wait = TRANSPORT_READY;

	if (c->phase == CONN_START)
		wait = conn_transport(ch, i)->start(&s);
	else if (c->phase != CONN_REQUEST)
		return;
	if (wait == TRANSPORT_FAILED) {
		conn_drop(ch, i, strerror(errno));
		return;
	}
	if (c->phase == CONN_START) {
		c->paused = wait == TRANSPORT_WRITES || wait == TRANSPORT_WAITS;
		c->blocked = wait == TRANSPORT_WRITES;
		conn_watch(ch, i);
	}
	if (wait != TRANSPORT_READY)
		return;
	c->phase = CONN_REQUEST;
	begin_at_door(ch, i);
}
