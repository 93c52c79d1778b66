#include "worker/chat.h"

#include <sched.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "codec/message.h"
#include "conn/conn.h"
#include "conn/rest.h"
#include "conn/turn.h"
#include "room/archive.h"
#include "room/away.h"
#include "room/kept.h"
#include "room/opening.h"
#include "room/mend.h"
#include "room/publish.h"
#include "room/quota.h"
#include "room/relay.h"
#include "room/rooms.h"
#include "takeover/give.h"
#include "takeover/handover.h"
#include "hub/stats.h"
#include "net/link.h"
#include "net/peer.h"
#include "net/ready.h"

/* Leaves a connection with its giver: its descriptor found no room here. */
static bool
chat_give_lost(struct chat *ch, int from, const struct link_datagram *d)
{
	struct message_head head;
	uint64_t id;

	if (!d->lost || d->len != sizeof(head) + sizeof(id))
		return false;
	memcpy(&head, d->bytes, sizeof(head));
	memcpy(&id, (const char *)d->bytes + sizeof(head), sizeof(id));
	if (head.type != MSG_GIVE || head.length != sizeof(id))
		return false;
	log_warn("a connection of worker %d stays there: no descriptor is free "
		 "here",
	    from);
	handover_take(ch, from, id, -1);
	return true;
}

/* Rows that found no room here for their descriptor: they cannot be read. */
static bool
chat_rows_lost(struct chat *ch, int from, const struct link_datagram *d)
{
	struct message_head head;
	struct message_rows rows;

	if (!d->lost || !archive_is(ch, from) ||
	    d->len != sizeof(head) + sizeof(rows))
		return false;
	memcpy(&head, d->bytes, sizeof(head));
	memcpy(&rows, (const char *)d->bytes + sizeof(head), sizeof(rows));
	if (head.type != MSG_ROWS_FILE || head.length != sizeof(rows))
		return false;
	rows =
	    (struct message_rows){.number = rows.number, .result = ROWS_FAILED};
	(void)archive_answer(ch, &rows, sizeof(rows), -1);
	return true;
}

_Static_assert(
    (int)SHM_LINES <= (int)READY_LINKS && (int)MESSAGE_PEERS == (int)SHM_LINES,
    "peers are numbered by their lines");

/* Whose messages come over a link. */
static enum message_party
chat_peer_party(const struct chat *ch, int from)
{
	if (from < SHM_WORKERS)
		return PARTY_PEER;
	if (archive_is(ch, from))
		return PARTY_ANSWERER;
	return (ch->beginners >> (from - SHM_WORKERS) & 1) != 0 ? PARTY_BEGINNER
								: PARTY_READER;
}

/* A connection that another process has begun with, and whose descriptor found
 * no room here: it is told so. */
static bool
chat_begun_lost(struct chat *ch, int from, const struct link_datagram *d)
{
	struct message_head head;

	if (!d->lost || chat_peer_party(ch, from) != PARTY_BEGINNER ||
	    ch->begun == NULL ||
	    d->len < sizeof(head) + sizeof(struct message_begun))
		return false;
	memcpy(&head, d->bytes, sizeof(head));
	if (head.type != MSG_BEGUN || head.length != d->len - sizeof(head))
		return false;
	(void)ch->begun(
	    ch, from, (const char *)d->bytes + sizeof(head), head.length, -1);
	return true;
}

/* A peer sends bad messages. */
static void
chat_peer_bad(struct chat *ch, int from, const char *why)
{
	if (peers_bad(ch->peers, from, ch->now_ms, why) && ch->accuse != NULL)
		ch->accuse(ch, from, peers_generation(ch->peers, from));
}

/* One datagram of another worker, of a reader of the journal, of who answers
 * questions, or of who begins with connections. */
static void
chat_peer_cb(void *arg, int from, const struct link_datagram *d)
{
	struct chat *ch = arg;
	const void *payload;
	const char *why;
	size_t len;
	uint64_t id;

	KILL_POINT();
	if (from < SHM_WORKERS
		? chat_give_lost(ch, from, d)
		: chat_rows_lost(ch, from, d) || chat_begun_lost(ch, from, d))
		return;
	switch (message_check(d->bytes, d->len, d->n_fds,
	    chat_peer_party(ch, from), &payload, &len, &why)) {
	case MSG_RELAY:
		if (!relay_take(ch, payload, len))
			chat_peer_bad(
			    ch, from, "a relay's records do not fill it");
		break;
	case MSG_GIVE:
		memcpy(&id, payload, sizeof(id));
		handover_take(ch, from, id, d->fd);
		return;
	case MSG_ROWS:
	case MSG_ROWS_FILE:
		why = archive_answer(ch, payload, len, d->fd);
		if (why != NULL)
			chat_peer_bad(ch, from, why);
		if (archive_answered(ch) != SHM_NONE)
			away_try(ch, archive_answered(ch));
		break;
	case MSG_TAKEN:
		memcpy(&id, payload, sizeof(id));
		give_done(ch, from, id);
		break;
	case MSG_BEGUN:
		if (ch->begun == NULL)
			break;
		why = ch->begun(ch, from, payload, len, d->fd);
		if (why != NULL)
			chat_peer_bad(ch, from, why);
		return;
	default:
		chat_peer_bad(ch, from, why);
	}
	if (d->fd >= 0)
		close(d->fd);
}

/* A link may have something. */
static bool
chat_peer_event_cb(void *arg)
{
	return chat_event(arg);
}

/* A link has ended. */
static void
chat_peer_ended_cb(void *arg, int peer)
{
	struct chat *ch = arg;

	if (peer >= SHM_WORKERS) {
		archive_ended(ch, peer);
		return; /* a reader is told nothing */
	}
	relay_end(ch, peer);
	ch->peers_ended |= 1ull << peer;
}

/* Takes back connections that were on their way to workers that are no more.
 * Called once a turn, as it must not happen in the middle of a delivery. */
static void
chat_take_back(struct chat *ch)
{
	uint64_t w = ch->peers_ended;

	ch->peers_ended = 0;
	for (; w != 0; w &= w - 1)
		give_back(ch, __builtin_ctzll(w));
}

/*
 * A worker that has died may leave its end of a link open: its keepers have it,
 * until the next process sweeps their table. That it is no more says its line.
 * The link itself ends then, or is replaced.
 */
static void
chat_peers_look(struct chat *ch)
{
	const struct shm_line *line;
	int k;

	for (k = 0; k < SHM_WORKERS; k++) {
		line = &ch->hub->line[k];
		if (peers_is_linked(ch->peers, k) &&
		    (SHM_LOAD(line->generation) !=
			    peers_generation(ch->peers, k) ||
			SHM_LOAD(line->thread) == 0))
			ch->peers_ended |= 1ull << k;
	}
}

/* Sends a relay. */
static int
chat_relay_send(struct chat *ch, int to, const struct iovec *relay)
{
	return peers_send(ch->peers, to, relay);
}

/* Sends a question. */
static int
chat_ask_send(struct chat *ch, int to, const void *question, size_t len)
{
	if (!peers_is_linked(ch->peers, to))
		return -1;
	return peers_message(ch->peers, to, MSG_ASK, question, len, -1);
}

/* Prepares the links to the other workers; there is none yet. */
static int
chat_peers_init(struct chat *ch)
{
	static const struct peer_host host = {.event = chat_peer_event_cb,
	    .datagram = chat_peer_cb,
	    .ended = chat_peer_ended_cb};

	ch->peers = peers_new(watch_ready(ch), SHM_LINES, &host, ch);
	ch->relay_send = chat_relay_send;
	ch->ask_send = chat_ask_send;
	return ch->peers != NULL ? 0 : -1;
}

void
chat_link(struct chat *ch, int peer, uint32_t generation, int fd)
{
	if (peer == ch->hub->self)
		close(fd);
	else if (peers_link(ch->peers, peer, generation, fd) &&
	    peer < SHM_WORKERS && !relay_begin(ch, peer))
		peers_close(ch->peers, peer);
}

int
chat_init(struct chat *ch, struct hub *h, const struct conf_live *live,
    struct event_base *base, struct batch *batch)
{
	memset(ch, 0, sizeof(*ch));
	ch->hub = h;
	ch->live = *live;
	ch->base = base;
	ch->batch = batch;
	if (conn_init(ch) < 0 || rooms_init(ch) < 0 || chat_peers_init(ch) < 0)
		return -1;
	ch->on_ready = conn_ready;
	ch->moving_look = give_look;
	chat_clock(ch);
	return 0;
}

bool
chat_set_doors(struct chat *ch, const struct door *const *doors)
{
	const struct door *door;

	for (; (door = *doors) != NULL; doors++) {
		if (door->id == 0)
			continue;
		if (door->id >= DOOR_IDS ||
		    !dialect_add(&ch->dialects, door->id, door->framing))
			return false;
		ch->door[door->id] = door;
		if (door->lobby)
			ch->lobby_doors |= 1u << door->id;
	}
	return true;
}

/* Stores how many connections are open and how many items are in use, for
 * `chatctl show` and tests of leaks. */
static void
chat_used_tell(struct chat *ch)
{
	struct shm_worker *me = ch->hub->me;

	SHM_TELL(me->opened, ch->n_open);
	SHM_TELL(me->used[USED_SLOTS], ch->n_here);
	SHM_TELL(me->used[USED_CHUNKS], ch->output.chunks.n_used);
	SHM_TELL(me->used[USED_PAGES], ch->input.pages.n_used);
	SHM_TELL(me->used[USED_SUBSCRIPTIONS], ch->rooms->subscriptions.n_used);
}

/* The turn is over: stores the longest time that one took. */
static void
chat_turn_tell(struct chat *ch)
{
	struct shm_worker *me = ch->hub->me;
	uint64_t us = clock_us() - ch->turn_us;

	if (us > SHM_OWN(me->turn_max_us))
		SHM_TELL(me->turn_max_us, us);
	ch->turn_us = 0;
}

/* Delivers, relays and writes. False: nothing is left to do. */
static bool
chat_turn_finish(struct chat *ch)
{
	bool more;
	uint32_t dropped;

	/* Deliver here before relaying: a publication that crashes this worker
	 * has then not reached the others. */
	more = deliver(ch);
	ch->rooms->unsettled = more;
	relay_reset(ch);
	relay_flush(ch);
	chat_take_back(ch);
	dropped = ch->n_dropped;
	conn_drop_marked(ch);
	conn_flush(ch);
	/* the leaves of those that were dropped are delivered next turn */
	return more || dropped + ch->n_dropped > 0;
}

bool
chat_gathers(struct chat *ch)
{
	if (!deliver_gathers(ch))
		return false;
	/* those that are about to say something run first */
	sched_yield();
	return true;
}

int
chat_turn(struct chat *ch)
{
	bool more;

	if (ch->turn_us == 0)
		ch->turn_us = clock_us();
	rest_relieve(ch);
	more = chat_turn_finish(ch);
	/* connections whose input waits are served after the output of all
	 * others is written */
	if (conn_serve_waiting(ch))
		more = chat_turn_finish(ch) || more || ch->n_waiting > 0;
	journal_populate(ch->hub);
	chat_used_tell(ch);
	chat_clock(ch);
	chat_turn_tell(ch);
	return more ? 0 : -1;
}

void
chat_reconfigure(struct chat *ch, const struct conf_live *live)
{
	ch->live = *live;
	kept_redo(ch);
	log_set_verbose(live->verbose);
}

void
chat_sweep(struct chat *ch)
{
	if (ch->n_moving > 0) {
		chat_peers_look(ch);
		give_look(ch);
	}
	watch_sweep(ch);
	mend_sweep(ch);
	kept_sweep(ch);
	opening_sweep(ch);
	archive_sweep(ch);
	away_sweep(ch);
	quota_tell(ch);
	conn_sweep(ch);
}
