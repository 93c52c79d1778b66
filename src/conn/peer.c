/* How connections are called in the log. */
#include <stdio.h>
#include <sys/socket.h>

#include "base/log.h"
#include "conn/conn.h"

const char *
conn_peer(const struct chat *ch, uint32_t i)
{
	static char out[64];
	struct sockaddr_storage peer = {0};
	socklen_t len = sizeof(peer);
	struct slot s = {0};

	if (conn_has_slot(ch, i))
		return slot_peer_name(&ch->hub->slot[i], out);
	/* one that is refused has none: the kernel knows it */
	(void)getpeername(ch->conn[i].fd, (struct sockaddr *)&peer, &len);
	slot_set_peer(&s, (struct sockaddr *)&peer);
	return slot_peer_name(&s, out);
}

const char *
conn_name(struct chat *ch, uint32_t i)
{
	static char out[4 * NAME_SIGNED_MAX + 80]; /* octal escapes */
	char user[NAME_SIGNED_MAX + 1];
	size_t len = 0;

	/* until it is open the slot says nothing of its user */
	if (conn_has_slot(ch, i) && ch->conn[i].phase >= CONN_OPEN)
		len = ch->members->user(ch, i, user);
	if (len == 0)
		return conn_peer(ch, i);
	snprintf(
	    out, sizeof(out), "%s (%s)", log_text(user, len), conn_peer(ch, i));
	return out;
}
