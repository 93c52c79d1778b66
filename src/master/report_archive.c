/* The database, as its processes tell of it: what `chatctl store` says. */
#include <inttypes.h>
#include <string.h>

#include "hub/figures.h"
#include "hub/journal.h"
#include "private.h"
#include "report_subject.h"

enum {
	/* Something has waited for a commit for so long. Larger: a disk that
	 * is slow is told later; smaller: each pause of a busy disk is. */
	SLOW_MS = 1000
};

/* How it stands, and why. */
struct archive_state {
	const char *word;
	char why[FIGURES_REASON];
	uint64_t since_s;   /* it is so */
	uint64_t behind_ms; /* something waits for a commit */
	uint64_t behind;    /* entries of the journal that are not taken */
};

/* The process that writes; NULL: there is none. */
static const struct child *
archive_writer(const struct master *m)
{
	for (int i = 0; i < m->n_others; i++)
		if (m->other[i].kind != NULL &&
		    m->other[i].kind->reader == READER_STORE + 1)
			return &m->other[i];
	return NULL;
}

/* Whether another process has met damage in reading. */
static bool
archive_is_damaged(const struct master *m)
{
	for (int i = 0; i < m->n_others; i++)
		if (m->other[i].line != NULL && m->other[i].pid != 0 &&
		    SHM_LOAD(m->other[i].line->hand) == HAND_DAMAGED)
			return true;
	return false;
}

/* How far the writer is behind. */
static void
archive_lag(const struct show *s, const struct child *w,
    const struct figures *f, struct archive_state *out)
{
	const uint64_t tail = journal_tail(s->from.hub);
	const uint64_t cursor = SHM_LOAD(w->line->cursor);
	const uint64_t since = SHM_LOAD(f->behind_ms);

	out->behind = cursor < tail ? tail - cursor : 0;
	if (since != 0 && since < s->from.now_ms)
		out->behind_ms = s->from.now_ms - since;
}

/* The word for how it stands. */
static void
archive_judge(const struct show *s, const struct child *w,
    const struct figures *f, struct archive_state *out)
{
	const struct master *m = s->from.arg;
	const uint32_t state = SHM_LOAD(f->state);
	const uint64_t since = SHM_LOAD(f->state_ms);

	out->word = figures_state_name(state);
	out->since_s = since != 0 ? show_age_s(s->from.now_ms, since) : 0;
	figures_reason(f, out->why);
	if (w->pid == 0 || !w->ready) {
		out->word = w->pid == 0 ? "waiting" : "starting";
		strlcpy(out->why, "its process is not there; the log says why",
		    sizeof(out->why));
		out->since_s = child_age_ms(w) / 1000;
	} else if (state != FIGURES_OK) {
		return;
	} else if (archive_is_damaged(m)) {
		out->word = "damaged";
		strlcpy(out->why,
		    "a damaged page was met in reading; the log says what to "
		    "do",
		    sizeof(out->why));
	} else if (out->behind_ms >= SLOW_MS) {
		out->word = "slow";
		strlcpy(out->why, "a commit takes long, or the disk is busy",
		    sizeof(out->why));
	} else
		out->why[0] = '\0';
}

/* One line or member with a number. */
static void
archive_put(struct show *s, const char *name, uint64_t value)
{
	if (s->json)
		show_put(s, ",\"%s\":%" PRIu64, name, value);
	else
		show_put(s, "%-22s %20" PRIu64 "\n", name, value);
}

/* One line or member with a text without control characters. */
static void
archive_put_text(struct show *s, const char *name, const char *text)
{
	if (s->json) {
		show_put(s, "%s\"%s\":", s->some ? "," : "", name);
		show_text(s, text, strlen(text));
	} else
		show_put(s, "%-22s %s\n", name, text);
	s->some = true;
}

/* How long commits took, ms. */
static void
archive_put_commits(struct show *s, const struct figures *f)
{
	const double p50 = (double)figures_commit_us(f, 50) / 1000;
	const double p99 = (double)figures_commit_us(f, 99) / 1000;
	const double max = (double)SHM_LOAD(f->commit_us_max) / 1000;

	archive_put(s, "commits", SHM_LOAD(f->commits));
	if (s->json)
		show_put(s,
		    ",\"commit_ms\":{\"p50\":%.2f,\"p99\":%.2f,\"max\":%.2f}",
		    p50, p99, max);
	else
		show_put(s, "%-22s %6.2f %6.2f %6.2f\n",
		    "commit_ms p50 p99 max", p50, p99, max);
}

/* The state, and what is wrong. */
static void
archive_put_state(struct show *s, const struct archive_state *st)
{
	const struct master *m = s->from.arg;

	archive_put_text(s, "state", st->word);
	if (st->why[0] != '\0' || s->json)
		archive_put_text(s, "reason", st->why);
	archive_put(s, "state_s", st->since_s);
	archive_put_text(s, "path", m->conf->store);
}

/* All of it at once. */
static bool
archive_next(struct show *s)
{
	const struct master *m = s->from.arg;
	const struct child *w = archive_writer(m);
	const struct figures *f = figures_of(s->from.hub);
	struct archive_state st = {.word = "off"};

	if (s->some)
		return false;
	if (w == NULL || m->conf->store == NULL) {
		archive_put_text(s, "state", "off");
		archive_put_text(s, "reason", "no store in the configuration");
		return true;
	}
	archive_lag(s, w, f, &st);
	archive_judge(s, w, f, &st);
	archive_put_state(s, &st);
	archive_put(s, "rows", SHM_LOAD(f->rows));
	archive_put(s, "bytes", SHM_LOAD(f->bytes));
	archive_put(s, "wal_bytes", SHM_LOAD(f->wal_bytes));
	archive_put(s, "free_bytes", SHM_LOAD(f->free_bytes));
	archive_put(s, "behind", st.behind);
	archive_put(s, "behind_ms", st.behind_ms);
	archive_put(s, "stored", SHM_LOAD(f->stored));
	archive_put_commits(s, f);
	archive_put(s, "failures", SHM_LOAD(f->failures));
	archive_put(s, "holes", SHM_LOAD(f->holes));
	archive_put(s, "pruned", SHM_LOAD(f->pruned));
	archive_put(s, "erased", SHM_LOAD(f->erased));
	return true;
}

const struct show_subject report_archive = {
    .name = "store", .next = archive_next, .open = "{", .close = "}\n"};
