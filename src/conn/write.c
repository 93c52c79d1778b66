#include "conn/write.h"

#include <errno.h>
#include <string.h>

#include "conn/conn.h"
#include "conn/socket.h"
#include "hub/stats.h"
#include "net/batch.h"

/* Notes that a connection is to be told of what it has missed. */
static void
write_untold_add(struct chat *ch, uint32_t i)
{
	struct conn *c = &ch->conn[i];

	/* if the list is full the sweep tells it */
	if (c->untold || ch->n_untold == ch->hub->n_slots)
		return;
	c->untold = true;
	ch->untold[ch->n_untold++] = i;
}

/* All output is written. Nothing is appended here: that may move or give back
 * bytes that others of the batch are about to be sent. */
static void
write_drained(struct chat *ch, uint32_t i)
{
	struct conn *c = &ch->conn[i];

	if (c->phase == CONN_ENDING)
		closing_begin(ch, i);
	else if (c->paused)
		conn_pause(ch, i, false);
	if (c->phase == CONN_OPEN && conn_slot(ch, i)->skipped != 0 &&
	    ch->door[c->door]->drained != NULL)
		write_untold_add(ch, i);
}

/* What the batch is told of a write, so that its result can be judged: how many
 * bytes it has, and of which connection. */
static uint64_t
write_tag(size_t asked, uint32_t conn)
{
	return (uint64_t)asked << 32 | conn;
}

/* How many bytes of output are out for good, of `taken` of what was sent. */
static ssize_t
write_released(struct chat *ch, uint32_t i, size_t taken)
{
	const struct transport *t = conn_transport(ch, i);
	const struct transport_socket s = conn_socket(ch, i);
	ssize_t n;

	if (t->seal == NULL)
		return (ssize_t)taken;
	n = t->sent(&s, taken);
	return n < 0 ? -errno : n;
}

/* A write's result. */
static void
write_done_cb(void *arg, uint64_t tag, ssize_t result)
{
	struct chat *ch = arg;
	uint32_t i = (uint32_t)tag;
	struct conn *c = &ch->conn[i];
	const bool all = result == (ssize_t)(tag >> 32);

	KILL_POINT(); /* the kernel has the bytes, and no word in memory says so
		       * yet */
	SHM_COUNT(ch->hub->me->writes, 1);
	if (result > 0) {
		SHM_COUNT(ch->hub->me->bytes_out, (uint64_t)result);
		result = write_released(ch, i, (size_t)result);
	}
	if (result < 0 && result != -EAGAIN) {
		conn_drop_later(ch, i, strerror((int)-result));
		return;
	}
	if (result > 0) {
		output_wrote(&ch->output, &c->out, i, (size_t)result);
	}
	if (output_pending(&c->out) == 0) {
		write_drained(ch, i);
	} else if (!all) {
		c->blocked = true;
		if (ch->door[c->door]->holds_back)
			c->paused = true; /* its input would become output */
		conn_watch(ch, i);
	} else
		conn_dirty(ch, i);
}

/* Sends the batch. */
static void
write_flush(struct chat *ch)
{
	batch_flush(ch->batch, write_done_cb, ch);
	ch->n_sealed = 0;
}

/* Puts what a transport makes of one connection's output into the batch. */
static void
write_sealed(struct chat *ch, uint32_t i)
{
	static uint8_t plain[TRANSPORT_PLAIN_MAX];
	const struct transport_socket s = conn_socket(ch, i);
	uint8_t *out = ch->sealed + ch->n_sealed;
	size_t len =
	    output_read(&ch->output, &ch->conn[i].out, i, plain, sizeof(plain));
	ssize_t n;

	if (len == 0) {
		write_drained(ch, i);
		return;
	}
	n = conn_transport(ch, i)->seal(&s, plain, len, out);
	KILL_POINT();
	if (n <= 0) {
		write_done_cb(ch, write_tag(1, i),
		    n == 0 || errno == EINTR ? -EAGAIN : -errno);
		return;
	}
	ch->n_sealed += (size_t)n;
	batch_add(ch->batch, ch->conn[i].fd, &(struct iovec){out, (size_t)n}, 1,
	    write_tag((size_t)n, i));
}

/* Puts one connection's output into the batch. */
static void
write_one(struct chat *ch, uint32_t i)
{
	struct iovec iov[BATCH_IOV];
	size_t asked;
	int m;

	if (conn_transport(ch, i)->seal != NULL) {
		write_sealed(ch, i);
		return;
	}
	m = output_gather(
	    &ch->output, &ch->conn[i].out, i, iov, BATCH_IOV, &asked);
	if (m == 0)
		write_drained(ch, i);
	else
		batch_add(
		    ch->batch, ch->conn[i].fd, iov, m, write_tag(asked, i));
}

void
conn_write(struct chat *ch)
{
	uint32_t k, i, n;

	while (ch->n_dirty > 0) {
		/* connections that become dirty meanwhile are written in the
		 * next round */
		n = ch->n_dirty;
		for (k = 0; k < n; k++) {
			i = ch->dirty[k];
			if (!ch->conn[i].dirty)
				continue;
			ch->conn[i].dirty = false;
			write_one(ch, i);
			if (batch_full(ch->batch) ||
			    ch->n_sealed > CHAT_SEALED - TRANSPORT_SEALED_MAX) {
				write_flush(ch);
				line_tick(ch->hub);
			}
		}
		if (batch_count(ch->batch) > 0)
			write_flush(ch);
		/* close the gap that the done part leaves */
		memmove(ch->dirty, ch->dirty + n,
		    (ch->n_dirty - n) * sizeof(*ch->dirty));
		ch->n_dirty -= n;
	}
}

/* Tells those who have missed something, now that all else is written. */
static void
write_untold_tell(struct chat *ch)
{
	uint32_t i;

	while (ch->n_untold > 0) {
		i = ch->untold[--ch->n_untold];
		ch->conn[i].untold = false;
		if (ch->conn[i].phase == CONN_OPEN &&
		    conn_slot(ch, i)->skipped != 0 &&
		    ch->door[ch->conn[i].door]->drained != NULL)
			ch->door[ch->conn[i].door]->drained(ch, i);
	}
}

void
conn_flush(struct chat *ch)
{
	do {
		conn_write(ch);
		write_untold_tell(ch);
	} while (ch->n_dirty > 0);
}
