/* Connections whose input waits are served one after another, after all others
 * of the turn. */
#include "conn/serve.h"

#include "base/clock.h"
#include "conn/conn.h"
#include "conn/request.h"
#include "hub/stats.h"

void
conn_drain(struct chat *ch, uint32_t i)
{
	if (ch->conn[i].waits)
		ch->conn[i].drains = true;
	else
		conn_end(ch, i, CLOSE_RESTART, REASON_RESTARTING);
}

/* Serves the next one. */
static void
serve_next(struct chat *ch)
{
	bool drains;
	uint32_t i;

	if (ch->wait_at >= ch->n_waiting)
		ch->wait_at = 0;
	i = ch->waiting[ch->wait_at];
	if (ch->conn[i].phase == CONN_REQUEST)
		request_again(ch, i);
	else if (conn_input_rest(ch, i)) {
		if (!ch->conn[i].held)
			ch->wait_at++;
		conn_watch(ch, i);
	} else {
		drains = ch->conn[i].drains;
		conn_wait(ch, i, false);
		if (drains)
			conn_end(ch, i, CLOSE_RESTART, REASON_RESTARTING);
	}
	line_tick(ch->hub);
}

bool
conn_serve_waiting(struct chat *ch)
{
	uint64_t begun;
	uint32_t n = ch->n_waiting;

	if (n == 0)
		return false;
	begun = clock_us();
	do
		serve_next(ch);
	while (
	    --n > 0 && ch->n_waiting > 0 && clock_us() - begun < ch->budget_us);
	return true;
}
