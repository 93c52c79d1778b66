/* limit: a question to the database may take so long, and is ended then.
 * SQLite's progress handler is not called while FTS5 compares words, so that a
 * signal says when. */
#include "limit.h"

#include <signal.h>
#include <stdio.h>
#include <sys/time.h>

enum {
	/* Then again: one that comes between two statements ends none. */
	LIMIT_AGAIN_US = 50 * 1000
};

static sqlite3 *volatile limited;

/* The time is over. */
static void
limit_cb(int sig)
{
	sqlite3 *db = limited;

	if (db != NULL)
		sqlite3_interrupt(db);
}

/* One signal then, and more; 0: none. */
static void
limit_timer(uint32_t ms)
{
	const struct itimerval timer = {
	    .it_interval = {.tv_usec = ms != 0 ? LIMIT_AGAIN_US : 0},
	    .it_value = {.tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000}};

	(void)setitimer(ITIMER_REAL, &timer, NULL);
}

void
limit_begin(struct store *s, uint32_t ms)
{
	const struct sigaction action = {
	    .sa_handler = limit_cb, .sa_flags = SA_RESTART};

	limited = s->db;
	(void)sigaction(SIGALRM, &action, NULL);
	limit_timer(ms);
}

enum store_result
limit_end(struct store *s, uint32_t ms, enum store_result r)
{
	limit_timer(0);
	limited = NULL;
	if (r == STORE_OK || r == STORE_NONE || s->rc != SQLITE_INTERRUPT)
		return r;
	snprintf(s->error, sizeof(s->error),
	    "%s: a question took more than %u ms, and was ended", s->path,
	    (unsigned)ms);
	return r;
}
