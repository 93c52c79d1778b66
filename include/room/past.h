/*
 * past: a channel's publications as its history and recovery need them: those
 * of the ring and, where that has moved on, those of the archive
 * (room/archive.h), as one. What is newer than the archive's last commit is in
 * the ring, so that both meet; that nothing is missing between two publications
 * is known by the offset that each names as the one before it. Layer 3.
 */
#ifndef CHATD_ROOM_PAST_H
#define CHATD_ROOM_PAST_H

#include "hub/history.h"
#include "room/archive.h"
#include "room/channel.h"

/* Which publications. */
struct past_query {
	const char *name; /* of the channel, not terminated */
	size_t len;
	const struct conf_channel *rule;
	const struct channel_position *at; /* where the channel stands */
	uint64_t since; /* only those after (reverse: before) this offset */
	bool has_since;
	bool reverse;	/* newest first */
	uint32_t limit; /* at most HISTORY_MAX; 0: none */
	bool now;	/* the command cannot wait any more */
};

enum past_result {
	PAST_OK,
	PAST_WAITS, /* the command in hand waits for rows: return, unanswered */
	PAST_FAILED, /* rows cannot be read */
	PAST_LATE    /* or not now */
};

struct past_item {
	uint64_t position; /* in the ring; 0: */
	size_t row; /* in the answer of the archive, bytes from its begin */
};

struct past {
	bool gone; /* what followed `since` is not all kept any more: nothing is
		    * found */
	bool gap;  /* something is missing behind those that were found */
	bool more; /* there are more than so many */
	uint32_t n;
	struct archive_rows rows;
	struct past_item at[HISTORY_MAX]; /* in the order asked for */
};

/* Finds them for the command or request in hand. Rows are there until
 * archive_done(), which is called when they have been used. */
enum past_result
past_find(struct chat *ch, const struct past_query *q, struct past *out);

/* The nth; its texts are valid until the next. False: it has gone. */
bool past_read(struct chat *ch, const struct past *past, uint32_t n,
    struct publication *p);

/* The oldest that a rule's history-age still keeps, wall clock. */
int64_t past_oldest_ms(const struct chat *ch, const struct conf_channel *rule);

#endif
