/* got: what of a connection's output its peer has got. */
#include "conn/conn.h"
#include "net/counters.h"

uint64_t
conn_output_end(const struct chat *ch, uint32_t i)
{
	const struct conn *c = &ch->conn[i];

	return c->phase != CONN_DROPPED ? c->out.end : 0;
}

/* What is not acknowledged may be what a transport has made of the output,
 * which is never less. */
bool
conn_has_got(const struct chat *ch, uint32_t i, uint64_t end)
{
	const uint64_t written = output_written(&ch->conn[i].out);
	uint64_t unacked;

	/* output that was given back counts as written */
	return ch->conn[i].phase != CONN_DROPPED && written >= end &&
	    counters_unacked(ch->conn[i].fd, &unacked) && unacked <= written &&
	    written - unacked >= end;
}
