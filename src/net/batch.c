#include "net/batch.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "base/sparse.h"
#include "uring.h"

enum {
	PIECES_MAX = 4 * BATCH_MAX, /* most writes are of one piece */
	/*
	 * us per send of 80 bytes to a loopback socket in flushes of 1, 2, 4,
	 * 16, 250, 1,000 (Linux 6.18): send 3.5 throughout; ring 4.2, 2.9, 2.2,
	 * 1.8, 1.6, 1.6. So a single write goes by itself.
	 */
	URING_MIN = 2
};

struct batch {
	struct uring *uring; /* NULL: sendmsg */
	const char *why;
	int error; /* errno, if it is one */
	size_t count, pieces;
	struct batch_write write[BATCH_MAX];
	struct iovec piece[PIECES_MAX];
};

struct batch *
batch_new(bool want_uring)
{
	struct batch *b = sparse_new(1, sizeof(*b));

	if (b == NULL)
		return NULL;
	b->why = "";
	if (want_uring)
		b->uring = uring_new(&b->why, &b->error);
	return b;
}

void
batch_free(struct batch *b)
{
	if (b == NULL)
		return;
	uring_free(b->uring);
	sparse_free(b, 1, sizeof(*b));
}

const char *
batch_method(const struct batch *b, const char **why)
{
	if (why != NULL)
		*why = b->why;
	return b->uring != NULL ? "io_uring" : "sendmsg";
}

int
batch_error(const struct batch *b)
{
	return b->error;
}

void
batch_add(struct batch *b, int fd, const struct iovec *iov, int n, uint64_t tag)
{
	struct iovec *piece = &b->piece[b->pieces];

	assert(n > 0 && n <= BATCH_IOV && !batch_full(b));
	for (int i = 0; i < n; i++)
		piece[i] = iov[i];
	b->pieces += (size_t)n;
	b->write[b->count++] =
	    (struct batch_write){.tag = tag, .iov = piece, .fd = fd, .n = n};
}

bool
batch_full(const struct batch *b)
{
	return b->count == BATCH_MAX || b->pieces > PIECES_MAX - BATCH_IOV;
}

size_t
batch_count(const struct batch *b)
{
	return b->count;
}

/* One write by a system call of its own. */
static void
write_send(struct batch_write *w)
{
	struct msghdr msg = {
	    .msg_iov = (struct iovec *)w->iov, .msg_iovlen = (size_t)w->n};

	if (w->n == 1)
		w->result = send(
		    w->fd, w->iov[0].iov_base, w->iov[0].iov_len, WRITE_FLAGS);
	else
		w->result = sendmsg(w->fd, &msg, WRITE_FLAGS);
	if (w->result == -1)
		w->result = -errno;
}

/* Goes on without the ring. */
static void
batch_lose_uring(struct batch *b)
{
	uring_free(b->uring);
	b->uring = NULL;
	b->why = "the ring failed";
}

/* Sends through the ring; what it leaves, and all from then on, by sendmsg. */
static void
batch_send_uring(struct batch *b)
{
	if (uring_send(b->uring, b->write, b->count) == 0)
		return;
	for (size_t i = 0; i < b->count; i++)
		if (b->write[i].result == WRITE_UNSENT)
			write_send(&b->write[i]);
	batch_lose_uring(b);
}

void
batch_flush(struct batch *b,
    void (*done)(void *arg, uint64_t tag, ssize_t result), void *arg)
{
	if (b->uring != NULL && b->count >= URING_MIN)
		batch_send_uring(b);
	else
		for (size_t i = 0; i < b->count; i++)
			write_send(&b->write[i]);
	/*
	 * All results are in before the first is told: done may close this
	 * or any other descriptor, and its number may then be used anew.
	 */
	for (size_t i = 0; i < b->count; i++)
		done(arg, b->write[i].tag, b->write[i].result);
	b->count = b->pieces = 0;
}

bool
batch_receives(const struct batch *b)
{
	return b->uring != NULL;
}

void
batch_receive(struct batch *b, struct batch_read *r, size_t n)
{
	struct batch_write w[BATCH_READS];
	size_t i;

	for (i = 0; i < n; i++)
		w[i] = (struct batch_write){.iov = &r[i].to,
		    .fd = r[i].fd,
		    .n = 1,
		    .result = WRITE_UNSENT};
	if (b->uring != NULL && uring_receive(b->uring, w, n) < 0)
		batch_lose_uring(b);
	for (i = 0; i < n; i++) {
		r[i].result = w[i].result;
		if (r[i].result != WRITE_UNSENT)
			continue;
		r[i].result = recv(
		    r[i].fd, r[i].to.iov_base, r[i].to.iov_len, MSG_DONTWAIT);
		if (r[i].result == -1)
			r[i].result = -errno;
	}
}
