/* What the kernel says of a process. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "process.h"

bool
probe_process(pid_t pid, bool *runnable, uint64_t *used_ms)
{
	unsigned long long user, system;
	char path[32], text[512], *p, state;
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd == -1)
		return false;
	n = read(fd, text, sizeof(text) - 1);
	close(fd);
	if (n <= 0)
		return false;
	text[n] = '\0';
	/* its name may hold anything; proc(5) numbers the fields */
	p = strrchr(text, ')');
	if (p == NULL ||
	    sscanf(p + 1,
		" %c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %llu %llu", &state,
		&user, &system) != 3)
		return false;
	*runnable = state == 'R';
	*used_ms = (user + system) * 1000 / (uint64_t)sysconf(_SC_CLK_TCK);
	return true;
}
