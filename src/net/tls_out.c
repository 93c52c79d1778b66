/*
 * What goes out over TLS. A plan names the records that are sealed next, and
 * all that they depend on; a store of `plan_no` commits it before any of them
 * is sealed, nothing changes it, and there is no other one before the kernel
 * has taken all of it. So a number of a key has one plaintext, who seals
 * it, how often soever; tags of the first sealing are compared with those of
 * each other one before anything goes out.
 */
#include <errno.h>
#include <string.h>
#include <sys/param.h>
#include <sys/socket.h>
#include <time.h>

#include "tls.h"

enum {
	OUT_DAY = 24 * 60 * 60, /* s that a key is used for, about */
	OUT_FATAL = 2,
	OUT_WARNING = 1
};

uint32_t
tls_wire_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
	return (uint32_t)now.tv_sec;
}

/* Of two words at a time; each step can be undone, so a change of one word is
 * always seen. Who means to deceive can compute it, as the key of a hash would
 * lie beside it. (SipHash took 30 ns, thrice for each record.) */
uint64_t
tls_plan_check(const struct tls_plan *p)
{
	const uint64_t odd = UINT64_C(0x9e3779b97f4a7c15);
	uint64_t word[(sizeof(*p) - sizeof(p->check)) / sizeof(uint64_t)];
	uint64_t a = 1, b = 2;

	_Static_assert(sizeof(word) + sizeof(p->check) == sizeof(*p) &&
		sizeof(word) % (2 * sizeof(*word)) == 0,
	    "pairs of words");
	memcpy(word, (const uint8_t *)p + sizeof(p->check), sizeof(word));
	for (size_t k = 0; k < sizeof(word) / sizeof(*word); k += 2) {
		a = (a ^ word[k]) * odd;
		b = (b ^ word[k + 1]) * odd;
		a ^= a >> 32;
		b ^= b >> 32;
	}
	return a ^ (b << 32 | b >> 32);
}

static uint32_t
out_records(const struct tls_plan *p)
{
	return (p->length + p->record - 1) / p->record;
}

/* Bytes of one of a plan's records, but of the last one. */
static uint32_t
out_step(const struct tls_plan *p)
{
	return p->record + tls_suite(p->suite)->overhead;
}

uint64_t
tls_plan_size(const struct tls_plan *p)
{
	return p->length + out_records(p) * tls_suite(p->suite)->overhead;
}

uint32_t
tls_plan_whole(const struct tls_plan *p, uint64_t done)
{
	if (p->type != TLS_DATA)
		return 0;
	if (done == tls_plan_size(p))
		return p->length;
	return (uint32_t)(done / out_step(p)) * p->record;
}

bool
tls_plan_get(const struct tls_wire *w, struct tls_plan *p)
{
	const uint32_t no = SHM_LOAD(w->plan_no);

	memcpy(p, &w->plan[no & 1], sizeof(*p));
	return p->no == no && p->check == tls_plan_check(p) &&
	    tls_suite(p->suite) != NULL && p->record >= TLS_RECORD_LEAST &&
	    p->record <= TLS_PLAIN_MAX && p->length <= TRANSPORT_PLAIN_MAX &&
	    out_records(p) <= TLS_TAGS &&
	    (p->type == TLS_DATA || p->length <= TLS_RECORD_LEAST);
}

bool
tls_plan_can(const struct tls_wire *w, const struct tls_plan *p, uint64_t done)
{
	return done <= tls_plan_size(p) &&
	    (done == 0 || SHM_LOAD(w->sealed) == p->no);
}

/* How much of a plan's records the kernel has taken. False: the state is
 * corrupted. */
static bool
out_done(const struct tls_wire *w, const struct tls_plan *p, uint64_t *done)
{
	*done = SHM_ONCE(w->done);
	return tls_plan_can(w, p, *done);
}

/* How many of the peer's messages are to be answered, ever. */
static uint32_t
out_asked(const struct tls_wire *w)
{
	return SHM_ONCE(w->in[SHM_LOAD(w->in_no) & 1].asked);
}

void
tls_plan_tidy(struct tls_wire *w)
{
	const uint32_t no = SHM_LOAD(w->plan_no);
	struct tls_plan *was = &w->plan[(no + 1) & 1];

	if (was->gen != w->plan[no & 1].gen)
		explicit_bzero(was->secret, sizeof(was->secret));
}

/* Whether nothing may follow a plan. */
static bool
out_ends(const struct tls_plan *p)
{
	return p->type == TLS_ALERT &&
	    (p->level == OUT_FATAL || p->alert == TLS_CLOSE_NOTIFY);
}

/* Plaintext of a plan that is not output: returns its length. */
static uint32_t
out_text(const struct tls_plan *p, uint8_t text[TLS_RECORD_LEAST])
{
	memset(text, 0, TLS_RECORD_LEAST);
	if (p->type == TLS_HANDSHAKE) {
		tls_key_update_write(text);
		return TLS_KEY_UPDATE_BYTES;
	}
	text[0] = p->level;
	text[1] = p->alert;
	return 2;
}

/* Makes the plan that follows on one of which all is out, and commits it: `to`
 * says its type, and how long it is or which alert. -1: errno. */
static int
out_next(struct tls_wire *w, struct tls_plan *p, const struct tls_plan *to)
{
	uint8_t text[TLS_RECORD_LEAST], next[TLS_SECRET_MAX];

	p->cipher += tls_plan_size(p);
	p->plain += tls_plan_whole(p, tls_plan_size(p));
	p->number += out_records(p);
	if (p->type == TLS_HANDSHAKE) {
		if (tls_secret_next(p->suite, p->secret, next) == -1) {
			errno = ENOMEM;
			return -1;
		}
		memcpy(p->secret, next, sizeof(next));
		explicit_bzero(next, sizeof(next));
		p->gen++;
		p->number = 0;
		p->since = tls_wire_now();
	}
	p->no++;
	p->type = to->type;
	p->level = to->level;
	p->alert = to->alert;
	p->answered = to->answered;
	p->length = to->type == TLS_DATA ? to->length : out_text(p, text);
	p->check = tls_plan_check(p);
	w->plan[p->no & 1] = *p;
	SHM_STORE(w->plan_no, p->no);
	w->done = 0;
	tls_plan_tidy(w);
	return 0;
}

/* Makes the plan for so much output, or for what is to be said before it. */
static int
out_next_data(struct tls_wire *w, struct tls_plan *p, size_t len)
{
	const struct tls_suite *suite = tls_suite(p->suite);
	const uint32_t asked = out_asked(w);
	const bool spent = p->number + out_records(p) >= suite->limit,
		   asks = asked != p->answered;
	struct tls_plan to = {.type = TLS_DATA, .answered = p->answered};

	if (suite->old && (spent || asks)) {
		/* of TLS 1.2 there is no other key */
		to.type = TLS_ALERT;
		to.level = OUT_WARNING;
		to.alert = spent ? TLS_CLOSE_NOTIFY : TLS_NO_RENEGOTIATION;
		to.answered = asked;
	} else if (!suite->old &&
	    (asks ||
		(p->type != TLS_HANDSHAKE && /* else its key is new */
		    (spent || tls_wire_now() - p->since >= OUT_DAY)))) {
		to.type = TLS_HANDSHAKE;
		to.answered = asked;
	} else {
		len = MIN(len, (size_t)p->record * TLS_PLAN_RECORDS);
		to.length = (uint32_t)MIN(len, (size_t)TRANSPORT_PLAIN_MAX);
	}
	return out_next(w, p, &to);
}

/* Notes the end of a record's tag, or compares it with that of the first
 * sealing. */
static bool
out_tag(struct tls_wire *w, uint32_t k, bool again, const uint8_t *end)
{
	uint64_t tag;

	memcpy(&tag, end - sizeof(tag), sizeof(tag));
	if (!again)
		w->tag[k] = tag;
	return w->tag[k] == tag;
}

/* Seals the records of a plan from the byte on that the kernel lacks: `plain`
 * is plaintext from the begin of the record on in which that lies. As
 * tls_wire_seal(). */
static ssize_t
out_seal(const struct transport_socket *s, struct tls_wire *w,
    const struct tls_plan *p, uint64_t done, const uint8_t *plain, uint8_t *out)
{
	const uint32_t first = (uint32_t)(done / out_step(p)),
		       records = out_records(p);
	const size_t skip = done % out_step(p);
	const bool again = SHM_LOAD(w->sealed) == p->no;
	struct tls_key key;
	const struct tls_key *have =
	    tls_wire_key(s, TLS_WRITES, p->suite, p->secret, &key);
	uint32_t k, len;
	size_t n = 0;
	ssize_t r;

	if (have == NULL)
		return -1;
	errno = EBADMSG;
	for (k = first; k < records; k++, plain += len) {
		len = MIN(p->record, p->length - k * p->record);
		r = tls_seal(p->suite, have, p->number + k,
		    p->nonce + p->number + k, p->type, plain, len, out + n);
		if (r == -1)
			return -1;
		n += (size_t)r;
		if (!out_tag(w, k, again, out + n))
			return -1;
	}
	if (!again)
		SHM_STORE(w->sealed, p->no);
	if (skip > 0)
		memmove(out, out + skip, n - skip);
	return (ssize_t)(n - skip);
}

/* Whether output begins where the plan says. */
static bool
out_is_at(
    const struct transport_socket *s, const struct tls_plan *p, uint64_t done)
{
	return s->at == 0 || s->at == p->plain + tls_plan_whole(p, done);
}

ssize_t
tls_wire_seal(const struct transport_socket *s, const uint8_t *plain,
    size_t len, uint8_t *out)
{
	struct tls_wire *w = tls_wire(s);
	uint8_t text[TLS_RECORD_LEAST];
	struct tls_plan p;
	uint64_t done;

	errno = EBADMSG;
	if (w == NULL || !tls_plan_get(w, &p) || !out_done(w, &p, &done) ||
	    !out_is_at(s, &p, done))
		return -1;
	if (done == tls_plan_size(&p)) {
		if (len == 0)
			return 0;
		if (out_ends(&p)) {
			errno = EPIPE;
			return -1;
		}
		if (out_next_data(w, &p, len) == -1)
			return -1;
		done = 0;
	}
	if (p.type != TLS_DATA) {
		(void)out_text(&p, text);
		plain = text;
	} else if (p.length - tls_plan_whole(&p, done) > len) {
		errno = EBADMSG;
		return -1;
	}
	return out_seal(s, w, &p, done, plain, out);
}

ssize_t
tls_wire_sent(const struct transport_socket *s, size_t n)
{
	struct tls_wire *w = tls_wire(s);
	struct tls_plan p;
	uint64_t done;

	errno = EBADMSG;
	if (w == NULL || !tls_plan_get(w, &p) || !out_done(w, &p, &done) ||
	    n > tls_plan_size(&p) - done)
		return -1;
	w->done = done + n;
	return tls_plan_whole(&p, done + n) - tls_plan_whole(&p, done);
}

/* Sends what is not out of a plan that needs no output. */
static enum transport_wait
out_push(const struct transport_socket *s, struct tls_wire *w,
    const struct tls_plan *p)
{
	uint8_t text[TLS_RECORD_LEAST],
	    out[TLS_RECORD_LEAST + TLS_OVERHEAD_MAX];
	uint64_t done;
	ssize_t n;

	for (;;) {
		if (!out_done(w, p, &done))
			return TRANSPORT_FAILED;
		if (done == tls_plan_size(p))
			return TRANSPORT_READY;
		if (out_text(p, text) != p->length)
			return TRANSPORT_FAILED;
		n = out_seal(s, w, p, done, text, out);
		if (n <= 0)
			return TRANSPORT_FAILED;
		n = send(s->fd, out, (size_t)n, MSG_DONTWAIT | MSG_NOSIGNAL);
		KILL_POINT();
		if (n == -1)
			return errno == EAGAIN || errno == EINTR
			    ? TRANSPORT_WRITES
			    : TRANSPORT_FAILED;
		w->done = done + (uint64_t)n;
	}
}

enum transport_wait
tls_wire_alert(
    const struct transport_socket *s, bool warning, enum tls_alert alert)
{
	struct tls_wire *w = tls_wire(s);
	struct tls_plan p,
	    to = {.type = TLS_ALERT,
		.level = warning ? OUT_WARNING : OUT_FATAL,
		.alert = (uint8_t)alert};
	enum transport_wait wait = TRANSPORT_READY;
	uint64_t done;

	if (w == NULL || !tls_plan_get(w, &p))
		return TRANSPORT_FAILED;
	if (p.type != TLS_DATA)
		wait = out_push(s, w, &p);
	if (wait != TRANSPORT_READY || out_ends(&p))
		return wait;
	to.answered = alert == TLS_NO_RENEGOTIATION ? out_asked(w) : p.answered;
	if (!out_done(w, &p, &done) || done != tls_plan_size(&p) ||
	    out_next(w, &p, &to) == -1)
		return TRANSPORT_FAILED;
	return out_push(s, w, &p);
}
