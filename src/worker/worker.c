#include <errno.h>
#include <sched.h>
#include <string.h>

#include "base/log.h"
#include "codec/birth.h"
#include "conn/conn.h"
#include "conn/io.h"
#include "takeover/clean.h"
#include "codec/message.h"
#include "door/registry.h"
#include "hub/presence.h"
#include "hub/stats.h"
#include "net/link.h"
#include "net/loop.h"
#include "takeover/table.h"
#include "takeover/takeover.h"
#include "private.h"
#include "worker/chat.h"
#include "net/batch.h"

enum { TICK_MS = 100 };

/* Tells by which way it sends; a ring may fail later. */
static void
sends_tell(struct worker *w)
{
	struct shm_worker *me = w->chat.hub->me;
	const enum sends_by was = w->sends_by;
	const char *why;
	const enum sends_by by =
	    strcmp(batch_method(w->chat.batch, &why), "io_uring") == 0
	    ? SENDS_URING
	    : SENDS_SENDMSG;

	if (by == was)
		return;
	SHM_TELL(me->sends_error, (uint32_t)batch_error(w->chat.batch));
	SHM_TELL(me->sends_by, by);
	w->sends_by = by;
	if (was == SENDS_URING)
		log_warn("io_uring has failed: goes on by sendmsg, which costs "
			 "about twice as much; `chatctl restart-worker %d` "
			 "tries io_uring again",
		    w->start->worker);
}

/* Life sign, deadlines, and who accepts. */
static void
tick(struct worker *w)
{
	chat_clock(&w->chat);
	chat_sweep(&w->chat);
	room_tell(w);
	sends_tell(w);
	leave_drain_tick(w);
	accept_tick(w);
	log_more();
}

/* Makes the loop and the chat; fatal if it cannot. */
static void
worker_init(struct worker *w, const struct worker_start *start)
{
	int loop;
	struct event_base *base = loop_new_set(&loop);
	struct batch *batch = batch_new(start->io_uring);
	const char *why, *method;

	w->start = start;
	w->look_ms = 1;
	if (base == NULL || batch == NULL ||
	    chat_init(&w->chat, start->hub, start->live, base, batch) < 0 ||
	    watch_lead(&w->chat, loop) < 0)
		log_fatal("worker: %s", strerror(errno));
	w->chat.max_conns = start->connections;
	if (!chat_set_doors(&w->chat, door_registry))
		log_fatal("more than %d pairs of a door and a framing, or a "
			  "framing that "
			  "keeps more than %d bytes",
		    DIALECTS_MAX, FRAMING_STATE_MAX);
	w->chat.judge = &door_judge;
	method = batch_method(batch, &why);
	log_debug("writes by %s%s%s", method, *why != '\0' ? ": " : "", why);
	accept_init(w);
	begun_init(w);
	control_init(w);
	w->tick_ms = w->chat.now_ms + TICK_MS;
}

/* The sooner of two times, in ms; negative: never. */
static int
sooner(int a, int b)
{
	return a < 0 || (b >= 0 && b < a) ? b : a;
}

/* Runs what there is to do; the next turn comes after ms at the latest (0: at
 * once, -1: when something happens), or when the tick is due. */
static void
turn(struct worker *w, int ms)
{
	uint64_t now;

	now = w->chat.now_ms;
	ms = sooner(ms, w->tick_ms > now ? (int)(w->tick_ms - now) : 0);
	if (watch_turn(&w->chat, ms) < 0)
		log_fatal("event loop: %s", strerror(errno));
	conn_read_all(&w->chat);
	chat_event(&w->chat);
	now = w->chat.turn_us / 1000;
	if (now < w->tick_ms)
		return;
	tick(w);
	w->tick_ms += TICK_MS;
	if (w->tick_ms <= now)
		w->tick_ms = now + TICK_MS;
}

/* Whether there is nothing left to stay for. Who is still here at the end of
 * the drain timeout is told so. */
static bool
may_leave(struct worker *w)
{
	if (w->retiring)
		return leave_may_retire(w);
	if (!w->stopping && !w->quitting)
		return false;
	/* those that came back, or over a link, since it was told to stop */
	if (w->stopping && w->chat.n_open > 0)
		control_end(w);
	if (w->chat.n_conns == 0 && worker_is_settled(w))
		return true;
	if (w->chat.now_ms < w->leave_ms)
		return false;
	if (w->stopping)
		return true;
	control_stop(w);
	return false;
}

/*
 * Woken workers let the one that runs finish its turn first: what it reads,
 * relays and writes is more at once then. On one core private messages cost a
 * third less; with a core for each worker it changes nothing.
 */
static void
schedule(void)
{
	const struct sched_param none = {0};

	if (sched_setscheduler(0, SCHED_BATCH, &none) < 0)
		log_debug("SCHED_BATCH: %s", strerror(errno));
}

/*
 * Runs until told to leave, then exits with status 0. Takes over from its
 * predecessor, says MSG_HELLO, gets a MSG_LINK for each living peer (again
 * whenever a peer is replaced), then MSG_START.
 */
static void __attribute__((noreturn))
worker_main(const struct worker_start *start)
{
	static struct worker worker;
	struct message_hello hello = {
	    (uint32_t)start->worker, start->generation};
	const struct takeover_start left = {.generation = start->generation,
	    .giver = {start->giver[0], start->giver[1]},
	    .fault = {start->fault_hand, start->fault_arg}};
	struct worker *w = &worker;
	int ms;

	log_set_verbose(start->live->verbose);
	fault_init(start->hub);
	schedule();
	worker_init(w, start);
	room_init(w);
	sends_tell(w);
	/* the web page comes first: no request is answered without it */
	control_read(w);
	takeover(&w->chat, &left);
	if (link_send(start->control, MSG_HELLO, &hello, sizeof(hello), -1) < 0)
		log_fatal("master: %s", strerror(errno));
	KILL_POINT();
	ms = chat_turn(&w->chat); /* what the takeover has left to write */
	presence_populate(start->hub);
	while (!may_leave(w)) {
		turn(w, ms);
		while (chat_gathers(&w->chat))
			turn(w, 0);
		ms = chat_turn(&w->chat);
		control_turn(w);
		begun_turn(w);
		ms = sooner(ms, accept_turn(w));
		ms = sooner(ms, adoption_turn());
		ms = sooner(ms, handover_turn(&w->chat));
	}
	begun_leave(w);
	leave_forget(w);
	log_flush();
	if (w->retiring && w->holds)
		leave_hold(w);
	if (!w->retiring) /* else its successor goes on with all of it */
		chat_clean(start->hub, start->worker);
	child_leave();
}

/* What every child is told, and what a worker is. */
static void __attribute__((noreturn)) worker_begin(struct child_start *start)
{
	const struct birth_worker *birth = start->birth;
	const struct worker_start own = {.worker = start->number,
	    .generation = start->generation,
	    .giver = {birth->giver[0], birth->giver[1]},
	    .fault_hand = birth->fault_hand,
	    .fault_arg = birth->fault_arg,
	    .control = start->link,
	    .hub = start->hub,
	    .live = start->live,
	    .connections = birth->connections,
	    .io_uring = birth->io_uring,
	    .endpoints = start->endpoints};

	worker_main(&own);
}

const struct child_kind worker_kind = {.name = "worker",
    .n = CHILD_CONFIGURED,
    .gets =
	CHILD_HUB | CHILD_WIRE | CHILD_LISTENERS | CHILD_VICTIM | CHILD_SECRETS,
    .settle = table_settle,
    .main = worker_begin,
    .birth_bytes = sizeof(struct birth_worker)};
