#include "room/relay.h"
#include "room/rooms.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/sparse.h"
#include "codec/message.h"
#include "hub/stats.h"

enum {
	STASH_BYTES = 256 * 1024, /* relayed bytes that a turn keeps; further
				   * ones are read from the journal */
	STASH_FIND = 1024	  /* places to find them again */
};

/* What is on its way to one worker. */
struct outbox {
	uint8_t *bytes; /* the datagram being filled, MESSAGE_MAX bytes; NULL:
			 * there is no link */
	size_t len;	/* 0: empty */
#ifdef CHATD_KILL_POINTS
	uint8_t *held; /* a datagram that comes too late */
	size_t held_len;
#endif
	uint32_t n; /* publications in it */
};

struct relay {
	struct outbox out[SHM_WORKERS];
	uint64_t waiting; /* workers with a datagram to send */
	uint8_t *stash;
	size_t stash_len;
	uint32_t n_found;
	struct {
		uint64_t position;
		uint32_t at, len;
	} found[STASH_FIND];
};

int
relay_init(struct chat *ch)
{
	struct relay *r = sparse_new(1, sizeof(*r));

	if (r == NULL || (r->stash = sparse_new(1, STASH_BYTES)) == NULL) {
		sparse_free(r, 1, sizeof(*r));
		errno = ENOMEM;
		return -1;
	}
	ch->rooms->relay = r;
	return 0;
}

bool
relay_begin(struct chat *ch, int to)
{
	ch->rooms->relay->out[to].bytes = sparse_new(1, MESSAGE_MAX);
	if (ch->rooms->relay->out[to].bytes == NULL)
		log_error("no memory for relays to worker %d", to);
	return ch->rooms->relay->out[to].bytes != NULL;
}

void
relay_end(struct chat *ch, int to)
{
	struct outbox *o = &ch->rooms->relay->out[to];

	sparse_free(o->bytes, 1, MESSAGE_MAX);
	o->bytes = NULL;
	o->len = o->n = 0;
	ch->rooms->relay->waiting &= ~(1ull << to);
}

/* Keeps one relayed entry for this turn's delivery. */
static void
relay_stash(
    struct relay *r, uint64_t position, const uint8_t *entry, size_t len)
{
	uint32_t k = position % STASH_FIND;

	if (r->stash_len + len > STASH_BYTES || r->found[k].position != 0)
		return;
	memcpy(r->stash + r->stash_len, entry, len);
	r->found[k].position = position;
	r->found[k].at = (uint32_t)r->stash_len;
	r->found[k].len = (uint32_t)len;
	r->stash_len += len;
	r->n_found++;
}

bool
relay_take(struct chat *ch, const void *payload, size_t len)
{
	const uint8_t *b = payload;
	struct relay_record rec;
	size_t n;

	while (len >= sizeof(rec)) {
		memcpy(&rec, b, sizeof(rec));
		n = sizeof(rec) + rec.length;
		if (rec.length > len || n > len)
			break;
		if (rec.length > 0)
			relay_stash(ch->rooms->relay, rec.position,
			    b + sizeof(rec), rec.length);
		b += n;
		len -= n;
	}
	return len == 0;
}

#ifdef CHATD_KILL_POINTS
/*
 * For tests: with CHATD_RELAY_CHAOS in the environment a third of all relays
 * is lost and a third comes later than what was sent after it.
 */
static bool
relay_chaos(struct outbox *o, struct iovec *v)
{
	static int on = -1;
	uint32_t dice = arc4random_uniform(3);
	uint8_t *held;

	if (on == -1)
		on = getenv("CHATD_RELAY_CHAOS") != NULL;
	if (!on || dice == 0)
		return false;
	if (dice == 1)
		return true;
	held = o->held;
	o->held = malloc(v->iov_len);
	if (o->held == NULL)
		abort();
	memcpy(o->held, v->iov_base, v->iov_len);
	if (held == NULL) {
		o->held_len = v->iov_len;
		return true;
	}
	/* the one before it goes out now, after its successors */
	memcpy(v->iov_base, held, o->held_len);
	free(held);
	dice = (uint32_t)v->iov_len;
	v->iov_len = o->held_len;
	o->held_len = dice;
	return false;
}
#endif

/* Sends a worker's datagram; a full link skips it. */
static void
relay_out_send(struct chat *ch, int to)
{
	struct outbox *o = &ch->rooms->relay->out[to];
	struct message_head head = {
	    MSG_RELAY, (uint32_t)(o->len - sizeof(head))};
	struct shm_worker *me = ch->hub->me;
	struct iovec v = {o->bytes, o->len};
	uint32_t n = o->n;
	int sent;

	ch->rooms->relay->waiting &= ~(1ull << to);
	memcpy(o->bytes, &head, sizeof(head));
	o->len = o->n = 0;
#ifdef CHATD_KILL_POINTS
	if (relay_chaos(o, &v))
		sent = 0;
	else
#endif
		sent = ch->relay_send(ch, to, &v);
	KILL_POINT();
	if (sent == 1)
		SHM_COUNT(me->relayed, n);
	else
		SHM_COUNT(me->relay_skipped, n);
}

/* Queues one record for a worker: the entry's bytes are at `entry`, NULL: they
 * are not anywhere yet. Returns where they are now. */
static const uint8_t *
relay_out_queue(struct chat *ch, int to, const struct publication *p,
    const struct relay_record *rec, const uint8_t *entry)
{
	struct relay *r = ch->rooms->relay;
	struct outbox *o = &r->out[to];
	uint8_t *at;

	if (o->len + sizeof(*rec) + rec->length > MESSAGE_MAX) {
		relay_out_send(ch, to);
		if (o->bytes == NULL) /* its link has ended */
			return entry;
	}
	if (o->len == 0)
		o->len = sizeof(struct message_head);
	memcpy(o->bytes + o->len, rec, sizeof(*rec));
	at = o->bytes + o->len + sizeof(*rec);
	if (entry != NULL)
		memcpy(at, entry, rec->length);
	else if (rec->length > 0)
		publication_encode(p, at);
	o->len += sizeof(*rec) + rec->length;
	o->n++;
	r->waiting |= 1ull << to;
	return at;
}

void
relay_queue(struct chat *ch, const struct publication *p, uint64_t mask)
{
	const struct outbox *out = ch->rooms->relay->out;
	struct relay_record rec = {.position = p->position};
	size_t len = publication_bytes(p);
	const uint8_t *entry = NULL;
	int to;

	mask &= ~(1ull << ch->hub->self);
	if (mask == 0)
		return;
	if (len <= RELAY_DATA_MAX)
		rec.length = (uint32_t)len;
	for (; mask != 0; mask &= mask - 1) {
		to = __builtin_ctzll(mask);
		/* encoded for the first, copied for the others */
		if (out[to].bytes != NULL)
			entry = relay_out_queue(ch, to, p, &rec, entry);
	}
}

void
relay_flush(struct chat *ch)
{
	uint64_t w;

	for (w = ch->rooms->relay->waiting; w != 0; w &= w - 1)
		relay_out_send(ch, __builtin_ctzll(w));
}

bool
relay_find(struct chat *ch, uint64_t position, struct publication *p)
{
	struct relay *r = ch->rooms->relay;
	uint32_t k = position % STASH_FIND;

	if (r->n_found == 0 || r->found[k].position != position)
		return false;
	return publication_decode(
		   r->stash + r->found[k].at, r->found[k].len, p) != 0 &&
	    p->position == position;
}

void
relay_reset(struct chat *ch)
{
	struct relay *r = ch->rooms->relay;

	if (r->n_found > 0)
		memset(r->found, 0, sizeof(r->found));
	r->n_found = 0;
	r->stash_len = 0;
}
