#include "room/archive.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/utf8.h"
#include "codec/json.h"
#include "conn/hold.h"
#include "hub/presence.h"
#include "room/rooms.h"

enum {
	/* What nobody came to use, or asked for again, is given up so long
	 * after its limit. */
	ARCHIVE_UNUSED_MS = 2 * HOLD_ROWS_MS
};

enum asked_state { ASKED_WAITS, ASKED_FOUND, ASKED_FAILED, ASKED_ABSENT };

/* A question, and its answer. */
struct asked {
	uint64_t id;   /* of the connection; 0: it has no slot */
	uint32_t conn; /* its number */
	uint32_t since_ms;
	enum asked_state state;
	bool sent;
	archive_done_fn *done; /* NULL: it is a command's */
	uint64_t arg;
	uint8_t *rows; /* malloc'ed, or NULL */
	size_t rows_len;
	uint32_t n;
	bool more;
	size_t len; /* of the payload: */
	struct message_ask ask;
	char names[]; /* name and text */
};

struct archive {
	int peer; /* line of who answers; -1: there is no link */
	uint64_t numbers;
	uint32_t answered; /* connection */
	uint32_t n_asked;
	struct asked *asked[ARCHIVE_ASKED_MAX];
};

int
archive_init(struct chat *ch)
{
	struct archive *a = calloc(1, sizeof(*a));

	if (a == NULL)
		return -1;
	a->peer = -1;
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

/* Forgets the question at a place. */
static void
asked_forget(struct archive *a, uint32_t k)
{
	free(a->asked[k]->rows);
	free(a->asked[k]);
	a->asked[k] = a->asked[--a->n_asked];
}

/* The rows of one that is answered. */
static struct archive_rows
asked_rows(const struct asked *q)
{
	return (struct archive_rows){
	    .bytes = q->rows, .len = q->rows_len, .n = q->n, .more = q->more};
}

/* Sends a question, now or in the next sweep. */
static void
asked_send(struct chat *ch, struct asked *q)
{
	struct archive *a = ch->rooms->archive;

	if (a->peer != -1 && ch->ask_send != NULL)
		q->sent = ch->ask_send(ch, a->peer, &q->ask, q->len) == 1;
}

/* Whether it is the question of that connection. */
static bool
asked_is(const struct asked *q, const struct chat *ch, uint64_t id,
    const struct archive_query *like)
{
	struct message_ask ask = like->ask;

	ask.number = q->ask.number;
	ask.oldest_ms = q->ask.oldest_ms;
	ask.name_len = (uint16_t)like->name_len;
	ask.text_len = (uint16_t)like->text_len;
	ask.spare = 0;
	return q->conn == ch->hold.conn && q->id == id &&
	    memcmp(&q->ask, &ask, sizeof(ask)) == 0 &&
	    memcmp(q->names, like->name, like->name_len) == 0 &&
	    (like->text_len == 0 ||
		memcmp(q->names + like->name_len, like->text, like->text_len) ==
		    0);
}

/* Asks anew; NULL: there is no room. */
static struct asked *
asked_new(struct chat *ch, uint32_t conn, uint64_t id,
    const struct archive_query *from)
{
	struct archive *a = ch->rooms->archive;
	const size_t len = from->name_len + from->text_len;
	struct asked *q;

	if (a->n_asked == ARCHIVE_ASKED_MAX || from->name_len > ASK_NAME_MAX ||
	    from->text_len > ASK_TEXT_MAX ||
	    (q = calloc(1, sizeof(*q) + len)) == NULL)
		return NULL;
	q->id = id;
	q->conn = conn;
	q->since_ms = (uint32_t)ch->now_ms;
	q->ask = from->ask;
	q->ask.number = ++a->numbers;
	q->ask.name_len = (uint16_t)from->name_len;
	q->ask.text_len = (uint16_t)from->text_len;
	q->ask.spare = 0;
	memcpy(q->names, from->name, from->name_len);
	if (from->text_len > 0)
		memcpy(q->names + from->name_len, from->text, from->text_len);
	q->len = sizeof(q->ask) + len;
	a->asked[a->n_asked++] = q;
	asked_send(ch, q);
	return q;
}

/* Takes the question at a place out, and tells who asked without a command. */
static void
asked_tell(struct chat *ch, uint32_t k)
{
	struct archive *a = ch->rooms->archive;
	struct asked *q = a->asked[k];
	const struct archive_rows rows = asked_rows(q);

	a->asked[k] = a->asked[--a->n_asked];
	q->done(ch, q->arg, q->state == ASKED_FOUND ? &rows : NULL);
	free(q->rows);
	free(q);
}

/* The limit of an answer: all of it is to fit into a client's queue, twice. */
static uint32_t
archive_bytes(const struct chat *ch)
{
	return ch->live.queue_bytes / 2 < ASK_BYTES_MAX
	    ? ch->live.queue_bytes / 2
	    : ASK_BYTES_MAX;
}

enum archive_result
archive_ask(
    struct chat *ch, const struct archive_query *from, struct archive_rows *out)
{
	const uint64_t id = archive_conn_id(ch, ch->hold.conn);
	struct archive *a = ch->rooms->archive;
	struct archive_query like = *from;
	struct asked *q = NULL;

	like.ask.bytes = archive_bytes(ch);
	for (uint32_t k = 0; k < a->n_asked && q == NULL; k++)
		if (asked_is(a->asked[k], ch, id, &like))
			q = a->asked[k];
	if (q == NULL)
		q = asked_new(ch, ch->hold.conn, id, &like);
	if (q != NULL && q->state == ASKED_WAITS && hold_rows(ch, q->since_ms))
		return ARCHIVE_WAITS;
	if (q == NULL || q->state != ASKED_FOUND) {
		const enum asked_state state =
		    q != NULL ? q->state : ASKED_WAITS;

		archive_done(ch); /* it is asked anew if the client tries */
		return state == ASKED_FAILED ? ARCHIVE_FAILED
		    : state == ASKED_ABSENT  ? ARCHIVE_ABSENT
					     : ARCHIVE_LATE;
	}
	*out = asked_rows(q);
	return ARCHIVE_ROWS;
}

bool
archive_call(struct chat *ch, const struct archive_query *from,
    archive_done_fn *done, uint64_t arg)
{
	struct archive_query like = *from;
	struct asked *q;

	like.ask.bytes = archive_bytes(ch);
	q = asked_new(ch, SHM_NONE, 0, &like);
	if (q == NULL)
		return false;
	q->done = done;
	q->arg = arg;
	return true;
}

bool
archive_row(const struct archive_rows *rows, size_t *at, struct publication *p)
{
	size_t n;

	if (*at >= rows->len)
		return false;
	n = publication_decode(rows->bytes + *at, rows->len - *at, p);
	*at += n;
	return n != 0;
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
		if (a->asked[k]->conn == ch->hold.conn && a->asked[k]->id == id)
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
	for (uint32_t k = 0; k < a->n_asked; k++)
		if (a->asked[k]->state == ASKED_WAITS)
			asked_send(ch, a->asked[k]);
}

void
archive_ended(struct chat *ch, int peer)
{
	struct archive *a = ch->rooms->archive;

	if (a->peer != peer)
		return;
	a->peer = -1;
	for (uint32_t k = 0; k < a->n_asked; k++)
		a->asked[k]->sent = false;
}

/* Whether a text is such JSON, or there is none. */
static bool
row_is_json(const char *text, size_t len, enum json_type type)
{
	struct json_value v;

	return len == 0 ||
	    (json_validate(text, len, &v) &&
		(type == JSON_NONE || v.type == type));
}

/* Whether a row has what clients may be told: it comes from another process. */
static bool
row_is_sound(const struct publication *p)
{
	if (p->format != FORMAT_TEXT && p->format != FORMAT_JSON)
		return p->data_len == 0 && p->user_len == 0 &&
		    p->info_len == 0 && p->tags_len == 0;
	return utf8_valid(p->user, p->user_len) &&
	    utf8_valid(p->sub_info, p->sub_info_len) &&
	    row_is_json(p->info, p->info_len, JSON_NONE) &&
	    row_is_json(p->tags, p->tags_len, JSON_OBJECT) &&
	    (p->format == FORMAT_TEXT ? utf8_valid(p->data, p->data_len)
				      : p->data_len > 0 &&
			row_is_json(p->data, p->data_len, JSON_NONE));
}

/* Whether a page's row is one that was asked for, and behind the one before it
 * in the order asked for. */
static bool
row_is_next(
    const struct message_ask *ask, const struct publication *p, uint64_t last)
{
	if (ask->what != ASK_PAGE)
		return true;
	if (p->offset <= ask->since || p->before >= p->offset ||
	    (ask->upto != 0 && p->offset > ask->upto))
		return false;
	return last == 0 ||
	    (ask->reverse ? p->offset < last : p->offset > last);
}

/* Whether the rows of an answer are what was asked for. */
static bool
rows_are_sound(
    const struct asked *q, const uint8_t *bytes, size_t len, uint32_t n)
{
	const struct archive_rows rows = {.bytes = bytes, .len = len};
	struct publication p;
	uint64_t last = 0;
	size_t at = 0;

	while (archive_row(&rows, &at, &p)) {
		if (n-- == 0 || !row_is_next(&q->ask, &p, last) ||
		    !row_is_sound(&p))
			return false;
		last = p.offset;
	}
	return n == 0 && at == len;
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

/* Copies the rows of an answer; NULL: they are not there. */
static uint8_t *
rows_copy(const void *bytes, size_t len, int fd)
{
	const int seals = fd != -1 ? fcntl(fd, F_GET_SEALS) : 0;
	uint8_t *copy;

	/* what is no sealed memory file might make the reading of it wait */
	if (seals == -1 || (fd != -1 && (seals & F_SEAL_WRITE) == 0) ||
	    (copy = malloc(len)) == NULL)
		return NULL;
	if (fd == -1)
		memcpy(copy, bytes, len);
	else if (pread(fd, copy, len, 0) != (ssize_t)len) {
		free(copy);
		return NULL;
	}
	return copy;
}

/* Takes an answer to a question that waits; returns what is wrong with it. */
static const char *
asked_take(
    struct asked *q, const struct message_rows *head, const void *rows, int fd)
{
	q->state = head->result == ROWS_ABSENT ? ASKED_ABSENT : ASKED_FAILED;
	if (head->result != ROWS_FOUND)
		return NULL;
	if (head->bytes > q->ask.bytes && head->n > 1)
		return "rows are more than was asked for";
	if (head->bytes > 0 &&
	    (q->rows = rows_copy(rows, head->bytes, fd)) == NULL)
		return "there are no rows";
	if (!rows_are_sound(q, q->rows, head->bytes, head->n))
		return "rows make no sense";
	q->rows_len = head->bytes;
	q->n = head->n;
	q->more = head->more != 0;
	q->state = ASKED_FOUND;
	return NULL;
}

const char *
archive_answer(struct chat *ch, const void *payload, size_t len, int fd)
{
	struct archive *a = ch->rooms->archive;
	struct message_rows head;
	const char *bad;
	struct asked *q;
	uint32_t k;

	a->answered = SHM_NONE;
	memcpy(&head, payload, sizeof(head));
	if (head.number == 0 || head.number > a->numbers)
		return "the question was not asked";
	k = asked_find(a, head.number);
	if (k == a->n_asked || a->asked[k]->state != ASKED_WAITS)
		return NULL; /* it was given up, or asked twice */
	q = a->asked[k];
	bad = asked_take(q, &head, (const char *)payload + sizeof(head), fd);
	if (q->done != NULL)
		asked_tell(ch, k);
	else if (archive_conn_id(ch, q->conn) == q->id) {
		hold_arrived(ch, q->conn);
		a->answered = q->conn;
	}
	return bad;
}

uint32_t
archive_answered(const struct chat *ch)
{
	return ch->rooms->archive->answered;
}

/* One in the sweep; false: it has been taken out. */
static bool
asked_sweep(struct chat *ch, uint32_t k)
{
	struct archive *a = ch->rooms->archive;
	struct asked *q = a->asked[k];
	const uint32_t age = conn_age_ms(ch, q->since_ms);

	if (q->done != NULL && age >= HOLD_ROWS_MS)
		asked_tell(ch, k);
	else if (q->done == NULL && age >= ARCHIVE_UNUSED_MS)
		asked_forget(a, k);
	else {
		if (!q->sent && q->state == ASKED_WAITS)
			asked_send(ch, q);
		return true;
	}
	return false;
}

void
archive_sweep(struct chat *ch)
{
	uint32_t k = 0;

	while (k < ch->rooms->archive->n_asked)
		k += asked_sweep(ch, k);
}
