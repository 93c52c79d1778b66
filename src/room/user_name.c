#include "room/user.h"
#include "hub/presence.h"

size_t
user_name(const struct hub *h, uint32_t entry, char out[USER_NAME_MAX + 1])
{
	return presence_user(h, entry, out);
}
