#include "takeover/pull.h"

#include <errno.h>
#include <poll.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "conn/chat.h"
#include "hub/stats.h"
#include "net/counters.h"
#include "net/custody.h"

enum {
	TICK_MS = 100,	/* between life signs while the giver is waited for */
	WARN_MS = 1000, /* between two lines of the log about that */
	/* A worker that retired may be stopped; its keeper has the sockets,
	 * too. Larger: clients wait longer then; smaller: sockets are often
	 * given twice. */
	SILENCE_MS = 500
};

/* Whether a socket of this worker's is still in another table. One that was on
 * its way here is its giver's. */
static bool
pull_is_missing(const struct hub *h, uint32_t i)
{
	enum slot_state state = slot_state(h, i);

	return slot_holder(h, i) == h->self && state != SLOT_FREE &&
	    state != SLOT_TAKEN && slot_fd(h, i) < 0;
}

/* Makes a descriptor that has come the slot's. */
static bool
pull_claim(struct hub *h, uint32_t i, int fd)
{
	if (counters_came(fd) < 0)
		return false;
	KILL_POINT();
	slot_socket_set(h, i, fd);
	return true;
}

/* Takes what this worker misses of a note's descriptors. */
static void
pull_sort(struct chat *ch, const struct custody_note *note, const int *got)
{
	struct hub *h = ch->hub;
	uint32_t j, i;

	for (j = 0; j < note->n; j++) {
		i = (uint32_t)note->id[j];
		if (i >= h->n_slots || slot_id(h, i) != note->id[j] ||
		    !pull_is_missing(h, i) || got[j] >= CHAT_FDS ||
		    !pull_claim(h, i, got[j]))
			close(got[j]);
	}
}

/* Receives one note from the giver. False: there are no more. */
static bool
pull_note(struct chat *ch, int link, const char *who)
{
	static struct custody_note note;
	static int got[CUSTODY_MAX];
	int r = custody_receive(link, &note, got);

	KILL_POINT();
	if (r > 0 && note.type == CUSTODY_KEEP)
		pull_sort(ch, &note, got);
	if (r >= 0)
		return r == 0 || note.type != CUSTODY_DONE;
	if (errno == EBADMSG) {
		log_warn("%s: descriptors were lost on their way: more open "
			 "files are needed than the limit allows",
		    who);
		return true;
	}
	log_warn("%s ended before it had given everything back", who);
	return false;
}

/* A process that has the predecessor's sockets. */
struct source {
	int link; /* -1: there is none */
	const char *who;
	bool asked, ended; /* ended: it has nothing more to give */
};

/*
 * Receives everything that a source has. It is waited for as long as it lives,
 * with life signs: whether a process is hung is the master's to judge, who
 * kills it then, and the link ends. With silence_ms (0: without limit) it is
 * left for another source when nothing has come for so long.
 */
static void
pull_from(struct chat *ch, struct source *s, uint64_t silence_ms)
{
	struct pollfd p = {s->link, POLLIN, 0};
	uint64_t began = clock_ms(), warned = began, heard = began;

	while (
	    !s->ended && (silence_ms == 0 || clock_ms() - heard < silence_ms)) {
		if (!s->asked) {
			s->asked = custody_ask(s->link, UINT32_MAX) == 0;
			if (!s->asked && custody_is_gone(errno))
				s->ended = true;
		}
		if (!s->ended && poll(&p, 1, s->asked ? TICK_MS : 1) > 0) {
			s->ended = !pull_note(ch, s->link, s->who);
			heard = clock_ms();
		}
		line_tick(ch->hub);
		if (clock_ms() - warned >= WARN_MS) {
			warned = clock_ms();
			log_warn("%s has not given everything back after %llu "
				 "ms, waiting",
			    s->who, (unsigned long long)(warned - began));
		}
	}
}

/* Whether the socket of any connection that was promised to go on is still
 * missing. */
static bool
pull_misses(const struct hub *h)
{
	uint32_t i;

	for (i = slot_ever(h, 0); i < h->n_slots; i = slot_ever(h, i + 1))
		if (slot_in_use(h, i) && pull_is_missing(h, i))
			return true;
	return false;
}

void
pull_all(struct chat *ch, const int link[BIRTH_GIVERS])
{
	static const char *const who[BIRTH_GIVERS] = {
	    "the worker that retired", "the former keeper"};
	struct source giver[BIRTH_GIVERS];
	int k;

	for (k = 0; k < BIRTH_GIVERS; k++) {
		giver[k] = (struct source){
		    .link = link[k], .who = who[k], .ended = link[k] < 0};
		if (!giver[k].ended && pull_misses(ch->hub))
			pull_from(ch, &giver[k], SILENCE_MS);
	}
	/* who was silent has what nobody else has */
	for (k = 0; k < BIRTH_GIVERS; k++) {
		if (!giver[k].ended && pull_misses(ch->hub))
			pull_from(ch, &giver[k], 0);
		if (giver[k].link >= 0)
			close(giver[k].link);
	}
}
