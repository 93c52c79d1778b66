/*
 * reader: a process beside the workers that follows the journal by its own
 * cursor, misses nothing that it requires, and answers what waits for it. Layer
 * 2: it logs nothing, and waits in reader_wait() alone.
 *
 * A reader reads each entry that has its bit, in the order of the index. What
 * has been overwritten before it was read is in the spill if the reader
 * requires it; else it is lost, and reader_next() says so.
 *
 * Its own number for how far it has come (`mark`) lies where its work lies, and
 * counts; the words in shared memory are for others, who use them to answer
 * PUBLISH_BUSY, to spill and to free what is spilled. It reads none of them
 * after its start.
 *
 * All entries that the functions below append are the caller's to relay: each
 * returns the workers that are to look at the index. A worker that is not told
 * finds them later.
 */
#ifndef CHATD_HUB_READER_H
#define CHATD_HUB_READER_H

#include "hub/journal.h"
#include "hub/slot.h"

enum reader_result {
	READER_END,    /* there are no more now */
	READER_FOUND,  /* `position`: the publication is in *p */
	READER_LOST,   /* entries above `from` and below `to` were overwritten:
			* those that it does not require are gone; those that it
			* requires come next (reader_lost_each()) */
	READER_BAD,    /* the entry at `position` is corrupted: passed over */
	READER_STOPPED /* the journal's end is corrupted: again, later; the next
			* process that takes the lock mends it */
};

struct reader {
	struct hub *h;	 /* that has become the reader's line (hub_become()) */
	uint8_t number;	 /* READER_STORE ... */
	uint8_t bit;	 /* 1 << number */
	uint64_t passed; /* all up to this position was handed out */
	uint64_t position; /* FOUND, BAD */
	uint64_t from, to; /* LOST */

	/* private: */
	uint64_t end;	   /* the tail that it has seen */
	uint64_t lost_to;  /* below it LOST was said */
	uint64_t spill_at; /* bytes of the spill that were looked at */
};

/* mark: nothing is known of how far it has come. */
#define READER_NO_MARK UINT64_MAX

/*
 * A reader of that number, in the process whose line it is. It begins behind
 * `mark`, or with READER_NO_MARK where its line says that it was, if that is
 * possible. Clears what its predecessor may have left undone: reader_opening()
 * and reader_unsettled() come next.
 */
void
reader_init(struct reader *r, struct hub *h, unsigned number, uint64_t mark);

/* The next entry that is the reader's, copied into buf (cap bytes: the
 * journal's size / JOURNAL_SHARE), or why there is none. */
enum reader_result
reader_next(struct reader *r, void *buf, size_t cap, struct publication *p);

/* Bytes of the ring behind what was handed out last: what overwrites as much of
 * the ring again may overwrite it unread. */
uint64_t reader_unread(const struct reader *r);

/* Has it begin behind `mark` again, which is not above what it has passed: what
 * it has found since is not done after all. */
void reader_rewind(struct reader *r, uint64_t mark);

/* All up to that position is done (r->passed, or less): tells others. Once for
 * many entries, and at END, so that what is not its own is passed, too. */
void reader_taken(struct reader *r, uint64_t position);

/*
 * Calls `lost` for each channel whose newest publication lies above `from` and
 * below `to`, and is this reader's, though not required: it was lost. Channels
 * with later publications show it by `before`.
 */
void reader_lost_each(struct reader *r, uint64_t from, uint64_t to,
    void (*lost)(void *arg, uint32_t channel, uint32_t epoch, uint64_t offset),
    void *arg);

/* Whether a publication that was found waits for an answer of this reader, or
 * is proposed to it: of several that require it, the first answers. What is
 * proposed does not keep its channel's entry from being used for another one: a
 * reader that finds another incarnation there cannot tell the name, and answers
 * RESULT_TEMPORARY. */
static inline bool
reader_is_asked(const struct reader *r, const struct publication *p)
{
	return p->flags & (PUBLICATION_WAITS | PUBLICATION_PROPOSED) &&
	    !(p->flags & PUBLICATION_AGAIN) &&
	    (p->required & -p->required) == r->bit;
}

/* What a reader says to a publication that asks it. */
struct reader_answer {
	uint64_t position, sender, offset;
	uint32_t channel, epoch, command;
	uint8_t flags; /* the publication's */
	uint8_t error; /* enum result_error */
	/* A proposed one that may go (error RESULT_OK): it is appended again,
	 * with `offset`, 0: the channel's next one. NULL: it is not. A reader
	 * that gives offsets itself gives one above the proposal's `before`
	 * and its own newest: a channel that is open may become a reader's
	 * without being asked for, and has got offsets by then. */
	const struct publication *deliver;
};

/* The answer to p, which stays the caller's. A proposed one has no offset yet.
 */
static inline struct reader_answer
reader_answer_to(const struct publication *p, enum result_error error)
{
	return (struct reader_answer){.position = p->position,
	    .sender = p->sender,
	    .offset = p->flags & PUBLICATION_PROPOSED ? 0 : p->offset,
	    .channel = p->channel,
	    .epoch = p->epoch,
	    .command = p->command,
	    .flags = p->flags,
	    .error = (uint8_t)error};
}

/*
 * Gives answers, in the order of their positions, which are above all answered
 * before: delivers what is proposed, and appends a RESULT for each that waits,
 * to the worker that has the sender, or, of the API (sender 0), to the worker
 * whose number + 1 is the publication's `command`. A proposed one whose channel
 * is not the same any more, or has that offset already, or that is larger than
 * the journal's share, is not delivered: the answer is RESULT_TEMPORARY, or, if
 * the reader gives an offset, as it has the publication then, RESULT_UNKNOWN.
 * Fills in position and offset of each as they have become. Takes the lock for
 * 64 at most. Returns the workers to be told.
 */
uint64_t
reader_answer(struct reader *r, struct reader_answer *answers, size_t n);

/* All up to that position is answered or asks nothing: what
 * reader_unsettled() need not look at. reader_answer() does it, too. */
void reader_settled(struct reader *r, uint64_t position);

/*
 * At a start: what its predecessor took and may not have answered: publications
 * that ask this reader, up to its mark, whose sender still waits, or nobody
 * knows (sender 0). A proposed one that was delivered is only to be answered:
 * it has the offset that it was given, and is not proposed any more. They are
 * read from the ring: what it has overwritten is not called. Returns 0, or -1:
 * no memory.
 */
int reader_unsettled(struct reader *r, void *buf, size_t cap,
    void (*found)(void *arg, const struct publication *p, bool delivered),
    void *arg);

/* At a start, after LOST, and each second: each channel that waits to be opened
 * by this reader, whether or not it will meet the OPEN: there is none if it was
 * asked for while this reader was too far behind, or by a process that wrote
 * over it. */
void reader_opening(struct reader *r,
    void (*opening)(void *arg, uint32_t channel, uint32_t epoch), void *arg);

/* Where a channel stands. */
struct reader_opening {
	uint64_t stream; /* epoch of its offsets, as clients are told */
	uint64_t top;	 /* offset of its newest publication */
	uint64_t leap;	 /* its offsets go on from here; 0: from top */
	uint8_t error;	 /* enum result_error; not RESULT_OK: it stays cold */
	/* Its newest publications with their own offset, before, time and
	 * texts, oldest first: those that the journal is to keep. One that is
	 * larger than the journal's share is left out. */
	const struct publication *pubs;
	size_t n;
};

/*
 * The answer to an OPEN: opens that channel, if the entry is still that
 * incarnation and waits for it; takes the lock for each publication. Returns
 * the workers to be told; 0: it is not the same any more.
 */
uint64_t reader_opened(struct reader *r, uint32_t channel, uint32_t epoch,
    const struct reader_opening *o);

/*
 * Makes the entry of a channel that nobody has asked for yet, and opens it, so
 * that nobody has to: of those that most likely will be. One that is open, or
 * not this reader's to open, is left alone. Takes the lock, also for each
 * publication. Returns the workers to be told; 0: it was left alone, or there
 * is no room for it.
 */
uint64_t reader_load(struct reader *r, const char *name, size_t len,
    const struct reader_opening *o);

/*
 * An open channel's offsets go on from `offset`, which is above its own. With
 * hole: publications are missing before it, and the workers tell all who have
 * the channel. Takes the lock. Returns the workers to be told.
 */
uint64_t reader_leap(struct reader *r, uint32_t channel, uint32_t epoch,
    uint64_t offset, bool hole);

/* By anyone: whether a reader says that it has taken all up to a position. */
bool reader_has_taken(const struct hub *h, unsigned number, uint64_t position);

/* And up to which; of no reader of that number: all. */
uint64_t reader_told(const struct hub *h, unsigned number);

/*
 * An open channel of which this reader knows other things than the ring, or has
 * lost what it knew: its offsets go on, also above `above`, with that epoch,
 * and all who have it are told that something is missing. Takes the lock.
 * Returns the workers to be told.
 */
uint64_t reader_renew(struct reader *r, uint32_t channel, uint32_t epoch,
    uint64_t stream, uint64_t above);

/* Sleeps until a publication waits for this reader, or a channel for being
 * opened, or for so long. Returns at once if one does already. */
void reader_wait(struct reader *r, int ms);

/* By a publisher, after a publication that waits, an OPEN, or one that was kept
 * back (PUBLISH_BUSY): wakes these readers (bits) if they sleep. Not under the
 * lock. */
void reader_wake(struct hub *h, uint8_t readers);

#endif
