/* /echo: each message comes back in one frame, as it came. */
#include "conn/conn.h"
#include "door/door.h"

static void
echo_message(struct chat *ch, uint32_t conn, int kind, const char *data,
    size_t len, uint64_t position)
{
	conn_answer(ch, conn, (enum framing_kind)kind,
	    &(struct iovec){(void *)data, len}, 1, position);
}

const struct door_ops echo_door = {
    .name = "echo", .binary = true, .message = echo_message};
