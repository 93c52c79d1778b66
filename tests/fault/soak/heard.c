/* heard: the messages that clients get, compared with those that were sent. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "soak.h"

enum {
	TOLD = 30,	    /* faults that are told in words */
	JOURNAL_TOLD = 3000 /* publications to look at then */
};

unsigned faults[FAULTS];
static char words[TOLD][256];
static unsigned n_words;

void
fault(enum fault f, const char *fmt, ...)
{
	static const char *const name[] = {"DISCONNECT", "LOST", "DOUBLED",
	    "ORDER", "CORRUPT", "ANSWER", "PRESENCE", "ALERT", "LEAK", "OTHER"};
	static bool dumped;
	va_list ap;
	int n;

	faults[f]++;
	if (!dumped) {
		dumped = true;
		journal_dump(JOURNAL_TOLD);
	}
	if (n_words == TOLD)
		return;
	n = snprintf(words[n_words], sizeof(words[0]),
	    "%s at %llu ms: ", name[f], (unsigned long long)now_ms);
	va_start(ap, fmt);
	vsnprintf(words[n_words] + n, sizeof(words[0]) - (size_t)n, fmt, ap);
	va_end(ap);
	puts(words[n_words++]);
}

void
faults_tell(void)
{
	unsigned k;

	for (k = 0; k < n_words; k++)
		puts(words[k]);
}

bool
heard_name(const char *text, size_t len, uint32_t *who)
{
	uint32_t n = 0, k;

	if (len < 4 || text[0] != 'u')
		return false;
	for (k = 1; k < 4; k++) {
		if (text[k] < '0' || text[k] > '9')
			return false;
		n = n * 10 + (uint32_t)(text[k] - '0');
	}
	*who = n;
	return n < set.clients;
}

/* Where in the order a client is, is known from its first message that another
 * client has heard. */
static void
locate(uint32_t i, uint32_t from, const char *text, size_t len)
{
	struct client *c = &client[i];
	uint32_t seq, at, own;

	if (from == i && text_is(text, len, i, c->first, -1))
		c->own_heard = true;
	if (!text_seq(text, len, &seq))
		return; /* too short to be known */
	if (!text_is(text, len, from, seq, -1)) {
		fault(F_CORRUPT, "client %u: %.60s", i, text);
		return;
	}
	at = order_find(from, seq);
	if (at == UINT32_MAX)
		return; /* it is ahead of all who know where they are */
	own = order_find(i, c->first);
	if (!c->own_heard && own != UINT32_MAX && own < at)
		fault(F_LOST, "client %u: begins at %u, its own is at %u", i,
		    at, own);
	c->at = at;
	c->located = true;
	while (c->heard < c->sent && order_find(i, c->heard) <= at)
		c->heard++; /* before it knew where it was */
}

/* Says what is wrong with a message that is not the one to come. */
static void
blame(uint32_t i, uint32_t from, const char *text, size_t len)
{
	struct client *c = &client[i];
	uint32_t seq, at;

	c->located = false;
	if (!text_seq(text, len, &seq)) {
		fault(F_ORDER, "client %u behind %u: a short one of %u", i,
		    c->at, from);
		return;
	}
	if (!text_is(text, len, from, seq, -1)) {
		fault(F_CORRUPT, "client %u behind %u: %.60s", i, c->at, text);
		return;
	}
	at = order_find(from, seq);
	if (at == UINT32_MAX)
		fault(F_LOST,
		    "client %u at %u of %u: hears %u of %u, next "
		    "is %u",
		    i, c->at, order.n, seq, from, order.next[from]);
	else if (at <= c->at)
		fault(F_DOUBLED, "client %u at %u: hears %u (%u of %u) again",
		    i, c->at, at, seq, from);
	else
		fault(F_LOST, "client %u at %u: hears %u (%u of %u), %u lost",
		    i, c->at, at, seq, from, at - c->at - 1);
}

void
heard_lobby(uint32_t i, uint32_t from, const char *text, size_t len)
{
	struct client *c = &client[i];
	const struct said *s;
	uint32_t before = c->at;
	bool was = c->located, good = false;

	if (!c->located) {
		locate(i, from, text, len);
	} else if (c->at + 1 < order.n) {
		s = &order.said[c->at + 1];
		good = s->from == from && text_is(text, len, from, s->seq, -1);
		if (good)
			c->at++;
	} else {
		good = order.next[from] < client[from].sent &&
		    text_is(text, len, from, order.next[from], -1);
		if (good) {
			order_add(from, order.next[from], i);
			c->at++;
		}
	}
	if (was && !good)
		blame(i, from, text, len);
	if (from == i && c->located && (!was || c->at != before))
		c->heard = order.said[c->at].seq + 1;
}

void
heard_whisper(uint32_t i, uint32_t from, const char *text, size_t len)
{
	struct client *c = &client[i];
	uint32_t seq, want = c->from_heard[from];

	if (!text_seq(text, len, &seq) ||
	    !text_is(text, len, from, seq, (int)i)) {
		fault(F_CORRUPT, "client %u: whispered %.60s", i, text);
		return;
	}
	if (seq != want)
		fault(seq < want ? F_DOUBLED : F_LOST,
		    "client %u: whisper %u of %u, not %u", i, seq, from, want);
	if (seq < want)
		return;
	c->from_heard[from] = seq + 1;
	client[from].whispers_heard += seq + 1 - want;
}

/* Whether all who never leave are in the list, which holds the first names;
 * it may be a moment old. */
static void
who_check(uint32_t i, const char *text, size_t len)
{
	enum { AGE_MS = 300 };
	static bool here[CLIENTS_MAX];
	uint32_t who, k, last = 0;
	size_t n;

	memset(here, 0, sizeof(here));
	for (n = 0; n + 4 <= len; n++)
		if (heard_name(text + n, len - n, &who)) {
			if (here[who])
				fault(F_PRESENCE, "client %u: u%03u twice", i,
				    who);
			here[who] = true;
			if (who > last)
				last = who;
		}
	for (k = 0; k <= last; k++)
		if (!client[k].mover && client[k].phase == OPEN &&
		    now_ms - client[k].open_ms > AGE_MS && !here[k]) {
			fault(
			    F_PRESENCE, "client %u: u%03u is not listed", i, k);
			break;
		}
}

void
heard_answer(uint32_t i, enum answer_kind kind, const char *text, size_t len)
{
	static const char nobody[] = "* nobody is not connected";
	struct client *c = &client[i];
	uint32_t k = c->answered % ANSWERS;
	char pong[16];

	if (c->asked == c->answered) {
		fault(
		    F_ANSWER, "client %u: an answer too many: %.50s", i, text);
		return;
	}
	c->answered++;
	if (c->answer[k].kind != kind) {
		fault(F_ANSWER, "client %u: answer %u is of kind %d, not %d", i,
		    c->answered - 1, kind, c->answer[k].kind);
		return;
	}
	if (kind == A_PONG) {
		sprintf(pong, "p%u", c->answer[k].value);
		if (strlen(pong) != len || memcmp(pong, text, len) != 0)
			fault(F_ANSWER, "client %u: pong %.*s, not %s", i,
			    (int)len, text, pong);
		return;
	}
	if (kind == A_NOBODY &&
	    (len != sizeof(nobody) - 1 || memcmp(text, nobody, len) != 0))
		fault(F_CORRUPT, "client %u: %.60s", i, text);
	if (kind == A_WHO)
		who_check(i, text, len);
	if (!c->json && c->located && c->phase == OPEN &&
	    c->heard < c->answer[k].after)
		fault(F_ORDER, "client %u: an answer before what it said", i);
}

/* What was said in its room: "[ROOM] u001 says: TEXT". */
static bool
room_text(uint32_t i, const char *text, size_t len)
{
	const size_t head = strlen(reader_room(i)) + 3;
	uint32_t from;

	if (len < head + 11 || !heard_name(text + head, len - head, &from) ||
	    memcmp(text + 1, reader_room(i), head - 3) != 0 ||
	    memcmp(text + head + 4, " says: ", 7) != 0)
		return false;
	reader_heard(i, from, text + head + 11, len - head - 11);
	return true;
}

void
heard_text(uint32_t i, const char *text, size_t len)
{
	static const char says[] = " says: ", whispers[] = " whispers: ";
	uint32_t from;

	if (set.reader && reader_line(i, text, len))
		return;
	if (len > 2 && memcmp(text, "* ", 2) == 0) {
		heard_answer(i,
		    memmem(text, len, "connected", 9) != NULL ? A_NOBODY
			: memcmp(text, "* joined", 8) == 0    ? A_JOINED
							      : A_WHO,
		    text, len);
		return;
	}
	if (set.reader && text[0] == '[' && room_text(i, text, len))
		return;
	if (!heard_name(text, len, &from))
		fault(F_CORRUPT, "client %u: %.60s", i, text);
	else if (len > 11 && memcmp(text + 4, says, 7) == 0)
		heard_lobby(i, from, text + 11, len - 11);
	else if (len > 15 && memcmp(text + 4, whispers, 11) == 0)
		heard_whisper(i, from, text + 15, len - 15);
	else
		fault(F_CORRUPT, "client %u: %.60s", i, text);
}
