#include "master/place.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

void
place_control(char out[PATH_MAX])
{
	const char *dir;

	if (geteuid() == 0)
		strlcpy(out, "/run/chatd/chatd.sock", PATH_MAX);
	else if ((dir = getenv("XDG_RUNTIME_DIR")) != NULL && dir[0] == '/')
		snprintf(out, PATH_MAX, "%s/chatd.sock", dir);
	else
		snprintf(out, PATH_MAX, "/tmp/chatd-%u/chatd.sock",
		    (unsigned)geteuid());
}

void
place_pidfile(const char *control, char out[PATH_MAX])
{
	const char *slash = strrchr(control, '/');

	if (geteuid() == 0)
		strlcpy(out, "/run/chatd/chatd.pid", PATH_MAX);
	else
		snprintf(out, PATH_MAX, "%.*schatd.pid",
		    slash != NULL ? (int)(slash - control) + 1 : 0, control);
}

int
place_prepare(const char *path, bool make, char *error, size_t error_len)
{
	const bool private = strncmp(path, "/tmp/", 5) == 0;
	char dir[PATH_MAX], *slash;
	struct stat st;

	strlcpy(dir, path, sizeof(dir));
	if ((slash = strrchr(dir, '/')) == NULL || slash == dir)
		return 0;
	*slash = '\0';
	if (make && mkdir(dir, private ? 0700 : 0755) == -1 &&
	    errno != EEXIST) {
		snprintf(error, error_len, "cannot make %s: %s", dir,
		    strerror(errno));
		return -1;
	}
	if (lstat(dir, &st) == -1) {
		snprintf(error, error_len, "%s: %s", dir, strerror(errno));
		return -1;
	}
	/* In /tmp another user may have made the folder before. */
	if (private &&
	    (!S_ISDIR(st.st_mode) || st.st_uid != geteuid() ||
		(st.st_mode & 077) != 0)) {
		snprintf(error, error_len,
		    "%s is not a directory that is ours alone", dir);
		return -1;
	}
	return 0;
}
