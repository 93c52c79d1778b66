/* Connections that go from one living worker to another. */
#include <errno.h>

#include "codec/message.h"
#include "member.h"
#include "members.h"
#include "move.h"

int
move_connections(struct member *from, struct member *to, uint32_t n)
{
	const struct message_move move = {(uint32_t)to->place, n};

	if (!from->child.ready || !to->child.ready) {
		errno = EAGAIN;
		return -1;
	}
	return member_send(from, MSG_MOVE, &move, sizeof(move));
}
