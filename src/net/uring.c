#include "uring.h"

#include <errno.h>
#include <liburing.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/sparse.h"
#include "net/batch.h"

/*
 * Without SUBMIT_ALL (5.18) a submission stops at the first bad entry, which
 * only costs another call; DEFER_TASKRUN (6.1, with SINGLE_ISSUER) and
 * COOP_TASKRUN (5.19) spare interrupts. Tried from the newest on.
 */
static const unsigned setup_flags[] = {
    IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN |
	IORING_SETUP_SUBMIT_ALL,
    IORING_SETUP_COOP_TASKRUN | IORING_SETUP_SUBMIT_ALL,
    IORING_SETUP_SUBMIT_ALL,
    0,
};

struct uring {
	struct io_uring ring;
	struct msghdr msg[BATCH_MAX]; /* of writes in several pieces */
};

/* Makes the ring with the best flags that this kernel takes; -errno. */
static int
ring_make(struct io_uring *ring)
{
	int r = -EINVAL;

	for (size_t i = 0;
	     r == -EINVAL && i < sizeof(setup_flags) / sizeof(setup_flags[0]);
	     i++) {
		struct io_uring_params p = {.flags = setup_flags[i]};

		r = io_uring_queue_init_params(BATCH_MAX, ring, &p);
	}
	if (r == 0)
		/* Spares a look-up of the ring's descriptor; 5.18. */
		(void)io_uring_register_ring_fd(ring);
	return r;
}

/*
 * Fills the entry of one write. Plain descriptors and a completion for each:
 * registered files and skipped successes are within the noise (64 and more
 * writes: 1.5-1.6 us each in all four ways), and a registered file outlives
 * its process.
 */
static void
entry_prepare(struct uring *u, struct io_uring_sqe *sqe,
    const struct batch_write *w, size_t i)
{
	if (w->n == 1) {
		io_uring_prep_send(sqe, w->fd, w->iov[0].iov_base,
		    w->iov[0].iov_len, WRITE_FLAGS);
	} else {
		u->msg[i] = (struct msghdr){.msg_iov = (struct iovec *)w->iov,
		    .msg_iovlen = (size_t)w->n};
		io_uring_prep_sendmsg(sqe, w->fd, &u->msg[i], WRITE_FLAGS);
	}
	sqe->user_data = i;
}

/* Fills the entry of one read. */
static void
entry_prepare_read(struct uring *u, struct io_uring_sqe *sqe,
    const struct batch_write *w, size_t i)
{
	io_uring_prep_recv(
	    sqe, w->fd, w->iov[0].iov_base, w->iov[0].iov_len, MSG_DONTWAIT);
	sqe->user_data = i;
}

/* Takes in the completions that are there. Returns how many. */
static size_t
completions_take(struct uring *u, struct batch_write *w, size_t n)
{
	struct io_uring_cqe *cqe;
	size_t taken = 0;

	while (io_uring_peek_cqe(&u->ring, &cqe) == 0) {
		if (cqe->user_data < n)
			w[cqe->user_data].result = cqe->res;
		io_uring_cqe_seen(&u->ring, cqe);
		taken++;
	}
	return taken;
}

/* Hands the ring's entries to the kernel. 0, or -1 if it refuses them. */
static int
ring_submit(struct uring *u)
{
	int r, tries = 0;

	while (io_uring_sq_ready(&u->ring) > 0) {
		r = io_uring_submit(&u->ring);
		if (r > 0)
			continue;
		if ((r == -EINTR || r == -EAGAIN) && tries++ < 3)
			continue;
		return -1;
	}
	return 0;
}

/* Has the kernel do n of them, each entry filled by `prepare`. */
static int
uring_do(struct uring *u, struct batch_write *w, size_t n,
    void (*prepare)(struct uring *u, struct io_uring_sqe *sqe,
	const struct batch_write *w, size_t i))
{
	struct io_uring_sqe *sqe;
	struct io_uring_cqe *cqe;
	size_t prepared = 0, seen, got = 0;
	int r;

	while (prepared < n && (sqe = io_uring_get_sqe(&u->ring)) != NULL) {
		prepare(u, sqe, &w[prepared], prepared);
		prepared++;
	}
	r = ring_submit(u);
	seen = prepared - io_uring_sq_ready(&u->ring);
	/* It is not known whether an entry whose result is lost was sent. */
	for (size_t i = 0; i < n; i++)
		w[i].result = i < seen ? -EIO : WRITE_UNSENT;
	/* MSG_DONTWAIT: all are done by now, on the kernels that we know. */
	while ((got += completions_take(u, w, seen)) < seen) {
		int waited = io_uring_wait_cqe_nr(&u->ring, &cqe, 1);

		if (waited < 0 && waited != -EINTR)
			return -1;
	}
	return r == 0 && seen == n ? 0 : -1;
}

int
uring_send(struct uring *u, struct batch_write *w, size_t n)
{
	return uring_do(u, w, n, entry_prepare);
}

int
uring_receive(struct uring *u, struct batch_write *w, size_t n)
{
	return uring_do(u, w, n, entry_prepare_read);
}

/*
 * Proves on a socketpair what is relied on: a whole write, in one piece and in
 * two; reads of a part, of the rest, of nothing; a short write, told exactly
 * and not continued once there is room; a full socket.
 */
static const char *
probe(struct uring *u)
{
	static char bytes[64 * 1024];
	struct iovec small[2] = {{bytes, 5}, {bytes, 3}};
	struct iovec large[1] = {{bytes, sizeof(bytes)}};
	struct batch_write w = {.iov = small, .n = 1};
	const char *why = "the probe's socketpair failed";
	const int size = 4096;
	ssize_t taken, r, total = 0;
	int fd[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0,
		fd) == -1)
		return why;
	w.fd = fd[0];
	if (setsockopt(fd[0], SOL_SOCKET, SO_SNDBUF, &size, sizeof(size)) == -1)
		goto out;
	why = "a send through the ring failed";
	if (uring_send(u, &w, 1) == -1 || w.result != 5)
		goto out;
	w.n = 2;
	if (uring_send(u, &w, 1) == -1 || w.result != 8)
		goto out;
	why = "a receive through the ring failed";
	w.fd = fd[1];
	if (uring_receive(u, &w, 1) == -1 || w.result != 5)
		goto out;
	w.iov = large;
	if (uring_receive(u, &w, 1) == -1 || w.result != 8)
		goto out;
	if (uring_receive(u, &w, 1) == -1 || w.result != -EAGAIN)
		goto out;
	w.fd = fd[0];
	why = "a short send was not told";
	w.iov = large;
	w.n = 1;
	if (uring_send(u, &w, 1) == -1 || w.result <= 0 ||
	    w.result >= (ssize_t)sizeof(bytes))
		goto out;
	taken = w.result;
	if (uring_send(u, &w, 1) == -1 || w.result != -EAGAIN)
		goto out;
	why = "a short send went on in the background";
	while ((r = recv(fd[1], bytes, sizeof(bytes), 0)) > 0) {
		total += r;
		(void)io_uring_get_events(&u->ring);
	}
	if (total == taken)
		why = NULL;
out:
	close(fd[0]);
	close(fd[1]);
	return why;
}

struct uring *
uring_new(const char **why, int *error)
{
	struct uring *u = sparse_new(1, sizeof(*u));
	const char *wrong;
	int r = u != NULL ? ring_make(&u->ring) : -ENOMEM;

	*error = 0;
	if (r < 0) {
		*error = -r;
		*why = strerror(-r);
		sparse_free(u, 1, sizeof(*u));
		return NULL;
	}
	if ((wrong = probe(u)) != NULL) {
		*why = wrong;
		uring_free(u);
		return NULL;
	}
	return u;
}

void
uring_free(struct uring *u)
{
	if (u == NULL)
		return;
	io_uring_queue_exit(&u->ring);
	sparse_free(u, 1, sizeof(*u));
}
