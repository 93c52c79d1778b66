/*
 * batch: the writes of one loop turn. With io_uring they leave as one
 * submission (always MSG_DONTWAIT, no SQPOLL, no IOSQE_ASYNC; complete when
 * batch_flush returns), else one sendmsg each. Layer 2.
 */
#ifndef CHATD_NET_BATCH_H
#define CHATD_NET_BATCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

enum { BATCH_IOV = 16, BATCH_MAX = 1024 }; /* pieces a write, writes a flush */

struct batch;

/*
 * want_uring false, or no io_uring permitted here: plain sendmsg. Probes by
 * making the ring and sending through it over a socketpair. NULL and errno
 * only when memory is short.
 */
struct batch *batch_new(bool want_uring);
void batch_free(struct batch *b);

/* "io_uring" or "sendmsg", and why if a wish could not be met ("" else). */
const char *batch_method(const struct batch *b, const char **why);

/* The error of the system call that a wish failed by; 0: none, or another
 * reason. */
int batch_error(const struct batch *b);

/*
 * Takes up one write; the bytes stay where they are until the flush. A socket
 * at most once per flush. The caller flushes when batch_full().
 */
void batch_add(
    struct batch *b, int fd, const struct iovec *iov, int n, uint64_t tag);
bool batch_full(const struct batch *b);
size_t batch_count(const struct batch *b);

/*
 * Sends everything; calls done once per write, in the order of batch_add,
 * with the number of bytes taken or -errno (-EAGAIN: the socket is full). If
 * the ring fails in itself, the rest goes by sendmsg, for good. All results
 * are in before done is first called: it may close any descriptor, but must
 * neither add nor flush. A single write goes by sendmsg: it is cheaper.
 */
void batch_flush(struct batch *b,
    void (*done)(void *arg, uint64_t tag, ssize_t result), void *arg);

/* Sockets that are read by one call, at most. */
enum { BATCH_READS = 16 };

/* One read; the result is as of recv(2), or -errno. */
struct batch_read {
	int fd;
	struct iovec to;
	ssize_t result;
};

/* Whether several are read by one system call. */
bool batch_receives(const struct batch *b);

/* Reads each once, without waiting. If the ring fails in itself the rest is
 * read by recv, for good; what the ring may have read is lost then (-EIO). */
void batch_receive(struct batch *b, struct batch_read *r, size_t n);

#endif
