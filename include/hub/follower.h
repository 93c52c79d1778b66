/*
 * follower: follows the index: hands out what has been published, in its order,
 * each publication once. For a worker, and for any other process that has the
 * hub mapped and a cursor in shared memory: it knows no connections. Layer 2.
 *
 * It never waits, logs or calls the system. Where the process has to decide or
 * to wait, it gets a result:
 *
 * follower_begin(&f);
 * while ((what = follower_next(&f)) != FOLLOWER_END)
 * ...
 * more = follower_end(&f);
 *
 * Its cursor does not hold the ring: a follower that is too slow is told what
 * was overwritten. One that must miss nothing is a reader (hub/reader.h).
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
			   * millisecond, and do nothing with later ones meanwhile
			   */
	FOLLOWER_STOPPED  /* the journal's end is corrupted: end, and begin
			   * again later; the next process that takes the lock
			   * mends it */
};

struct follower {
	struct hub *h;
	_Atomic uint64_t *cursor; /* all up to this position is done */
	uint64_t bits;		  /* workers whose publications it follows */
	uint64_t trial;	   /* publication that its predecessor died over, which
			    * this process has to retry; 0: none */
	uint64_t position; /* FOUND */
	uint64_t mask;	   /* FOUND: the workers that it is for */
	uint64_t from, to; /* OVERRUN */

	/* private: */
	uint64_t at;	 /* passed so far; the cursor follows */
	uint64_t end;	 /* newest position when it began */
	uint64_t held;	 /* position that is looked at again and again */
	uint32_t looks;	 /* and how often it has been */
	uint64_t not_ms; /* until then no publication counts as suspected */
	bool sound;	 /* `end` has been checked since it began */
	bool stopped;
};

/* A follower of publications for any worker in `bits`, or of all: FOLLOWER_ALL.
 * The cursor lies in shared memory, and this process alone writes it. */
void follower_init(
    struct follower *f, struct hub *h, _Atomic uint64_t *cursor, uint64_t bits);

/* For the functions below, seldom called: whether the journal's end is sound
 * (if not, the follower stops), and what the next position is when it was not
 * found at once. */
bool follower_check(struct follower *f);
enum follower_result follower_look(struct follower *f);

/* Begins at the cursor, up to the newest publication of now. */
static inline void
follower_begin(struct follower *f)
{
	f->at = SHM_OWN(*f->cursor);
	f->end = journal_tail(f->h);
	f->sound = f->stopped = false;
	/* one of the two is corrupted: if the end is not, it is the cursor */
	if (f->at > f->end && follower_check(f))
		f->at = f->end;
}

/* The next publication, or why there is none. After OVERRUN and HELD it may be
 * called again at once. */
static inline enum follower_result
follower_next(struct follower *f)
{
	uint64_t next = f->at + 1, mask;

	if (f->at >= f->end || f->stopped)
		return f->stopped ? FOLLOWER_STOPPED : FOLLOWER_END;
	mask = journal_mask(f->h, next);
	if (!(mask & f->bits) || journal_suspected(f->h, next) != 0)
		return follower_look(f);
	f->position = next;
	f->mask = mask;
	return FOLLOWER_FOUND;
}

/*
 * Copies the publication that was found. OK, or GONE: ask follower_next()
 * again, which says what has become of it. BAD: its entry is corrupted; the
 * caller logs that and calls follower_done() to pass over it.
 */
static inline enum journal_result
follower_read(struct follower *f, void *buf, size_t cap, struct publication *p)
{
	enum journal_result r = journal_read(f->h, f->at + 1, buf, cap, p);

	return r == JOURNAL_OK || follower_check(f) ? r : JOURNAL_GONE;
}

/* Whether there is more before the end that was seen at begin. */
static inline bool
follower_is_behind(const struct follower *f)
{
	return f->at < f->end;
}

/* The publication that was found is done: the cursor is behind it, and if it
 * was tried, it is suspected no more. */
static inline void
follower_done(struct follower *f)
{
	f->at++;
	SHM_STORE(*f->cursor, f->at);
	if (f->at == f->trial)
		journal_acquit(f->h, f->trial);
}

/* Stores how far the follower has come. True: there are newer publications, and
 * follower_begin() may be called again at once. */
static inline bool
follower_end(struct follower *f)
{
	SHM_STORE(*f->cursor, f->at);
	return !f->stopped && f->at < journal_tail(f->h);
}

#endif
