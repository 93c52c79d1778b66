#include "conn/refusal.h"

#include <stdlib.h>

#include "base/log.h"
#include "conn/answer.h"
#include "conn/chat.h"
#include "conn/end.h"
#include "conn/peer.h"
#include "conn/route.h"
#include "conn/socket.h"
#include "hub/stats.h"

/* Says in the log who is refused and why, with the text of the client that it
 * is about and the key that admits it. */
static void
refusal_log(struct chat *ch, uint32_t i, const struct route *route)
{
	const char *peer = conn_peer(ch, i);
	const char *about = log_text(route->about.p, route->about.len);
	const int status = route->status;

	/* a format each: none of them makes the others come less often */
	if (status < 400)
		log_debug("%s: %d", peer, status);
	else if (route->key != NULL && *about != '\0')
		log_info("%s: refused: %d %s: \"%s\" (key `%s` can allow it)",
		    peer, status, route->why, about, route->key);
	else if (route->key != NULL)
		log_info("%s: refused: %d %s (key `%s` can allow it)", peer,
		    status, route->why, route->key);
	else if (*about != '\0')
		log_info("%s: refused: %d %s: \"%s\"", peer, status, route->why,
		    about);
	else
		log_info("%s: refused: %d %s", peer, status, route->why);
}

void
request_refuse(struct chat *ch, uint32_t i, const struct route *route)
{
	size_t cap = ROUTE_ANSWER_MAX + route->body_len, n;
	char *answer = malloc(cap);

	if (answer == NULL) {
		conn_drop(ch, i, "out of memory");
		return;
	}
	n = route_answer(route, NULL, conn_hsts_ms(ch, i), answer, cap);
	refusal_log(ch, i, route);
	if (route->status >= 400)
		SHM_COUNT(ch->hub->me->refused, 1);
	conn_refuse(ch, i, answer, n);
	free(answer);
}
