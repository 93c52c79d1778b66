/*
 * store: what is kept of channels' publications and of users' events in a
 * database, and found there again. SQLite lies behind it (chatd-store(5)); this
 * is all that others know of it, so that another database can stand there.
 * Layer 6, linked into the program of the processes that open it alone
 * (chatd-store).
 *
 * One process writes (`store`), others read by a connection of their own, which
 * no commit makes wait. What has been taken since the last commit, the
 * channels' tops and the mark are one transaction: after a death all of it is
 * there, or nothing. A function that returns anything but STORE_OK or
 * STORE_NONE has undone all that was taken since the last commit; the caller
 * takes it again from its mark, and knows no struct store_channel any more.
 */
#ifndef CHATD_STORE_STORE_H
#define CHATD_STORE_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "hub/journal.h"

struct store;

/* How it went: what people are told in `chatctl store`. */
enum store_result {
	STORE_OK,
	STORE_NONE,	 /* there is no such row */
	STORE_FULL,	 /* the disk is full, or will be (5 % are left) */
	STORE_READ_ONLY, /* no permission, a file system that is read-only */
	STORE_LOCKED,	 /* another process holds it locked for over 5 s */
	STORE_DAMAGED,	 /* SQLITE_CORRUPT, SQLITE_NOTADB */
	STORE_GONE,	 /* the file is not at its path any more */
	STORE_FAILED	 /* the disk does not read or write, no memory */
};

enum store_use {
	STORE_WRITES,
	STORE_READS,
	/* By who is to write, while that cannot be: it needs no room on the
	 * disk, and may keep others out until it is closed. */
	STORE_LOOKS
};

struct store_options {
	const char *path;
	enum store_use use;
	bool sync_full;	  /* each commit is on the disk: fsync */
	bool search;	  /* texts are indexed */
	uint32_t wait_ms; /* for another process's lock; 0: 5 s, who reads 1.5
			   * s */
	/* Called again and again in what takes long, such as a wait for
	 * another process's lock; NULL: not. */
	void (*tick)(void *arg);
	void *arg;
	/* Of one that was not opened; NULL: it is not told. STORE_NONE: it is
	 * refused until people do something; STORE_DAMAGED; else it may be
	 * tried again: the disk is full, read-only, or fails, or another
	 * process holds the file locked. */
	enum store_result *why;
};

/* Whose positions the store's mark counts, and how the last writer ended. */
struct store_mark {
	uint64_t journal;  /* number of the shared memory that it belongs to */
	uint64_t position; /* all up to it is in the database */
	bool clean;	   /* the last writer ended with nothing left to take */
	/* By store_open(), of who writes: it is not the database that was
	 * written at that path last, but an older one, such as a backup, or one
	 * of which nothing is known: offsets may have been told that it has
	 * not, any number of them. */
	bool copied;
	/* By who writes: the boot id of the machine, terminated, "": not known;
	 * for people who look into the database. Nothing is decided by it. */
	char boot[37];
	/* Noted there, of who writes: the journal that it was to belong to
	 * last: another one than `journal` if that one's first commit is not
	 * there, or has gone with the machine's power. */
	uint64_t noted;
	/* Noted beside the database, of who writes: the time by which rows were
	 * too old, 0: not known, and for how long the clock had told another
	 * one. */
	int64_t wall_ms;
	uint64_t doubt_ms;
};

/*
 * Opens, makes or migrates it; who reads makes nothing. mark: as the last
 * commit left it; journal 0: the database is new. Returns 0, or -1 with one
 * line in error that says what to do: no database, one of a newer version, one
 * that another chatd writes, a file system without shared memory (NFS), no
 * permission. *damaged: it is a database, and spoiled.
 */
int store_open(struct store **out, const struct store_options *o,
    struct store_mark *mark, bool *damaged, char *error, size_t error_len);
/* What was not committed is not there. */
void store_close(struct store *s);

/* Whether store_open() would take what is at that path, as far as that can be
 * said without opening it: no file is changed or left behind, and none that
 * another process uses is disturbed. Returns 0, or -1 with one line in error.
 */
int store_try(const char *path, char *error, size_t error_len);

/* What was wrong last: one line for the log. */
const char *store_error(const struct store *s);

/* A channel as it is stored. */
struct store_channel {
	int64_t id;
	uint64_t stream; /* epoch of its offsets, as clients are told */
	uint64_t top;	 /* its offsets go on behind this one, */
	uint64_t newest; /* and this is that of its newest row; 0: none */
};

/* Finds a channel; stream not 0: makes it, with that, if it is not there.
 * STORE_NONE: it is not there. */
enum store_result store_channel(struct store *s, const char *name, size_t len,
    uint64_t stream, struct store_channel *out);

/* Gives a channel another epoch, which it keeps its name and rows with. */
enum store_result
store_channel_renew(struct store *s, struct store_channel *c, uint64_t stream);

/* Takes a message, LEAP or event. c: its channel, whose top and newest it
 * changes; NULL: of an event about a channel that is not stored. Its offset is
 * above the channel's top: another row with it is an error. A LEAP is what the
 * chain of `before` goes over where offsets jump and nothing is missing. A
 * proposed message has the offset that it shall get, and is among
 * STORE_PROPOSALS until store_answered() says that it is delivered. */
enum store_result store_take(
    struct store *s, struct store_channel *c, const struct publication *p);

/* Notes an event of the store's own: "start", "stop". */
enum store_result
store_event(struct store *s, const char *kind, int64_t time_ms);

/* All proposals up to that position are delivered or refused. */
enum store_result store_answered(struct store *s, uint64_t position);

/* All channels' offsets go on so much above what they had, as far as there are
 * such numbers. */
enum store_result store_leap(struct store *s, uint64_t by);

/* All channels' offsets are of another epoch: nothing that was told of them is
 * told again. */
enum store_result store_renew(struct store *s);

/* Notes that publications of a channel above `after`, up to `before`, are not
 * there. c NULL: it is not known which channel's, and these are positions of
 * the journal. why: one word. */
enum store_result store_hole(struct store *s, struct store_channel *c,
    uint64_t after, uint64_t before, int64_t time_ms, const char *why);

/* Commits, with the mark. Returns STORE_OK when it is there for good. */
enum store_result store_commit(struct store *s, const struct store_mark *mark);

/* STORE_GONE if the file or its log was deleted, renamed or replaced, or, by
 * who writes, if another one was copied over it: what is written would be found
 * by nobody, and a new store_open() is needed. store_commit() looks, too. */
enum store_result store_look(struct store *s);

/* Whether the file system is so full that the file does not grow: rows are
 * added where others were deleted. */
bool store_is_bound(const struct store *s);

/* After a commit, and after its answers, since it may wait for the disk: moves
 * what is committed from the write-ahead log into the database, from 1,000
 * pages on. idle: all of it, and the log becomes empty, or is written from its
 * beginning again where the disk is full, if no other process is reading just
 * then. */
enum store_result store_checkpoint(struct store *s, bool idle);

struct store_figures {
	uint64_t rows, holes;	   /* publications; rows of holes */
	uint64_t bytes, wal_bytes; /* of the files */
};
void store_figures(struct store *s, struct store_figures *f);

enum store_what {
	STORE_PAGE,	 /* of a channel */
	STORE_CHANNELS,	 /* those that were published to last; rows without
			  * publications */
	STORE_MATCHES,	 /* of a channel (none: of all), whose texts match */
	STORE_OF_USER,	 /* all that a user published, oldest first */
	STORE_PROPOSALS, /* proposed, and not yet known to be delivered */
	STORE_USER	 /* one: offset is what was delivered to that user, time
			  * when it was seen last */
};

struct store_query {
	enum store_what what;
	const char *name; /* of the channel or user, not terminated */
	size_t name_len;
	const char *text; /* MATCHES: words; not terminated */
	size_t text_len;
	uint64_t since, upto; /* offsets above since, up to upto; upto 0: any */
	int64_t oldest_ms;    /* nothing from before */
	uint32_t keep;	/* PAGE: of its newest so many rows alone; 0: of all */
	bool reverse;	/* newest first */
	uint32_t limit; /* rows */
	/* By a store that is open for reading alone: after that it fails; 0: it
	 * takes as long as it takes. */
	uint32_t limit_ms;
};

/* A row; its texts are good until the next. */
struct store_row {
	const char *name;
	size_t name_len;
	struct store_channel channel;
	struct publication pub; /* position 0 but of PROPOSALS */
	bool erased;		/* texts are gone; offset and before stay */
};

/* Calls row for each until it returns false. STORE_NONE: there is no such
 * channel or user. */
enum store_result store_find(struct store *s, const struct store_query *q,
    bool (*row)(void *arg, const struct store_row *r), void *arg);

/* How much is to be kept. */
struct store_bounds {
	uint64_t age_ms;      /* of all; 0: any */
	uint64_t bytes;	      /* of the database's file; 0: any */
	uint64_t user_age_ms; /* of names in `user` that no token proved */
	/* Of channels that no other row is of, since their newest message. */
	uint64_t channel_age_ms;
	/* Of a channel of that name; 0: any. NULL: of all channels. */
	void (*channel)(void *arg, const char *name, size_t len, uint32_t *rows,
	    uint64_t *age_ms);
	/* A channel's row is deleted: the caller knows no struct store_channel
	 * any more. */
	void (*forget)(void *arg);
	void *arg;
};

/* Deletes at most `rows` publications that are too many or too old, oldest
 * first, and gives pages back; a transaction of its own, so when nothing is
 * taken since the last commit. *more: there are more. */
enum store_result store_prune(struct store *s, const struct store_bounds *b,
    int64_t now_ms, uint32_t rows, bool *more);

/* What is erased of a user, by pieces. */
struct store_erasure {
	const char *user;
	size_t len;
	uint64_t rows;	 /* publications whose texts are gone, */
	uint64_t events; /* and events that are gone */
	bool logged;	 /* the end: the write-ahead log may have them still */

	/* private: */
	int step;
	int64_t at, last;
};

/* Erases a piece of what a user published up to the first call, of some `rows`:
 * texts, sender and name; its events, and its row in `user`. At last the index
 * of texts is written anew, and the write-ahead log emptied: e->logged says
 * whether another process that reads kept it from that. A transaction of its
 * own, as above. May be done again. */
enum store_result store_erase(
    struct store *s, struct store_erasure *e, uint32_t rows, bool *more);

#endif
