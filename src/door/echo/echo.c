/* /echo: each message comes back in one frame, as it came. */
#include "conn/conn.h"
#include "door/door.h"

extern const struct door echo_door;

/* Answers a message with itself. */
static void
echo_message(struct chat *ch, uint32_t conn, int kind, const char *data,
    size_t len, uint64_t position)
{
	conn_answer(ch, conn, (enum framing_kind)kind,
	    &(struct iovec){(void *)data, len}, 1, position);
}

/* Whether the configuration has it. */
static bool
echo_served(const struct conf_live *live, struct http_span path)
{
	return live->echo;
}

static const struct door_route echo_routes[] = {
    {.path = "/echo", .allow = DOOR_READS, .served = echo_served},
    {.path = NULL}};

const struct door echo_door = {.name = "echo",
    .id = 2,
    .binary = true,
    .holds_back = true,
    .message_max = CONF_MESSAGE_SIZE_MAX,
    .message = echo_message,
    .routes = echo_routes};
