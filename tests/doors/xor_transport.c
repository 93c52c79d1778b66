/*
 * xor: a transport of a test build, with all that TLS has and that TCP has not:
 * a greeting before the first byte, records whose length and key differ, so
 * that positions of plaintext are not the socket's, and a last record that
 * tells the end. A record is {length, number, bytes}, each byte changed by the
 * record's number and its place; none may ever go out with other plaintext than
 * another worker has begun to send it with.
 *
 * In: the state says which record comes next and has what has come of it; a
 * store of `in_no` commits that, then the kernel forgets what is before it.
 * Out: a plan names the plaintext of the records that are sealed next; a store
 * of `plan_no` commits it before any of them is sent, and there is no other one
 * before the kernel has taken all of it.
 */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "base/shared.h"
#include "net/transport.h"

enum {
	XOR_HELLO = 4,	      /* bytes that each side says first */
	XOR_HEAD = 3,	      /* bytes of a record's head */
	XOR_RECORD = 200,     /* of its plaintext, of ours at most */
	XOR_RECORD_MAX = 150, /* of theirs */
	XOR_REST = XOR_HEAD + XOR_RECORD_MAX, /* bytes of a part of one */
	XOR_HALF = TRANSPORT_REST / 2,
	XOR_PAGE = 4096,
	XOR_READ = 64 * 1024,	   /* bytes that are looked at, at once */
	XOR_PLAN = 5 * XOR_RECORD, /* bytes of plaintext */
	XOR_END = UINT32_MAX	   /* length of the plan that tells the end */
};

/* The next record to read. */
struct xor_in {
	uint64_t cipher; /* so much was taken from the kernel */
	uint64_t plain;	 /* position where the record begins */
	uint32_t number;
	uint32_t given; /* bytes of its plaintext that were read */
	uint32_t have;	/* bytes of it in this copy's half of the rest */
};

/* The records to send. */
struct xor_plan {
	uint64_t cipher, plain;
	uint32_t number;
	uint32_t length; /* bytes of plaintext, in records of XOR_RECORD */
};

struct xor_state {
	_Atomic uint32_t in_no, plan_no, greeted;
	uint32_t low; /* of the socket; 0: as usual */
	/* derived: how much of the plan's records the kernel has taken */
	uint64_t done;
	struct xor_in in[2];
	struct xor_plan plan[2];
};
_Static_assert(sizeof(struct xor_state) <= TRANSPORT_STATE_MAX, "it fits");

static struct xor_in *
xor_in(struct xor_state *x)
{
	return &x->in[SHM_LOAD(x->in_no) & 1];
}

static struct xor_plan *
xor_plan(struct xor_state *x)
{
	return &x->plan[SHM_LOAD(x->plan_no) & 1];
}

/* Bytes of a plan's records. */
static uint64_t
xor_size(const struct xor_plan *p)
{
	if (p->length == XOR_END)
		return XOR_HEAD;
	return p->length +
	    (uint64_t)(p->length + XOR_RECORD - 1) / XOR_RECORD * XOR_HEAD;
}

/* Plaintext of the whole records within so many bytes of a plan's. */
static uint32_t
xor_whole(const struct xor_plan *p, uint64_t done)
{
	if (p->length == XOR_END)
		return 0;
	if (done == xor_size(p))
		return p->length;
	return (uint32_t)(done / (XOR_HEAD + XOR_RECORD)) * XOR_RECORD;
}

/* Changes a byte of a record, or back. */
static uint8_t
xor_byte(uint8_t c, uint32_t number, size_t at)
{
	return (uint8_t)(c ^ (number * 31 + at * 7 + 0x5a));
}

/* Nobody is to be woken for less than so many bytes. */
static void
xor_low(const struct transport_socket *s, uint32_t bytes)
{
	struct xor_state *x = s->state;
	const int low = (int)(bytes != 0 ? bytes : 1);

	if (x->low == bytes)
		return;
	x->low = bytes;
	setsockopt(s->fd, SOL_SOCKET, SO_RCVLOWAT, &low, sizeof(low));
}

/* Has the kernel forget what it still has of bytes that are read. */
static int
xor_forget(const struct transport_socket *s, uint64_t bytes)
{
	static uint8_t none[XOR_READ];
	ssize_t n;

	for (; bytes > 0; bytes -= (uint64_t)n) {
		n = recv(s->fd, none, bytes < XOR_READ ? bytes : XOR_READ,
		    MSG_DONTWAIT);
		if (n == -1 && errno == EINTR)
			n = 0;
		else if (n <= 0)
			return -1;
		KILL_POINT();
	}
	return 0;
}

/* The client's greeting, then ours. */
static enum transport_wait
xor_start(const struct transport_socket *s)
{
	struct xor_state *x = s->state;
	char hello[XOR_HELLO];
	ssize_t n = recv(s->fd, hello, XOR_HELLO, MSG_PEEK | MSG_DONTWAIT);

	if (n == -1 && (errno == EAGAIN || errno == EINTR))
		return TRANSPORT_READS;
	if (n <= 0 || memcmp(hello, "XOR?", (size_t)n) != 0) {
		errno = EPROTO;
		return TRANSPORT_FAILED;
	}
	xor_low(s, n < XOR_HELLO ? XOR_HELLO : 0);
	if (n < XOR_HELLO)
		return TRANSPORT_READS;
	if (xor_forget(s, XOR_HELLO) == -1 ||
	    send(s->fd, "XOR!", XOR_HELLO, MSG_DONTWAIT | MSG_NOSIGNAL) !=
		XOR_HELLO)
		return TRANSPORT_FAILED;
	x->in[0].cipher = x->plan[0].cipher = XOR_HELLO;
	SHM_STORE(x->greeted, 1);
	return TRANSPORT_READY;
}

/* Opens the records in n bytes. How many bytes of plaintext were put out, or
 * -1: one is none. *at: behind the last one of which all is put out. */
static ssize_t
xor_open(struct xor_in *in, const uint8_t *bytes, size_t n, uint8_t *out,
    size_t room, size_t *at)
{
	size_t put = 0, len;

	for (*at = 0; put < room && n - *at >= XOR_HEAD; in->given = 0) {
		len = (size_t)bytes[*at] << 8 | bytes[*at + 1];
		if (len == 0 || len > XOR_RECORD_MAX || in->given >= len ||
		    bytes[*at + 2] != (uint8_t)in->number)
			return -1;
		if (n - *at < XOR_HEAD + len)
			break;
		for (; in->given < len && put < room; in->given++)
			out[put++] = xor_byte(bytes[*at + XOR_HEAD + in->given],
			    in->number, in->given);
		if (in->given < len)
			break;
		*at += XOR_HEAD + len;
		in->plain += len;
		in->number++;
	}
	return (ssize_t)put;
}

static ssize_t
xor_recv(const struct transport_socket *s, void *out, size_t len)
{
	static uint8_t bytes[XOR_REST + XOR_READ];
	struct xor_state *x = s->state;
	struct xor_in is = *xor_in(x);
	const uint32_t next = SHM_LOAD(x->in_no) + 1, had = is.have;
	size_t at, take;
	ssize_t n, put;

	if (had > XOR_REST)
		return -1;
	memcpy(bytes, s->rest + ((next - 1) & 1) * XOR_HALF, had);
	n = recv(s->fd, bytes + had, XOR_READ, MSG_PEEK | MSG_DONTWAIT);
	if (n <= 0)
		return n;
	put = xor_open(&is, bytes, had + (size_t)n, out, len, &at);
	errno = EPROTO;
	if (put == -1)
		return -1;
	take = (size_t)n;
	if ((size_t)put < len) { /* what is left is no whole record */
		is.have = (uint32_t)(had + take - at);
		memcpy(s->rest + (next & 1) * XOR_HALF, bytes + at, is.have);
	} else if (at >= had) { /* the next ones are read soon */
		is.have = 0;
		take = at - had;
	} else
		take = 0;
	is.cipher += take;
	x->in[next & 1] = is;
	SHM_STORE(x->in_no, next);
	if (had > 0)
		transport_rest_free(s, ((next - 1) & 1) * XOR_HALF, XOR_HALF);
	KILL_POINT();
	if (xor_forget(s, take) == -1)
		return -1;
	errno = EAGAIN;
	return put > 0 ? put : -1;
}

/* Makes the plan that follows on one of which all is out. */
static void
xor_plan_next(struct xor_state *x, uint32_t length)
{
	const struct xor_plan *was = xor_plan(x);
	const uint32_t no = SHM_LOAD(x->plan_no) + 1;

	x->plan[no & 1] = (struct xor_plan){.cipher = was->cipher + x->done,
	    .plain = was->plain + was->length,
	    .number = was->number + (was->length + XOR_RECORD - 1) / XOR_RECORD,
	    .length = length};
	SHM_STORE(x->plan_no, no);
	x->done = 0;
}

/* Writes the records of a plan from the byte on that the kernel lacks. */
static size_t
xor_seal_plan(const struct xor_state *x, const struct xor_plan *p,
    const uint8_t *plain, uint8_t *out)
{
	uint32_t from = xor_whole(p, x->done), number, len;
	const size_t skip = x->done % (XOR_HEAD + XOR_RECORD);
	size_t n = 0;

	for (; from < p->length; from += len, plain += len) {
		len = p->length - from;
		if (len > XOR_RECORD)
			len = XOR_RECORD;
		number = p->number + from / XOR_RECORD;
		out[n++] = (uint8_t)(len >> 8);
		out[n++] = (uint8_t)len;
		out[n++] = (uint8_t)number;
		for (uint32_t k = 0; k < len; k++)
			out[n++] = xor_byte(plain[k], number, k);
	}
	memmove(out, out + skip, n - skip);
	return n - skip;
}

static ssize_t
xor_seal(const struct transport_socket *s, const uint8_t *plain, size_t len,
    uint8_t *out)
{
	struct xor_state *x = s->state;
	const struct xor_plan *p = xor_plan(x);

	if (p->length != XOR_END && x->done == xor_size(p)) {
		xor_plan_next(x, len < XOR_PLAN ? (uint32_t)len : XOR_PLAN);
		p = xor_plan(x);
	}
	if (p->length > XOR_PLAN || x->done > xor_size(p) ||
	    p->length - xor_whole(p, x->done) > len ||
	    (s->at != 0 && s->at != p->plain + xor_whole(p, x->done))) {
		errno = EPROTO;
		return -1;
	}
	return (ssize_t)xor_seal_plan(x, p, plain, out);
}

static ssize_t
xor_sent(const struct transport_socket *s, size_t n)
{
	struct xor_state *x = s->state;
	const struct xor_plan *p = xor_plan(x);
	const uint32_t before = xor_whole(p, x->done);

	x->done += n;
	return xor_whole(p, x->done) - before;
}

static int
xor_positions(const struct transport_socket *s, bool read, struct counters *out)
{
	struct xor_state *x = s->state;
	const struct xor_in *in = xor_in(x);
	const struct xor_plan *p = xor_plan(x);

	/* what was read is needed in any case: the kernel may still have it */
	if (counters_read(s->fd, true, out) == -1 || !SHM_LOAD(x->greeted))
		return -1;
	if (out->closed)
		return 0;
	if (out->written < p->cipher ||
	    out->written - p->cipher > xor_size(p) || out->read > in->cipher ||
	    xor_forget(s, in->cipher - out->read) == -1)
		return -1;
	x->done = out->written - p->cipher;
	out->written = p->plain + xor_whole(p, x->done);
	out->read = in->plain + in->given;
	return 0;
}

static bool
xor_unread(const struct transport_socket *s)
{
	uint8_t one;

	return recv(s->fd, &one, 1, MSG_PEEK | MSG_DONTWAIT) > 0;
}

/* The last record says that it is the last, if no other one is half out. */
static enum transport_wait
xor_stop(const struct transport_socket *s)
{
	struct xor_state *x = s->state;
	const struct xor_plan *p = xor_plan(x);
	uint8_t last[XOR_HEAD] = {0};
	ssize_t n;

	if (SHM_LOAD(x->greeted) && p->length != XOR_END &&
	    x->done == xor_size(p))
		xor_plan_next(x, XOR_END);
	p = xor_plan(x);
	if (p->length == XOR_END && x->done < XOR_HEAD) {
		last[2] = (uint8_t)p->number;
		n = send(s->fd, last + x->done, XOR_HEAD - x->done,
		    MSG_DONTWAIT | MSG_NOSIGNAL);
		KILL_POINT();
		if (n > 0)
			x->done += (uint64_t)n;
		if (x->done < XOR_HEAD && (n >= 0 || errno == EAGAIN))
			return TRANSPORT_WRITES;
	}
	shutdown(s->fd, SHUT_WR);
	return TRANSPORT_READY;
}

static void
xor_reset(const struct transport_socket *s)
{
	static const struct sockaddr none = {.sa_family = AF_UNSPEC};

	(void)connect(s->fd, &none, sizeof(none));
}

static size_t
xor_rested(const struct transport_socket *s)
{
	return xor_in(s->state)->have != 0 ? XOR_PAGE : 0;
}

const struct transport xor_transport = {.name = "xor",
    .state_bytes = sizeof(struct xor_state),
    .state_version = 1,
    .start = xor_start,
    .recv = xor_recv,
    .rested = xor_rested,
    .seal = xor_seal,
    .sent = xor_sent,
    .unread = xor_unread,
    .positions = xor_positions,
    .stop = xor_stop,
    .reset = xor_reset};
