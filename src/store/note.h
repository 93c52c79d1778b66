/* note: what lies beside the database, in its file -lock, of how far it had
 * come: a copy of it, such as a backup that was put in its place, is not that
 * far. */
#ifndef CHATD_STORE_NOTE_H
#define CHATD_STORE_NOTE_H

#include <stdbool.h>
#include <stdint.h>

/* A place in the journal of that number. */
struct note_place {
	uint64_t journal, position;
};

struct note {
	struct note_place last;	  /* of the last commit; it may be further */
	struct note_place before; /* or it was not done yet, and this is it */
	int64_t wall_ms;	  /* struct trust, then */
	uint64_t doubt_ms;
};

/* Reads what is noted; all 0: nothing. fd -1: there is no such file. */
void note_read(int fd, struct note *n);

/* Notes it, with the number of this process. certain: it is on the disk then.
 * What cannot be written is missing, which is safe: the database is taken for a
 * copy by the next process. */
void note_write(int fd, const struct note *n, bool certain);

/* Whether a database that has come so far may be the one that was noted. */
bool note_fits(const struct note *n, const struct note_place *found);

#endif
