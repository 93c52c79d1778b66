/* writer: the process that writes what is kept: follows the journal. */
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/sparse.h"
#include "hub/line.h"
#include "codec/birth.h"
#include "store/kinds.h"
#include "writer.h"

enum {
	/* The longest sleep while something waits for its commit: the master is
	 * heard, and gets a life sign. */
	WRITER_NAP_MS = 100,
	/* The mark is moved on over what is others', though nothing was taken.
	 * Larger: the next process looks at more entries; smaller: a daemon
	 * that stores nothing writes more often. */
	WRITER_MARK_MS = 10 * 1000,
	/* For another process's lock, at one time: between two tries channels
	 * are opened. Larger: who asks for one waits longer; smaller: more
	 * tries. */
	WRITER_LOCK_MS = 1000,
	/* After that, all is moved from the log into the database. Larger: the
	 * log stays large for longer; smaller: more work in pauses that are
	 * none. */
	WRITER_IDLE_MS = 1000,
	/* Between two looks whether the file is still at its path, where
	 * nothing is committed. Larger: that is told later; smaller: an idle
	 * daemon wakes more. */
	WRITER_LOOK_MS = 1000,
	/* At the end, for what is there to be taken. Larger: a daemon that is
	 * to stop may be killed before the last commit. */
	WRITER_END_MS = 1500,
	/* From the master's death to that of all others, which the kernel kills
	 * with it. Larger: the next chatd waits for longer; smaller: on a
	 * stalled machine what they accept last is lost. */
	WRITER_OTHERS_MS = 100,
	WRITER_OTHERS_LOOK_MS = 5
};

/* For struct store_options: a life sign, while something takes long. */
static void
writer_tick(void *arg)
{
	const struct writer *w = arg;

	child_tick(w->start);
}

/* What it begins with, apart from the database. */
static void
writer_init(struct writer *w, struct child_start *start)
{
	const struct birth_store *birth = start->birth;
	struct hub *h = start->hub;

	w->start = start;
	w->hub = h;
	w->figures = figures_of(h);
	w->options = (struct store_options){.path = birth->path,
	    .use = STORE_WRITES,
	    .sync_full = birth->sync_full,
	    .search = birth->search,
	    .wait_ms = WRITER_LOCK_MS,
	    .tick = writer_tick,
	    .arg = w,
	    .why = &w->why};
	w->cap = (size_t)(h->journal_size / JOURNAL_SHARE);
	w->buf = malloc(w->cap);
	w->channel = sparse_new(h->n_entries, sizeof(*w->channel));
	if (w->buf == NULL || w->channel == NULL)
		log_fatal("no memory");
	w->turn = 1;
	w->batch = WRITER_BATCH;
	kept_use(&w->rules, h, start->live);
	writer_fault_init(w);
	figures_tell(w->figures, FIGURES_OPENING, NULL);
}

/* Whether what was taken is to be committed now. more: there is more to take.
 */
static bool
writer_is_due(const struct writer *w, uint64_t now, bool more)
{
	/* whether it can go on, a commit alone shows */
	if (w->state != STORE_OK)
		return true;
	if (w->taken > 0)
		return w->waits || (w->n_asked > 0 && !more) ||
		    w->taken >= w->batch ||
		    now >= w->taken_ms + w->start->live->store_wait_ms;
	return now >= w->commit_ms + WRITER_MARK_MS &&
	    (w->reader.passed != w->mark.position || w->answered != 0);
}

/* Commits, and tells everybody. */
static enum store_result
writer_settle(struct writer *w, uint64_t now)
{
	enum store_result r = writer_commit(w, false);

	if (r != STORE_OK)
		return r;
	w->commit_ms = now;
	w->idle = false;
	writer_answer(w);
	reader_taken(&w->reader, w->reader.passed);
	reader_settled(&w->reader, w->reader.passed);
	reader_child_flush(&w->child);
	return writer_checkpoint(w, false);
}

/* What is done while nothing waits for a commit. */
static enum store_result
writer_rest(struct writer *w, uint64_t now, bool more)
{
	struct store_figures f;
	enum store_result r;

	if (w->taken == 0) {
		reader_taken(&w->reader, w->reader.passed);
		writer_join(w);
	}
	/* at the end nobody waits for what takes long */
	if (w->ends)
		return STORE_OK;
	if (w->taken == 0 && (r = writer_open_asked(w, more)) != STORE_OK)
		return r;
	if (w->taken == 0 && (r = writer_care(w)) != STORE_OK)
		return r;
	if (w->taken > 0 || w->idle || now < w->idle_ms ||
	    now < w->commit_ms + WRITER_IDLE_MS)
		return STORE_OK;
	r = writer_checkpoint(w, true);
	/* another program may keep it open just then */
	store_figures(w->store, &f);
	w->idle = f.wal_bytes == 0;
	w->idle_ms = now + WRITER_IDLE_MS;
	return r;
}

/* Takes, commits, answers and opens; *more: there is more to take. */
static enum store_result
writer_work(struct writer *w, uint64_t now, bool *more)
{
	enum store_result r;

	if (!w->begun && (r = writer_begin(w)) != STORE_OK)
		return r;
	if (now >= w->look_ms) {
		w->look_ms = now + WRITER_LOOK_MS;
		if ((r = store_look(w->store)) != STORE_OK)
			return r;
	}
	if ((r = writer_take(w, more)) != STORE_OK)
		return r;
	if (writer_is_due(w, now, *more)) {
		if ((r = writer_settle(w, now)) != STORE_OK)
			return r;
		/* the next ones find room where old ones were */
		if (store_is_bound(w->store))
			(void)writer_care_full(w);
	}
	return writer_rest(w, now, *more);
}

/* How long it may sleep: until what is taken is due. */
static int
writer_nap(const struct writer *w, uint64_t now)
{
	const uint64_t due_ms = w->taken_ms + w->start->live->store_wait_ms;

	if (w->taken == 0)
		return READER_CHILD_WAIT_MS;
	if (due_ms >= now + WRITER_NAP_MS)
		return WRITER_NAP_MS;
	return due_ms > now ? (int)(due_ms - now) : 0;
}

/* A turn; returns how long it may sleep. */
static int
writer_turn(struct writer *w)
{
	const uint64_t now = clock_ms();
	enum store_result r;
	bool more = false, pruned;

	w->rules.live = w->start->live;
	writer_tell(w, now);
	if (w->state != STORE_OK)
		writer_open_blocked(w);
	if (w->state != STORE_OK && now < w->retry_ms)
		return w->n_asked > 0 ? 0 : WRITER_NAP_MS;
	pruned = w->state == STORE_FULL && writer_care_full(w);
	r = writer_work(w, now, &more);
	if (r != STORE_OK && r != STORE_NONE) {
		writer_fail(w, r);
		if (pruned)
			w->retry_ms = now;
		return w->retry_ms > now ? WRITER_NAP_MS : 0;
	}
	if (more || w->n_asked > 0 || writer_care_is_due(w))
		return 0;
	return writer_nap(w, now);
}

/* Whether no worker is left that could publish. */
static bool
writer_is_last(const struct writer *w)
{
	for (int i = 0; i < SHM_WORKERS; i++)
		if (SHM_LOAD(w->hub->line[i].pid) != 0)
			return false;
	return true;
}

/* The master is dead, and others die with it: what they accepted until then is
 * stored. No lock is taken, nobody answered: the memory may be kept, and the
 * next processes be there. The end is none that is clean: what comes later
 * cannot be known. */
static enum store_result
writer_end_orphan(struct writer *w)
{
	const uint64_t until_ms = clock_ms() + WRITER_OTHERS_MS;
	enum store_result r = w->begun ? STORE_OK : w->state;
	bool more = w->begun;

	while (r == STORE_OK && (more || clock_ms() < until_ms)) {
		r = writer_take(w, &more);
		if (r == STORE_OK && w->taken > 0 &&
		    (!more || w->taken >= w->batch)) {
			r = writer_commit(w, false);
			writer_answer_forget(w);
		}
		if (r == STORE_OK && !more)
			(void)poll(NULL, 0, WRITER_OTHERS_LOOK_MS);
	}
	return r;
}

/* That chatd stops. On a full disk that is not told: nothing else is lost, as
 * nothing else was begun. */
static enum store_result
writer_end_event(struct writer *w)
{
	const bool alone = w->taken == 0;
	const enum store_result r = writer_event_own(w, "stop");

	return r == STORE_FULL && alone ? STORE_OK : r;
}

/* Takes the rest, and leaves the database as a clean end does. */
static enum store_result
writer_end_told(struct writer *w)
{
	const uint64_t limit = clock_ms() + WRITER_END_MS;
	enum store_result r = STORE_OK;
	bool more = true, last = writer_is_last(w);

	w->ends = true;
	while (more && r == STORE_OK && clock_ms() < limit) {
		child_tick(w->start);
		r = writer_work(w, UINT64_MAX, &more);
	}
	/* behind an end that is corrupted there may be more */
	last = last && !more && !w->stopped && w->begun;
	if (r == STORE_OK && last)
		r = writer_catch_up(w, limit);
	if (r == STORE_NONE) {
		last = false;
		r = STORE_OK;
	}
	if (r == STORE_OK && last)
		r = writer_end_event(w);
	if (r == STORE_OK && w->begun)
		r = writer_commit(w, last);
	if (r != STORE_OK)
		return r;
	writer_answer(w);
	reader_taken(&w->reader, w->reader.passed);
	reader_child_flush(&w->child);
	(void)writer_checkpoint(w, true);
	return STORE_OK;
}

/* It leaves. */
static void
writer_end(struct writer *w)
{
	const enum store_result r =
	    writer_is_orphan(w) ? writer_end_orphan(w) : writer_end_told(w);

	if (r != STORE_OK)
		log_error("%s: the last messages are not stored",
		    w->store != NULL ? store_error(w->store) : w->error);
	writer_tell(w, UINT64_MAX);
	writer_patience(w, true);
	writer_look_end(w);
	store_close(w->store);
	writer_patience(w, false);
}

void
store_main(struct child_start *start)
{
	static struct writer w;

	writer_init(&w, start);
	writer_patience_init(&w);
	if (writer_open(&w) == -1)
		log_fatal("cannot be opened");
	writer_care_init(&w);
	child_hello(start);
	while (reader_child_turn(&w.child, writer_turn(&w)))
		log_more();
	writer_end(&w);
	child_leave();
}
