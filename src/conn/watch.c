#include "conn/watch.h"

#include <errno.h>
#include <string.h>

#include "base/log.h"
#include "conn/turn.h"
#include "net/ready.h"

/* By what the set tells which connection is ready: its slot's id, or its number
 * alone, which no id is, if it has no slot. */
static uint64_t
watch_key(const struct chat *ch, uint32_t i)
{
	return conn_has_slot(ch, i) ? slot_id(ch->hub, i) : i;
}

/* Whether a number is a connection's. */
static bool
watch_is_ours(const struct chat *ch, uint32_t i)
{
	return i < ch->hub->n_slots + CHAT_SPARE &&
	    ch->conn[i].phase != CONN_NONE;
}

/* Some are ready: what is looked at next is fetched meanwhile. */
static void
watch_seen_cb(void *arg, uint64_t key)
{
	struct chat *ch = arg;
	const uint32_t i = (uint32_t)key;

	if (i >= ch->hub->n_slots)
		return;
	__builtin_prefetch(&ch->conn[i]);
	__builtin_prefetch(&ch->hub->slot[i]);
}

/* One is ready. It may have ended, or be watched for something else, since the
 * kernel said so. */
static bool
watch_ready_cb(void *arg, uint64_t key, unsigned what)
{
	struct chat *ch = arg;
	const uint32_t i = (uint32_t)key;

	const bool goes_on = chat_event(ch);

	if (watch_is_ours(ch, i) && (what & ch->conn[i].watched) != 0)
		ch->on_ready(ch, i, what & ch->conn[i].watched);
	return goes_on;
}

int
watch_init(struct chat *ch)
{
	static const struct ready_host host = {
	    .seen = watch_seen_cb, .ready = watch_ready_cb};
	bool kept;

	ch->ready = ready_new(ch->base, -1, &kept, &host, ch);
	return ch->ready != NULL ? 0 : -1;
}

/* What it is to be watched for. */
static unsigned
watch_wanted(const struct conn *c)
{
	return (c->paused || c->waits ? 0 : READY_READ) |
	    (c->blocked ? READY_WRITE : 0);
}

/* Watches a socket for `what`. */
static int
watch_set(struct chat *ch, uint32_t i, unsigned what)
{
	struct conn *c = &ch->conn[i];

	if (ready_watch(ch->ready, c->fd, watch_key(ch, i), c->watched, what) <
	    0) {
		log_error("epoll_ctl: %s", strerror(errno));
		return -1;
	}
	c->watched = what & (READY_READ | READY_WRITE);
	return 0;
}

int
conn_watch(struct chat *ch, uint32_t i)
{
	const struct conn *c = &ch->conn[i];
	const unsigned what = watch_wanted(c);

	if (c->phase == CONN_DROPPED || c->watched == what)
		return 0;
	return watch_set(ch, i, what);
}

void
conn_unwatch(struct chat *ch, uint32_t i)
{
	if (ch->conn[i].watched != 0)
		(void)watch_set(ch, i, 0);
}

void
conn_pause(struct chat *ch, uint32_t i, bool paused)
{
	if (ch->conn[i].paused == paused)
		return;
	ch->conn[i].paused = paused;
	conn_watch(ch, i);
}

void
conn_dirty(struct chat *ch, uint32_t i)
{
	struct conn *c = &ch->conn[i];

	if (c->dirty != 0 || c->blocked)
		return;
	c->dirty = shm_link(ch->n_dirty);
	ch->dirty[ch->n_dirty++] = i;
}
