#include "master/pidfile.h"

#include <errno.h>
#include <fcntl.h>
#include <libutil.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Explains a pidfile that could not be locked: who has it? */
static void
error_explain(const char *path, char *error, size_t error_len)
{
	char text[16] = "";
	int fd, saved = errno;
	long pid = 0;

	if (saved != EWOULDBLOCK) {
		snprintf(
		    error, error_len, "pidfile %s: %s", path, strerror(saved));
		return;
	}
	if ((fd = open(path, O_RDONLY | O_CLOEXEC)) != -1) {
		if (read(fd, text, sizeof(text) - 1) > 0) {
			text[strcspn(text, "\n")] = '\0';
			pid = (long)strtonum(text, 1, INT32_MAX, NULL);
		}
		close(fd);
	}
	if (pid > 0)
		snprintf(error, error_len,
		    "chatd is running already: process %ld holds %s", pid,
		    path);
	else
		snprintf(error, error_len,
		    "chatd is starting already: another process holds %s",
		    path);
}

int
pidfile_take(struct pidfile *p, const char *path, char *error, size_t error_len)
{
	p->path = path;
	p->fd = flopen(
	    path, O_RDWR | O_CREAT | O_NONBLOCK | O_CLOEXEC | O_NOFOLLOW, 0644);
	if (p->fd == -1) {
		error_explain(path, error, error_len);
		return -1;
	}
	/* Not the pid of a former life. */
	if (ftruncate(p->fd, 0) == -1) {
		snprintf(
		    error, error_len, "pidfile %s: %s", path, strerror(errno));
		pidfile_leave(p);
		return -1;
	}
	return 0;
}

int
pidfile_tell(const struct pidfile *p)
{
	char text[16];
	int len;

	if (p->fd == -1)
		return 0;
	len = snprintf(text, sizeof(text), "%d\n", (int)getpid());
	if (pwrite(p->fd, text, (size_t)len, 0) != len)
		return -1;
	return 0;
}

void
pidfile_drop(struct pidfile *p)
{
	if (p->fd != -1)
		close(p->fd);
	p->fd = -1;
}

void
pidfile_leave(struct pidfile *p)
{
	if (p->fd == -1)
		return;
	/* Removed while still locked: nobody else's can be hit. */
	unlink(p->path);
	pidfile_drop(p);
}
