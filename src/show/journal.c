/* The newest entries of the journal, without what was said: what `chatctl show
 * journal` says. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "hub/journal.h"
#include "hub/presence.h"
#include "show/subject.h"

enum {
	JOURNAL_SHOWN = 20,
	/* Larger: one request keeps the master busy for longer; smaller: less
	 * can be seen of what led to a fault. */
	JOURNAL_SHOWN_MAX = 1000
};

/* The presence entry of a channel, also of one that nobody is in; SHM_NONE.
 * Looks at all entries, as finding one by its name takes the lock. */
static uint32_t
journal_channel(const struct hub *h, const char *name)
{
	const size_t len = strlen(name);
	struct presence_view v;
	uint32_t e = presence_name_is_user(name, len) ? 1 : 0;

	for (e = presence_next(h, e); e < h->n_entries;
	     e = presence_next(h, e + 1))
		if (presence_read(h, e, &v) && v.name_len == len &&
		    memcmp(v.name, name, len) == 0)
			return e;
	return SHM_NONE;
}

/* The number of entries that a word asks for; 0: it is no number. */
static uint32_t
journal_number(const char *word)
{
	char *end;
	unsigned long n;

	errno = 0;
	n = strtoul(word, &end, 10);
	return *end == '\0' && errno == 0 && word[0] >= '0' && word[0] <= '9' &&
		n <= JOURNAL_SHOWN_MAX
	    ? (uint32_t)n
	    : 0;
}

/* Takes [CHANNEL] [NUMBER]. A single word of digits is the number. */
static int
journal_ask(
    struct show *s, int argc, char **argv, char *error, size_t error_len)
{
	const char *number = NULL, *channel = NULL;

	if (argc == 2 ||
	    (argc == 1 && strspn(argv[0], "0123456789") == strlen(argv[0])))
		number = argv[argc - 1];
	if (argc > (number != NULL))
		channel = argv[0];
	s->left = number != NULL ? journal_number(number) : JOURNAL_SHOWN;
	s->only =
	    channel != NULL ? journal_channel(s->from.hub, channel) : SHM_NONE;
	if (s->left == 0)
		snprintf(error, error_len,
		    "show journal: \"%s\" is not a number of entries from 1 to "
		    "%d",
		    number, JOURNAL_SHOWN_MAX);
	else if (channel != NULL && s->only == SHM_NONE)
		snprintf(
		    error, error_len, "no channel %s is known here", channel);
	else
		return 0;
	return -1;
}

/* Begins with the newest. */
static bool
journal_begin(struct show *s)
{
	s->entry = journal_tail(s->from.hub);
	return true;
}

/* The head line. */
static void
journal_head(struct show *s)
{
	const bool readers = s->from.hub->readers != 0;

	show_put(s, "%12s %10s %-24s %9s %-*s %-15s %-16s ", "POSITION",
	    "OFFSET", "TIME", "BYTES", readers ? 10 : 5, "KIND", "WORKERS",
	    "SENDER");
	if (readers)
		show_put(
		    s, "%-18s %-18s %-8s ", "READERS", "REQUIRED BY", "ASKS");
	show_put(s, "CHANNEL\n");
}

/* What an entry is. */
static const char *
journal_kind(const struct publication *p)
{
	static const char *const names[] = {[FORMAT_TEXT] = "text",
	    [FORMAT_JSON] = "json",
	    [FORMAT_JOIN] = "join",
	    [FORMAT_LEAVE] = "leave",
	    [FORMAT_KICK] = "kick",
	    [FORMAT_RESULT] = "result",
	    [FORMAT_OPEN] = "open",
	    [FORMAT_OPENED] = "opened",
	    [FORMAT_ONLINE] = "online",
	    [FORMAT_OFFLINE] = "offline",
	    [FORMAT_OCCUPIED] = "occupied",
	    [FORMAT_VACATED] = "vacated",
	    [FORMAT_CONNECT] = "connect",
	    [FORMAT_DISCONNECT] = "disconnect",
	    [FORMAT_DELIVERED] = "delivered",
	    [FORMAT_LEAP] = "leap",
	    [FORMAT_ERASED] = "erased"};

	return p->format >= FORMAT_TEXT &&
		p->format < sizeof(names) / sizeof(names[0]) &&
		names[p->format] != NULL
	    ? names[p->format]
	    : "?";
}

/* What a message asks of readers. */
static const char *
journal_asks(const struct publication *p)
{
	return p->flags & PUBLICATION_AGAIN   ? "again"
	    : p->flags & PUBLICATION_PROPOSED ? "proposed"
	    : p->flags & PUBLICATION_WAITS    ? "answer"
					      : "-";
}

/* Who sent it: a connection's id, "chatctl", or "api"; "-": nobody. */
static const char *
journal_sender(const struct publication *p, char out[17])
{
	if (p->sender != 0)
		snprintf(out, 17, "%016" PRIx64, p->sender);
	else if (p->format >= FORMAT_RESULT)
		strcpy(out, "-");
	else
		strcpy(out, publication_order(p) != 0 ? "chatctl" : "api");
	return out;
}

/* The name of an entry's channel; name_len 0: its entry is another one's by
 * now. */
static void
journal_name(
    const struct hub *h, const struct publication *p, struct presence_view *v)
{
	if (!presence_read(h, p->channel, v) || v->epoch != p->epoch)
		v->name_len = 0;
}

/* The workers that an entry is for. */
static uint64_t
journal_workers(const struct show *s, uint64_t position)
{
	const uint64_t mask = journal_mask(s->from.hub, position);
	const int n = s->from.n_workers;

	/* all: those that there are */
	return mask == UINT64_MAX && n < SHM_WORKERS ? (1ull << n) - 1 : mask;
}

/* An entry as an object. */
static void
journal_put_json(
    struct show *s, const struct publication *p, const struct presence_view *v)
{
	char sender[17];

	show_put(s,
	    "{\"position\":%" PRIu64 ",\"offset\":%" PRIu64
	    ",\"time_ms\":%" PRId64 ",\"bytes\":%" PRIu32
	    ",\"kind\":\"%s\",\"workers\":",
	    p->position, p->offset, p->time_ms, p->data_len, journal_kind(p));
	show_mask(s, journal_workers(s, p->position));
	show_put(
	    s, ",\"sender\":\"%s\",\"channel\":", journal_sender(p, sender));
	if (v->name_len > 0)
		show_text(s, v->name, v->name_len);
	else
		show_put(s, "null");
	if (s->from.hub->readers != 0) {
		show_put(s, ",\"readers\":");
		show_readers(s, journal_readers(s->from.hub, p->position), 0);
		show_put(s, ",\"required_by\":");
		show_readers(s, p->required, 0);
		show_put(s, ",\"asks\":\"%s\"", journal_asks(p));
	}
	show_put(s, "}");
}

/* "2026-11-28T07:54:44.123Z". */
static const char *
journal_time(int64_t time_ms, char out[32])
{
	const time_t seconds = (time_t)(time_ms / 1000);
	char day[24];
	struct tm tm;

	if (time_ms < 0 || gmtime_r(&seconds, &tm) == NULL ||
	    strftime(day, sizeof(day), "%Y-%m-%dT%H:%M:%S", &tm) == 0)
		return "?";
	snprintf(out, 32, "%s.%03dZ", day, (int)(time_ms % 1000));
	return out;
}

/* An entry as a line. */
static void
journal_put_line(
    struct show *s, const struct publication *p, const struct presence_view *v)
{
	const bool readers = s->from.hub->readers != 0;
	char sender[17], time[32];

	show_put(s, "%12" PRIu64 " %10" PRIu64 " %-24s %9" PRIu32 " %-*s ",
	    p->position, p->offset, journal_time(p->time_ms, time), p->data_len,
	    readers ? 10 : 5, journal_kind(p));
	show_mask(s, journal_workers(s, p->position));
	show_put(s, "%-16s ", journal_sender(p, sender));
	if (readers) {
		show_readers(s, journal_readers(s->from.hub, p->position), 18);
		show_readers(s, p->required, 18);
		show_put(s, "%-8s ", journal_asks(p));
	}
	if (v->name_len > 0)
		show_text(s, v->name, v->name_len);
	else
		show_put(s, "-");
	show_put(s, "\n");
}

/* Tells of a position whose entry cannot be shown. */
static void
journal_put_lost(struct show *s, uint64_t position, bool overwritten)
{
	const char *why = overwritten ? "overwritten" : "corrupted";

	show_comma(s);
	if (s->json)
		show_put(s, "{\"position\":%" PRIu64 ",\"lost\":\"%s\"}",
		    position, why);
	else
		show_put(s, "%12" PRIu64 " %s%s\n", position, why,
		    overwritten ? " meanwhile, and those below" : "");
}

/* The entry at a position, if it is asked for; false: it was the last one. */
static bool
journal_one(struct show *s, uint64_t position)
{
	const struct hub *h = s->from.hub;
	struct presence_view v;
	struct publication p;
	enum journal_result r = journal_peek(h, position, &p);

	if (r == JOURNAL_OK && s->only != SHM_NONE && p.channel != s->only)
		return true;
	if (r == JOURNAL_OK) {
		journal_name(h, &p, &v);
		if (s->only != SHM_NONE && v.name_len == 0)
			return true; /* of a channel that had the entry before
				      */
		show_comma(s);
		(s->json ? journal_put_json : journal_put_line)(s, &p, &v);
	} else
		journal_put_lost(s, position, r == JOURNAL_GONE);
	s->left--;
	return r != JOURNAL_GONE;
}

/* One position, from the newest on. */
static bool
journal_next(struct show *s)
{
	const uint64_t position = s->entry;

	if (s->left == 0 || position == 0 ||
	    position < journal_oldest(s->from.hub) || !journal_one(s, position))
		return false;
	s->entry = position - 1;
	return true;
}

const struct show_subject show_journal = {.name = "journal",
    .ask = journal_ask,
    .begin = journal_begin,
    .next = journal_next,
    .head = journal_head,
    .open = "[",
    .close = "]\n"};
