/*
 * A connection over TLS behind its handshake, which another process has gone
 * through. Both directions follow the rule of two copies and one store, see
 * tls_in.c and tls_out.c.
 */
#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include "base/sparse.h"
#include "tls.h"

extern const struct transport tls_transport;

enum {
	/* Connections whose keys are kept, by number. */
	TLS_KEYS = 1 << 21,
	TLS_FORGET = 64 * 1024 /* bytes that are looked at, at once */
};

/* A key, and the begin of its secret: those of another connection, or of
 * another generation, differ in it. */
struct tls_kept {
	uint64_t mark;
	struct tls_key key;
};

struct tls_wire *
tls_wire(const struct transport_socket *s)
{
	struct tls_wire *w = s->state;

	return w != NULL && SHM_LOAD(w->begun) ? w : NULL;
}

/* Where keys are kept. It is not in a dump of memory. NULL: there is no room.
 */
static struct tls_kept *
tls_kept(uint32_t conn, enum tls_way way)
{
	static struct tls_kept(*kept)[TLS_WAYS];
	static bool full;

	if (conn >= TLS_KEYS || full)
		return NULL;
	if (kept == NULL) {
		kept = sparse_new(TLS_KEYS, sizeof(*kept));
		full = kept == NULL;
		if (full)
			return NULL;
		(void)madvise(kept, TLS_KEYS * sizeof(*kept), MADV_DONTDUMP);
	}
	return &kept[conn][way];
}

const struct tls_key *
tls_wire_key(const struct transport_socket *s, enum tls_way way, uint8_t suite,
    const uint8_t secret[TLS_SECRET_MAX], struct tls_key *room)
{
	static bool ready;
	struct tls_kept *k;
	uint64_t mark;

	if (!ready && tls_init() == -1) {
		errno = ENOMEM;
		return NULL;
	}
	ready = true;
	memcpy(&mark, secret, sizeof(mark));
	/* of TLS 1.2 it is a copy */
	k = tls_suite(suite)->old ? NULL : tls_kept(s->conn, way);
	if (k != NULL && k->mark == mark && mark != 0)
		return &k->key;
	memset(room, 0, sizeof(*room));
	if (tls_key_of(suite, secret, room) == -1) {
		errno = ENOMEM;
		return NULL;
	}
	if (k != NULL)
		*k = (struct tls_kept){.mark = mark, .key = *room};
	return room;
}

/* Whether a birth is one that can be. */
static bool
birth_is_sound(const struct tls_birth *b)
{
	const struct tls_suite *suite = tls_suite(b->suite);

	return suite != NULL && b->read_number < suite->limit &&
	    b->write_number < suite->limit &&
	    (b->record == 0 ||
		(b->record >= TLS_RECORD_LEAST && b->record <= TLS_PLAIN_MAX));
}

static int
tls_wire_begin(const struct transport_socket *s, const void *birth, size_t len)
{
	struct tls_wire *w = s->state;
	struct tls_plan *p = &w->plan[0];
	struct counters k;
	struct tls_birth b;

	if (len == sizeof(b))
		memcpy(&b, birth, sizeof(b));
	if (len != sizeof(b) || b.version != TLS_BIRTH_VERSION) {
		errno = EBUSY; /* not here: a worker of that program may */
		return -1;
	}
	if (!birth_is_sound(&b)) {
		errno = EPROTO;
		return -1;
	}
	if (counters_read(s->fd, true, &k) == -1)
		return -1;
	if (k.closed) {
		errno = ECONNRESET;
		return -1;
	}
	if (k.read != b.read || k.written != b.written) {
		errno = ESTALE;
		return -1;
	}
	memset(w, 0, sizeof(*w));
	w->read_cipher = k.read;
	w->read_number = b.read_number;
	w->in[0] = (struct tls_in){
	    .cipher = k.read, .number = b.read_number, .suite = b.suite};
	memcpy(w->in[0].secret, b.read_secret, TLS_SECRET_MAX);
	*p = (struct tls_plan){.cipher = k.written,
	    .number = b.write_number,
	    .nonce = b.nonce - b.write_number,
	    .record = b.record != 0 && b.record < TLS_RECORD_USUAL
		? b.record
		: TLS_RECORD_USUAL,
	    .since = tls_wire_now(),
	    .suite = b.suite,
	    .type = TLS_DATA};
	memcpy(p->secret, b.write_secret, TLS_SECRET_MAX);
	p->check = tls_plan_check(p);
	explicit_bzero(&b, sizeof(b));
	SHM_STORE(w->begun, 1);
	return 0;
}

/* A process may have died when it had read, and the kernel had not forgotten:
 * then it is read again from its begin. */
static bool
tls_wire_fresh(const struct transport_socket *s)
{
	struct tls_wire *w = tls_wire(s);
	struct tls_in in;
	struct counters k;

	if (w == NULL || SHM_LOAD(w->plan_no) != 0 || !tls_in_get(w, &in) ||
	    counters_read(s->fd, true, &k) == -1 || k.closed || k.fin_sent ||
	    k.read != w->read_cipher || k.written != w->plan[0].cipher ||
	    in.gen != 0)
		return false;
	if (SHM_LOAD(w->in_no) == 0)
		return true;
	in = (struct tls_in){.cipher = w->read_cipher,
	    .number = w->read_number,
	    .suite = in.suite};
	memcpy(in.secret, w->in[SHM_LOAD(w->in_no) & 1].secret, TLS_SECRET_MAX);
	w->in[(SHM_LOAD(w->in_no) + 1) & 1] = in;
	SHM_STORE(w->in_no, SHM_LOAD(w->in_no) + 1);
	return true;
}

int
tls_wire_forget(const struct transport_socket *s, uint64_t bytes)
{
	ssize_t n;

	for (; bytes > 0; bytes -= (uint64_t)n) {
		n = recv(s->fd, NULL, bytes, MSG_TRUNC | MSG_DONTWAIT);
		if (n == -1 && errno == EINTR)
			n = 0;
		else if (n <= 0)
			return -1;
		KILL_POINT();
	}
	return 0;
}

static int
tls_wire_positions(
    const struct transport_socket *s, bool read, struct counters *out)
{
	struct tls_wire *w = tls_wire(s);
	struct tls_in in;
	struct tls_plan p;

	/* what was read is needed in any case: the kernel may still have it */
	if (w == NULL || counters_read(s->fd, true, out) == -1)
		return -1;
	if (out->closed)
		return 0;
	if (!tls_in_get(w, &in) || !tls_plan_get(w, &p) ||
	    out->written < p.cipher ||
	    !tls_plan_can(w, &p, out->written - p.cipher) ||
	    out->read > in.cipher || in.cipher - out->read > TLS_FORGET ||
	    tls_wire_forget(s, in.cipher - out->read) == -1)
		return -1;
	tls_in_tidy(s, w);
	tls_plan_tidy(w);
	w->done = out->written - p.cipher;
	out->written = p.plain + tls_plan_whole(&p, w->done);
	out->read = in.plain + in.given;
	return 0;
}

static bool
tls_wire_unread(const struct transport_socket *s)
{
	int bytes = 0;

	return ioctl(s->fd, FIONREAD, &bytes) == 0 && bytes > 0;
}

/* What is left over of output is not sent, and then nothing says that it is the
 * end. */
static enum transport_wait
tls_wire_stop(const struct transport_socket *s)
{
	if (tls_wire(s) != NULL &&
	    tls_wire_alert(s, true, TLS_CLOSE_NOTIFY) == TRANSPORT_WRITES)
		return TRANSPORT_WRITES;
	shutdown(s->fd, SHUT_WR);
	KILL_POINT();
	/* then the FIN says that it has ended, when the peer's end is gone */
	tls_in_end(s);
	return TRANSPORT_READY;
}

/* Keys go with the connection. */
static void
tls_wire_forgotten(const struct transport_socket *s)
{
	struct tls_kept *k;

	for (enum tls_way way = 0; way < TLS_WAYS; way++) {
		k = tls_kept(s->conn, way);
		if (k != NULL && k->mark != 0)
			explicit_bzero(k, sizeof(*k));
	}
}

static void
tls_wire_reset(const struct transport_socket *s)
{
	static const struct sockaddr none = {.sa_family = AF_UNSPEC};

	(void)connect(s->fd, &none, sizeof(none));
}

const struct transport tls_transport = {.name = "tls",
    .state_bytes = sizeof(struct tls_wire),
    .state_version = 1,
    .begin = tls_wire_begin,
    .fresh = tls_wire_fresh,
    .recv = tls_wire_recv,
    .quiet = tls_wire_quiet,
    .rested = tls_wire_rested,
    .seal = tls_wire_seal,
    .sent = tls_wire_sent,
    .unread = tls_wire_unread,
    .positions = tls_wire_positions,
    .secure = true,
    .stop = tls_wire_stop,
    .forgotten = tls_wire_forgotten,
    .reset = tls_wire_reset};
