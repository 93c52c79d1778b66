/*
 * subject: how a subject of `chatctl show` is made: a table of functions, a
 * file each. Layer 3. For src/show, and for subjects that only the master
 * knows.
 */
#ifndef CHATD_SHOW_SUBJECT_H
#define CHATD_SHOW_SUBJECT_H

#include "hub/shm.h"
#include "hub/slot.h"
#include "show/show.h"

/* Items looked at for one part. Larger: the master answers others later;
 * smaller: a part costs more than what is in it. */
enum { SHOW_STEP_ITEMS = 16 * 1024 };

struct show_subject {
	const char *name;
	/* Takes the words behind the name; see show_ask(). NULL: there are
	 * none. */
	int (*ask)(struct show *s, int argc, char **argv, char *error,
	    size_t error_len);
	/* Prepares what is shown, a part at a time; false: there is more to do.
	 * NULL: nothing. */
	bool (*begin)(struct show *s);
	bool (*next)(struct show *s); /* prints an element; false: no more */
	/* Prints the table's head line; NULL: there is none. */
	void (*head)(struct show *s);
	const char *open, *close; /* of the JSON text */
};

struct show {
	struct show_from from;
	const struct show_subject *subject;
	FILE *out;     /* of this part, */
	size_t len;    /* its bytes, */
	uint32_t work; /* and the items looked at for it */
	bool json, failed;
	bool ready;		      /* `begin` is through */
	bool begun;		      /* head line or bracket is out */
	bool some;		      /* an element is out */
	uint32_t at;		      /* worker, entry or slot to come */
	int peer_width;		      /* of that column */
	uint32_t worker[SHM_WORKERS]; /* connections of each */
	uint32_t n_users;	      /* end of the users' entries */
	/* Connections of each entry of the users, or of all entries; NULL: they
	 * are not counted. */
	uint32_t *count;
	uint64_t conn;	/* id of the connection asked for */
	uint64_t entry; /* journal: position to come; 0: no more */
	uint32_t left;	/* journal: entries to show */
	uint32_t only;	/* journal: presence entry of the channel asked for;
			 * SHM_NONE: any */
	struct show_kept {
		bool begun;
		uint64_t position; /* of the publication to come; 0: no more */
		uint32_t epoch;
		uint32_t keep, n; /* at most, and found so far */
		int64_t oldest_ms;
		uint64_t looked; /* publications found for all channels */
	} kept;			 /* channels: what is kept of the one at `at` */
};

/* Prints formatted text. */
void show_put(struct show *s, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/*
 * Prints text that came from clients, by way of memory that may be corrupted:
 * as a JSON string, or as it stands in a line, nothing if it is empty.
 * NAME_WORD_MAX bytes at most.
 */
void show_text(struct show *s, const char *text, size_t len);

/* Prints a list of workers: "0,2". */
void show_mask(struct show *s, uint64_t mask);

/* Prints a list of readers of the journal, by their bits: "store,engine"; "-":
 * none, in a line. */
void show_readers(struct show *s, uint8_t readers, int width);

/* Separates elements of the JSON array. */
void show_comma(struct show *s);

/* Whether connection i is there and of a worker that is shown. */
bool show_connection(
    const struct show *s, uint32_t i, struct slot *out, uint64_t *id);

/* Counts connections by user and by worker, a part at a time; true: done. */
bool show_count(struct show *s);

/* The subjects that have files of their own. */
extern const struct show_subject show_workers, show_users, show_connections,
    show_one_connection, show_channels, show_journal, show_stats;

#endif
