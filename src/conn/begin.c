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

/* Opens it; false: a table is full. */
static bool
begin_open(struct chat *ch, uint32_t i)
{
	const struct endpoint *e = conn_endpoint(ch, i);
	const struct door *door = ch->door[endpoint_only_door(e)];
	const char *greeting = door->greeting;
	struct iovec parts[3] = {
	    [1] = {(void *)greeting, greeting != NULL ? strlen(greeting) : 0}};
	struct framing_ends ends;
	char bytes[BEGIN_MAX];
	size_t len = 0;
	int n = framing_of(e->framing)->wrap(&ends, FRAMING_TEXT, parts, 1);

	for (int k = 0; k < n && parts[k].iov_len <= sizeof(bytes) - len; k++) {
		memcpy(bytes + len, parts[k].iov_base, parts[k].iov_len);
		len += parts[k].iov_len;
	}
	return conn_open(ch, i, door, NULL, 0, "", 0, bytes, len, 0) == 0;
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
	else if (!begin_open(ch, i))
		begin_refuse(ch, i, CLOSE_TRY_LATER,
		    "output-memory is full (key `output-memory`)");
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
