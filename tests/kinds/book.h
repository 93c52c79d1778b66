/*
 * book: what a ledger keeps: a file of lines, which are the journal's
 * publications as they were taken, and per channel where it stands, as a store
 * would have it. Fields stand between tabs; control characters, and '%', are
 * %XX.
 *
 *	journal KEY		positions from here on are of that memory
 *	message POSITION CHANNEL OFFSET BEFORE STREAM FORMAT FLAGS SENDER
 *	    INPUT COMMAND TIME ENTRY EPOCH USER DATA
 *	refused POSITION CHANNEL USER DATA	a proposal that nobody gets
 *	event POSITION FORMAT CHANNEL MASK SENDER USER DATA
 *	open CHANNEL STREAM TOP	where it stood when it was asked for
 *	hole FROM TO		positions that were overwritten unread
 *	gap CHANNEL AFTER BEFORE	offsets of what is missing between
 *	delivered POSITION	of the newest proposal that all have got
 *	clean			the ledger left in peace
 *	mark POSITION		all lines before it count
 *
 * The mark commits: lines behind the last one are cut off at a start.
 */
#ifndef CHATD_TESTS_BOOK_H
#define CHATD_TESTS_BOOK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "hub/journal.h"

enum { BOOK_NEWEST = 10, BOOK_SHELVES = 4096 };

/* A publication that is kept in memory, too; its texts behind it. */
struct book_copy {
	struct book_copy *next; /* of those to be delivered */
	struct book_shelf *shelf;
	struct publication p;
	char text[];
};

/* A channel. */
struct book_shelf {
	struct book_shelf *next; /* of the same hash */
	uint64_t stream, top;
	bool opened; /* in this journal */
	struct book_copy *newest[BOOK_NEWEST];
	unsigned n; /* ever put there */
	size_t len;
	char name[];
};

struct book {
	int fd;
	uint64_t mark; /* all up to this position is in it; of this journal */
	bool same;     /* so far it was of this journal */
	bool clean;    /* and its writer had left in peace */
	char *line;    /* what is to be written next */
	size_t len, room;
	uint64_t delivered;
	struct book_copy *first, **last; /* proposals to be delivered */
	struct book_shelf *shelf[BOOK_SHELVES];
};

/* Opens the file of that path, and reads it; `journal` names the memory that
 * positions are of. */
void book_open(struct book *b, const char *path, const char *journal);

/* The channel of that name, made if need be. */
struct book_shelf *book_find(struct book *b, const char *name, size_t len);

/* Lines; they count from the next book_commit() on. A proposal gets its
 * channel's next offset: its copy, which is kept until book_delivered(). */
const struct book_copy *
book_message(struct book *b, struct book_shelf *s, const struct publication *p);
void
book_refuse(struct book *b, struct book_shelf *s, const struct publication *p);
void book_event(struct book *b, const struct publication *p,
    const char *channel, size_t len);
void book_opening(
    struct book *b, struct book_shelf *s, uint64_t stream, uint64_t top);
void book_hole(struct book *b, uint64_t from, uint64_t to);
void book_gap(struct book *b, const char *channel, size_t len, uint64_t after,
    uint64_t before);
void book_delivered(struct book *b, uint64_t position);
void book_clean(struct book *b);

/* All up to that position is in the book. */
void book_commit(struct book *b, uint64_t mark);

#endif
