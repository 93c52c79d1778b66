/* From the journal to the connections of this worker, in index order. */
#include <stdlib.h>

#include "base/log.h"
#include "chat/conn.h"
#include "chat/publish.h"
#include "chat/relay.h"
#include "hub/presence.h"
#include "hub/stats.h"

/* Publications a turn: then what was appended is written out. */
enum { DELIVER_MAX = 256 };

/* Appends a publication to one connection if it is meant for it. */
static void
deliver_to(struct chat *ch, uint32_t i, const struct publication *p,
    const struct frame *f)
{
	struct slot *s = conn_slot(ch, i);

	if (ch->conn[i].phase != CONN_OPEN || SHM_OWN(s->last) >= p->position)
		return;
	conn_append(ch, i, f, p->position);
	SHM_COUNT(ch->hub->me->delivered, 1);
}

/* Builds a publication's frame as the plain door tells it. */
static bool
render(struct chat *ch, const struct publication *p, struct frame *f)
{
	struct iovec parts[5];
	uint8_t head[WS_HEAD_MAX];
	size_t len = 0;
	int n, k;

	n = ch->door[DOOR_PLAIN]->render(p, parts + 1);
	for (k = 1; k <= n; k++)
		len += parts[k].iov_len;
	parts[0] = (struct iovec){head, ws_head(head, WS_TEXT, len)};
	return conn_frame(ch, f, FRAME_SHARED, parts, n + 1);
}

/* Delivers one publication to those here who have its channel. */
static void
deliver_one(struct chat *ch, const struct publication *p)
{
	uint32_t i = SHM_NONE, next;
	struct frame f;

	if (p->channel >= ch->hub->n_entries)
		return;
	if (p->channel != PRESENCE_LOBBY && ch->user_first[p->channel] == 0)
		return;
	if (!render(ch, p, &f)) {
		log_error("no memory for publication %llu",
		    (unsigned long long)p->position);
		return;
	}
	if (p->channel == PRESENCE_LOBBY) {
		while (conn_next(ch, &i))
			if (ch->conn[i].present)
				deliver_to(ch, i, p, &f);
	} else
		for (i = ch->user_first[p->channel]; i != 0; i = next) {
			next = ch->conn[i - 1].user.next;
			if (ch->conn[i - 1].present)
				deliver_to(ch, i - 1, p, &f);
		}
	frame_release(&ch->output, &f);
}

/* Makes room for a copy of the largest entry that the journal can hold. */
static bool
copy_room(struct chat *ch)
{
	if (ch->copy == NULL) {
		ch->copy_cap = ch->hub->journal_size / JOURNAL_SHARE;
		ch->copy = malloc(ch->copy_cap);
	}
	return ch->copy != NULL;
}

/* The ring has overwritten what this worker had not delivered yet. */
static uint64_t
overrun(struct chat *ch, uint64_t cursor)
{
	uint64_t oldest = journal_oldest(ch->hub);

	if (oldest <= cursor + 1)
		return cursor;
	log_error("too slow: %llu publications are lost (a larger `journal` "
		  "would have kept them)",
	    (unsigned long long)(oldest - 1 - cursor));
	SHM_COUNT(ch->hub->me->overrun, oldest - 1 - cursor);
	return oldest - 1;
}

/* Delivers the publication at a position; false if it is gone. */
static bool
deliver_at(struct chat *ch, uint64_t position)
{
	struct publication p;

	SHM_STORE(ch->hub->me->hand_arg, position);
	SHM_STORE(ch->hub->me->hand, HAND_DELIVERY);
	if (!relay_find(ch, position, &p)) {
		switch (copy_room(ch) ? journal_read(ch->hub, position,
					    ch->copy, ch->copy_cap, &p)
				      : JOURNAL_BAD) {
		case JOURNAL_GONE:
			SHM_STORE(ch->hub->me->hand, HAND_NOTHING);
			return false;
		case JOURNAL_BAD:
			log_error("publication %llu cannot be read",
			    (unsigned long long)position);
			SHM_STORE(ch->hub->me->hand, HAND_NOTHING);
			return true;
		default:
			break;
		}
		if (!(p.sender != 0 &&
			slot_find(ch->hub, p.sender) != SHM_NONE &&
			ch->hub->slot[(uint32_t)p.sender].worker ==
			    ch->hub->self))
			SHM_COUNT(ch->hub->me->from_journal, 1);
	}
	deliver_one(ch, &p);
	SHM_STORE(ch->hub->me->hand, HAND_NOTHING);
	return true;
}

bool
deliver(struct chat *ch)
{
	struct hub *h = ch->hub;
	uint64_t cursor = SHM_OWN(h->me->cursor), tail = journal_tail(h);
	uint64_t mine = 1ull << h->self, mask;
	int n = 0;

	while (cursor < tail && n < DELIVER_MAX) {
		mask = journal_mask(h, cursor + 1);
		if (mask == 0 && cursor + 1 < journal_oldest(h)) {
			cursor = overrun(ch, cursor);
			continue;
		}
		if (mask & mine) {
			if (!deliver_at(ch, cursor + 1))
				continue;
			n++;
			SHM_STORE(h->me->cursor, cursor + 1);
		}
		cursor++;
	}
	SHM_STORE(h->me->cursor, cursor);
	return cursor < tail;
}
