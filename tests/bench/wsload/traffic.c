#include "traffic.h"

#include "token.h"
#include "util.h"
#include "ws.h"

#include <stdlib.h>
#include <string.h>

enum { TX_MIN = 1 << 16, PADDING = 'x' };

/* Whom a client of scenario private writes to; -1: it is idle. */
static int
peer(const struct traffic *t, int client)
{
	if (t->pair[0] == t->pair[1])
		return client ^ 1;
	if (client == t->pair[0])
		return t->pair[1];
	return client == t->pair[1] ? t->pair[0] : -1;
}

/* ---- sending ---- */

static void
queue_sender(struct traffic *t, int s)
{
	if (!t->sender[s].queued) {
		t->sender[s].queued = 1;
		t->queue[t->queued++] = s;
	}
}

static void
flush_sender(struct traffic *t, struct sender *s)
{
	int opcode = t->opt->binary ? WS_BINARY : WS_TEXT;
	int id = (int)(s - t->sender);

	while (s->owed) {
		size_t len = 0;
		uint64_t now = now_ns();
		for (; s->owed && len + s->len + WS_MAX_HEAD <= t->tx_size;
		     s->owed--) {
			uint64_t stamp = now;
			if (t->opt->rate > 0) {
				stamp = s->due;
				if (now - stamp > t->max_late)
					t->max_late = now - stamp;
			}
			token_write(s->payload + s->token_at,
			    (struct token){.sender = (uint32_t)id,
				.seq = s->sent,
				.ns = stamp});
			t->mask = t->mask * 1664525u + 1013904223u;
			len += ws_client_frame(
			    t->tx + len, opcode, s->payload, s->len, t->mask);
			s->sent++;
			t->sent++;
		}
		engine_send(t->e, s->client, t->tx, len);
	}
}

static void
flush_queue(void *arg)
{
	struct traffic *t = arg;
	for (int k = 0; k < t->queued; k++) {
		struct sender *s = &t->sender[t->queue[k]];
		s->queued = 0;
		if (t->sending)
			flush_sender(t, s);
		s->owed = 0;
	}
	t->queued = 0;
}

/* ---- receiving ---- */

/* Notes one copy. Returns 1 if it is the first of this message. */
static int
note_copy(struct traffic *t, struct track *k, uint32_t seq)
{
	if (seq == k->next) {
		k->next++;
		k->seen = k->seen << 1 | 1;
	} else if (seq > k->next) { /* some are missing, so far */
		uint32_t step = seq - k->next + 1;
		k->seen = step < 64 ? k->seen << step | 1 : 1;
		k->next = seq + 1;
	} else {
		uint32_t back = k->next - 1 - seq;
		if (back >= 64 || k->seen >> back & 1) {
			t->duplicated++;
			return 0;
		}
		k->seen |= 1ull << back;
		t->reordered++;
	}
	k->distinct++;
	t->distinct++;
	return 1;
}

static void
take_token(struct traffic *t, int client, struct token m)
{
	struct engine *e = t->e;
	struct track *k;
	int private = t->opt->scenario == SC_PRIVATE;

	if (m.sender >= (uint32_t)t->senders ||
	    m.seq >= t->sender[m.sender].sent) {
		t->stray++;
		return;
	}
	if (private) {
		if (m.sender != (uint32_t)peer(t, client)) {
			t->misdelivered++;
			return;
		}
		k = &t->track[client];
	} else {
		k = &t->track[(size_t)client * (size_t)t->stride + m.sender];
	}
	t->last_arrival = e->now;
	if (!note_copy(t, k, m.seq))
		return;
	t->deliveries++;
	hist_add(&t->latency, e->now > m.ns ? e->now - m.ns : 0);

	int next = -1; /* the sender that may send another message */
	if (private) {
		next = client;
	} else if (t->opt->rate <= 0) {
		struct sender *s = &t->sender[m.sender];
		if (t->opt->ack_own) {
			if (s->client == client)
				next = (int)m.sender;
		} else if (++s->acks[m.seq & t->ack_mask] == t->receivers) {
			s->acks[m.seq & t->ack_mask] = 0;
			next = (int)m.sender;
		}
	}
	if (next >= 0 && t->sending) {
		t->sender[next].owed++;
		queue_sender(t, next);
	}
}

static void
on_payload(void *arg, int client, const uint8_t *p, size_t len)
{
	struct traffic *t = arg;
	const uint8_t *end = p + len;
	size_t pad = (size_t)t->opt->size - TOKEN_LEN;
	struct token m;
	int found = 0;

	while ((size_t)(end - p) >= TOKEN_LEN &&
	    (p = memchr(p, TOKEN_MARK, (size_t)(end - p)))) {
		if ((size_t)(end - p) < TOKEN_LEN)
			break;
		if (!token_read(p, &m)) {
			p++;
			continue;
		}
		found = 1;
		p += TOKEN_LEN;
		if ((size_t)(end - p) < pad || memcmp(p, t->padding, pad) != 0)
			t->corrupted++;
		take_token(t, client, m);
	}
	if (!found)
		t->other++;
}

/* ---- the run ---- */

/* Makes the message of a sender to a client. */
static void
set_payload(struct traffic *t, struct sender *s, int to)
{
	const struct options *o = t->opt;

	free(s->payload);
	s->payload = (uint8_t *)expand(o->message, o->first + s->client,
	    o->first + to, (const char *)t->padding, (size_t)o->size, &s->len,
	    &s->token_at);
	if (s->token_at < 0)
		die("--message: the template holds no %%b");
}

void
traffic_init(struct traffic *t, struct engine *e)
{
	const struct options *o = e->opt;
	int private = o->scenario == SC_PRIVATE;

	memset(t, 0, sizeof *t);
	t->e = e;
	t->opt = o;
	t->mask = 0x9d2c5680u;
	t->senders = private ? o->clients : o->publishers;
	t->sender = xcalloc((size_t)t->senders, sizeof *t->sender);
	t->queue = xcalloc((size_t)t->senders, sizeof *t->queue);
	t->stride = private ? 1 : o->publishers;
	t->track =
	    xcalloc((size_t)o->clients * (size_t)t->stride, sizeof *t->track);
	t->receivers = (uint32_t)(o->clients - o->no_self);
	t->padding = xcalloc(1, (size_t)o->size);
	memset(t->padding, PADDING, (size_t)o->size);

	uint32_t ring = 1;
	while (ring < 2 * (uint32_t)o->window)
		ring *= 2;
	t->ack_mask = ring - 1;

	size_t longest = 0;
	for (int i = 0; i < t->senders; i++) {
		struct sender *s = &t->sender[i];
		s->client =
		    private ? i : (int)((long)i * o->clients / o->publishers);
		set_payload(t, s, s->client ^ 1);
		if (s->len > longest)
			longest = s->len;
		if (!private && o->rate <= 0)
			s->acks = xcalloc(ring, sizeof *s->acks);
	}
	t->tx_size =
	    longest + WS_MAX_HEAD > TX_MIN ? longest + WS_MAX_HEAD : TX_MIN;
	t->tx = xcalloc(1, t->tx_size);

	e->on_payload = on_payload;
	e->on_client_done = flush_queue;
	e->arg = t;
}

void
traffic_pair(struct traffic *t, int a, int b)
{
	t->pair[0] = a;
	t->pair[1] = b;
	set_payload(t, &t->sender[a], b);
	set_payload(t, &t->sender[b], a);
}

void
traffic_start(struct traffic *t)
{
	int private = t->opt->scenario == SC_PRIVATE;

	t->sending = 1;
	t->first_due = t->last_arrival = t->e->now = now_ns();
	if (t->opt->rate > 0 && !private)
		return;
	for (int s = 0; s < t->senders; s++) {
		int to = peer(t, s);

		if (private && to < 0)
			continue;
		/* a pair's window is shared out between its two ends */
		t->sender[s].owed =
		    (uint32_t)(private ? (t->opt->window + (s < to)) / 2
				       : t->opt->window);
		queue_sender(t, s);
	}
	flush_queue(t);
}

/* Sends what is due in the open loop; returns when the next one is. */
static uint64_t
send_due(struct traffic *t)
{
	double gap = 1e9 / t->opt->rate;
	for (;;) {
		uint64_t due =
		    t->first_due + (uint64_t)((double)t->due_count * gap);
		if (due > t->e->now)
			return due;
		struct sender *s =
		    &t->sender[t->due_count % (uint64_t)t->senders];
		s->due = due;
		s->owed = 1;
		flush_sender(t, s);
		t->due_count++;
	}
}

static int
hopeless(struct traffic *t)
{
	struct engine *e = t->e;
	return engine_out_of_time(e) || e->alive == 0 ||
	    e->now - t->last_arrival > (uint64_t)(t->opt->stall * 1e9);
}

int
traffic_run_until(struct traffic *t, uint64_t until)
{
	struct engine *e = t->e;
	int open_loop = t->opt->rate > 0 && t->opt->scenario == SC_FANOUT;

	while (e->now < until) {
		uint64_t wake = until;
		if (open_loop && t->sending) {
			uint64_t due = send_due(t);
			if (due < wake)
				wake = due;
		}
		uint64_t stalled =
		    t->last_arrival + (uint64_t)(t->opt->stall * 1e9) + 1;
		engine_poll(e, stalled < wake ? stalled : wake);
		if (hopeless(t))
			return -1;
	}
	return 0;
}

uint64_t
traffic_expected(const struct traffic *t)
{
	return t->opt->scenario == SC_PRIVATE ? t->sent
					      : t->sent * t->receivers;
}

void
traffic_missing(
    const struct traffic *t, uint64_t *skipped, uint64_t *outstanding)
{
	size_t n = (size_t)t->opt->clients * (size_t)t->stride;
	uint64_t missing = traffic_expected(t) - t->distinct;

	*skipped = 0;
	for (size_t i = 0; i < n; i++)
		*skipped += t->track[i].next - t->track[i].distinct;
	*outstanding = missing > *skipped ? missing - *skipped : 0;
}

void
traffic_drain(struct traffic *t)
{
	struct engine *e = t->e;
	uint64_t end;

	t->sending = 0;
	e->now = now_ns();
	end = e->now + (uint64_t)(t->opt->drain * 1e9);
	while (
	    t->distinct < traffic_expected(t) && e->now < end && !hopeless(t))
		engine_poll(e, end);
	/* a little longer: duplicates may follow */
	end = e->now + NS_PER_S / 5;
	engine_run_until(e, end);
}
