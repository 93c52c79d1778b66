#include "room/archive.h"

#include <stdlib.h>
#include <string.h>

#include "archive_rows.h"
#include "base/clock.h"
#include "conn/hold.h"
#include "hub/presence.h"
#include "hub/reader.h"
#include "room/rooms.h"

enum {
	/* What nobody came to use, or asked for again, is given up so long
	 * after its limit. */
	ARCHIVE_UNUSED_MS = 2 * HOLD_ROWS_MS,
	/* Sweeps in which a question waits and none is answered, until who
	 * answers counts as hanging. Larger: a connect waits longer for one
	 * that does; smaller: on a busy machine some recover nothing. Sweeps
	 * are counted, as time goes by while the machine stands still, too. */
	ARCHIVE_QUIET = 10,
	ARCHIVE_AGAIN = 50 /* sweeps until a connect waits for it again */
};

enum asked_state { ASKED_WAITS, ASKED_FOUND, ASKED_FAILED, ASKED_ABSENT };

/* A question, and its answer. */
struct asked {
	uint64_t id;   /* of the connection; 0: it has no slot */
	uint32_t conn; /* its number */
	uint32_t since_ms;
	uint32_t sent_ms;
	enum asked_state state;
	bool sent;
	bool aside;    /* no command asks, but its connection */
	uint8_t *rows; /* malloc'ed, or NULL */
	size_t rows_len;
	uint32_t n;
	bool more;
	uint64_t missing; /* offset where rows were missing before; 0: none */
	uint64_t after;	  /* it is sent when all up to there is committed, */
	uint64_t taken;	  /* and was when all up to there was */
	size_t len;	  /* of the payload: */
	struct message_ask ask;
	char names[]; /* name and text */
};

struct archive {
	int peer; /* line of who answers; -1: there is no link */
	uint64_t numbers;
	uint32_t answered; /* connection */
	uint32_t n_asked;
	uint64_t bytes; /* of all rows */
	bool unsent;	/* the link had no room, or there was none */
	bool crowded;	/* commands wait for a place */
	/* A question was not answered in time, or there was no link for so
	 * long: nobody waits for one until there is an answer, or a link. */
	bool stuck;
	uint32_t ended_ms; /* no link: since when */
	uint32_t quiet;	   /* sweeps in which a question was not answered */
	struct asked *asked[ARCHIVE_ASKED_MAX];
};

int
archive_init(struct chat *ch)
{
	struct archive *a = calloc(1, sizeof(*a));

	if (a == NULL)
		return -1;
	a->peer = -1;
	a->ended_ms = (uint32_t)clock_ms();
	ch->rooms->archive = a;
	return 0;
}

bool
archive_has(const struct chat *ch, uint32_t channel)
{
	return ch->hub->readers & 1 << READER_STORE &&
	    PRESENCE_READERS(presence_flags(ch->hub, channel)) &
	    1 << READER_STORE;
}

/* The id of a connection that has a slot. */
static uint64_t
archive_conn_id(const struct chat *ch, uint32_t conn)
{
	return conn_has_slot(ch, conn) ? slot_id(ch->hub, conn) : 0;
}

/* Frees what was answered to a question. */
static void
asked_empty(struct archive *a, struct asked *q)
{
	a->bytes -= q->rows_len;
	free(q->rows);
	q->rows = NULL;
	q->rows_len = 0;
}

/* Forgets the question at a place. */
static void
asked_forget(struct archive *a, uint32_t k)
{
	asked_empty(a, a->asked[k]);
	free(a->asked[k]);
	a->asked[k] = a->asked[--a->n_asked];
}

/* Sends a question; false: not now. */
static bool
asked_send(struct chat *ch, struct asked *q)
{
	struct archive *a = ch->rooms->archive;

	q->taken = reader_told(ch->hub, READER_STORE);
	q->sent_ms = (uint32_t)ch->now_ms;
	q->sent = a->peer != -1 && ch->ask_send != NULL &&
	    ch->ask_send(ch, a->peer, &q->ask, q->len) == 1;
	a->unsent |= !q->sent;
	return q->sent;
}

/* The place of the oldest one that is to be sent; n_asked: there is none. */
static uint32_t
asked_unsent(const struct chat *ch)
{
	const struct archive *a = ch->rooms->archive;
	const uint64_t taken = reader_told(ch->hub, READER_STORE);
	uint32_t oldest = a->n_asked;

	for (uint32_t k = 0; k < a->n_asked; k++)
		if (!a->asked[k]->sent && a->asked[k]->state == ASKED_WAITS &&
		    a->asked[k]->after <= taken &&
		    (oldest == a->n_asked ||
			a->asked[k]->ask.number < a->asked[oldest]->ask.number))
			oldest = k;
	return oldest;
}

/* Sends what the link had no room for. */
static void
archive_send(struct chat *ch)
{
	struct archive *a = ch->rooms->archive;
	uint32_t k;

	while (a->unsent) {
		a->unsent = false;
		k = asked_unsent(ch);
		if (k == a->n_asked || !asked_send(ch, a->asked[k]))
			return;
		a->unsent = true; /* perhaps */
	}
}

/* Whether a question is the command's in hand, whose connection has that id,
 * or, aside, the connection's. */
static bool
asked_is_own(const struct asked *q, const struct chat *ch, uint64_t id)
{
	return q->conn == ch->hold.conn && q->id == id &&
	    q->aside == ch->hold.aside;
}

/* Whether one's own question is that one. */
static bool
asked_is(const struct asked *q, const struct archive_query *like)
{
	struct message_ask ask = like->ask;

	ask.number = q->ask.number;
	ask.oldest_ms = q->ask.oldest_ms;
	ask.name_len = (uint16_t)like->name_len;
	ask.text_len = (uint16_t)like->text_len;
	ask.asked_ms = q->ask.asked_ms;
	return memcmp(&q->ask, &ask, sizeof(ask)) == 0 &&
	    memcmp(q->names, like->name, like->name_len) == 0 &&
	    (like->text_len == 0 ||
		memcmp(q->names + like->name_len, like->text, like->text_len) ==
		    0);
}

/* The limit of an answer: all of it is to fit into a client's queue, twice. */
static uint32_t
archive_bytes(const struct chat *ch)
{
	return ch->live.queue_bytes / 2 < ASK_BYTES_MAX
	    ? ch->live.queue_bytes / 2
	    : ASK_BYTES_MAX;
}

/* Asks anew; NULL: there is no room. */
static struct asked *
asked_new(struct chat *ch, const struct archive_query *from)
{
	struct archive *a = ch->rooms->archive;
	const size_t len = from->name_len + from->text_len;
	struct asked *q;

	if (a->n_asked == ARCHIVE_ASKED_MAX ||
	    (q = calloc(1, sizeof(*q) + len)) == NULL)
		return NULL;
	q->id = archive_conn_id(ch, ch->hold.conn);
	q->conn = ch->hold.conn;
	q->aside = ch->hold.aside;
	q->since_ms = (uint32_t)ch->now_ms;
	q->ask = from->ask;
	q->ask.bytes = archive_bytes(ch);
	q->ask.number = ++a->numbers;
	q->ask.name_len = (uint16_t)from->name_len;
	q->ask.text_len = (uint16_t)from->text_len;
	q->ask.asked_ms = q->since_ms;
	memcpy(q->names, from->name, from->name_len);
	if (from->text_len > 0)
		memcpy(q->names + from->name_len, from->text, from->text_len);
	q->len = sizeof(q->ask) + len;
	a->asked[a->n_asked++] = q;
	(void)asked_send(ch, q);
	return q;
}

/* How a question stands, for a command that can wait, or not any more. */
static enum archive_result
asked_stands(
    struct chat *ch, const struct asked *q, bool now, struct archive_rows *out)
{
	switch (q->state) {
	case ASKED_WAITS:
		return !now && hold_rows(ch, q->since_ms) ? ARCHIVE_WAITS
							  : ARCHIVE_LATE;
	case ASKED_FAILED:
		return ARCHIVE_FAILED;
	case ASKED_ABSENT:
		return ARCHIVE_ABSENT;
	case ASKED_FOUND:
		break;
	}
	*out = (struct archive_rows){
	    .bytes = q->rows, .len = q->rows_len, .n = q->n, .more = q->more};
	return ARCHIVE_ROWS;
}

/* The question of the command in hand; NULL: it has not asked that. */
static struct asked *
asked_in_hand(struct chat *ch, const struct archive_query *from)
{
	const uint64_t id = archive_conn_id(ch, ch->hold.conn);
	struct archive *a = ch->rooms->archive;
	struct archive_query like = *from;

	like.ask.bytes = archive_bytes(ch);
	for (uint32_t k = 0; k < a->n_asked; k++)
		if (asked_is_own(a->asked[k], ch, id) &&
		    asked_is(a->asked[k], &like))
			return a->asked[k];
	return NULL;
}

enum archive_result
archive_ask(
    struct chat *ch, const struct archive_query *from, struct archive_rows *out)
{
	struct archive *a = ch->rooms->archive;
	const struct asked *q;

	if (from->name_len > ASK_NAME_MAX || from->text_len > ASK_TEXT_MAX)
		return ARCHIVE_FAILED;
	if ((q = asked_in_hand(ch, from)) != NULL)
		return asked_stands(ch, q, from->now, out);
	if (from->now || hold_ended(ch) == HOLD_LATE)
		return ARCHIVE_LATE; /* nobody would wait for it */
	/* what is told aside leaves room for commands, and comes again */
	q = ch->hold.aside && a->n_asked >= ARCHIVE_ASKED_MAX / 2
	    ? NULL
	    : asked_new(ch, from);
	if (q != NULL)
		return asked_stands(ch, q, a->stuck, out);
	a->crowded = true;
	return hold_rows(ch, 0) ? ARCHIVE_WAITS : ARCHIVE_LATE;
}

enum archive_result
archive_ask_again(struct chat *ch, const struct archive_query *from,
    uint64_t missing, uint64_t after)
{
	struct archive *a = ch->rooms->archive;
	struct asked *q = asked_in_hand(ch, from);

	/* a hole, which stays */
	if (q == NULL || q->taken >= after || q->missing == missing)
		return ARCHIVE_ROWS;
	if (from->now)
		return ARCHIVE_LATE;
	asked_empty(a, q);
	q->state = ASKED_WAITS;
	q->sent = false;
	q->missing = missing;
	q->after = after;
	a->unsent = true;
	archive_send(ch);
	return asked_stands(ch, q, false, NULL);
}

void
archive_done(struct chat *ch)
{
	struct archive *a = ch->rooms->archive;
	uint64_t id;

	if (a->n_asked == 0)
		return;
	id = archive_conn_id(ch, ch->hold.conn);
	for (uint32_t k = 0; k < a->n_asked;)
		if (asked_is_own(a->asked[k], ch, id))
			asked_forget(a, k);
		else
			k++;
}

void
archive_left(struct chat *ch, uint32_t conn)
{
	struct archive *a = ch->rooms->archive;

	for (uint32_t k = 0; k < a->n_asked;)
		if (a->asked[k]->conn == conn)
			asked_forget(a, k);
		else
			k++;
}

bool
archive_is(const struct chat *ch, int peer)
{
	return ch->rooms->archive->peer == peer;
}

void
archive_linked(struct chat *ch, int peer)
{
	struct archive *a = ch->rooms->archive;

	a->peer = peer;
	a->stuck = false;
	a->quiet = 0;
	for (uint32_t k = 0; k < a->n_asked; k++)
		a->asked[k]->sent = false;
	a->unsent = true;
	archive_send(ch);
}

void
archive_ended(struct chat *ch, int peer)
{
	struct archive *a = ch->rooms->archive;

	if (a->peer != peer)
		return;
	a->peer = -1;
	a->ended_ms = (uint32_t)ch->now_ms;
	for (uint32_t k = 0; k < a->n_asked; k++)
		a->asked[k]->sent = false;
}

/* A question's place by its number; n_asked: nobody waits for it. */
static uint32_t
asked_find(const struct archive *a, uint64_t number)
{
	uint32_t k = 0;

	while (k < a->n_asked && a->asked[k]->ask.number != number)
		k++;
	return k;
}

/* Whether so many rows may be kept: one may be as large as an entry of the
 * journal. */
static bool
asked_may_have(const struct chat *ch, const struct asked *q,
    const struct message_rows *head)
{
	const uint64_t entry = ch->hub->journal_size / JOURNAL_SHARE;

	return (head->bytes <= q->ask.bytes ||
		   (head->n == 1 && head->bytes <= entry)) &&
	    ch->rooms->archive->bytes + head->bytes <= ARCHIVE_BYTES_MAX;
}

/* Takes an answer to a question that waits; returns what is wrong with it. */
static const char *
asked_take(struct chat *ch, struct asked *q, const struct message_rows *head,
    const void *rows, int fd)
{
	q->state = head->result == ROWS_ABSENT ? ASKED_ABSENT : ASKED_FAILED;
	if (head->result != ROWS_FOUND)
		return NULL;
	if (head->bytes > q->ask.bytes && head->n > 1)
		return "rows are more than was asked for";
	if (!asked_may_have(ch, q, head))
		return NULL;
	if (head->bytes > 0 &&
	    (q->rows = rows_copy(rows, head->bytes, fd)) == NULL)
		return "there are no rows";
	q->rows_len = head->bytes;
	ch->rooms->archive->bytes += head->bytes;
	if (!rows_are_sound(&q->ask, q->rows, head->bytes, head->n))
		return "rows make no sense";
	q->n = head->n;
	q->more = head->more != 0;
	q->state = ASKED_FOUND;
	return NULL;
}

/* Whether a command of the same connection waits for another answer, too: then
 * it is looked at when that has come. */
static bool
asked_waits_on(const struct archive *a, const struct asked *q)
{
	for (uint32_t k = 0; k < a->n_asked; k++)
		if (a->asked[k]->state == ASKED_WAITS &&
		    a->asked[k]->conn == q->conn && a->asked[k]->id == q->id &&
		    !a->asked[k]->aside)
			return true;
	return false;
}

/* The question at a place is answered: its command is looked at again. */
static void
asked_arrived(struct chat *ch, uint32_t k)
{
	struct archive *a = ch->rooms->archive;
	const struct asked *q = a->asked[k];

	if (archive_conn_id(ch, q->conn) != q->id)
		asked_forget(a, k); /* the connection is gone */
	else if (q->aside)
		a->answered = q->conn;
	else if (!asked_waits_on(a, q) && !hold_arrived(ch, q->conn))
		asked_forget(a, k);
}

const char *
archive_answer(struct chat *ch, const void *payload, size_t len, int fd)
{
	struct archive *a = ch->rooms->archive;
	struct message_rows head;
	const char *bad;
	uint32_t k;

	a->answered = SHM_NONE;
	memcpy(&head, payload, sizeof(head));
	if (head.number == 0 || head.number > a->numbers)
		return "the question was not asked";
	a->stuck = false;
	a->quiet = 0;
	k = asked_find(a, head.number);
	if (k == a->n_asked || a->asked[k]->state != ASKED_WAITS)
		return NULL; /* it was given up, or asked twice */
	bad = asked_take(
	    ch, a->asked[k], &head, (const char *)payload + sizeof(head), fd);
	asked_arrived(ch, k);
	archive_send(ch);
	return bad;
}

uint32_t
archive_answered(const struct chat *ch)
{
	return ch->rooms->archive->answered;
}

bool
archive_hangs(const struct chat *ch)
{
	return ch->rooms->archive->quiet >= ARCHIVE_QUIET;
}

/* Whether a question that was sent waits for its answer. */
static bool
archive_is_owed(const struct archive *a)
{
	for (uint32_t k = 0; k < a->n_asked; k++)
		if (a->asked[k]->sent && a->asked[k]->state == ASKED_WAITS)
			return true;
	return false;
}

/* Looks whether who answers seems to hang. Its own life signs are seen by the
 * master alone. */
static void
archive_listen(struct chat *ch)
{
	struct archive *a = ch->rooms->archive;

	if (a->peer == -1)
		a->quiet = 0; /* the next one is on its way */
	else if (a->quiet >= ARCHIVE_QUIET)
		a->quiet = a->quiet < ARCHIVE_AGAIN ? a->quiet + 1 : 0;
	else if (!archive_is_owed(a))
		a->quiet = 0;
	else if (++a->quiet == ARCHIVE_QUIET)
		hold_rows_again(ch);
}

/* Whether a question has waited for as long as anybody waits, or would. */
static bool
archive_is_stuck(const struct chat *ch)
{
	const struct archive *a = ch->rooms->archive;

	if (a->peer == -1)
		return conn_age_ms(ch, a->ended_ms) >= HOLD_ROWS_MS;
	for (uint32_t k = 0; k < a->n_asked; k++)
		if (a->asked[k]->sent && a->asked[k]->state == ASKED_WAITS &&
		    conn_age_ms(ch, a->asked[k]->sent_ms) >= HOLD_ROWS_MS)
			return true;
	return false;
}

void
archive_sweep(struct chat *ch)
{
	struct archive *a = ch->rooms->archive;

	archive_listen(ch);
	a->stuck = a->stuck || archive_is_stuck(ch);
	for (uint32_t k = 0; k < a->n_asked;)
		if (conn_age_ms(ch, a->asked[k]->since_ms) >= ARCHIVE_UNUSED_MS)
			asked_forget(a, k);
		else
			k++;
	a->unsent = true; /* perhaps more is committed by now */
	archive_send(ch);
	if (a->crowded && a->n_asked < ARCHIVE_ASKED_MAX / 2) {
		a->crowded = false;
		hold_rows_again(ch);
	}
}
