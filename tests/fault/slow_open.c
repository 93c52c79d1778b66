/*
 * slow_open: a disk that does not answer: slow_open MS PATH ... lets each
 * open(), and each execution of a file, wait MS milliseconds, on the mounts
 * that the paths are on, whichever process asks; as root. Prints `ready`, then
 * a line `PID FILE` for each. It ends when its standard input does.
 */
#include <sys/fanotify.h>

#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

enum { WAITING = 4096 };

struct waiting {
	int fd;
	uint64_t until_ms;
};

static struct waiting queue[WAITING]; /* in the order of their ends */
static unsigned first, n;
static int fan;

/* Milliseconds since some time. */
static uint64_t
now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

/* Lets an open() go on. */
static void
allow(int fd)
{
	struct fanotify_response r = {.fd = fd, .response = FAN_ALLOW};

	if (write(fan, &r, sizeof(r)) == -1 && errno != ENOENT)
		err(1, "fanotify");
	close(fd);
}

/* Somebody opens a file. */
static void
note(const struct fanotify_event_metadata *e, uint64_t until_ms)
{
	char link[64], path[PATH_MAX];
	ssize_t len;

	if (e->fd < 0)
		return;
	snprintf(link, sizeof(link), "/proc/self/fd/%d", e->fd);
	len = readlink(link, path, sizeof(path) - 1);
	if (e->pid == getpid() || n == WAITING) {
		allow(e->fd);
		return;
	}
	printf("%d %.*s\n", (int)e->pid, len > 0 ? (int)len : 1,
	    len > 0 ? path : "?");
	queue[(first + n++) % WAITING] = (struct waiting){e->fd, until_ms};
}

/* Reads who opens files now. */
static void
events_read(uint64_t ms)
{
	char buf[64 * 1024] __attribute__((
	    aligned(__alignof__(struct fanotify_event_metadata))));
	const struct fanotify_event_metadata *e = (void *)buf;
	ssize_t len = read(fan, buf, sizeof(buf));

	for (; len > 0 && FAN_EVENT_OK(e, len); e = FAN_EVENT_NEXT(e, len))
		note(e, now_ms() + ms);
	fflush(stdout);
}

int
main(int argc, char **argv)
{
	struct pollfd p[2] = {{.events = POLLIN}, {STDIN_FILENO, POLLIN, 0}};
	const uint64_t ms = argc > 2 ? strtoull(argv[1], NULL, 10) : 0;
	uint64_t now;

	if (ms == 0)
		errx(2, "usage: slow_open MS PATH ...");
	fan = fanotify_init(FAN_CLASS_CONTENT | FAN_CLOEXEC | FAN_NONBLOCK |
		FAN_UNLIMITED_QUEUE,
	    O_RDONLY | O_CLOEXEC);
	if (fan == -1)
		err(1, "fanotify");
	for (int i = 2; i < argc; i++)
		if (fanotify_mark(fan, FAN_MARK_ADD | FAN_MARK_MOUNT,
			FAN_OPEN_PERM, AT_FDCWD, argv[i]) == -1)
			err(1, "%s", argv[i]);
	puts("ready");
	fflush(stdout);
	p[0].fd = fan;
	while (p[1].revents == 0) {
		now = now_ms();
		for (; n > 0 && queue[first].until_ms <= now; n--) {
			allow(queue[first].fd);
			first = (first + 1) % WAITING;
		}
		poll(p, 2, n > 0 ? (int)(queue[first].until_ms - now) : -1);
		if (p[0].revents != 0)
			events_read(ms);
	}
	return 0;
}
