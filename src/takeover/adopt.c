#include "takeover/adopt.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "room/rooms.h"
#include "room/away.h"
#include "room/channel.h"
#include "room/event.h"
#include "conn/begin.h"
#include "conn/conn.h"
#include "conn/socket.h"
#include "room/publish.h"
#include "room/user.h"
#include "hub/presence.h"
#include "hub/stage.h"
#include "hub/subscription.h"

/* A takeover on its way. */
struct adoption {
	struct chat *ch;
	const struct adopt_fault *fault;
	struct adopt_result *result;
};

void
adopt_stage_bring(struct chat *ch, uint64_t conn, int from)
{
	struct hub *h = ch->hub;
	unsigned k;

	if (from < 0 || from >= SHM_WORKERS ||
	    (k = stage_find(h, from, conn)) == STAGE_PARTS)
		return;
	stage_clear(h);
	memcpy(stage_at(h, h->self, 0), stage_at(h, from, k), stage_room(k));
	stage_name(h, conn, SHM_LOAD(h->worker[from].staged_from[k]));
}

/* Ends a connection that cannot go on: of its records only the joins that
 * others were told of are used. fd -1: there is no socket. */
static void
adopt_give_up(struct adoption *a, uint32_t i, int fd, const char *why)
{
	struct chat *ch = a->ch;

	if (why != NULL)
		log_warn("connection %016llx: %s, closed",
		    (unsigned long long)slot_id(ch->hub, i), why);
	if (slot_in_use(ch->hub, i)) {
		channel_tell_leaves(ch, i);
		slot_set(ch->hub, i, SLOT_CLOSING);
	}
	conn_wire_clear(ch, i, SHM_ONCE(conn_slot(ch, i)->transport));
	memset(&ch->conn[i], 0, sizeof(ch->conn[i]));
	slot_release(ch->hub, &ch->slots, i);
	if (fd >= 0)
		close(fd);
	KILL_POINT();
}

/* Whether nothing of one that was accepted was read or written; where another
 * process had begun with it, not since then. */
static bool
adopt_is_new(struct chat *ch, uint32_t i, uint8_t endpoint, int fd)
{
	const struct transport *t =
	    transports[ch->endpoints->at[endpoint].transport];
	const struct transport_socket s = conn_socket_of(ch, i, fd);

	if (t->begin == NULL)
		return counters_untouched(fd);
	return transport_of(SHM_ONCE(conn_slot(ch, i)->transport)) == t &&
	    t->fresh(&s);
}

/* Goes on with one that a dead worker had accepted, if it is as new: then a
 * request can still be read from its beginning. */
static void
adopt_accepted(struct adoption *a, uint32_t i, int fd)
{
	struct chat *ch = a->ch;
	int endpoint = endpoints_accepted(ch->endpoints, fd);

	if (endpoint < 0 || !adopt_is_new(ch, i, (uint8_t)endpoint, fd)) {
		adopt_give_up(a, i, fd, NULL);
		return;
	}
	/* when slots run out they are taken of others' blocks, too */
	claim_mark(&ch->slots, i);
	conn_number(ch, i, true);
	if (conn_accept_again(ch, i, (uint8_t)endpoint, fd))
		return;
	conn_number(ch, i, false);
	adopt_give_up(a, i, fd, strerror(errno));
}

/* The phase that the slot's state stands for. */
static enum conn_phase
adopt_phase(const struct chat *ch, uint32_t i, const struct counters *k)
{
	if (slot_state(ch->hub, i) == SLOT_OPEN)
		return CONN_OPEN;
	return k->fin_sent ? CONN_LINGER : CONN_ENDING;
}

/* Whether it is in its channels: open, or on its way out of them. */
static bool
adopt_is_present(const struct chat *ch, uint32_t i)
{
	return slot_state(ch->hub, i) == SLOT_OPEN ||
	    slot_is_leaving(ch->hub, i);
}

/* Takes up one connection with its records: private state only, nothing is
 * sent or read yet. */
static void
adopt_take_up(struct adoption *a, uint32_t i, int fd)
{
	struct chat *ch = a->ch;
	struct conn *c = &ch->conn[i];
	struct slot *s = conn_slot(ch, i);
	struct counters k = {.closed = false};
	struct conn_stations stations;
	bool sound;

	SHM_STORE(ch->hub->mine->hand_arg, slot_id(ch->hub, i));
	SHM_STORE(ch->hub->mine->hand, HAND_ADOPTION);
	memset(c, 0, sizeof(*c));
	c->fd = fd;
	sound = conn_stations_of(ch, i, &stations);
	if (sound)
		c->transport = stations.transport;
	if ((sound && conn_positions(ch, i, false, &k) < 0) ||
	    slot_state(ch->hub, i) == SLOT_CLOSING ||
	    (k.closed && !adopt_is_present(ch, i))) {
		a->result->closed++;
		adopt_give_up(a, i, fd, NULL);
		return;
	}
	/* Reset by its peer meanwhile: it is taken up so that it leaves its
	 * channels as others do. Its output counts as written. */
	if (k.closed)
		k.written = OUTPUT_ALL;
	if (!sound || output_adopt(&ch->output, &c->out, i, k.written) < 0 ||
	    input_adopt(&ch->input, i) < 0) {
		a->result->corrupted++;
		adopt_give_up(a, i, fd, "its records are corrupted");
		return;
	}
	if (s->info != 0 && !claim_mark(&ch->input.pages, shm_index(s->info)))
		s->info = 0;
	claim_mark(&ch->slots, i);
	conn_number(ch, i, true);
	c->dialect = stations.dialect;
	c->door = stations.door;
	c->phase = adopt_phase(ch, i, &k);
	c->due_ms = (uint32_t)ch->now_ms +
	    (c->phase == CONN_LINGER ? CHAT_LINGER_MS : CHAT_ENDING_MS);
	c->paused = c->phase == CONN_ENDING;
	conn_watch_again(ch, i);
	conn_rest_look(ch, i, false);
	ch->n_conns++;
	if (c->phase == CONN_OPEN)
		ch->n_open++;
	a->result->adopted++;
}

/* One slot of this worker that is not free. */
static void
adopt_slot(struct adoption *a, uint32_t i)
{
	struct chat *ch = a->ch;
	int fd = slot_fd(ch->hub, i);

	if (fd >= 0 && slot_state(ch->hub, i) == SLOT_ACCEPTED)
		adopt_accepted(a, i, fd);
	else if (fd >= 0)
		adopt_take_up(a, i, fd);
	else { /* the table was spoilt, or nobody gave its socket */
		if (slot_state(ch->hub, i) == SLOT_OPEN)
			a->result->lost++;
		adopt_give_up(a, i, -1, NULL);
	}
}

/* Each slot of this worker: taken up, or free. */
static void
adopt_take_up_all(struct adoption *a)
{
	struct hub *h = a->ch->hub;
	uint32_t i;

	for (i = slot_ever(h, 0); i < h->n_slots; i = slot_ever(h, i + 1)) {
		/* a connection that was moving here is still its giver's */
		if (slot_holder(h, i) != h->self ||
		    slot_state(h, i) == SLOT_FREE)
			continue;
		adopt_slot(a, i);
		line_tick(h);
	}
	SHM_STORE(h->mine->hand, HAND_NOTHING);
}

/* Whether a subscription's connection goes on here. */
static bool
adopt_lives_cb(void *arg, uint32_t slot)
{
	struct adoption *a = arg;

	return a->ch->conn[slot].phase != CONN_NONE &&
	    adopt_is_present(a->ch, slot);
}

/* A subscription that goes on: its channel is had here. */
static void
adopt_kept_cb(void *arg, uint32_t sub)
{
	struct adoption *a = arg;
	struct subscription *s = &a->ch->hub->subscription[sub];

	if (s->info != 0 &&
	    !claim_mark(&a->ch->input.pages, shm_index(s->info)))
		s->info = 0;
	channel_revoked(a->ch->hub, s);
	channel_count(a->ch, subscription_channel(s));
}

/* Lists a connection among its user's, and in the lobby. */
static void
adopt_user(struct chat *ch, uint32_t i)
{
	uint32_t user = SHM_ONCE(conn_slot(ch, i)->user);

	if (!adopt_is_present(ch, i) || !presence_is_user(ch->hub, user))
		return;
	ch->conn[i].present = true;
	user_list_add(ch, i, user);
	away_adopt(ch, i);
	if (conn_in_lobby(ch, i))
		ch->rooms->members[PRESENCE_LOBBY]++;
}

/* Reads the input again, from the stage, that was read and not done. Of all
 * that it does not name what was read is what is known. */
static void
adopt_replay(struct adoption *a, uint32_t i)
{
	struct chat *ch = a->ch;
	struct hub *h = ch->hub;
	const struct input_part *part = input_part(h, i);
	uint64_t known = KEY_POSITION(SHM_LOAD(conn_slot(ch, i)->committed));
	const unsigned stage = stage_find(h, h->self, slot_id(h, i));
	uint64_t start;
	struct counters k;

	if (stage == STAGE_PARTS)
		return;
	start = SHM_LOAD(h->me->staged_from[stage]);
	if (part != NULL && part->end > known)
		known = part->end;
	if (conn_positions(ch, i, true, &k) < 0)
		return;
	if (k.closed) {
		a->result->adopted--;
		a->result->closed++;
		conn_drop(ch, i, "reset meanwhile");
		return;
	}
	if (k.read == known)
		return;
	if (start <= known && k.read > known &&
	    k.read - start <= stage_room(stage)) {
		a->result->replayed++;
		conn_slot(ch, i)->heard_ms = (uint32_t)ch->now_ms;
		ch->replaying = true;
		conn_input(ch, i, start, stage_at(h, h->self, stage),
		    (size_t)(k.read - start));
		ch->replaying = false;
		return;
	}
	log_warn("%s: %llu bytes read, %llu known", conn_name(ch, i),
	    (unsigned long long)k.read, (unsigned long long)known);
	a->result->corrupted++;
	conn_end(ch, i, CLOSE_INTERNAL, REASON_INTERNAL);
}

/* Brings one connection to where it would be had nothing happened. */
static void
adopt_go_on(struct adoption *a, uint32_t i)
{
	struct chat *ch = a->ch;
	struct conn *c = &ch->conn[i];

	if (c->phase == CONN_START || c->phase == CONN_REQUEST) {
		conn_start(ch, i);
		return;
	}
	conn_watch(ch, i);
	if (a->fault->hand == HAND_INPUT &&
	    a->fault->arg == slot_id(ch->hub, i) && c->phase == CONN_OPEN) {
		log_error("%s: a message of it crashed a worker, closed",
		    conn_name(ch, i));
		conn_end(ch, i, CLOSE_INTERNAL, REASON_INTERNAL);
	} else if (a->fault->hand == HAND_ADOPTION &&
	    a->fault->arg == slot_id(ch->hub, i)) {
		log_error("%s: taking it over crashed a worker, closed",
		    conn_name(ch, i));
		conn_drop(ch, i, NULL);
		return;
	} else if (c->phase == CONN_OPEN) {
		/* its worker may have died before that; of one that is entering
		 * its door tells it */
		if (!slot_is_entering(conn_slot(ch, i)))
			channel_tell_connect(ch, i);
		adopt_replay(a, i);
		conn_wait_again(ch, i, true);
	} else
		conn_leave(ch, i);
	if (c->phase == CONN_ENDING &&
	    output_newest_tag(&ch->output, &c->out, i) != OUTPUT_CLOSE)
		conn_append_close(ch, i);
	if (c->phase == CONN_OPEN || c->phase == CONN_ENDING)
		conn_dirty(ch, i);
}

/* For qsort(): numbers. */
static int
adopt_compare(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

/* Goes on with all, those first whose clients were heard last. */
static void
adopt_go_on_all(struct adoption *a)
{
	struct chat *ch = a->ch;
	uint64_t *order = calloc(ch->n_conns + 1ul, sizeof(*order));
	uint32_t i = SHM_NONE, n = 0, k, silent_ms;

	if (order == NULL)
		log_fatal("takeover: %s", strerror(errno));
	while (conn_next(ch, &i)) {
		silent_ms = (uint32_t)ch->now_ms - conn_slot(ch, i)->heard_ms;
		order[n++] = (uint64_t)silent_ms << 32 | i;
	}
	qsort(order, n, sizeof(*order), adopt_compare);
	for (k = 0; k < n; k++) {
		i = (uint32_t)order[k];
		/* replaying another connection's input may have ended it */
		if ((ch->here[i / SHM_BLOCK] >> i % SHM_BLOCK & 1) != 0)
			adopt_go_on(a, i);
		line_tick(ch->hub);
	}
	free(order);
}

/* Whether anybody here has a presence entry. */
static bool
adopt_has_cb(const void *arg, uint32_t entry)
{
	return rooms_have(arg, entry);
}

void
adopt_all(struct chat *ch, const struct adopt_fault *fault,
    struct adopt_result *result)
{
	struct hub *h = ch->hub;
	struct adoption a = {.ch = ch, .fault = fault, .result = result};
	uint32_t i = SHM_NONE;

	memset(result, 0, sizeof(*result));
	/* A connection that is given up leaves what its chain says: the
	 * predecessor may have died in subscription_adopt() below. */
	subscription_rechain(h, h->self);
	adopt_take_up_all(&a);
	claim_marked(&ch->slots);
	output_adopted(&ch->output);
	subscription_adopt(
	    h, &ch->rooms->subscriptions, adopt_lives_cb, adopt_kept_cb, &a);
	claim_marked(&ch->input.pages);
	while (conn_next(ch, &i))
		adopt_user(ch, i);
	presence_match(h, adopt_has_cb, user_log_left, ch);
	/* publications from before the takeover are in the journal only: they
	 * must be delivered before answers to input that is read now */
	ch->rooms->unsettled = true;
	/* connections that had just moved to the dead worker get what they
	 * missed before anything newer */
	for (i = SHM_NONE; conn_next(ch, &i);)
		if (ch->conn[i].phase == CONN_OPEN &&
		    conn_slot(ch, i)->flags & SLOT_MOVED) {
			deliver_missed(ch, i);
			line_tick(h);
		}
	adopt_go_on_all(&a);
	watch_settled(ch);
	conn_pending(ch, 0); /* the number, should there be none */
	stage_clear_all(h);
}

void
adopt_settle(struct chat *ch, uint32_t i, const struct adopt_fault *fault)
{
	struct adopt_result result = {0};
	struct adoption a = {.ch = ch, .fault = fault, .result = &result};

	ch->rooms->unsettled = true; /* as in adopt_all */
	adopt_go_on(&a, i);
}
