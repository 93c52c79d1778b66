/* /echo: each message comes back in one frame, as it came. */
#include "conn/conn.h"
#include "codec/ws.h"
#include "door/door.h"

static void
echo_message(struct chat *ch, uint32_t conn, int opcode, const char *data,
    size_t len, uint64_t position)
{
	conn_answer(ch, conn, (enum ws_opcode)opcode,
	    &(struct iovec){(void *)data, len}, 1, position);
}

const struct door_ops echo_door = {
    .name = "echo", .binary = true, .message = echo_message};
