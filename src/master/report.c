#include "master/report.h"

#include <errno.h>
#include <event2/buffer.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "codec/name.h"
#include "door/registry.h"
#include "hub/journal.h"
#include "hub/presence.h"
#include "hub/slot.h"
#include "hub/stats.h"
#include "member.h"
#include "members.h"
#include "private.h"
#include "report_part.h"

enum {
	STEP_BYTES = 64 * 1024, /* of one part, about */
	/* Longest: "255.255.255.255:65535", "[...]:65535", "centrifugo". */
	PEER4_WIDTH = 21,
	PEER6_WIDTH = 47,
	DOOR_WIDTH = 10
};

/* Makes room for the users' numbers of connections, and counts these. */
static bool
users_begin(struct report *r)
{
	if (r->count == NULL && r->n_users > 0 &&
	    (r->count = calloc(r->n_users, sizeof(*r->count))) == NULL) {
		r->failed = true;
		return true;
	}
	return report_count(r);
}

/* How long a worker's process has been there, seconds. */
static uint64_t
worker_uptime_s(const struct member *w)
{
	return child_age_ms(&w->child) / 1000;
}

/* A worker as an object; the key of its number has been "slot" since the first
 * version. */
static void
worker_put_json(struct report *r, struct evbuffer *out, const struct member *w,
    const struct shm_worker *line)
{
	report_put(r, out,
	    "{\"slot\":%d,\"pid\":%d,\"generation\":%" PRIu32
	    ",\"state\":\"%s\",\"connections\":%" PRIu32 ",\"kept\":%" PRIu32
	    ",\"opened\":%" PRIu32 ",\"uptime_s\":%" PRIu64,
	    w->place, (int)w->child.pid, w->child.generation,
	    worker_state_name(SHM_LOAD(w->child.line->state)),
	    r->worker[w->place], SHM_LOAD(line->kept), SHM_LOAD(line->opened),
	    worker_uptime_s(w));
	report_put(r, out,
	    ",\"delivered\":%" PRIu64 ",\"relayed\":%" PRIu64
	    ",\"writes\":\"%s\",\"keeper\":%d,\"turn_max_us\":%" PRIu64 "}",
	    SHM_LOAD(line->delivered), SHM_LOAD(line->relayed),
	    sends_by_name(SHM_LOAD(line->sends_by)), (int)w->keeper.pid,
	    SHM_LOAD(line->turn_max_us));
}

/* A worker as a line of a table. */
static void
worker_put_line(struct report *r, struct evbuffer *out, const struct member *w,
    const struct shm_worker *line)
{
	char kept[32];

	snprintf(kept, sizeof(kept), "%u of %u", SHM_LOAD(line->kept),
	    SHM_LOAD(line->opened));
	report_put(r, out,
	    "%6d %8d %6" PRIu32 " %-8s %8" PRIu32 " %15s %9" PRIu64
	    " %12" PRIu64 " %12" PRIu64 " %s\n",
	    w->place, (int)w->child.pid, w->child.generation,
	    worker_state_name(SHM_LOAD(w->child.line->state)),
	    r->worker[w->place], kept, worker_uptime_s(w),
	    SHM_LOAD(line->delivered), SHM_LOAD(line->relayed),
	    sends_by_name(SHM_LOAD(line->sends_by)));
}

/* One worker. */
static bool
worker_next(struct report *r, struct evbuffer *out)
{
	const struct master *m = r->master;
	const uint32_t i = r->at++;

	if (i >= (uint32_t)m->n_workers)
		return false;
	report_comma(r, out);
	(r->json ? worker_put_json : worker_put_line)(
	    r, out, &m->member[i], &m->hub.worker[i]);
	return true;
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
	    !presence_name_is_user(v.name, v.name_len) ||
	    (v.mask & r->alive) == 0)
		return true;
	report_comma(r, out);
	if (r->json) {
		report_put(r, out, "{\"user\":");
		report_text(r, out, v.name + 1, v.name_len - 1);
		report_put(r, out, ",\"workers\":");
		report_mask(r, out, v.mask & r->alive);
		report_put(
		    r, out, ",\"connections\":%" PRIu32 "}", r->count[i]);
		return true;
	}
	report_put(r, out, "%11" PRIu32 " ", r->count[i]);
	report_mask(r, out, v.mask & r->alive);
	report_text(r, out, v.name + 1, v.name_len - 1);
	report_put(r, out, "\n");
	return true;
}

/* Finds out how wide the addresses of connections are: as IPv4's, if all are.
 */
static bool
connections_begin(struct report *r)
{
	const struct hub *h = &r->master->hub;

	r->peer_width = PEER4_WIDTH;
	if (r->json)
		return true;
	for (uint32_t i = slot_ever(h, 0); i < h->n_slots;
	     i = slot_ever(h, i + 1))
		if (slot_is_open(h, i) && SHM_ONCE(h->slot[i].family) == 6)
			r->peer_width = PEER6_WIDTH;
	return true;
}

/* The head line of connections. */
static void
connections_head(struct report *r, struct evbuffer *out)
{
	report_put(r, out, "%-16s %6s %-*s %-*s %9s USER\n", "ID", "WORKER",
	    r->peer_width, "PEER", DOOR_WIDTH, "DOOR", "SINCE/S");
}

/* The head line of workers. */
static void
workers_head(struct report *r, struct evbuffer *out)
{
	report_put(r, out,
	    "WORKER      PID    GEN STATE       CONNS"
	    "            KEPT  UPTIME/S    DELIVERED      "
	    "RELAYED WRITES\n");
}

/* The head line of users. */
static void
users_head(struct report *r, struct evbuffer *out)
{
	report_put(r, out, "CONNECTIONS WORKERS         USER\n");
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
	if (!report_connection(r, i, &s, &id))
		return true;
	if (!presence_read(h, s.user, &v) || v.name_len == 0)
		v.name_len = 1; /* its door has no users */
	/* else the entry may be another user's by now */
	if (!slot_is_live(h, id))
		return true;
	device = s.device_len <= SLOT_DEVICE_MAX ? s.device_len : 0;
	age_s = (clock_ms() - s.connected_ms) / 1000;
	report_comma(r, out);
	if (r->json) {
		report_put(r, out, "{\"id\":\"%016" PRIx64 "\",\"user\":", id);
		report_text(r, out, v.name + 1, v.name_len - 1);
		report_put(r, out, ",\"device\":");
		report_text(r, out, s.device, device);
		report_put(r, out, ",\"worker\":%d,\"peer\":", s.worker);
		slot_peer_name(&s, peer);
		report_text(r, out, peer, strlen(peer));
		report_put(r, out,
		    ",\"door\":\"%s\",\"connected_s\":%" PRIu64 "}",
		    door_name(s.door), age_s);
		return true;
	}
	report_put(r, out, "%016" PRIx64 " %6d %-*s %-*s %9" PRIu64 " ", id,
	    s.worker, r->peer_width, slot_peer_name(&s, peer), DOOR_WIDTH,
	    door_name(s.door), age_s);
	report_text(r, out, v.name + 1, v.name_len - 1);
	if (device > 0) {
		report_put(r, out, " on ");
		report_text(r, out, s.device, device);
	}
	report_put(r, out, "\n");
	return true;
}

static const struct subject report_workers = {.name = "workers",
    .begin = report_count,
    .next = worker_next,
    .head = workers_head,
    .open = "[",
    .close = "]\n"};
static const struct subject report_users = {.name = "users",
    .begin = users_begin,
    .next = user_next,
    .head = users_head,
    .open = "[",
    .close = "]\n"};
static const struct subject report_connections = {.name = "connections",
    .begin = connections_begin,
    .next = connection_next,
    .head = connections_head,
    .open = "[",
    .close = "]\n"};

static const struct subject *const subjects[] = {&report_workers, &report_users,
    &report_connections, &report_processes, &report_channels, &report_stats,
    &report_conf};

struct report *
report_new(struct master *m, const char *what, bool json)
{
	const struct subject *subject = NULL;
	struct report *r;

	for (size_t i = 0; i < sizeof(subjects) / sizeof(subjects[0]); i++)
		if (strcmp(what, subjects[i]->name) == 0)
			subject = subjects[i];
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
	return r;
}

void
report_free(struct report *r)
{
	if (r == NULL)
		return;
	free(r->count);
	free(r);
}

int
report_more(struct report *r, struct evbuffer *out)
{
	const size_t before = evbuffer_get_length(out);
	bool more = true;
	uint32_t steps = 0;

	if (!r->ready && r->subject->begin != NULL && !r->subject->begin(r))
		return 1;
	if (!r->ready) {
		r->ready = true;
		r->at = 0;
	}
	if (!r->begun && r->json)
		report_put(r, out, "%s", r->subject->open);
	else if (!r->begun && r->subject->head != NULL)
		r->subject->head(r, out);
	r->begun = true;
	while (more && !r->failed && steps++ < REPORT_STEP_ITEMS &&
	    evbuffer_get_length(out) - before < STEP_BYTES)
		more = r->subject->next(r, out);
	if (!more && r->json)
		report_put(r, out, "%s", r->subject->close);
	if (r->failed)
		return -1;
	return more;
}
