/*
 * judge: what the programs of kinds of children say of files that the
 * configuration names for them, before there is such a child: a database that
 * is none. In a process that reads for the master; runs them as the users that
 * the children will be.
 */
#ifndef CHATD_SRC_MASTER_JUDGE_H
#define CHATD_SRC_MASTER_JUDGE_H

struct bundle;
struct conf;
struct identity;
struct options;

/* all: whom children become that have no user of their own. Calls found for
 * each that is refused: its key, and one line that says why. */
void judge_files(const struct conf *c, const struct bundle *b,
    const struct options *o, const struct identity *all,
    void (*found)(void *arg, const char *key, const char *why), void *arg);

#endif
