/* Finding a user by name, which reads files and libraries: no child does. */
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "process/identity.h"

int
identity_find(
    struct identity *id, const char *user, char *error, size_t error_len)
{
	struct passwd *pw;

	memset(id, 0, sizeof(*id));
	id->uid = geteuid();
	id->gid = getegid();
	if (id->uid != 0)
		return 0;
	if (user != NULL)
		pw = getpwnam(user);
	else if ((pw = getpwnam("chatd")) == NULL) {
		pw = getpwnam("nobody");
		id->shared = true;
	}
	if (pw == NULL) {
		snprintf(error, error_len, "no such user: %s",
		    user != NULL ? user : "chatd, nobody");
		return -1;
	}
	id->drop = pw->pw_uid != 0;
	id->uid = pw->pw_uid;
	id->gid = pw->pw_gid;
	strlcpy(id->name, pw->pw_name, sizeof(id->name));
	return 0;
}
