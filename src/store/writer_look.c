/* writer_look: a start at which nothing can be written: channels of which a gap
 * in what is stored is allowed go on from what can be read. */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "base/log.h"
#include "hub/presence.h"
#include "writer.h"

enum {
	LOOK_WAIT_MS = 100, /* for another process's lock */
	/* Leaps from which one is drawn. Larger: offsets come to their end
	 * sooner (2^53, which JavaScript counts to: 8,000 such starts);
	 * smaller: two starts that wrote nothing, one after the other, are more
	 * likely to give the same offsets. */
	LOOK_LEAPS = 1 << 20
};

uint64_t
writer_lead(const struct writer *w, const struct store_mark *found)
{
	/* what this start tells nobody may ever have noted, so that the leap
	 * follows from the memory itself */
	return found->journal == 0 || found->journal == w->journal
	    ? 0
	    : WRITER_LEAP * (1 + w->journal % LOOK_LEAPS);
}

/* Whether there is no database yet, and nothing that says otherwise. */
static bool
look_is_void(const struct writer *w)
{
	struct stat st;

	return stat(w->options.path, &st) == -1 ? errno == ENOENT
						: st.st_size == 0;
}

void
writer_look(struct writer *w)
{
	struct store_options o = w->options;
	struct store_mark found = {.journal = 0};
	char error[1024];
	bool damaged;

	o.use = STORE_LOOKS;
	o.wait_ms = LOOK_WAIT_MS;
	o.why = NULL;
	w->is_void = look_is_void(w);
	if (w->is_void)
		return;
	writer_patience(w, true);
	if (store_open(&w->look, &o, &found, &damaged, error, sizeof(error)) ==
	    -1) {
		w->look = NULL;
		log_debug("%s", error);
	} else {
		w->lead = writer_lead(w, &found);
	}
	writer_patience(w, false);
}

void
writer_look_end(struct writer *w)
{
	store_close(w->look);
	w->look = NULL;
	w->is_void = false;
	w->lead = 0;
}

struct store *
writer_reads(const struct writer *w)
{
	return w->store != NULL ? w->store : w->look;
}

bool
writer_may_open(const struct writer *w, const char *name, size_t len)
{
	const struct conf_live *live = w->start->live;
	const struct conf_channel *rule = conf_channel_find(live, name, len);

	return w->begun ||
	    (rule != NULL && rule->store == CONF_STORE_YES &&
		live->store_full == CONF_STORE_FULL_CONTINUE);
}

/* Whether an entry's channel was opened by a process that could not write. */
static bool
look_is_told(struct writer *w, uint32_t e, enum store_result *r)
{
	struct store_channel c;
	struct presence_view v;

	if (!presence_read(w->hub, e, &v) ||
	    PRESENCE_WARMTH_OF(v.flags) != PRESENCE_OPEN ||
	    presence_opener(v.flags) != w->reader.bit)
		return false;
	*r = store_channel(w->store, v.name, v.name_len, 0, &c);
	return *r == STORE_OK && c.stream == v.stream && v.offset > c.top;
}

enum store_result
writer_is_told(struct writer *w, bool *told)
{
	enum store_result r = STORE_OK;
	uint32_t e;

	*told = false;
	for (e = presence_next(w->hub, 0); e < w->hub->n_entries && !*told &&
	     (r == STORE_OK || r == STORE_NONE);
	     e = presence_next(w->hub, e + 1)) {
		*told = look_is_told(w, e, &r);
		child_tick(w->start);
	}
	return r == STORE_NONE ? STORE_OK : r;
}
