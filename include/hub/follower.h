/*
 * follower: follows the index: hands out what has been published, in its order,
 * each publication once. For a worker, and for any other process that has the
 * hub mapped and a cursor in shared memory: it knows no connections. Layer 2.
 *
 * It never waits, logs or calls the system. What the process has to decide, or
 * to wait for, comes back as a result:
 *
 *	follower_begin(&f);
 *	while ((what = follower_next(&f)) != FOLLOWER_END)
 *		...
 *	more = follower_end(&f);
 *
 * Its cursor does not hold the ring: a follower that is too slow is told what
 * was overwritten. One that must miss nothing says so by follower_hold().
 */
#ifndef CHATD_HUB_FOLLOWER_H
#define CHATD_HUB_FOLLOWER_H

#include "hub/journal.h"

enum {
	/*
	 * Looks, a millisecond apart, at a publication that a worker has died
	 * over. They are counted, not timed: while the machine stands still the
	 * process that is to try the publication does not try it either.
	 * Larger: a corrupted mark holds deliveries up for longer; smaller: a
	 * successor that starts slowly is not waited for, and the publication
	 * may crash another process.
	 */
	FOLLOWER_LOOKS = 1000,
	/* After that the mark counts as corrupted, and all marks are ignored
	 * for so long. Larger: publications that do crash processes crash more
	 * of them; smaller: corrupted marks hold up more deliveries. */
	FOLLOWER_NOT_MS = 10000
};

/* In place of a worker's bit: every publication. */
#define FOLLOWER_ALL UINT64_MAX

enum follower_result {
	FOLLOWER_END,	  /* no more before the end that was seen at begin */
	FOLLOWER_FOUND,	  /* `position` is the next: read it, then call
			   * follower_done() */
	FOLLOWER_OVERRUN, /* the ring has overwritten those above `from` and
			   * below `to`, which go missing */
	FOLLOWER_HELD,	  /* a worker has died over the next one: ask again in a
			   * millisecond, and do nothing of what follows */
	FOLLOWER_STOPPED  /* the journal's end is corrupted: end, and begin
			   * again later; the next process that takes the lock
			   * mends it */
};

struct follower {
	struct hub *h;
	_Atomic uint64_t *cursor; /* all up to this position is done */
	uint64_t bits;		  /* workers whose publications it follows */
	uint64_t trial;	   /* publication that its predecessor died over: it is
			    * the one that tries it. 0: none */
	uint64_t position; /* FOUND */
	uint64_t mask;	   /* FOUND: the workers that it is for */
	uint64_t from, to; /* OVERRUN */
	unsigned holder;   /* number + 1, 0: it holds nothing */

	/* private: */
	uint64_t at;	 /* passed so far; the cursor follows */
	uint64_t end;	 /* newest position when it began */
	uint64_t held;	 /* position that is looked at again and again */
	uint32_t looks;	 /* and how often it has been */
	uint64_t not_ms; /* until then no publication counts as suspected */
	bool sound;	 /* `end` has been checked since it began */
	bool stopped;
};

/* A follower of what is for any of these workers, or FOLLOWER_ALL. The cursor
 * lies in shared memory, and this process alone writes it. */
void follower_init(
    struct follower *f, struct hub *h, _Atomic uint64_t *cursor, uint64_t bits);

/* Holds the ring from now on under that number (journal_hold()), from its
 * cursor on; follower_end() tells how far it has come. */
void follower_hold(struct follower *f, unsigned holder);

/* Begins at the cursor, up to the newest publication of now. */
void follower_begin(struct follower *f);

/* What comes next. After OVERRUN and HELD it may be asked again at once. */
enum follower_result follower_next(struct follower *f);

/*
 * Copies the publication that was found. OK, or GONE: ask follower_next()
 * again, which says what has become of it. BAD: its entry is corrupted; the
 * caller logs that, and passes over it by follower_done().
 */
enum journal_result
follower_read(struct follower *f, void *buf, size_t cap, struct publication *p);

/* The publication that was found is done: the cursor is behind it, and if it
 * was tried, it is suspected no more. */
void follower_done(struct follower *f);

/* Stores how far it has come. True: there is more already, and a way to it. */
bool follower_end(struct follower *f);

#endif
