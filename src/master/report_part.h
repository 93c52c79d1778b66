/*
 * report_part: what the parts of reports share. Private to src/master; each
 * file report_*.c makes the lines and objects of what it is named after.
 */
#ifndef CHATD_MASTER_REPORT_PART_H
#define CHATD_MASTER_REPORT_PART_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "hub/shm.h"
#include "hub/slot.h"

struct evbuffer;
struct master;
struct report;

enum { REPORT_STEP_ITEMS = 16 * 1024 }; /* looked at for one part */

/* What can be shown. */
struct subject {
	const char *name;
	/* Makes ready what is shown, a part at a time; false: there is more to
	 * do. NULL: nothing. */
	bool (*begin)(struct report *);
	bool (*next)(struct report *, struct evbuffer *); /* false: no more */
	/* Appends the table's head line; NULL: there is none. */
	void (*head)(struct report *, struct evbuffer *);
	const char *open, *close; /* of the JSON text */
};

struct report {
	struct master *master;
	const struct subject *subject;
	bool json, failed;
	bool ready;		      /* `begin` is through */
	bool begun;		      /* head line or bracket is out */
	bool some;		      /* an element is out */
	uint32_t at;		      /* worker, entry or slot to come */
	int peer_width;		      /* of that column */
	uint64_t alive;		      /* mask */
	uint32_t worker[SHM_WORKERS]; /* connections of each */
	uint32_t n_users;	      /* end of the users' entries */
	/* Connections of each entry of the users, or of all entries; NULL: they
	 * are not counted. */
	uint32_t *count;
};

/* Appends formatted text. */
void report_put(struct report *r, struct evbuffer *out, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/*
 * Appends text that came from clients, read from shared memory, which may be
 * corrupted: as a JSON string, or as it stands in a line, nothing if it is
 * empty. NAME_WORD_MAX bytes at most.
 */
void report_text(
    struct report *r, struct evbuffer *out, const char *text, size_t len);

/* Appends a list of workers: "0,2". */
void report_mask(struct report *r, struct evbuffer *out, uint64_t mask);

/* Separates elements of the JSON array. */
void report_comma(struct report *r, struct evbuffer *out);

/* Whether connection i is there and of a living worker. */
bool report_connection(
    const struct report *r, uint32_t i, struct slot *s, uint64_t *id);

/* Counts connections by user and by worker, a part at a time; true: done. */
bool report_count(struct report *r);

/* The subjects that have files of their own. */
extern const struct subject report_stats, report_channels, report_conf,
    report_processes;

#endif
