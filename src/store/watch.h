/* watch: whether the files are still those that this process has opened, and
 * nobody else has written over them. */
#ifndef CHATD_STORE_WATCH_H
#define CHATD_STORE_WATCH_H

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#include "note.h"

struct store;

/* What was seen last. */
struct watch {
	uint64_t beside[2]; /* numbers of the files -wal and -shm; 0: none */
	/* Of who writes: the file, which changes by what this process moves
	 * into it alone, or another process moves that only reads. */
	int64_t bytes;
	struct timespec changed;
	int64_t page;		 /* of the table `mark`, */
	struct note_place place; /* and what that said in the file itself */
	bool overwritten;	 /* by another process */
};

/* After opening: notes what is there. */
void watch_begin(struct store *s);
/* After something was moved into the file: notes what that has become. */
void watch_moved(struct store *s);
/* NULL: they are as they were; or what has happened to the path. */
const char *watch_look(struct store *s);
/* Before the connection is closed, if they are not: what is committed moves
 * into the file, wherever that is now, and the files beside it go, which would
 * be taken for those of the database that comes there. */
void watch_leave(struct store *s);

#endif
