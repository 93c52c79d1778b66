#include "conn/write.h"

#include <errno.h>
#include <string.h>

#include "conn/conn.h"
#include "conn/socket.h"
#include "hub/stats.h"

/* Notes that a connection is to be told of what it has missed. */
static void
write_untold_add(struct chat *ch, uint32_t i)
{
	struct conn *c = &ch->conn[i];

	/* without room for it the sweep tells */
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

/* A write's result. */
static void
write_done_cb(void *arg, uint64_t tag, ssize_t result)
{
	struct chat *ch = arg;
	uint32_t i = (uint32_t)tag;
	struct conn *c = &ch->conn[i];
	uint64_t asked = tag >> 32;

	KILL_POINT(); /* the system call has taken them all */
	SHM_COUNT(ch->hub->me->writes, 1);
	if (result < 0 && result != -EAGAIN) {
		conn_drop_later(ch, i, strerror((int)-result));
		return;
	}
	if (result > 0) {
		SHM_COUNT(ch->hub->me->bytes_out, (uint64_t)result);
		output_wrote(&ch->output, &c->out, i, (size_t)result);
	}
	if (output_pending(&c->out) == 0) {
		write_drained(ch, i);
	} else if (result < (ssize_t)asked) {
		c->blocked = true;
		if (ch->door[c->door]->holds_back)
			c->paused = true; /* its input would become output */
		conn_watch(ch, i);
	} else
		conn_dirty(ch, i);
}

/* Writes one connection's output, which its transport changes on its way. */
static void
write_alone(
    struct chat *ch, uint32_t i, const struct iovec *iov, int n, size_t asked)
{
	const struct transport_socket s = conn_socket(ch, i);
	ssize_t r = conn_transport(ch, i)->send(&s, iov, n);

	if (r < 0)
		r = errno == EINTR ? -EAGAIN : -errno;
	write_done_cb(ch, write_tag(asked, i), r);
}

void
conn_write(struct chat *ch)
{
	struct iovec iov[BATCH_IOV];
	uint32_t k, i, n;
	size_t asked;
	int m;

	while (ch->n_dirty > 0) {
		/* what becomes dirty while this goes out comes after it */
		n = ch->n_dirty;
		for (k = 0; k < n; k++) {
			i = ch->dirty[k];
			if (i == SHM_NONE)
				continue;
			ch->conn[i].dirty = 0;
			ch->dirty[k] = SHM_NONE;
			m = output_gather(&ch->output, &ch->conn[i].out, i, iov,
			    BATCH_IOV, &asked);
			if (m == 0) {
				write_drained(ch, i);
				continue;
			}
			if (!conn_transport(ch, i)->batchable) {
				write_alone(ch, i, iov, m, asked);
				line_tick(ch->hub);
				continue;
			}
			batch_add(ch->batch, ch->conn[i].fd, iov, m,
			    write_tag(asked, i));
			if (batch_full(ch->batch)) {
				batch_flush(ch->batch, write_done_cb, ch);
				line_tick(ch->hub);
			}
		}
		if (batch_count(ch->batch) > 0)
			batch_flush(ch->batch, write_done_cb, ch);
		/* close the gap that the done part leaves */
		memmove(ch->dirty, ch->dirty + n,
		    (ch->n_dirty - n) * sizeof(*ch->dirty));
		ch->n_dirty -= n;
		for (k = 0; k < ch->n_dirty; k++)
			if (ch->dirty[k] != SHM_NONE)
				ch->conn[ch->dirty[k]].dirty = shm_link(k);
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
