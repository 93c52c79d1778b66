/* writer_care: long work of the writer, by pieces, while nothing that was taken
 * waits for its commit: what is too old or too much is deleted, and what a user
 * has published is erased. */
#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "hub/stats.h"
#include "net/link.h"
#include "writer.h"

enum {
	/* Rows of one piece. Larger: a commit that a client waits for comes
	 * later; smaller: more commits for the same work. */
	CARE_ROWS = 500,
	/* Pieces without a message that come one after the other where the disk
	 * is full: what goes before these may be nothing. Larger: each commit
	 * takes longer there; smaller: it stops now and then. */
	CARE_FULL = 32,
	/* A piece's rest is so many times as long as the piece: pruning has a
	 * tenth of the time. Larger: what is too old stays for longer; smaller:
	 * less is written at full rate. */
	CARE_REST = 9,
	/* From one round to the next. Larger: channels keep more than they may
	 * for longer; smaller: more looks that find nothing. */
	CARE_ROUND_MS = 5 * 1000,
	/* After a damaged page. Larger: what is too old stays for longer where
	 * another page was to blame; smaller: more lines in the log. */
	CARE_DAMAGED_MS = 600 * 1000
};

/* How long a name stays that no token has proved, and a channel without rows:
 * strangers make both. */
#define CARE_NAMES_MS (30ull * 24 * 3600 * 1000)

/* For struct store_bounds. */
static void
care_channel(
    void *arg, const char *name, size_t len, uint32_t *rows, uint64_t *age_ms)
{
	const struct writer *w = arg;
	const struct conf_channel *rule =
	    conf_channel_find(w->start->live, name, len);

	*rows = rule != NULL ? rule->history : 0;
	*age_ms = rule != NULL ? rule->history_age_ms : 0;
}

/* For struct store_bounds. */
static void
care_forget(void *arg)
{
	writer_forget(arg);
}

/* A piece was written: the log is moved into the database soon. */
static enum store_result
care_wrote(struct writer *w, uint64_t now)
{
	w->commit_ms = now;
	w->idle = false;
	return writer_checkpoint(w, false);
}

/* Says why the clock does not count for what is too old. now_ms: the time that
 * does; 0: none was noted. */
static void
care_doubt(int64_t wall_ms, int64_t now_ms)
{
	if (now_ms == 0)
		log_warn("no time is noted with the database, as where it came "
			 "without its -lock: nothing is deleted for its age "
			 "until the clock has gone on for 24 hours");
	else
		log_warn(
		    "the clock has leapt to a time that is %lld days "
		    "ahead of what was noted with the database: nothing is "
		    "deleted for its age by that, until the clock has "
		    "stayed there for 24 hours",
		    (long long)(wall_ms - now_ms) / (24 * 3600 * 1000));
}

/* The time by which rows are too old. */
static int64_t
care_time(struct writer *w)
{
	/* each process says it once */
	const bool doubted = w->trust.at_ms != 0 && w->trust.doubt_ms != 0;
	const int64_t wall_ms = clock_wall_coarse_ms();
	const int64_t now_ms = trust_ask(&w->trust, wall_ms, clock_ms());

	if (!doubted && w->trust.doubt_ms != 0)
		care_doubt(wall_ms, now_ms);
	else if (doubted && w->trust.doubt_ms == 0)
		log_info("the clock's time counts again for what is too old");
	return now_ms;
}

/* Deletes a piece of what is too old, or too much. */
static enum store_result
care_prune(struct writer *w, uint64_t now, bool *more)
{
	const struct conf_live *live = w->start->live;
	const struct store_bounds b = {.age_ms = live->store_age_ms,
	    .bytes = live->store_bytes,
	    .user_age_ms = CARE_NAMES_MS,
	    .channel_age_ms = CARE_NAMES_MS,
	    .channel = care_channel,
	    .forget = care_forget,
	    .arg = w};
	struct store_figures before, after;
	enum store_result r;

	*more = false;
	store_figures(w->store, &before);
	r = store_prune(w->store, &b, care_time(w), CARE_ROWS, more);
	if (r != STORE_OK)
		return r;
	store_figures(w->store, &after);
	if (after.rows < before.rows)
		SHM_COUNT(w->figures->pruned, before.rows - after.rows);
	w->care.prune_ms = clock_ms();
	w->care.prune_ms +=
	    *more ? (w->care.prune_ms - now) * CARE_REST + 1 : CARE_ROUND_MS;
	return *more ? care_wrote(w, now) : STORE_OK;
}

bool
writer_care_full(struct writer *w)
{
	const uint64_t now = clock_ms();
	struct store_figures before, after;
	enum store_result r;
	bool more = true;

	if (!w->begun || w->store == NULL || w->damaged)
		return false;
	store_figures(w->store, &before);
	after = before;
	r = writer_checkpoint(w, true); /* what it needs is in the log */
	for (int n = 0; n < CARE_FULL && r == STORE_OK && more &&
	     after.rows >= before.rows;
	     n++) {
		r = care_prune(w, now, &more);
		store_figures(w->store, &after);
	}
	if (r == STORE_DAMAGED)
		writer_skip_damage(w);
	return r == STORE_OK && more;
}

/* Tells the master how an erasure went. */
static void
care_tell(struct writer *w, enum message_result result)
{
	struct writer_care *c = &w->care;
	const struct message_erased erased = {.number = c->asked.number,
	    .rows = c->erasure.rows,
	    .events = c->erasure.events,
	    .journal = c->in_journal,
	    .result = result,
	    .logged = c->erasure.logged};

	c->erases = false;
	c->begun = false;
	SHM_COUNT(w->figures->erased, erased.rows);
	if (link_send(
		w->start->link, MSG_ERASED, &erased, sizeof(erased), -1) == -1)
		log_error("master: it is not told what was erased: %s",
		    strerror(errno));
}

/* Erases in the journal. */
static void
care_journal(struct writer *w)
{
	struct writer_care *c = &w->care;

	c->in_journal += journal_erase(
	    w->hub, c->asked.user, c->asked.user_len, c->upto, c->until_ms);
}

/* All of what was asked for is committed: the first step. In the journal it is
 * erased twice, since a channel that opens meanwhile may bring back what is not
 * erased in the database yet. */
static void
care_begin(struct writer *w)
{
	struct writer_care *c = &w->care;

	c->begun = true;
	c->erasure = (struct store_erasure){
	    .user = c->asked.user, .len = c->asked.user_len};
	care_journal(w);
}

/* Erases a piece. */
static enum store_result
care_erase(struct writer *w, uint64_t now)
{
	struct writer_care *c = &w->care;
	enum store_result r;
	bool more = true;

	if (!c->begun)
		care_begin(w);
	r = store_erase(w->store, &c->erasure, CARE_ROWS, &more);
	if (r != STORE_OK) {
		care_tell(w, RESULT_BUSY);
		return r;
	}
	if (more)
		return care_wrote(w, now);
	care_journal(w);
	care_tell(w, RESULT_DONE);
	return STORE_OK;
}

bool
writer_care_is_due(const struct writer *w)
{
	return w->care.erases && w->state == STORE_OK &&
	    w->reader.passed >= w->care.upto;
}

/* What is due. */
static enum store_result
care_do(struct writer *w, uint64_t now)
{
	bool more;

	if (writer_care_is_due(w))
		return care_erase(w, now);
	return now >= w->care.prune_ms ? care_prune(w, now, &more) : STORE_OK;
}

enum store_result
writer_care(struct writer *w)
{
	const uint64_t now = clock_ms();
	enum store_result r = w->begun ? care_do(w, now) : STORE_OK;

	if (r != STORE_DAMAGED)
		return r;
	/* an old page, which is no reason to give up all others */
	writer_skip_damage(w);
	w->care.prune_ms = now + CARE_DAMAGED_MS;
	return STORE_OK;
}

/* What the master says besides what it says to all readers of the journal. */
static void
care_hear(void *arg, int type, const void *payload, size_t len)
{
	struct writer *w = arg;
	struct writer_care *c = &w->care;

	if (type != MSG_ERASE)
		return;
	if (c->erases) /* that was of a master before this one */
		care_tell(w, RESULT_BUSY);
	*c = (struct writer_care){.prune_ms = c->prune_ms,
	    .erases = true,
	    .upto = journal_tail(w->hub),
	    .until_ms = clock_wall_coarse_ms()};
	memcpy(&c->asked, payload, sizeof(c->asked));
	if (w->state != STORE_OK)
		care_tell(w, RESULT_BUSY);
}

void
writer_care_init(struct writer *w)
{
	w->child.other = care_hear;
	w->child.other_arg = w;
}
