/*
 * judge: what the programs of kinds of children say of files that the
 * configuration names for them, before there is such a child: a database that
 * is none. In a process that reads for the master; runs them as the users that
 * the children will be.
 */
#ifndef CHATD_SRC_MASTER_JUDGE_H
#define CHATD_SRC_MASTER_JUDGE_H

#include <stdbool.h>
#include <stdint.h>

struct bundle;
struct conf;
struct identity;
struct options;

enum judge_finding {
	JUDGE_WARNING,
	JUDGE_REFUSED, /* no such child can start */
	JUDGE_RENEWAL  /* the same, of one that a reload starts anew */
};

/* all: whom children become that have no user of their own. Calls found for
 * each finding: its key, and one line that says why. */
void judge_files(const struct conf *c, const struct bundle *b,
    const struct options *o, const struct identity *all,
    void (*found)(
	void *arg, enum judge_finding what, const char *key, const char *why),
    void *arg);

/* Whether there are files that a reload reads anew: without them nothing is
 * served. */
bool judge_is_needed(const struct conf *c);

/* What says whether such files are as they were: their places, sizes and times.
 * 0: there are none. b: is told which of them is looked at. */
uint64_t judge_stamp(const struct conf *c, const struct bundle *b);

#endif
