/* control: messages from the master to this worker. */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "conn/conn.h"
#include "codec/message.h"
#include "door/registry.h"
#include "hub/stats.h"
#include "net/link.h"
#include "room/archive.h"
#include "private.h"
#include "worker/chat.h"

enum { STOP_MS = 4000 }; /* MSG_STOP: gone by then, if there are few */

void
control_end(struct worker *w)
{
	uint32_t i = SHM_NONE;

	while (conn_next(&w->chat, &i)) {
		conn_end(&w->chat, i, CLOSE_GOING_AWAY, REASON_GOING_AWAY);
		chat_clock(&w->chat);
	}
}

void
control_stop(struct worker *w)
{
	if (!w->chat.leaving)
		accept_stop(w);
	w->stopping = true;
	w->retiring = false;
	w->leave_ms = w->chat.now_ms + STOP_MS + stats_closing_ms(w->chat.hub);
	control_end(w);
}

/* A link to another process. */
static void
control_link(struct chat *ch, const void *payload, size_t len, int fd)
{
	struct message_link_asked link = {.what = 0};

	memcpy(&link, payload, len);
	chat_link(ch, (int)link.link.peer, link.link.generation, fd);
	if (link.what == LINK_ANSWERS)
		archive_linked(ch, (int)link.link.peer);
	begun_linked(ch, (int)link.link.peer, link.what == LINK_BEGINS);
}

/* One checked message; its descriptor is this function's. */
static void
handle(struct worker *w, int type, const void *payload, size_t len, int fd)
{
	struct chat *ch = &w->chat;
	const struct message_drain *drain = payload;
	const struct message_retire *retire = payload;
	static struct conf_live live;

	switch (type) {
	case MSG_LINK:
		control_link(ch, payload, len, fd);
		break;
	case MSG_ADOPT:
		adoption_order(payload, fd);
		break;
	case MSG_MOVE:
		handover_order(ch, payload);
		break;
	case MSG_START:
		w->started = true;
		leave_part(w, false);
		break;
	case MSG_PART:
		leave_part(w, true);
		break;
	case MSG_CONF:
		live = ch->live; /* values that the text does not name stay */
		if (conf_live_read(&live, payload, len) == NULL)
			chat_reconfigure(ch, &live);
		break;
	case MSG_PAGE:
		if (door_files_map(fd) < 0)
			log_error("web page: %s", strerror(errno));
		break;
	case MSG_KICK:
		order_kick(w, payload);
		break;
	case MSG_SAY:
		order_say(w, payload, len);
		break;
	case MSG_CLEAN:
		adoption_clean(payload);
		break;
	case MSG_STOP:
		control_stop(w);
		break;
	case MSG_QUIT:
		if (!ch->leaving)
			accept_stop(w);
		w->quitting = true;
		w->retiring = false;
		w->leave_ms = ch->now_ms + ch->live.drain_ms;
		break;
	case MSG_RETIRE:
		if (!ch->leaving)
			leave_retire(w, len != 0 && retire->hold != 0);
		break;
	case MSG_DRAIN:
		leave_drain(w, drain->rate);
		break;
	default:
		break;
	}
}

/* A message whose descriptor found no room here: the master must not wait for
 * what it has asked for. */
static void
handle_lost(struct worker *w, const struct link_datagram *d)
{
	struct message_adopt adopt;
	struct message_head head;
	const char *payload = (const char *)d->bytes + sizeof(head);

	if (d->len < sizeof(head))
		return;
	memcpy(&head, d->bytes, sizeof(head));
	log_error("master: %s without its descriptor: too many open files",
	    message_name((int)head.type));
	if (head.type == MSG_ADOPT && d->len == sizeof(head) + sizeof(adopt)) {
		memcpy(&adopt, payload, sizeof(adopt));
		adoption_refuse(&adopt);
	}
}

void
control_read(struct worker *w)
{
	struct link_datagram d[LINK_BATCH];
	const void *payload;
	const char *why;
	size_t len;
	int n, k, type;

	n = link_receive(w->start->control, d);
	if (n < 0) {
		log_error("the master is gone");
		log_flush();
		_exit(1);
	}
	for (k = 0; k < n; k++) {
		if (d[k].lost) {
			handle_lost(w, &d[k]);
			continue;
		}
		type = message_check(d[k].bytes, d[k].len, d[k].n_fds,
		    PARTY_MASTER, &payload, &len, &why);
		if (type < 0)
			log_error("master: %s", why);
		else
			handle(w, type, payload, len, d[k].fd);
		if (d[k].fd >= 0 && type != MSG_LINK && type != MSG_ADOPT)
			close(d[k].fd);
	}
}

/* The control link has something. */
static void
control_cb(int fd, short what, void *arg)
{
	struct worker *w = arg;

	chat_event(&w->chat);
	control_read(w);
}

/* Tells the master of processes that send bad messages, as far as the link
 * takes it. */
static void
accusations_send(struct worker *w)
{
	struct message_accuse accuse;

	for (int k = 0; k < SHM_LINES && w->n_accused > 0; k++) {
		if (!w->accused[k].due)
			continue;
		accuse = (struct message_accuse){
		    (uint32_t)k, w->accused[k].generation};
		if (link_send(w->start->control, MSG_ACCUSE, &accuse,
			sizeof(accuse), -1) < 0 &&
		    errno == EAGAIN)
			return;
		w->accused[k].due = false;
		w->n_accused--;
	}
}

/* A process is to be accused, in this turn or a later one. */
static void
accuse(struct chat *ch, int peer, uint32_t generation)
{
	struct worker *w = (struct worker *)ch; /* its first member */

	w->n_accused += !w->accused[peer].due;
	w->accused[peer].due = true;
	w->accused[peer].generation = generation;
}

void
control_turn(struct worker *w)
{
	accusations_send(w);
	order_turn(w);
}

/* How many more connections can go on here. */
static uint32_t
control_room(const struct chat *ch)
{
	return room_free((const struct worker *)ch); /* its first member */
}

/* Tells the master how an adoption went; false: its link is full. */
static bool
control_cleaned(struct chat *ch, const struct message_cleaned *done)
{
	const struct worker *w = (const struct worker *)ch;

	return link_send(w->start->control, MSG_CLEANED, done, sizeof(*done),
		   -1) == 0 ||
	    errno != EAGAIN;
}

void
control_init(struct worker *w)
{
	static const struct adoption_host host = {
	    .room = control_room, .cleaned = control_cleaned};

	w->chat.accuse = accuse;
	adoption_init(&w->chat, &host);
	event_assign(&w->control, w->chat.base, w->start->control,
	    EV_READ | EV_PERSIST, control_cb, w);
	if (event_add(&w->control, NULL) < 0)
		log_fatal("control link: %s", strerror(errno));
}
