#include "report_part.h"

#include <event2/buffer.h>
#include <stdarg.h>
#include <stdio.h>

#include "codec/name.h"
#include "private.h"

void
report_put(struct report *r, struct evbuffer *out, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	if (evbuffer_add_vprintf(out, fmt, ap) == -1)
		r->failed = true;
	va_end(ap);
}

void
report_text(
    struct report *r, struct evbuffer *out, const char *text, size_t len)
{
	char shown[NAME_SHOWN_MAX];
	size_t n = r->json ? name_show_json(text, len, shown)
	    : len > 0	   ? name_show(text, len, shown)
			   : 0;

	if (evbuffer_add(out, shown, n) == -1)
		r->failed = true;
}

void
report_comma(struct report *r, struct evbuffer *out)
{
	if (r->json)
		report_put(r, out, r->some ? ",\n" : "");
	r->some = true;
}

bool
report_connection(
    const struct report *r, uint32_t i, struct slot *s, uint64_t *id)
{
	const struct hub *h = &r->master->hub;

	return slot_is_open(h, i) && slot_read(h, i, s, id) &&
	    (*id & UINT32_MAX) == i && s->worker < SHM_WORKERS &&
	    (r->alive >> s->worker & 1) != 0;
}

bool
report_count(struct report *r)
{
	const struct hub *h = &r->master->hub;
	struct slot s;
	uint64_t id;

	for (int n = 0; n < REPORT_STEP_ITEMS; n++, r->at++) {
		if ((r->at = slot_ever(h, r->at)) >= h->n_slots)
			return true;
		if (!report_connection(r, r->at, &s, &id))
			continue;
		r->worker[s.worker]++;
		if (r->count != NULL && s.user < r->n_users)
			r->count[s.user]++;
	}
	return false;
}

void
report_mask(struct report *r, struct evbuffer *out, uint64_t mask)
{
	char list[SHM_WORKERS * 3 + 1] = "";
	size_t len = 0;

	for (int i = 0; i < SHM_WORKERS; i++)
		if ((mask >> i & 1) != 0)
			len += (size_t)snprintf(list + len, sizeof(list) - len,
			    "%s%d", len > 0 ? "," : "", i);
	report_put(r, out, r->json ? "[%s]" : "%-15s ", list);
}
