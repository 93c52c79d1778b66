#include "master/report.h"

#include <errno.h>
#include <event2/buffer.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "codec/name.h"
#include "hub/journal.h"
#include "hub/presence.h"
#include "hub/slot.h"
#include "hub/stats.h"
#include "member.h"
#include "members.h"
#include "private.h"

enum {
	STEP_BYTES = 64 * 1024, /* of one part, about */
	STEP_ITEMS = 16 * 1024, /* looked at for one part */
	/* Longest: "255.255.255.255:65535", "[...]:65535", "centrifugo". */
	PEER4_WIDTH = 21,
	PEER6_WIDTH = 47,
	DOOR_WIDTH = 10
};

/* What can be shown. */
struct subject {
	const char *name;
	bool (*next)(struct report *, struct evbuffer *); /* false: no more */
	const char *head;	  /* of the table; NULL: connections */
	const char *open, *close; /* of the JSON text */
	bool is_counted;	  /* connections by user and worker first */
};

struct report {
	struct master *master;
	const struct subject *subject;
	bool json, failed;
	bool begun;		      /* head line or bracket is out */
	bool some;		      /* an element is out */
	uint32_t at;		      /* worker, entry or slot to come */
	int peer_width;		      /* of that column */
	uint64_t alive;		      /* mask */
	uint32_t worker[SHM_WORKERS]; /* connections of each */
	uint32_t n_users;	      /* end of the users' entries */
	uint32_t *user; /* connections of each; NULL: not counted */
};

void
report_bury(struct master *m, int worker)
{
	struct shm_worker *counts = &m->hub.worker[worker];
	struct shm_line *line = &m->hub.line[worker];

	for (int i = 0; i < STATS_COUNTERS; i++) {
		m->buried[i] += SHM_LOAD(*stats_counter(counts, i));
		SHM_STORE(*stats_counter(counts, i), 0);
	}
	SHM_STORE(line->pid, 0);
	SHM_STORE(line->tick, 0);
	SHM_STORE(line->lock_state, LOCK_NONE);
	SHM_STORE(line->hand, HAND_NOTHING);
	SHM_STORE(line->hand_arg, 0);
	SHM_STORE(counts->accepting, 0);
	SHM_STORE(counts->pending, 0);
	SHM_STORE(counts->connections, 0);
	SHM_TELL(counts->sends_by, SENDS_UNKNOWN);
	SHM_STORE(counts->turn_max_us, 0);
}

/* Appends formatted text. */
static void __attribute__((format(printf, 3, 4)))
put(struct report *r, struct evbuffer *out, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	if (evbuffer_add_vprintf(out, fmt, ap) == -1)
		r->failed = true;
	va_end(ap);
}

/*
 * Appends text that came from clients, by way of memory that a worker gone
 * wrong may have scribbled over: as a JSON string, or as it stands in a line,
 * nothing if it is empty.
 */
static void
put_text(struct report *r, struct evbuffer *out, const char *text, size_t len)
{
	char shown[NAME_SHOWN_MAX];
	size_t n = r->json ? name_show_json(text, len, shown)
	    : len > 0	   ? name_show(text, len, shown)
			   : 0;

	if (evbuffer_add(out, shown, n) == -1)
		r->failed = true;
}

/* Separates elements of the JSON array. */
static void
put_comma(struct report *r, struct evbuffer *out)
{
	if (r->json)
		put(r, out, r->some ? ",\n" : "");
	r->some = true;
}

/* Whether connection i is there and of a living worker. */
static bool
connection_read(
    const struct report *r, uint32_t i, struct slot *s, uint64_t *id)
{
	const struct hub *h = &r->master->hub;

	return slot_is_open(h, i) && slot_read(h, i, s, id) &&
	    (*id & UINT32_MAX) == i && s->worker < SHM_WORKERS &&
	    (r->alive >> s->worker & 1) != 0;
}

/* Counts connections by user and by worker. */
static void
connections_count(struct report *r)
{
	const struct hub *h = &r->master->hub;
	struct slot s;
	uint64_t id;

	for (uint32_t i = slot_ever(h, 0); i < h->n_slots;
	     i = slot_ever(h, i + 1)) {
		if (!connection_read(r, i, &s, &id))
			continue;
		r->worker[s.worker]++;
		if (r->user != NULL && s.user < r->n_users)
			r->user[s.user]++;
	}
}

/* One worker. */
static bool
worker_next(struct report *r, struct evbuffer *out)
{
	const struct master *m = r->master;
	const struct shm_worker *counts = &m->hub.worker[r->at];
	const struct shm_line *line = &m->hub.line[r->at];
	const struct member *w = &m->member[r->at];
	const char *fmt = "%4d %8d %6" PRIu32 " %-8s %8" PRIu32
			  " %15s %9" PRIu64 " %12" PRIu64 " %12" PRIu64 " %s\n";
	char kept[32];

	if (r->at >= (uint32_t)m->n_workers)
		return false;
	if (r->json)
		fmt = "{\"slot\":%d,\"pid\":%d,\"generation\":%" PRIu32
		      ",\"state\":\"%s\",\"connections\":%" PRIu32
		      ",\"kept\":%s,\"uptime_s\":%" PRIu64
		      ",\"delivered\":%" PRIu64 ",\"relayed\":%" PRIu64
		      ",\"writes\":\"%s\",\"keeper\":%" PRIu32
		      ",\"turn_max_us\":%" PRIu64 "}";
	snprintf(kept, sizeof(kept), r->json ? "%u,\"opened\":%u" : "%u of %u",
	    SHM_LOAD(counts->kept), SHM_LOAD(counts->opened));
	put_comma(r, out);
	put(r, out, fmt, w->slot, (int)w->child.pid, w->child.generation,
	    worker_state_name(SHM_LOAD(line->state)), r->worker[r->at], kept,
	    w->child.pid != 0 ? (clock_ms() - SHM_LOAD(line->started_ms)) / 1000
			      : 0,
	    SHM_LOAD(counts->delivered), SHM_LOAD(counts->relayed),
	    sends_by_name(SHM_LOAD(counts->sends_by)),
	    /* these in the JSON alone */
	    (uint32_t)w->keeper.pid, SHM_LOAD(counts->turn_max_us));
	r->at++;
	return true;
}

/* A list of slots: "0,2". */
static void
put_mask(struct report *r, struct evbuffer *out, uint64_t mask)
{
	char list[SHM_WORKERS * 3 + 1] = "";
	size_t len = 0;

	for (int i = 0; i < SHM_WORKERS; i++)
		if ((mask >> i & 1) != 0)
			len += (size_t)snprintf(list + len, sizeof(list) - len,
			    "%s%d", len > 0 ? "," : "", i);
	put(r, out, r->json ? "[%s]" : "%-15s ", list);
}

/* One user, or a presence entry that is none. */
static bool
user_next(struct report *r, struct evbuffer *out)
{
	const struct hub *h = &r->master->hub;
	struct presence_view v;
	uint32_t i = r->at++;

	if (i >= r->n_users)
		return false;
	if ((presence_mask(h, i) & r->alive) == 0 || !presence_read(h, i, &v) ||
	    v.name_len == 0 || v.name[0] != '#' || (v.mask & r->alive) == 0)
		return true;
	put_comma(r, out);
	if (r->json) {
		put(r, out, "{\"user\":");
		put_text(r, out, v.name + 1, v.name_len - 1);
		put(r, out, ",\"workers\":");
		put_mask(r, out, v.mask & r->alive);
		put(r, out, ",\"connections\":%" PRIu32 "}", r->user[i]);
		return true;
	}
	put(r, out, "%11" PRIu32 " ", r->user[i]);
	put_mask(r, out, v.mask & r->alive);
	put_text(r, out, v.name + 1, v.name_len - 1);
	put(r, out, "\n");
	return true;
}

/* How wide the addresses of connections are: as IPv4's, if all are. */
static int
peer_width(const struct hub *h)
{
	for (uint32_t i = slot_ever(h, 0); i < h->n_slots;
	     i = slot_ever(h, i + 1))
		if (slot_is_open(h, i) && SHM_ONCE(h->slot[i].family) == 6)
			return PEER6_WIDTH;
	return PEER4_WIDTH;
}

/* "plain". */
static const char *
door_name(uint8_t door)
{
	switch (door) {
	case DOOR_PLAIN:
		return "plain";
	case DOOR_ECHO:
		return "echo";
	case DOOR_CENTRIFUGO:
		return "centrifugo";
	default:
		return "?";
	}
}

/* One connection. */
static bool
connection_next(struct report *r, struct evbuffer *out)
{
	const struct hub *h = &r->master->hub;
	struct presence_view v = {.name_len = 0};
	char peer[64];
	struct slot s;
	uint64_t id, age_s;
	size_t device;
	uint32_t i = slot_ever(h, r->at);

	r->at = i + 1;
	if (i >= h->n_slots)
		return false;
	if (!connection_read(r, i, &s, &id))
		return true;
	if (!presence_read(h, s.user, &v) || v.name_len == 0)
		v.name_len = 1; /* echo has none */
	/* else the entry may be another user's by now */
	if (!slot_is_live(h, id))
		return true;
	device = s.device_len <= SLOT_DEVICE_MAX ? s.device_len : 0;
	age_s = (clock_ms() - s.connected_ms) / 1000;
	put_comma(r, out);
	if (r->json) {
		put(r, out, "{\"id\":\"%016" PRIx64 "\",\"user\":", id);
		put_text(r, out, v.name + 1, v.name_len - 1);
		put(r, out, ",\"device\":");
		put_text(r, out, s.device, device);
		put(r, out, ",\"worker\":%d,\"peer\":", s.worker);
		slot_peer_name(&s, peer);
		put_text(r, out, peer, strlen(peer));
		put(r, out, ",\"door\":\"%s\",\"connected_s\":%" PRIu64 "}",
		    door_name(s.door), age_s);
		return true;
	}
	put(r, out, "%016" PRIx64 " %6d %-*s %-*s %9" PRIu64 " ", id, s.worker,
	    r->peer_width, slot_peer_name(&s, peer), DOOR_WIDTH,
	    door_name(s.door), age_s);
	put_text(r, out, v.name + 1, v.name_len - 1);
	if (device > 0) {
		put(r, out, " on ");
		put_text(r, out, s.device, device);
	}
	put(r, out, "\n");
	return true;
}

/* One line or member of the statistics. */
static void
put_counter(
    struct report *r, struct evbuffer *out, const char *name, uint64_t value)
{
	if (r->json)
		put(r, out, "%s\"%s\":%" PRIu64, r->some ? "," : "", name,
		    value);
	else
		put(r, out, "%-22s %20" PRIu64 "\n", name, value);
	r->some = true;
}

/* Users that are online. */
static uint64_t
users_count(const struct report *r)
{
	const struct hub *h = &r->master->hub;
	struct presence_view v;
	uint64_t n = 0;

	for (uint32_t i = 1; i < presence_users_end(h); i++)
		if ((presence_mask(h, i) & r->alive) != 0 &&
		    presence_read(h, i, &v) && v.name_len > 0 &&
		    v.name[0] == '#')
			n++;
	return n;
}

/* How far back the journal reaches, seconds; 0 while it is empty. */
static uint64_t
journal_age_s(const struct hub *h)
{
	struct publication p;
	int64_t age;

	if (journal_peek(h, journal_oldest(h), &p) != JOURNAL_OK)
		return 0;
	age = (clock_wall_ms() - p.time_ms) / 1000;
	return age > 0 ? (uint64_t)age : 0;
}

/* The longest turn of a worker that is there. */
static uint64_t
turn_max_us(const struct master *m)
{
	uint64_t max = 0, us;

	for (int i = 0; i < m->n_workers; i++) {
		us = SHM_LOAD(m->hub.worker[i].turn_max_us);
		if (us > max)
			max = us;
	}
	return max;
}

/* All statistics at once. */
static bool
stats_next(struct report *r, struct evbuffer *out)
{
	const struct master *m = r->master;
	uint64_t connections = 0, sum;

	if (r->some)
		return false;
	for (int i = 0; i < m->n_workers; i++)
		connections += r->worker[i];
	put_counter(r, out, "uptime_s", (clock_ms() - m->started_ms) / 1000);
	put_counter(r, out, "workers", (uint64_t)m->n_workers);
	put_counter(r, out, "respawns", m->respawns);
	put_counter(r, out, "renewals", m->renewals);
	put_counter(r, out, "users", users_count(r));
	put_counter(r, out, "users_limit", m->hub.n_users);
	put_counter(r, out, "channels", charge_held(&m->hub, CHARGE_CHANNELS));
	put_counter(r, out, "channels_limit", m->hub.n_channels);
	put_counter(r, out, "connections", connections);
	put_counter(r, out, "position", journal_tail(&m->hub));
	put_counter(r, out, "journal_age_s", journal_age_s(&m->hub));
	for (int c = 0; c < STATS_COUNTERS; c++) {
		sum = m->buried[c];
		for (int i = 0; i < m->n_workers; i++)
			sum += SHM_LOAD(*stats_counter(&m->hub.worker[i], c));
		put_counter(r, out, stats_rows[c].name, sum);
	}
	put_counter(r, out, "turn_max_us", turn_max_us(m));
	return true;
}

/* The children in the order in which they are shown; NULL: no more. */
static const struct child *
process_at(const struct master *m, uint32_t i)
{
	const uint32_t n = (uint32_t)m->n_workers;

	if (i < n)
		return &m->member[i].child;
	if (i < 2 * n)
		return &m->member[i - n].keeper;
	i -= 2 * n;
	return i < (uint32_t)m->n_others ? &m->other[i] : NULL;
}

/* One child. */
static bool
process_next(struct report *r, struct evbuffer *out)
{
	const struct master *m = r->master;
	const struct child *c = process_at(m, r->at++);
	const uint64_t now = master_clock_ms(m);
	uint32_t state;

	if (c == NULL)
		return false;
	if (c->kind == NULL)
		return true;
	state = c->line != NULL ? SHM_LOAD(c->line->state)
	    : c->pid != 0	? WORKER_RUNNING
				: WORKER_WAITING;
	put_comma(r, out);
	put(r, out,
	    r->json ? "{\"kind\":\"%s\",\"number\":%d,\"pid\":%d,"
		      "\"generation\":%" PRIu32 ",\"state\":\"%s\","
		      "\"uptime_s\":%" PRIu64 ""
		    : "%-15s %6d %8d %6" PRIu32 " %-8s %9" PRIu64 "\n",
	    c->kind->name, c->number, (int)c->pid, c->generation,
	    worker_state_name(state),
	    c->pid != 0 && now > c->started_ms ? (now - c->started_ms) / 1000
					       : 0);
	if (r->json)
		put(r, out, ",\"cursor\":%" PRIu64 "}",
		    c->line != NULL ? SHM_LOAD(c->line->cursor) : 0);
	return true;
}

static const struct subject subjects[] = {
    {"workers", worker_next,
	"SLOT      PID    GEN STATE       CONNS            KEPT  UPTIME/S    "
	"DELIVERED      RELAYED WRITES\n",
	"[", "]\n", true},
    {"processes", process_next,
	"KIND            NUMBER      PID    GEN STATE     UPTIME/S\n", "[",
	"]\n", false},
    {"users", user_next, "CONNECTIONS WORKERS         USER\n", "[", "]\n",
	true},
    {"connections", connection_next, NULL, "[", "]\n", false},
    {"stats", stats_next, "", "{", "}\n", true},
};

struct report *
report_new(struct master *m, const char *what, bool json)
{
	const struct subject *subject = NULL;
	struct report *r;

	for (size_t i = 0; i < sizeof(subjects) / sizeof(subjects[0]); i++)
		if (strcmp(what, subjects[i].name) == 0)
			subject = &subjects[i];
	if (subject == NULL) {
		errno = EINVAL;
		return NULL;
	}
	if ((r = calloc(1, sizeof(*r))) == NULL)
		return NULL;
	r->master = m;
	r->subject = subject;
	r->json = json;
	r->alive = members_mask(m);
	r->n_users = presence_users_end(&m->hub);
	if (subject->next == user_next && r->n_users > 0 &&
	    (r->user = calloc(r->n_users, sizeof(*r->user))) == NULL) {
		free(r);
		return NULL;
	}
	if (subject->is_counted)
		connections_count(r);
	if (subject->next == connection_next && !json)
		r->peer_width = peer_width(&m->hub);
	return r;
}

void
report_free(struct report *r)
{
	if (r == NULL)
		return;
	free(r->user);
	free(r);
}

/* The table's head line, or the bracket. */
static void
put_head(struct report *r, struct evbuffer *out)
{
	if (r->json)
		put(r, out, "%s", r->subject->open);
	else if (r->subject->head != NULL)
		put(r, out, "%s", r->subject->head);
	else
		put(r, out, "%-16s %6s %-*s %-*s %9s USER\n", "ID", "WORKER",
		    r->peer_width, "PEER", DOOR_WIDTH, "DOOR", "SINCE/S");
}

int
report_more(struct report *r, struct evbuffer *out)
{
	const size_t before = evbuffer_get_length(out);
	bool more = true;
	uint32_t steps = 0;

	if (!r->begun)
		put_head(r, out);
	r->begun = true;
	while (more && !r->failed && steps++ < STEP_ITEMS &&
	    evbuffer_get_length(out) - before < STEP_BYTES)
		more = r->subject->next(r, out);
	if (!more && r->json)
		put(r, out, "%s", r->subject->close);
	if (r->failed)
		return -1;
	return more;
}
