#include "report_subject.h"

#include <errno.h>
#include <event2/buffer.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "master/report.h"
#include "members.h"
#include "private.h"

struct report {
	struct show *show;
	struct show_master master;
};

/* What the master says of a worker. */
static void
report_worker(const struct show_from *from, int i, struct show_worker *out)
{
	const struct master *m = from->arg;
	const struct member *w = &m->member[i];

	out->role = "worker";
	out->pid = (int)w->child.pid;
	for (int j = 0; j < FAMILY_KEEPERS; j++)
		out->keepers[j] = (int)w->family.keeper[j].pid;
	out->generation = w->child.generation;
	out->uptime_s = child_age_ms(&w->child) / 1000;
}

/* What the master says of a reader of the journal. */
static bool
report_reader(const struct show_from *from, int line, struct show_worker *out)
{
	const struct master *m = from->arg;
	const struct child *c = &m->other[line - SHM_WORKERS];

	if (c->kind == NULL || c->kind->reader == 0)
		return false;
	*out = (struct show_worker){.role = c->kind->name,
	    .pid = (int)c->pid,
	    .generation = c->generation,
	    .uptime_s = child_age_ms(c) / 1000};
	return true;
}

/* What the configuration says of a channel's history. */
static void
report_history(const struct show_from *from, const char *channel, size_t len,
    uint32_t *keep, uint64_t *age_ms)
{
	const struct master *m = from->arg;
	const struct conf_channel *rule =
	    conf_channel_find(&m->live, channel, len);

	*keep = rule != NULL ? rule->history : 0;
	*age_ms = rule != NULL ? rule->history_age_ms : 0;
}

/* The subject of a name, of shared memory or of the master; NULL: there is
 * none. */
static const struct show_subject *
report_subject(const char *what)
{
	if (strcmp(what, report_processes.name) == 0)
		return &report_processes;
	if (strcmp(what, report_certificates.name) == 0)
		return &report_certificates;
	if (strcmp(what, report_conf.name) == 0)
		return &report_conf;
	if (strcmp(what, report_archive.name) == 0)
		return &report_archive;
	return show_subject_find(what);
}

struct report *
report_new(struct master *m, const char *what, bool json)
{
	struct show_from from = {.hub = &m->hub,
	    .alive = members_mask(m),
	    .n_workers = m->n_workers,
	    .now_ms = clock_ms(),
	    .wall_ms = clock_wall_ms(),
	    .worker = report_worker,
	    .reader = report_reader,
	    .history = report_history,
	    .arg = m};
	const struct show_subject *subject = report_subject(what);
	struct report *r;

	if (subject == NULL) {
		errno = EINVAL;
		return NULL;
	}
	if ((r = calloc(1, sizeof(*r))) == NULL)
		return NULL;
	r->master = (struct show_master){.started_ms = m->started_ms,
	    .respawns = m->respawns,
	    .renewals = m->renewals,
	    .certificate_s = validity_first(m),
	    .counters = m->buried};
	from.master = &r->master;
	report_words(&from.words);
	if ((r->show = show_new(&from, subject, json)) != NULL)
		return r;
	free(r);
	return NULL;
}

int
report_ask(
    struct report *r, int argc, char **argv, char *error, size_t error_len)
{
	return show_ask(r->show, argc, argv, error, error_len);
}

void
report_free(struct report *r)
{
	if (r == NULL)
		return;
	show_free(r->show);
	free(r);
}

int
report_more(struct report *r, struct evbuffer *out)
{
	char *text = NULL;
	size_t len = 0;
	FILE *part = open_memstream(&text, &len);
	int more;

	if (part == NULL)
		return -1;
	more = show_more(r->show, part);
	if (fclose(part) != 0 || evbuffer_add(out, text, len) == -1)
		more = -1;
	free(text);
	return more;
}
