#include "stranger.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "base/log.h"
#include "private.h"
#include "process/process.h"

enum {
	/* Bytes of a list of children: 7 digits each. Larger: nothing; smaller:
	 * the last ones are found when others have died. */
	STRANGER_LIST = 16 * 1024,
	STRANGER_SEEN = 16 /* remembered; the rest in the next turn */
};

/* The kernel's list of this process's children; -1: it has none. */
static int
stranger_list(char *list, size_t size)
{
	int fd = open("/proc/thread-self/children", O_RDONLY | O_CLOEXEC);
	size_t len = 0;
	ssize_t n = 1;

	if (fd == -1)
		return -1;
	while (n > 0 && len < size - 1)
		if ((n = read(fd, list + len, size - 1 - len)) > 0)
			len += (size_t)n;
	close(fd);
	list[len] = '\0';
	return 0;
}

/* Whether it was one at the last look. */
static bool
stranger_was_seen(const pid_t *seen, int n, pid_t pid)
{
	for (int i = 0; i < n; i++)
		if (seen[i] == pid)
			return true;
	return false;
}

/* One that is no child of its making. */
static void
stranger_found(const pid_t *seen, int n, pid_t pid)
{
	if (!stranger_was_seen(seen, n, pid))
		return;
	log_error("process %d is a child of this one that it did not make: "
		  "killed",
	    (int)pid);
	(void)process_kill(pid, "a process that nobody made");
}

int
stranger_hunt(struct master *m)
{
	static pid_t seen[STRANGER_SEEN];
	static int n_seen;
	static char list[STRANGER_LIST];
	pid_t next[STRANGER_SEEN], pid;
	int n = 0;
	char *at = list, *end;

	if (stranger_list(list, sizeof(list)) == -1)
		return 0;
	while (n < STRANGER_SEEN && (pid = (pid_t)strtol(at, &end, 10)) > 0 &&
	    end != at) {
		at = end;
		/* /proc may be that of another namespace, where numbers are
		 * others */
		if (m->knows == NULL || m->knows(m, pid) ||
		    !process_is_child(pid))
			continue;
		stranger_found(seen, n_seen, pid);
		next[n++] = pid;
	}
	memcpy(seen, next, sizeof(pid_t) * (size_t)n);
	n_seen = n;
	return n;
}

void
stranger_adopt(void)
{
	if (prctl(PR_SET_CHILD_SUBREAPER, 1) == -1)
		log_warn("PR_SET_CHILD_SUBREAPER: %s", strerror(errno));
}
