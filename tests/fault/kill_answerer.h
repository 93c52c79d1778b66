/* kill_answerer: a reader of the journal in the process of a test, which
 * answers all that asks it. Which channels are its, a kill build knows by their
 * names (room/kept.h). */
#ifndef CHATD_TESTS_KILL_ANSWERER_H
#define CHATD_TESTS_KILL_ANSWERER_H

#include "hub/reader.h"

enum {
	ANSWERER_JOURNAL = 1 << 20, /* bytes of the journal, at most */
	ANSWERER_TOP = 7,	    /* where a channel stands that is opened */
	ANSWERER_STREAM = 0x1234
};

struct answerer {
	struct hub h;
	struct reader r;
	uint32_t asked, opened; /* what it has met */
	char entry[ANSWERER_JOURNAL / JOURNAL_SHARE];
};

/* Opens a channel, or says that it cannot. */
static inline void
answerer_open(struct answerer *a, uint32_t channel, uint32_t epoch,
    enum result_error error)
{
	const struct reader_opening o = {.stream = ANSWERER_STREAM,
	    .top = ANSWERER_TOP,
	    .error = (uint8_t)error};

	a->opened++;
	if (error != RESULT_ERRORS)
		(void)reader_opened(&a->r, channel, epoch, &o);
}

/* Answers a publication; one that is proposed may go, unless it has gone. */
static inline void
answerer_answer(struct answerer *a, const struct publication *p, bool delivered,
    enum result_error error)
{
	struct reader_answer answer = reader_answer_to(p, error);

	a->asked++;
	if (p->flags & PUBLICATION_PROPOSED && !delivered &&
	    error == RESULT_OK) {
		answer.deliver = p;
		answer.offset = 0; /* the channel's next one */
	}
	if (error != RESULT_ERRORS)
		(void)reader_answer(&a->r, &answer, 1);
}

/* Reads what there is, and gives that answer to all; none: RESULT_ERRORS. */
static inline void
answerer_turn(struct answerer *a, enum result_error error)
{
	struct publication p;

	while (reader_next(&a->r, a->entry, sizeof(a->entry), &p) ==
	    READER_FOUND) {
		/* first: whether what it has taken is answered, a successor
		 * finds out; what it has not taken, that one meets again */
		reader_taken(&a->r, a->r.passed);
		if (p.format == FORMAT_OPEN)
			answerer_open(a, p.channel, p.epoch, error);
		else if (reader_is_asked(&a->r, &p))
			answerer_answer(a, &p, false, error);
	}
}

/* For reader_opening(). */
static inline void
answerer_opening_cb(void *arg, uint32_t channel, uint32_t epoch)
{
	answerer_open(arg, channel, epoch, RESULT_OK);
}

/* For reader_unsettled(). */
static inline void
answerer_unsettled_cb(void *arg, const struct publication *p, bool delivered)
{
	answerer_answer(arg, p, delivered, RESULT_OK);
}

/* The first one, or the successor of one that has died. */
static inline void
answerer_begin(struct answerer *a, const struct hub *h)
{
	a->h = *h;
	hub_become(&a->h, SHM_WORKERS);
	a->asked = a->opened = 0;
	reader_init(&a->r, &a->h, READER_HOOKS, READER_NO_MARK);
	reader_opening(&a->r, answerer_opening_cb, a);
	assert_int_equal(reader_unsettled(&a->r, a->entry, sizeof(a->entry),
			     answerer_unsettled_cb, a),
	    0);
}

#endif
