/*
 * uring: sends of a batch through io_uring. Private to net: batch.c decides,
 * this does. Used by the thread that made it alone.
 */
#ifndef CHATD_NET_URING_H
#define CHATD_NET_URING_H

#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

/* One write; iov points to n pieces. */
struct batch_write {
	uint64_t tag;
	const struct iovec *iov;
	ssize_t result; /* bytes taken, -errno, or WRITE_UNSENT */
	int fd;
	int n;
};

#define WRITE_UNSENT (-4096) /* below every -errno */

/* What a send always carries. */
#define WRITE_FLAGS (MSG_DONTWAIT | MSG_NOSIGNAL)

struct uring;

/* Makes a ring and proves it on a socketpair. NULL with *why in words, and the
 * system's *error if it is one, else 0. */
struct uring *uring_new(const char **why, int *error);
void uring_free(struct uring *u);

/*
 * Sends n writes (at most BATCH_MAX) and waits for all results. -1 if the ring
 * failed in itself: those writes that the kernel has not seen are WRITE_UNSENT.
 */
int uring_send(struct uring *u, struct batch_write *w, size_t n);

/* As uring_send(), with reads, each into its first piece; results as of
 * recv(2). */
int uring_receive(struct uring *u, struct batch_write *w, size_t n);

#endif
