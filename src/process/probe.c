/* What the kernel says of a process. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "process/probe.h"

/* Reads a file of a process. False: there is none. */
static bool
probe_read(pid_t pid, const char *name, char *text, size_t size)
{
	char path[40];
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd == -1)
		return false;
	n = read(fd, text, size - 1);
	close(fd);
	if (n <= 0)
		return false;
	text[n] = '\0';
	return true;
}

bool
probe_process(pid_t pid, struct probe *probe)
{
	unsigned long long user, system, used_ns, queue_ns;
	char text[512], *p;

	if (!probe_read(pid, "stat", text, sizeof(text)))
		return false;
	/* its name may hold anything; proc(5) numbers the fields */
	p = strrchr(text, ')');
	if (p == NULL ||
	    sscanf(p + 1,
		" %c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %llu %llu",
		&probe->state, &user, &system) != 3)
		return false;
	probe->used_ms =
	    (user + system) * 1000 / (uint64_t)sysconf(_SC_CLK_TCK);
	probe->queue_ms = 0;
	/* Finer, and the only place that tells of the queue; a kernel without
	 * CONFIG_SCHED_INFO has no such file, or one with zeros. */
	if (probe_read(pid, "schedstat", text, sizeof(text)) &&
	    sscanf(text, "%llu %llu", &used_ns, &queue_ns) == 2 &&
	    used_ns != 0) {
		probe->used_ms = used_ns / 1000000;
		probe->queue_ms = queue_ns / 1000000;
	}
	return true;
}
