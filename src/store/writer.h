/*
 * writer: the process that writes, as its own files see it. It follows the
 * journal (hub/reader.h) and commits what it took with its mark in one
 * transaction; only then are others told. A function that returns anything but
 * STORE_OK or STORE_NONE leaves it to writer_turn() to begin again at the mark.
 */
#ifndef CHATD_SRC_STORE_WRITER_H
#define CHATD_SRC_STORE_WRITER_H

#include "codec/message.h"
#include "hub/figures.h"
#include "hub/reader.h"
#include "process/child.h"
#include "process/reader_child.h"
#include "room/kept.h"
#include "store/store.h"
#include "trust.h"

/* Offsets after an end that was not clean: those that were told and are not in
 * the database are below. Larger: they come to their end sooner; smaller: a
 * channel that published more while the disk hung gives some twice. */
#define WRITER_LEAP (1ull << 20)

/* Entries of one commit. Larger: a commit takes longer, and more is taken again
 * when it fails; smaller: more commits at full rate. */
enum { WRITER_BATCH = 1000 };

/* What is known of the channel of a presence entry; of another incarnation, or
 * from before the transaction was undone: nothing. */
struct writer_channel {
	uint32_t epoch, turn;
	bool is_other; /* what is stored under its name has another epoch, and
			* nothing was stored since: others are missing */
	/* Messages up to this position of the journal may have got offsets that
	 * others are stored with; UINT64_MAX: until writer_join(). */
	uint64_t renumbered;
	struct store_channel stored;
	/* The log has said that messages are missing from here on, of that
	 * incarnation: not again when the transaction is done again. */
	uint64_t hole_from;
	uint32_t hole_epoch;
};

/* A publication with its texts. */
struct writer_copy {
	struct publication p;
	char text[];
};

/* A publication that is to be answered when it is committed, and, of one that
 * was proposed, what is delivered then. */
struct writer_owed {
	struct reader_answer answer;
	struct writer_copy *copy; /* NULL: none */
};

/* A channel that is to be opened. */
struct writer_asked {
	uint32_t channel, epoch;
	enum open_ask ask;
};

/* Long work that is done by pieces, beside all else: writer_care.c. */
struct writer_care {
	uint64_t prune_ms; /* the next piece, or the next round, not before */
	bool erases;	   /* a user is to be erased: */
	struct message_erase asked;
	bool begun;	     /* all before it is in the database */
	uint64_t upto;	     /* the journal's end when it was asked for, */
	int64_t until_ms;    /* and the time */
	uint64_t in_journal; /* messages that were erased there */
	struct store_erasure erasure;
};

struct writer {
	struct child_start *start;
	struct hub *hub;
	struct figures *figures;
	struct reader reader;
	struct reader_child child;
	struct kept_rules rules;

	struct store *store;   /* NULL: it is not open, */
	struct store *look;    /* but may be open for reading, */
	bool is_void;	       /* or there is none yet */
	enum store_result why; /* for that reason */
	struct store_options options;
	char error[1024];	/* and this is what was said */
	struct store_mark mark; /* of the last commit */
	bool ends;		/* it is told to leave */
	bool begun;   /* this journal's first commit is done: before that no
		       * channel is opened */
	bool noted;   /* it is, though what follows it may not be */
	bool is_new;  /* the database's mark was of another journal, */
	bool leaps;   /* and offsets that were told may be missing in it; */
	bool is_copy; /* any number of them */
	bool is_lost; /* what was stored is in a file that was moved aside */
	bool is_gone; /* the file was not at its path any more */
	uint64_t journal; /* the number of this one */
	/* Before this journal's first commit: channels are opened so much above
	 * what they had. */
	uint64_t lead;
	enum store_result state; /* OK, or why it cannot go on */
	uint64_t retry_ms;	 /* then it tries again, */
	uint64_t failed_ms;	 /* since when; 0: it goes on */
	enum store_result told;	 /* what the log and the figures say */
	bool damaged; /* pages that could not be read were met, which is told */

	char *buf; /* an entry of the journal */
	size_t cap;
	struct writer_channel *channel; /* [n_entries] */
	uint32_t turn;			/* of transactions: grows when one is
					 * undone */
	uint32_t batch;			/* most entries of a commit; */
	uint32_t taken;			/* since the last commit, */
	uint32_t rows;			/* of these messages, */
	uint32_t holes;			/* and gaps that were noted */
	uint64_t taken_ms;  /* clock_ms() when the first was said, */
	uint64_t behind_ms; /* also if it was taken before, in vain; 0: none */
	bool waits;	    /* a client waits for the commit */
	uint64_t lost_from, lost_to; /* of the journal, overwritten unread */
	uint64_t told_bad; /* up to there the log has entries that are passed
			    * over */
	bool stopped; /* its end was corrupted when it was looked at last */

	struct writer_owed *owed;
	size_t n_owed, room_owed;
	size_t copied;	   /* bytes of their copies */
	uint64_t answered; /* proposals up to there, not noted yet; 0: none */
	struct writer_asked *asked;
	size_t n_asked, room_asked;
	uint64_t seek_ms; /* then others are looked for */
	uint32_t *other;  /* channels that are to go on as they are stored */
	size_t n_other, room_other;

	uint64_t commit_ms;   /* of the last one, */
	bool idle;	      /* and nothing since: all is in the database */
	uint64_t idle_ms;     /* not before that is looked for again */
	uint64_t look_ms;     /* and for its file */
	uint64_t told_ms;     /* the figures were */
	uint64_t unopened_ms; /* it was told that a channel cannot be opened */
	bool log_told;	      /* and that SQLite's log is large */

	struct writer_care care;
	struct trust trust; /* the time by which rows are too old */

	uint64_t suspect; /* position that killed the process before this one */
	unsigned deaths;  /* so often */
};

/* writer_state.c: the database opened, the journal's first commit; 0, also if
 * it is to be tried again; -1: an error that only people can mend, which is
 * logged.
 */
int writer_open(struct writer *w);
/* This journal's first commit: no other is made before it. */
enum store_result writer_begin(struct writer *w);
/* It cannot go on: begins again at the mark, a second later. */
void writer_fail(struct writer *w, enum store_result r);
/* A commit was done: it can go on. */
void writer_goes_on(struct writer *w);
/* Tells the figures, some times a second. */
void writer_tell(struct writer *w, uint64_t now);
/* Commits all that is taken. */
enum store_result writer_commit(struct writer *w, bool clean);

/* writer_look.c: it cannot be opened for writing: is opened for reading, until
 * writer_look_end(). */
void writer_look(struct writer *w);
void writer_look_end(struct writer *w);
/* How much channels are above what a database of that mark has, where they are
 * opened before the first commit; 0: what it has is this journal's. */
uint64_t writer_lead(const struct writer *w, const struct store_mark *found);
/* What can be read; NULL: nothing. */
struct store *writer_reads(const struct writer *w);
/* Whether a channel may be opened: before the first commit those alone of which
 * messages may be lost. */
bool writer_may_open(const struct writer *w, const char *name, size_t len);
/* *told: channels were opened before the first commit. */
enum store_result writer_is_told(struct writer *w, bool *told);

/* writer_patience.c: a master that dies does not end this process at once, but
 * some seconds later, whatever it waits for. */
void writer_patience_init(struct writer *w);
/* Whether the master is dead. */
bool writer_is_orphan(const struct writer *w);
/* From now on the process gives life signs while a call waits for the disk, for
 * some minutes at most; or not any more. */
void writer_patience(struct writer *w, bool on);
/* Moves what is committed into the database, however long that takes. */
enum store_result writer_checkpoint(struct writer *w, bool idle);

/* writer_take.c: takes what the journal has, some at a time. *more: there is
 * more. */
enum store_result writer_take(struct writer *w, bool *more);
/* Notes that something is to be committed. */
void writer_took(struct writer *w);
/* writer_channel.c: the channel of an entry as it is stored, made if need be;
 * NULL: it is another channel's by now, or *r says why. */
struct store_channel *writer_channel_of(
    struct writer *w, uint32_t channel, uint32_t epoch, enum store_result *r);
/* Publications of a channel up to `before` are missing; trailing: nothing may
 * follow them, so that the chain has to say so by itself. e: its entry. */
enum store_result writer_hole(struct writer *w, uint32_t e,
    struct store_channel *c, uint64_t before, bool trailing, const char *why);
/* What a publication follows, where offsets jumped and nothing is missing. */
enum store_result
writer_bridge(struct writer *w, struct store_channel *c, uint64_t before);
/* At a clean end, all of the journal taken: channels in which more was told
 * than is stored, since they were not to be stored for a while, go on above
 * that. STORE_NONE: not all were looked at by that time. */
enum store_result writer_catch_up(struct writer *w, uint64_t limit_ms);
/* What was stored is lost: all open channels begin anew. */
void writer_renew(struct writer *w);
/* A channel is to go on as it is stored: before the next message that is not
 * in the journal yet. */
void writer_join_soon(struct writer *w, uint32_t channel);
/* Channels that were open with another epoch than they are stored with, such as
 * when they came to be stored again, go on as they are stored. */
void writer_join(struct writer *w);
/* A message has got an offset that another one is stored with, which others may
 * have been told: the channel begins another epoch. */
enum store_result writer_clash(struct writer *w, uint32_t channel);
/* Another epoch of offsets. */
uint64_t writer_stream(void);
/* All that is known of channels is forgotten: the transaction was undone. */
void writer_forget(struct writer *w);
/* writer_event.c: takes an event. */
enum store_result writer_event(struct writer *w, const struct publication *p);
/* That chatd has started with a new journal, or stopped. */
enum store_result writer_event_own(struct writer *w, const char *kind);

/* writer_answer.c: a publication is to be answered; deliver: and delivered, a
 * copy is made. */
void writer_owe(struct writer *w, const struct reader_answer *a,
    const struct publication *deliver);
/* Gives all answers that are owed; or forgets them: they are owed again. */
void writer_answer(struct writer *w);
void writer_answer_forget(struct writer *w);
/* At a start: what the process before this one has left undone. */
enum store_result writer_resume(struct writer *w);
struct writer_copy *writer_copy(const struct publication *p);
/* Room for one more of n items. */
void *writer_room(void *items, size_t n, size_t *room, size_t size);

/* writer_open.c: a channel that is to be opened. */
void writer_ask(void *arg, uint32_t channel, uint32_t epoch);
/* A damaged page was met in reading: that is said, and nothing is moved. */
void writer_skip_damage(struct writer *w);
/* Opens some of those that are asked for. more: there is more to take. */
enum store_result writer_open_asked(struct writer *w, bool more);
/* Opens channels while nothing can be written: what is there can be read. */
void writer_open_blocked(struct writer *w);
/* At a start: opens those that were published to last. */
enum store_result writer_load(struct writer *w);

/* writer_care.c: begins to hear what the master asks for. */
void writer_care_init(struct writer *w);
/* Where the disk is full: deletes a piece of what is too old or too much, since
 * rows find room where others were. Returns whether there is more. */
bool writer_care_full(struct writer *w);
/* A piece of long work, if it is time for one: while nothing is taken. */
enum store_result writer_care(struct writer *w);
/* Whether there is a piece that is not to wait. */
bool writer_care_is_due(const struct writer *w);

/* writer_fault.c: notes in the line what is in hand: one that kills the process
 * twice is passed over. */
void writer_fault_init(struct writer *w);
bool writer_is_poison(const struct writer *w, const struct publication *p);
void writer_in_hand(struct writer *w, const struct publication *p);
void writer_hand_free(struct writer *w);

#endif
