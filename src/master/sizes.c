#include "master/sizes.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/log.h"
#include "door/registry.h"
#include "hub/journal.h"
#include "net/endpoint.h"
#include "net/transport.h"
#include "process/child.h"

#define K UINT64_C(1024)
#define M (1024 * K)

/*
 * What processes and sockets take besides shared memory, measured in a control
 * group of version 1 and rounded up (x86-64, Linux 6.18). Larger: less is left
 * to sizes; smaller: processes are killed for memory when all is in use.
 */
enum {
	/* The master, the log process, the reader of a reload, the rehearsal of
	 * an upgrade; programs and libraries that must stay in memory. */
	BASE_BYTES = 10 * M,
	WORKER_BYTES = 2 * M, /* with its keepers: 1.2M idle */
	/* Of an idle one in the kernel (3.9K: socket, file, watch) and in its
	 * worker (0.4K). */
	CONNECTION_BYTES = 6 * K,
	USER_BYTES = 4, /* in each worker's list */
	/* One connection in so many may be slow, its send buffer full. Larger:
	 * the memory of a site whose clients are all slow does not suffice. */
	SLOW_SHARE = 8,
	SEND_BYTES = 32 * K, /* of such a one, as sizes are chosen */
	/* of such a one at least, whatever the rest needs: the kernel's own
	 * first size; smaller: more turns for the same output */
	SEND_MIN = 16 * K,
	/* A socket takes no more by itself: tcp_wmem's usual maximum. */
	SEND_MAX = 4 * M,
	HEADROOM = 16, /* this part of a group's limit stays free */
	/* and this part of the machine, for its kernel and other programs */
	HEADROOM_MACHINE = 4,
	CONNECTIONS_MIN = SHM_BLOCK,
	USERS_MIN = 256,
	SUBSCRIPTIONS_MIN = 1024,
	/* Two keepers and a log process that replace others, and one more
	 * reader; the master and the log process themselves. */
	TASKS_BASE = 6
};

enum size_kind {
	SIZE_CONNECTIONS,
	SIZE_USERS,
	SIZE_CHANNELS,
	SIZE_SUBSCRIPTIONS,
	SIZE_JOURNAL,
	SIZE_OUTPUT,
	SIZE_INPUT,
	SIZES
};

/* A size that may shrink, and its part of what there is: the weights say what
 * is cut first. A ring that is too small loses messages where few processors
 * serve many workers; fewer connections than wanted are refused in words. */
struct size {
	const char *key;
	bool is_bytes;
	uint32_t weight;
};

static const struct size sizes[SIZES] = {
    [SIZE_CONNECTIONS] = {"connections", false, 5},
    [SIZE_USERS] = {"users", false, 1},
    [SIZE_CHANNELS] = {"channels", false, 1},
    [SIZE_SUBSCRIPTIONS] = {"subscriptions", false, 1},
    [SIZE_JOURNAL] = {"journal", true, 5},
    [SIZE_OUTPUT] = {"output-memory", true, 4},
    [SIZE_INPUT] = {"input-memory", true, 1},
};

/* All of them at one time: what the keys say, and what that takes. */
struct plan {
	uint64_t value[SIZES];
	uint64_t cost[SIZES];
	uint64_t fixed;	 /* processes */
	uint64_t wire;	 /* a transport keeps so much of each connection */
	uint64_t others; /* processes besides workers take so much more */
	struct hub_limits readers; /* of the journal; nothing else of it */
	uint64_t total;
};

/* A text that grows. */
struct text {
	char *at;
	size_t left;
};

/* Appends to it; what does not fit is cut. */
static void __attribute__((format(printf, 2, 3)))
text_put(struct text *t, const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(t->at, t->left, fmt, ap);
	va_end(ap);
	if (n < 0)
		return;
	if ((size_t)n >= t->left)
		n = t->left > 0 ? (int)t->left - 1 : 0;
	t->at += n;
	t->left -= (size_t)n;
}

/* Appends a value as the configuration would have it. */
static void
text_put_value(struct text *t, bool is_bytes, uint64_t value)
{
	if (!is_bytes)
		text_put(t, "%" PRIu64, value);
	else if (value % M == 0)
		text_put(t, "%" PRIu64 "M", value / M);
	else
		text_put(t, "%" PRIu64 "K", value / K);
}

/* So many megabytes, rounded up. */
static uint64_t
megabytes(uint64_t bytes)
{
	return (bytes + M - 1) / M;
}

/* Bytes that a transport of some address keeps of each connection in
 * shared memory, whose pages have all of them then; 0: none does. */
static uint64_t
plan_wire(const struct conf *c)
{
	const struct transport *t;
	struct endpoint e;
	char error[256];

	for (int i = 0; i < c->n_listen; i++) {
		if (endpoint_parse(&e, c->listen_words[i], door_words(), error,
			sizeof(error)) == -1)
			continue; /* is refused elsewhere */
		t = transport_of(e.transport);
		if (t != NULL && t->state_bytes != 0)
			return SHM_WIRE;
	}
	return 0;
}

/* The values as they stand in a configuration. */
static void
plan_read(struct plan *p, const struct conf *c)
{
	p->value[SIZE_CONNECTIONS] = c->connections;
	p->value[SIZE_USERS] = c->users;
	p->value[SIZE_CHANNELS] = c->channels;
	p->value[SIZE_SUBSCRIPTIONS] = c->subscriptions;
	p->value[SIZE_JOURNAL] = c->journal_bytes;
	p->value[SIZE_OUTPUT] = c->output_bytes;
	p->value[SIZE_INPUT] = c->input_bytes;
	p->wire = plan_wire(c);
	p->readers = (struct hub_limits){.readers = child_readers(c),
	    .events = child_readers_of_events(c),
	    .reader_share = c->reader_share};
	(void)child_others(c, &p->others);
}

/* Puts them there. */
static void
plan_write(const struct plan *p, struct conf *c)
{
	c->connections = (uint32_t)p->value[SIZE_CONNECTIONS];
	c->users = (uint32_t)p->value[SIZE_USERS];
	c->channels = (uint32_t)p->value[SIZE_CHANNELS];
	c->subscriptions = (uint32_t)p->value[SIZE_SUBSCRIPTIONS];
	c->journal_bytes = p->value[SIZE_JOURNAL];
	c->output_bytes = p->value[SIZE_OUTPUT];
	c->input_bytes = p->value[SIZE_INPUT];
}

/* The limits as a plan has them; slots are counted without those that blocks
 * leave unused. */
static struct hub_limits
plan_limits(const struct plan *p)
{
	struct hub_limits l = p->readers;

	l.connections = (uint32_t)p->value[SIZE_CONNECTIONS];
	l.users = (uint32_t)p->value[SIZE_USERS];
	l.channels = (uint32_t)p->value[SIZE_CHANNELS];
	l.subscriptions = (uint32_t)p->value[SIZE_SUBSCRIPTIONS];
	l.journal_bytes = p->value[SIZE_JOURNAL];
	l.output_bytes = p->value[SIZE_OUTPUT];
	l.input_bytes = p->value[SIZE_INPUT];
	return l;
}

struct hub_limits
sizes_limits(const struct conf *c)
{
	struct hub_limits l;
	struct plan p;

	plan_read(&p, c);
	l = plan_limits(&p);
	/* Workers claim slots by the block, and the last block of each is not
	 * full when the limit is reached; there may be more of them later. */
	l.connections += SHM_WORKERS * SHM_BLOCK;
	return l;
}

/* How many readers of the journal those bits are. */
static uint32_t
readers_count(uint8_t readers)
{
	return (uint32_t)__builtin_popcount(readers);
}

/* Counts what a plan takes when all of it is in use, each slow connection with
 * a send buffer of that many bytes. */
static void
plan_count(struct plan *p, uint32_t workers, uint64_t send_bytes)
{
	const struct hub_limits l = plan_limits(p);
	const uint64_t n = p->value[SIZE_CONNECTIONS];
	struct hub_bytes b;

	hub_measure(&b, &l, workers);
	/* a reader of the journal takes as much as a worker */
	p->fixed = BASE_BYTES +
	    (uint64_t)WORKER_BYTES * (workers + readers_count(l.readers)) +
	    p->others + b.workers;
	p->cost[SIZE_CONNECTIONS] = b.connections +
	    n * (CONNECTION_BYTES + p->wire) +
	    (n / SLOW_SHARE + 1) * send_bytes;
	p->cost[SIZE_USERS] =
	    b.users + p->value[SIZE_USERS] * USER_BYTES * workers;
	p->cost[SIZE_CHANNELS] = b.channels;
	p->cost[SIZE_SUBSCRIPTIONS] = b.subscriptions;
	p->cost[SIZE_JOURNAL] = b.journal;
	p->cost[SIZE_OUTPUT] = b.output;
	/* and one half more of it, of records that have not come whole */
	p->cost[SIZE_INPUT] = b.input + (p->wire != 0 ? b.input / 2 : 0);
	p->total = p->fixed;
	for (int i = 0; i < SIZES; i++)
		p->total += p->cost[i];
}

/* The larger of two. */
static uint64_t
larger(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

/* What a size may not shrink below: its key's own limit, and what one message
 * or connection needs of it. */
static uint64_t
size_least(const struct conf *c, enum size_kind kind)
{
	const uint64_t message = c->live.message_size;
	uint64_t ring = M;

	switch (kind) {
	case SIZE_CONNECTIONS:
		return CONNECTIONS_MIN;
	case SIZE_USERS:
	case SIZE_CHANNELS:
		return USERS_MIN;
	case SIZE_SUBSCRIPTIONS:
		return SUBSCRIPTIONS_MIN;
	case SIZE_JOURNAL:
		while (ring <
		    JOURNAL_SHARE * journal_entry_bytes(UINT8_MAX, message))
			ring *= 2;
		return ring;
	case SIZE_OUTPUT:
		return larger(larger(4 * M, c->live.queue_bytes),
		    CONF_OUTPUT_MESSAGES * message);
	default:
		return larger(M, message);
	}
}

/* The next smaller value of a size: an eighth less, in figures that people can
 * read; a ring is a power of two. */
static uint64_t
size_smaller(enum size_kind kind, uint64_t value)
{
	uint64_t unit = SHM_BLOCK;

	if (kind == SIZE_JOURNAL)
		return value / 2;
	if (sizes[kind].is_bytes)
		unit = value > 16 * M ? M : 256 * K;
	return (value - value / 8 - 1) / unit * unit;
}

/* Shrinks the size that takes most for its weight by one step. False: none of
 * those that may shrink can. */
static bool
plan_shrink(struct plan *p, const struct conf *c)
{
	uint64_t least, next, most = 0;
	int which = -1;

	for (int i = 0; i < SIZES; i++) {
		least = size_least(c, (enum size_kind)i);
		if (conf_where(c, sizes[i].key) != NULL ||
		    p->value[i] <= least ||
		    p->cost[i] / sizes[i].weight <= most)
			continue;
		which = i;
		most = p->cost[i] / sizes[i].weight;
	}
	if (which == -1)
		return false;
	next = size_smaller((enum size_kind)which, p->value[which]);
	least = size_least(c, (enum size_kind)which);
	p->value[which] = larger(next, least);
	return true;
}

/* Says what has shrunk. */
static void
shrunk_tell(struct sizes *s, const struct plan *from, const struct plan *to,
    uint64_t limit, const char *where)
{
	struct text t = {s->shrunk, sizeof(s->shrunk)};
	const char *comma = "";

	text_put(&t,
	    "memory: the limit is %" PRIu64 "M (%s), the defaults "
	    "need %" PRIu64 "M when all of them is in use; shrunk to fit: ",
	    limit / M, where, megabytes(from->total));
	for (int i = 0; i < SIZES; i++) {
		if (from->value[i] == to->value[i])
			continue;
		text_put(&t, "%s%s ", comma, sizes[i].key);
		text_put_value(&t, sizes[i].is_bytes, from->value[i]);
		text_put(&t, " to ");
		text_put_value(&t, sizes[i].is_bytes, to->value[i]);
		comma = ", ";
	}
	text_put(&t, "; a key that the configuration names keeps its size");
}

/* Says what does not fit. */
static void
memory_tell(struct sizes *s, const struct conf *c, const struct plan *p,
    uint64_t limit, const char *where)
{
	struct text t = {s->memory, sizeof(s->memory)};

	text_put(&t,
	    "memory: the configuration needs %" PRIu64 "M when all of "
	    "it is in use, the limit is %" PRIu64 "M (%s): processes would "
	    "be killed; %d workers and the master take %" PRIu64 "M",
	    megabytes(p->total), limit / M, where, c->workers,
	    megabytes(p->fixed));
	for (int i = 0; i < SIZES; i++) {
		text_put(&t, ", %s ", sizes[i].key);
		text_put_value(&t, sizes[i].is_bytes, p->value[i]);
		text_put(&t, " %" PRIu64 "M%s", megabytes(p->cost[i]),
		    conf_where(c, sizes[i].key) != NULL ? "" : " (shrunk)");
	}
	text_put(&t,
	    "; lower those that are named, or workers, or raise the "
	    "limit");
}

/* What may be used of the memory: all but a part of what binds most. */
static uint64_t
memory_usable(const struct machine *m, uint64_t *limit, const char **where)
{
	const uint64_t machine = m->total == MACHINE_NONE
	    ? MACHINE_NONE
	    : m->total - m->total / HEADROOM_MACHINE;
	const uint64_t group = m->memory.value == MACHINE_NONE
	    ? MACHINE_NONE
	    : m->memory.value - m->memory.value / HEADROOM;

	if (group < machine) {
		*limit = m->memory.value;
		*where = m->memory.from;
		return group;
	}
	*limit = m->total;
	*where = "the machine's memory";
	return machine;
}

/* Bounds the send buffers so that those of slow connections fit into what is
 * left; the kernel takes twice what SO_SNDBUF says. */
static uint32_t
send_bound(const struct plan *p, uint64_t usable)
{
	const uint64_t slow = p->value[SIZE_CONNECTIONS] / SLOW_SHARE + 1;
	const uint64_t left = usable > p->total ? usable - p->total : 0;
	const uint64_t each = left / slow;

	if (each >= SEND_MAX)
		return 0;
	return (uint32_t)(each > SEND_MIN ? each : SEND_MIN) / 2;
}

/* Says so if even with the smallest send buffers a plan does not fit. */
static void
memory_check(struct sizes *s, const struct conf *c, const struct machine *m)
{
	const char *where;
	uint64_t limit, usable = memory_usable(m, &limit, &where);
	struct plan p;

	plan_read(&p, c);
	plan_count(&p, (uint32_t)c->workers, SEND_MIN);
	if (p.total > usable)
		memory_tell(s, c, &p, limit, where);
}

/* Fits the sizes into the memory. */
static void
memory_fit(struct sizes *s, struct conf *c, const struct machine *m)
{
	const uint32_t workers = (uint32_t)c->workers;
	struct plan from, p;
	const char *where;
	uint64_t limit, usable = memory_usable(m, &limit, &where);

	plan_read(&p, c);
	plan_count(&p, workers, SEND_BYTES);
	from = p;
	while (p.total > usable && plan_shrink(&p, c))
		plan_count(&p, workers, SEND_BYTES);
	plan_write(&p, c);
	if (memcmp(from.value, p.value, sizeof(p.value)) != 0)
		shrunk_tell(s, &from, &p, limit, where);
	memory_check(s, c, m);
	/* The sockets of the whole machine are bounded by the kernel (tcp_mem),
	 * those of a group by nothing but its limit. */
	plan_count(&p, workers, 0);
	if (s->shrunk[0] != '\0' || m->memory.value < m->total)
		s->send_bytes = send_bound(&p, usable);
	if (s->send_bytes != 0)
		snprintf(s->sends, sizeof(s->sends),
		    "memory: the limit is %" PRIu64 "M (%s): the kernel takes "
		    "at most %uK of output for each slow client; the rest "
		    "waits "
		    "in output-memory",
		    limit / M, where, s->send_bytes / 1024);
}

/* Compares the processes with their limit. */
static void
tasks_fit(struct sizes *s, const struct conf *c, const struct machine *m,
    bool privileged)
{
	uint64_t bytes;
	const uint64_t need =
	    3 * (uint64_t)c->workers + TASKS_BASE + child_others(c, &bytes);
	struct text t = {s->tasks, sizeof(s->tasks)};
	const char *where = m->tasks.from;
	uint64_t limit = m->tasks.value;
	struct rlimit own;

	if (!privileged && getrlimit(RLIMIT_NPROC, &own) == 0 &&
	    own.rlim_cur < limit) {
		limit = own.rlim_cur;
		where = "ulimit -u, for all processes of this user together";
	}
	if (need > limit)
		text_put(&t,
		    "processes: %d workers need %" PRIu64 ", with two "
		    "keepers each, the master, the log process, those of the "
		    "database and those that replace others; the limit is "
		    "%" PRIu64 " (%s): "
		    "raise it, or lower workers",
		    c->workers, need, limit, where);
}

void
sizes_fit(
    struct sizes *s, struct conf *c, const struct machine *m, bool privileged)
{
	memset(s, 0, sizeof(*s));
	memory_fit(s, c, m);
	tasks_fit(s, c, m, privileged);
}

void
sizes_fit_here(struct sizes *s, struct conf *c)
{
	struct machine m;

	machine_look(&m, "");
	sizes_fit(s, c, &m, geteuid() == 0);
}

void
sizes_keep(struct conf *next, const struct conf *old)
{
	struct plan p, was;

	plan_read(&p, next);
	plan_read(&was, old);
	for (int i = 0; i < SIZES; i++)
		if (conf_where(next, sizes[i].key) == NULL &&
		    conf_where(old, sizes[i].key) == NULL)
			p.value[i] = was.value[i];
	plan_write(&p, next);
}

void
sizes_log(const struct sizes *s)
{
	if (s->shrunk[0] != '\0')
		log_info("%s", s->shrunk);
	if (s->sends[0] != '\0')
		log_info("%s", s->sends);
	if (s->memory[0] != '\0')
		log_warn("%s", s->memory);
	if (s->tasks[0] != '\0')
		log_warn("%s", s->tasks);
}

void
sizes_log_workers(const struct conf *c, int workers)
{
	struct conf more = *c; /* its strings stay the other's */
	struct machine m;
	struct sizes s;

	memset(&s, 0, sizeof(s));
	more.workers = workers;
	machine_look(&m, "");
	memory_check(&s, &more, &m);
	tasks_fit(&s, &more, &m, geteuid() == 0);
	explicit_bzero(&more, sizeof(more)); /* it holds secrets */
	sizes_log(&s);
}
