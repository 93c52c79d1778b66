/* logger_program: a log process as the program that it executes. The log is
 * open: the process before the exec had the master's rights for that. */
#include <err.h>
#include <signal.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/title.h"
#include "logger/logger.h"
#include "process/spawn.h"

/* The buffer of those before it, or, if that is of another size, its own. */
static struct logger_buffer *
buffer_map(int fd)
{
	static struct logger_buffer own;
	struct stat st;
	void *p;

	if (fstat(fd, &st) == -1 || st.st_size != (off_t)sizeof(own))
		return &own;
	p = mmap(NULL, sizeof(own), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	return p != MAP_FAILED ? p : &own;
}

void
logger_program(int passport)
{
	static struct logger_passport p;
	struct logger_start start = {.sink = &p.sink, .other = &p.other};
	struct spawn s;

	if (pread(passport, &p, sizeof(p), 0) != (ssize_t)sizeof(p) ||
	    p.size != sizeof(p) || p.report_bytes > sizeof(p.report))
		errx(1, "chatd starts this program, nobody else");
	close(passport);
	s.parent = p.parent;
	if (!spawn_tie(&s, SIGALRM))
		_exit(0);
	title_set("log");
	p.file[sizeof(p.file) - 1] = '\0';
	p.sink.file = p.file[0] != '\0' ? p.file : NULL;
	p.other.file = NULL;
	start.lines = p.lines;
	start.control = p.control;
	start.buffer = buffer_map(p.buffer);
	if (send(p.control, p.report, p.report_bytes, MSG_NOSIGNAL) == -1)
		_exit(1);
	logger_main(&start);
}
