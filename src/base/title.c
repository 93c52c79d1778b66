#include "base/title.h"

#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

static char *title_end; /* of argv[0] as it was */

void
title_init(int argc, char **argv, char **environment)
{
	/* The process's name does not depend on the file's: after an upgrade,
	 * which executes a descriptor, older kernels would show its number.
	 * Before setproctitle_init(), which copies the name. */
	prctl(PR_SET_NAME, "chatd");
	setprogname("chatd");
	title_end = argv[0] + strlen(argv[0]);
	setproctitle_init(argc, argv, environment);
}

void
title_set(const char *title)
{
	setproctitle("%s", title);
	/* libbsd marks a title that is shorter than argv[0] for old kernels;
	 * newer ones show that mark to people. */
	if (title_end != NULL && *title_end == '.')
		*title_end = '\0';
}
