/*
 * passport: what a process is told that is executed anew, in a memory file:
 * which child it is, and all that a fork would have had in memory. The process
 * may be another program than the one that wrote it: it reads the first words,
 * which are the same in every layout, and refuses the rest if that is not its
 * own. Layer 5.
 */
#ifndef CHATD_PROCESS_PASSPORT_H
#define CHATD_PROCESS_PASSPORT_H

#include <stdalign.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "process/child.h"

enum {
	/* For what a kind alone is told. Larger: nothing; smaller: a kind that
	 * is told more does not compile. */
	PASSPORT_BIRTH = 2560
};

/* Descriptors of the process's own that cross the exec; -1: none. */
struct passport {
	int file, link, log, hub, page, wire;
	int own[CHILD_BRINGS]; /* its kind's: struct child_files */
};

struct passport_page {
	/* the same in every layout */
	uint64_t magic, layout, size;
	int64_t log; /* where it can say that it cannot read the rest; -1 */
	/* the child */
	char kind[CHILD_NAME];
	char title[CHILD_NAME]; /* "worker 3": in the log, and by ps */
	int number, at;
	uint32_t generation;
	unsigned gets; /* enum child_gets */
	pid_t parent;
	/* of a family (process/family.h) */
	uint32_t table; /* its table of descriptors' number; 0: no family */
	/* what it is given */
	struct passport fd; /* a family's come in notes: of these, log and
			     * wire say with -1 that there is none */
	bool drop;	    /* it has changed its user: nobody traces it */
	bool tried; /* the program that it executes cannot have changed since
		     * it said that it has this layout */
	struct hub_limits limits;
	uint8_t hash_key[16];
	struct conf_live live;
	struct endpoints endpoints; /* fd -1: comes in another way */
	uint32_t birth_bytes;
	alignas(8) uint8_t birth[PASSPORT_BIRTH];
};

/* Fills in all that the nursery and the child say; birth as the kind's
 * birth_bytes says. No descriptor is in it, and table is 0. */
void passport_fill(struct passport_page *page, const struct child *c,
    const struct nursery *n, const void *birth, pid_t parent);

/* A sealed memory file with it, close-on-exec. -1 and errno. */
int passport_file(const struct passport_page *page);

/* A file with that of a process of a family whose table has that number. -1 and
 * errno. */
int passport_family(const struct child *c, const struct nursery *n,
    const void *birth, uint32_t table);

/* Reads it from the file, which stays open. Leaves, with a line in the log that
 * it names, if there is none for this program, which is called so. */
void passport_take(int fd, const char *program, struct passport_page *page);

/* Leaves with status 1, and says why: this program was not started by chatd. */
void passport_missing(void) __attribute__((noreturn));

/* Hands on what it says, but for descriptors and memory. Fatal if this program
 * has no such kind; kind: not to be looked for. *page stays in use. */
void passport_start(const struct passport_page *page,
    const struct child_kind *kind, struct child_start *start);

/* What of it two programs must agree on that exchange one: together with the
 * layout that says whether they are of the same build. */
size_t passport_bytes(void);

#endif
