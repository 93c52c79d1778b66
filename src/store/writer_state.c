/* writer_state: the database opened, its first commit, and what it can be kept
 * from going on by. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/siphash.h"
#include "lock.h"
#include "writer.h"

enum {
	STATE_RETRY_MS = 1000,
	/* Between tries to get another process's lock, which is a short one but
	 * for faults; and how long it may be before that is said. */
	STATE_LOOK_MS = 100,
	STATE_LOCKED_MS = 5000,
	STATE_TELL_MS = 250,
	/* Where the disk is full a commit has so many times less, down to one
	 * entry: what fits is stored. Larger: fewer tries; smaller: fewer
	 * commits. After one that succeeded the next has one part of so many
	 * more. Larger: it is as large as ever later; smaller: more tries. */
	STATE_LESS = 4,
	STATE_MORE = 8,
	/* Four times what it commonly has. Larger: a transaction that was
	 * forgotten is told later; smaller: a busy minute is. */
	STATE_LOG_BYTES = 256 * 1024 * 1024
};

/* The number of this shared memory: none can tell its key by it. */
static uint64_t
state_journal(const struct hub *h)
{
	static const char what[] = "the journal of the store";
	const uint64_t n = siphash(h->hash_key, what, sizeof(what) - 1);

	return n != 0 ? n : 1;
}

/* The machine's boot; "": nobody knows, as in a unit that hides it. */
static void
state_boot(char out[37])
{
	const int fd =
	    open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
	ssize_t n = fd != -1 ? read(fd, out, 36) : -1;

	out[n > 0 ? n : 0] = '\0';
	if (fd != -1)
		close(fd);
}

/* Whether offsets may have been told that the database has not: its last writer
 * has left more, or another one came behind it whose first commit is not there,
 * as after a loss of power with `store-sync normal`. */
static bool
state_leaps(const struct writer *w, const struct store_mark *found)
{
	return w->is_new && !w->is_copy && found->journal != 0 &&
	    (!found->clean ||
		(found->noted != found->journal && found->noted != w->journal));
}

/* What the database says of its last writer, beside this journal. */
static void
state_compare(struct writer *w, const struct store_mark *found)
{
	struct store_mark *mark = &w->mark;

	state_boot(mark->boot);
	w->is_new = found->journal != w->journal;
	w->is_copy = found->copied;
	w->leaps = state_leaps(w, found);
	w->noted = false;
	w->lead = writer_lead(w, found);
	mark->journal = w->journal;
	mark->position = found->position;
	if (w->trust.wall_ms == 0)
		w->trust = found->journal == 0
		    ? (struct trust){.wall_ms = clock_wall_ms()}
		    : (struct trust){.wall_ms = found->wall_ms,
			  .doubt_ms = found->doubt_ms};
	SHM_TELL(
	    w->figures->unclean_ms, w->leaps || w->is_copy ? clock_ms() : 0);
}

/* Moves one of the database's files; false: it stays, which is logged. */
static bool
state_move(const char *path, const char *stamp, const char *end)
{
	char from[PATH_MAX + 8], to[PATH_MAX + 48];

	snprintf(from, sizeof(from), "%s%s", path, end);
	snprintf(to, sizeof(to), "%s.corrupt-%s%s", path, stamp, end);
	if (rename(from, to) == 0 || (errno == ENOENT && end[0] != '\0'))
		return true;
	log_error("%s cannot be moved to %s: %s", from, to, strerror(errno));
	return false;
}

/* Moves the database's files aside, for people to look at. False: it stays, and
 * its log with it. */
static bool
state_aside(struct writer *w)
{
	const time_t now = time(NULL);
	char stamp[20], path[PATH_MAX];
	struct tm tm;

	gmtime_r(&now, &tm);
	strftime(stamp, sizeof(stamp), "%Y%m%dT%H%M%SZ", &tm);
	/* its log is beside what a link leads to */
	place_real(w->options.path, path);
	if (!state_move(path, stamp, ""))
		return false;
	(void)state_move(path, stamp, "-wal");
	(void)state_move(path, stamp, "-shm");
	w->is_lost = true;
	log_error("the database is damaged; it is now %s.corrupt-%s, "
		  "and a new one is begun: see DAMAGE in chatd-store(5) for "
		  "what can be had back of it",
	    path, stamp);
	return true;
}

/* Opens the file, a new one if it is damaged. STORE_NONE: it is refused, and
 * will be again. Other errors may go by themselves. */
static enum store_result
state_open(struct writer *w, struct store_mark *found)
{
	bool damaged;
	int r;

	for (int n = 0; n < 2; n++) {
		w->store = NULL;
		writer_patience(w, true);
		r = store_open(&w->store, &w->options, found, &damaged,
		    w->error, sizeof(w->error));
		writer_patience(w, false);
		if (r == 0)
			return STORE_OK;
		w->store = NULL;
		if (!damaged || n > 0)
			break;
		log_error("%s", w->error);
		if (!state_aside(w))
			break;
	}
	return w->why;
}

/* Whether a file is being copied to its path just now. */
static bool
state_is_copied(const struct writer *w)
{
	const int64_t now_ms = clock_wall_ms();
	int64_t changed_ms;
	struct stat st;

	if (stat(w->options.path, &st) == -1)
		return false;
	changed_ms =
	    (int64_t)st.st_mtim.tv_sec * 1000 + st.st_mtim.tv_nsec / 1000000;
	return changed_ms <= now_ms && now_ms - changed_ms < STATE_RETRY_MS;
}

/* Goes on from what the database says. */
static enum store_result
state_enter(struct writer *w)
{
	struct store_mark found = {.journal = 0};
	enum store_result r;

	writer_look_end(w);
	if (w->is_gone && state_is_copied(w))
		return STORE_GONE;
	r = state_open(w, &found);
	if (r != STORE_OK && r != STORE_NONE && r != STORE_DAMAGED)
		writer_look(w);
	if (r != STORE_OK)
		return r;
	w->damaged = false;
	state_compare(w, &found);
	/* what was there before is nowhere */
	w->is_lost |= w->is_gone && found.journal == 0;
	w->is_gone = false;
	reader_init(&w->reader, w->hub, w->start->kind->reader - 1u,
	    w->is_new ? READER_NO_MARK : w->mark.position);
	w->mark.position = w->reader.passed;
	return STORE_OK;
}

int
writer_open(struct writer *w)
{
	enum store_result r;

	w->journal = state_journal(w->hub);
	r = state_enter(w);
	if (r == STORE_NONE) {
		figures_tell(w->figures, FIGURES_FAILED, w->error);
		log_error("%s", w->error);
		return -1;
	}
	if (r != STORE_OK) {
		reader_init(&w->reader, w->hub, w->start->kind->reader - 1u,
		    READER_NO_MARK);
		w->mark.position = w->reader.passed;
	}
	reader_child_init(&w->child, w->start, &w->reader);
	if (r == STORE_OK)
		r = writer_begin(w);
	if (r != STORE_OK)
		writer_fail(w, r);
	else
		writer_goes_on(w);
	return 0;
}

/* What follows the first commit: what was left undone, and channels. */
static enum store_result
state_resume(struct writer *w)
{
	enum store_result r = STORE_OK;

	if (!w->is_new)
		r = writer_resume(w);
	else if (!w->ends)
		r = writer_load(w);
	if (w->is_lost)
		writer_renew(w);
	w->is_lost = false;
	reader_opening(&w->reader, writer_ask, w);
	reader_taken(&w->reader, w->mark.position);
	if (r == STORE_OK)
		reader_settled(&w->reader, w->mark.position);
	return r;
}

/* Sees that no offset is given twice which was told and is not in the database.
 * *by: how much higher all go on. */
static enum store_result
state_leap(struct writer *w, uint64_t *by)
{
	enum store_result r = STORE_OK;
	bool told = false;

	if (w->is_copy)
		return store_renew(w->store);
	if (w->lead != 0)
		r = writer_is_told(w, &told);
	*by = told ? w->lead : w->leaps ? WRITER_LEAP : 0;
	return r == STORE_OK && *by != 0 ? store_leap(w->store, *by) : r;
}

/* What the first commit says is said. */
static void
state_leapt(struct writer *w, uint64_t by)
{
	if (w->is_copy)
		log_warn("%s is not as it was when it was written here last: "
			 "a copy, or moved. All channels begin another epoch, "
			 "so that nobody takes what comes for what was told "
			 "before",
		    w->options.path);
	if (by != 0)
		log_warn("%s: offsets of all channels go on %llu higher, so "
			 "that none is given twice",
		    w->leaps ? "the last end was not a clean one"
			     : "channels were opened before anything could be "
			       "written",
		    (unsigned long long)by);
	w->leaps = w->is_copy = false;
	w->lead = 0;
}

enum store_result
writer_begin(struct writer *w)
{
	enum store_result r = STORE_OK;
	uint64_t by = 0;

	if (w->store == NULL) {
		r = state_enter(w);
		if (r == STORE_NONE)
			log_fatal("%s", w->error);
		if (r != STORE_OK)
			return r;
	}
	if (w->is_new || w->is_copy)
		r = state_leap(w, &by);
	/* what another journal's clients proposed is stored, and is not to be
	 * delivered */
	if (r == STORE_OK && w->is_new && !w->noted)
		r = store_answered(w->store, UINT64_MAX);
	if (r == STORE_OK && w->is_new && !w->noted)
		r = writer_event_own(w, "start");
	if (r == STORE_OK)
		r = writer_commit(w, false);
	if (r != STORE_OK)
		return r;
	w->noted = true;
	state_leapt(w, by);
	r = state_resume(w);
	w->begun = r == STORE_OK;
	return r;
}

/* A commit had room: the next one may be larger. */
static void
state_more(struct writer *w)
{
	w->batch += w->batch / STATE_MORE + 1;
	if (w->batch > WRITER_BATCH)
		w->batch = WRITER_BATCH;
}

enum store_result
writer_commit(struct writer *w, bool clean)
{
	struct store_mark mark = w->mark;
	const uint64_t begin_us = clock_us();
	enum store_result r = STORE_OK;

	mark.position = w->reader.passed;
	mark.clean = clean;
	mark.wall_ms = w->trust.wall_ms;
	mark.doubt_ms = w->trust.doubt_ms;
	if (w->answered != 0)
		r = store_answered(w->store, w->answered);
	KILL_POINT();
	if (r == STORE_OK)
		r = store_commit(w->store, &mark);
	KILL_POINT();
	if (r != STORE_OK) {
		SHM_COUNT(w->figures->failures, 1);
		return r;
	}
	figures_commit(w->figures, clock_us() - begin_us);
	SHM_COUNT(w->figures->stored, w->rows);
	SHM_COUNT(w->figures->holes, w->holes);
	w->mark = mark;
	w->taken = w->rows = w->holes = 0;
	state_more(w);
	w->behind_ms = 0;
	w->waits = false;
	w->answered = 0;
	writer_goes_on(w);
	return STORE_OK;
}

/* How it stands, for people. */
static enum figures_state
state_figure(enum store_result r)
{
	switch (r) {
	case STORE_OK:
	case STORE_NONE:
		return FIGURES_OK;
	case STORE_FULL:
		return FIGURES_FULL;
	case STORE_READ_ONLY:
		return FIGURES_READ_ONLY;
	case STORE_LOCKED:
		return FIGURES_LOCKED;
	case STORE_DAMAGED:
		return FIGURES_DAMAGED;
	default:
		return FIGURES_FAILED;
	}
}

/* What is damaged, or gone, is left: the next try opens what is there then, or
 * begins a new database. */
static void
state_leave(struct writer *w, enum store_result r)
{
	strlcpy(w->error, store_error(w->store), sizeof(w->error));
	/* while no other process can have it */
	if (r == STORE_DAMAGED)
		(void)state_aside(w);
	writer_patience(w, true);
	store_close(w->store);
	writer_patience(w, false);
	w->store = NULL;
	w->begun = false;
	w->is_gone |= r == STORE_GONE;
}

/* Says why it cannot go on; another process's lock, when it has waited for
 * long.
 */
static void
state_tell(struct writer *w, enum store_result r, uint64_t now)
{
	char reason[FIGURES_REASON];

	if (w->told == r ||
	    (r == STORE_LOCKED && now < w->failed_ms + STATE_LOCKED_MS))
		return;
	w->told = r;
	strlcpy(reason, w->store != NULL ? store_error(w->store) : w->error,
	    sizeof(reason));
	log_error("%s: trying again every second; what is to be stored waits "
		  "in the journal",
	    reason);
	figures_tell(w->figures, state_figure(r), reason);
}

/* What is full for a commit may have room for a smaller one. Returns whether
 * that is to be tried. */
static bool
state_less(struct writer *w)
{
	if (w->batch == 1)
		return false;
	w->batch = w->batch > STATE_LESS ? w->batch / STATE_LESS : 1;
	return true;
}

void
writer_fail(struct writer *w, enum store_result r)
{
	const uint64_t now = clock_ms();

	if (w->failed_ms == 0)
		w->failed_ms = now;
	if (w->behind_ms == 0)
		w->behind_ms = now;
	w->state = r;
	w->retry_ms =
	    now + (r == STORE_LOCKED ? STATE_LOOK_MS : STATE_RETRY_MS);
	if (r == STORE_FULL && state_less(w))
		w->retry_ms = now;
	else
		state_tell(w, r, now);
	reader_child_blocked(&w->child, true);
	writer_forget(w);
	writer_answer_forget(w);
	reader_rewind(&w->reader, w->mark.position);
	w->taken = w->rows = w->holes = 0;
	w->waits = false;
	if ((r == STORE_DAMAGED || r == STORE_GONE) && w->store != NULL)
		state_leave(w, r);
}

void
writer_goes_on(struct writer *w)
{
	/* what is damaged stays so */
	const enum figures_state state =
	    w->damaged ? FIGURES_DAMAGED : FIGURES_OK;

	if (w->told != STORE_OK)
		log_info("the store goes on");
	if (SHM_OWN(w->figures->state) != state)
		figures_tell(w->figures, state,
		    w->damaged ? "a damaged page was met; the log says what to "
				 "do"
			       : NULL);
	if (w->state != STORE_OK)
		reader_child_blocked(&w->child, false);
	w->state = w->told = STORE_OK;
	w->failed_ms = 0;
}

/* What is left on the database's file system, in bytes. */
static uint64_t
state_free(const struct writer *w)
{
	struct statvfs fs;

	return statvfs(w->options.path, &fs) == 0
	    ? (uint64_t)fs.f_bavail * fs.f_frsize
	    : 0;
}

/* Says once that the log has grown, since another program keeps a transaction
 * open. */
static void
state_judge_log(struct writer *w, uint64_t wal_bytes)
{
	char path[PATH_MAX];

	if (wal_bytes < STATE_LOG_BYTES / 2)
		w->log_told = false;
	if (w->log_told || wal_bytes < STATE_LOG_BYTES)
		return;
	w->log_told = true;
	place_real(w->options.path, path);
	log_warn("%s-wal has %llu bytes, and grows as long as another program "
		 "keeps a transaction open on the database: end that "
		 "(fuser %s)",
	    path, (unsigned long long)wal_bytes, path);
}

void
writer_tell(struct writer *w, uint64_t now)
{
	struct figures *f = w->figures;
	struct store_figures s;

	SHM_TELL(f->behind_ms, w->behind_ms);
	if (w->store == NULL || now < w->told_ms + STATE_TELL_MS)
		return;
	w->told_ms = now;
	store_figures(w->store, &s);
	SHM_TELL(f->rows, s.rows);
	SHM_TELL(f->bytes, s.bytes);
	SHM_TELL(f->wal_bytes, s.wal_bytes);
	state_judge_log(w, s.wal_bytes);
	SHM_TELL(f->free_bytes, state_free(w));
}
