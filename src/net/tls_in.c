/*
 * What comes over TLS. The state says which record comes next, and what of it
 * lies in the rest; a store of `in_no` commits that, then the kernel forgets
 * what is before it. Nothing that counts is changed before that store: a record
 * that did not come whole begins in the half of the rest where the one before
 * it does not lie, or goes on behind what counts of it.
 */
#include <errno.h>
#include <string.h>
#include <sys/param.h>
#include <sys/socket.h>

#include "tls.h"

enum {
	IN_READ = 64 * 1024, /* bytes that are looked at, at once */
	IN_PAGE = 4096,	     /* bytes */
	IN_END = 1	     /* the peer says that nothing more comes */
};
/* What the peer has sent behind the part of a record, and plaintext of one. */
static uint8_t in_bytes[TLS_RECORD_MAX + IN_READ];
static uint8_t in_plain[TLS_RECORD_MAX];
static unsigned in_quiet; /* records without data, of the last recv */

bool
tls_in_get(const struct tls_wire *w, struct tls_in *in)
{
	memcpy(in, &w->in[SHM_LOAD(w->in_no) & 1], sizeof(*in));
	return tls_suite(in->suite) != NULL && in->half <= 1 &&
	    in->have < TLS_RECORD_MAX && in->given <= TLS_PLAIN_MAX;
}

/* An alert of the peer's: 0, IN_END, or minus an alert; -1: the peer has ended
 * the connection. */
static int
in_alert(const struct tls_in *in, const uint8_t *bytes, size_t len)
{
	if (len != 2)
		return -TLS_DECODE_ERROR;
	if (bytes[1] == TLS_CLOSE_NOTIFY)
		return IN_END;
	if (bytes[1] == TLS_USER_CANCELED ||
	    (tls_suite(in->suite)->old && bytes[0] == 1))
		return 0;
	return -1;
}

/* A message of a handshake: 0, or minus an alert. */
static int
in_handshake(struct tls_in *in, const uint8_t *bytes, size_t len)
{
	uint8_t next[TLS_SECRET_MAX];
	int r = tls_key_update_read(in->suite, bytes, len);

	if (r == -TLS_NO_RENEGOTIATION) {
		in->asked++;
		return 0;
	}
	if (r < 0)
		return r;
	if (tls_secret_next(in->suite, in->secret, next) == -1)
		return -TLS_INTERNAL_ERROR;
	memcpy(in->secret, next, sizeof(next));
	explicit_bzero(next, sizeof(next));
	in->number = UINT64_MAX; /* the next one is 0 */
	in->gen++;
	in->asked += (uint32_t)r;
	return 0;
}

/* Opens one whole record, of which *put bytes of plaintext go out. 0, IN_END,
 * or minus an alert. Then it is not done with if given > 0. */
static int
in_record(const struct transport_socket *s, struct tls_in *in,
    const uint8_t *record, size_t length, uint8_t *out, size_t room,
    size_t *put)
{
	struct tls_key key;
	const struct tls_key *k =
	    tls_wire_key(s, TLS_READS, in->suite, in->secret, &key);
	size_t len, n;
	int type, r = 0;

	if (k == NULL)
		return -TLS_INTERNAL_ERROR;
	type =
	    tls_open(in->suite, k, in->number, record, length, in_plain, &len);
	if (type < 0)
		return type;
	if (type != TLS_DATA || len == 0) {
		if (in->quiet >= TLS_QUIET_MAX || in->given != 0)
			return -TLS_UNEXPECTED_MESSAGE;
		if (type == TLS_ALERT)
			r = in_alert(in, in_plain, len);
		else if (type == TLS_HANDSHAKE)
			r = in_handshake(in, in_plain, len);
		if (r == 0) {
			in->quiet++;
			in_quiet++;
			in->number++;
		}
		return r;
	}
	if (in->given >= len)
		return -TLS_INTERNAL_ERROR;
	n = MIN(len - in->given, room);
	memcpy(out, in_plain + in->given, n);
	*put += n;
	in->quiet = 0;
	in->given += (uint32_t)n;
	if (in->given == len) {
		in->given = 0;
		in->plain += len;
		in->number++;
	}
	return 0;
}

/* Opens the records in n bytes: as in_record(). *at: behind the last one of
 * which all is put out. */
static int
in_records(const struct transport_socket *s, struct tls_in *in,
    const uint8_t *bytes, size_t n, uint8_t *out, size_t room, size_t *put,
    size_t *at)
{
	ssize_t len;
	int r = 0;

	*put = *at = 0;
	while (*put < room && r == 0) {
		len = tls_record_length(in->suite, bytes + *at, n - *at);
		if (len < 0)
			return (int)len;
		if (len == 0 || (size_t)len > n - *at)
			break;
		r = in_record(s, in, bytes + *at, (size_t)len, out + *put,
		    room - *put, put);
		if (r == 0 && in->given == 0)
			*at += (size_t)len;
	}
	return r;
}

/* Notes that the first n bytes of a half of the rest may have memory; 0: they
 * have none any more. */
static void
in_rested(struct tls_wire *w, uint8_t half, size_t n)
{
	const uint32_t shift = 8U * half,
		       pages = (uint32_t)((n + IN_PAGE - 1) / IN_PAGE),
		       was = SHM_LOAD(w->rested);

	if (n == 0 || pages > (was >> shift & 0xff))
		SHM_STORE(
		    w->rested, (was & ~(0xffU << shift)) | pages << shift);
}

size_t
tls_wire_rested(const struct transport_socket *s)
{
	const struct tls_wire *w = s->state;
	const uint32_t pages = SHM_LOAD(w->rested);
	const size_t bytes =
	    (size_t)((pages & 0xff) + (pages >> 8 & 0xff)) * IN_PAGE;

	return MIN(bytes, (size_t)TRANSPORT_REST);
}

void
tls_in_tidy(const struct transport_socket *s, struct tls_wire *w)
{
	const uint32_t no = SHM_LOAD(w->in_no), rested = SHM_LOAD(w->rested);
	const struct tls_in *in = &w->in[no & 1];
	struct tls_in *other = &w->in[(no + 1) & 1];

	if (other->gen != in->gen)
		explicit_bzero(other->secret, sizeof(other->secret));
	for (uint8_t half = 0; rested != 0 && half <= 1; half++)
		if ((rested >> 8U * half & 0xff) != 0 &&
		    (in->have == 0 || in->half != half)) {
			transport_rest_free(s, half * TLS_HALF, TLS_HALF);
			in_rested(w, half, 0);
		}
}

/* Puts what no whole record is into the rest, `had` bytes of which are there
 * already. */
static void
in_keep(const struct transport_socket *s, struct tls_wire *w, struct tls_in *in,
    const uint8_t *bytes, size_t n, size_t had, size_t at)
{
	if (at > 0)
		in->half ^= had > 0;
	in_rested(w, in->half, n - at);
	if (at == 0 && had > 0) { /* more of the same one */
		memcpy(
		    s->rest + in->half * TLS_HALF + had, bytes + had, n - had);
	} else {
		memcpy(s->rest + in->half * TLS_HALF, bytes + at, n - at);
	}
	KILL_POINT();
	in->have = (uint32_t)(n - at);
}

/* Makes `in` what counts. */
static void
in_commit(const struct transport_socket *s, struct tls_wire *w,
    const struct tls_in *in)
{
	const uint32_t no = SHM_LOAD(w->in_no);

	w->in[(no + 1) & 1] = *in;
	SHM_STORE(w->in_no, no + 1);
	tls_in_tidy(s, w);
}

/* Takes n bytes that nobody reads from the kernel: if it has some when the
 * socket is closed it resets the connection, and what we said at the end may
 * not arrive. */
static void
in_discard(const struct transport_socket *s, struct tls_in *in, size_t n)
{
	in->have = 0;
	in->cipher += n;
	in_commit(s, tls_wire(s), in);
	(void)tls_wire_forget(s, n);
}

void
tls_in_end(const struct transport_socket *s)
{
	struct tls_wire *w = tls_wire(s);
	uint8_t out[1];
	struct tls_in in;
	size_t put, at;
	ssize_t n;

	if (w == NULL || !tls_in_get(w, &in))
		return;
	memcpy(in_bytes, s->rest + in.half * TLS_HALF, in.have);
	n = recv(s->fd, in_bytes + in.have, IN_READ, MSG_PEEK | MSG_DONTWAIT);
	if (n > 0 &&
	    in_records(s, &in, in_bytes, in.have + (size_t)n, out, sizeof(out),
		&put, &at) == IN_END)
		in_discard(s, &in, (size_t)n);
}

/* The peer has broken the protocol, or ended it. */
static ssize_t
in_fail(const struct transport_socket *s, struct tls_in *in, size_t n, int r)
{
	if (r != -1)
		(void)tls_wire_alert(s, false, (enum tls_alert) - r);
	in_discard(s, in, n);
	errno = r == -1 ? ECONNRESET : EPROTO;
	return -1;
}

unsigned
tls_wire_quiet(void)
{
	return in_quiet;
}

ssize_t
tls_wire_recv(const struct transport_socket *s, void *out, size_t len)
{
	struct tls_wire *w = tls_wire(s);
	struct tls_in in;
	size_t had, all, put, at, take;
	uint32_t asked;
	ssize_t n;
	int r;

	if (w == NULL || !tls_in_get(w, &in)) {
		errno = EBADMSG;
		return -1;
	}
	had = in.have;
	asked = in.asked;
	in_quiet = 0;
	memcpy(in_bytes, s->rest + in.half * TLS_HALF, had);
	n = recv(s->fd, in_bytes + had, MIN(len + TLS_RECORD_MAX, IN_READ),
	    MSG_PEEK | MSG_DONTWAIT);
	if (n <= 0)
		return n;
	all = had + (size_t)n;
	r = in_records(s, &in, in_bytes, all, out, len, &put, &at);
	if (r < 0 && put == 0)
		return in_fail(s, &in, (size_t)n, r);
	take = (size_t)n;
	if (r == 0 && put < len) { /* what is left is no whole record */
		if (at < all)
			in_keep(s, w, &in, in_bytes, all, had, at);
		else
			in.have = 0;
	} else if (at >= had) { /* the next ones are read soon */
		in.have = 0;
		take = at - had;
	} else
		take = 0;
	in.cipher += take;
	if (take > 0 || put > 0)
		in_commit(s, w, &in);
	if (tls_wire_forget(s, take) == -1)
		return -1;
	if (in.asked != asked && tls_suite(in.suite)->old)
		(void)tls_wire_alert(s, true, TLS_NO_RENEGOTIATION);
	if (put > 0)
		return (ssize_t)put;
	errno = EAGAIN;
	return r == IN_END ? 0 : -1;
}
