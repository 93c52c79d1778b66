#include "note.h"

#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

/* Its first line is the process's number, lock.c. */
enum { NOTE_TEXT = 220 };

void
note_read(int fd, struct note *n)
{
	char text[NOTE_TEXT + 1] = "";

	*n = (struct note){.last = {0}};
	if (fd == -1 || pread(fd, text, NOTE_TEXT, 0) <= 0)
		return;
	if (sscanf(text,
		"%*d %" SCNx64 " %" SCNu64 " %" SCNx64 " %" SCNu64 " %" SCNd64
		" %" SCNu64,
		&n->last.journal, &n->last.position, &n->before.journal,
		&n->before.position, &n->wall_ms, &n->doubt_ms) != 6)
		*n = (struct note){.last = {0}};
}

void
note_write(int fd, const struct note *n, bool certain)
{
	char text[NOTE_TEXT + 1];
	int len;

	/* of one length: what is there is written over at once */
	len = snprintf(text, sizeof(text),
	    "%-10d\n%016" PRIx64 " %020" PRIu64 "\n%016" PRIx64 " %020" PRIu64
	    "\n%020" PRId64 " %020" PRIu64 "\n",
	    (int)getpid(), n->last.journal, n->last.position, n->before.journal,
	    n->before.position, n->wall_ms, n->doubt_ms);
	if (fd != -1 && pwrite(fd, text, (size_t)len, 0) == len && certain)
		(void)fdatasync(fd);
}

bool
note_fits(const struct note *n, const struct note_place *found)
{
	return (found->journal == n->last.journal &&
		   found->position >= n->last.position) ||
	    (found->journal == n->before.journal &&
		found->position >= n->before.position);
}
