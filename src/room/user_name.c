#include <string.h>

#include "room/user.h"
#include "hub/presence.h"

size_t
user_name(const struct hub *h, uint32_t entry, char out[USER_NAME_MAX + 1])
{
	struct presence_view v;

	out[0] = '\0';
	if (!presence_read(h, entry, &v) ||
	    !presence_name_is_user(v.name, v.name_len) ||
	    v.name_len - 1 > USER_NAME_MAX)
		return 0;
	memcpy(out, v.name + 1, v.name_len); /* and the NUL */
	return v.name_len - 1;
}
