#include "show/subject.h"

#include <inttypes.h>
#include <stdarg.h>

#include "codec/name.h"
#include "hub/journal.h"

void
show_put(struct show *s, const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vfprintf(s->out, fmt, ap);
	va_end(ap);
	if (n < 0)
		s->failed = true;
	else
		s->len += (size_t)n;
}

void
show_text(struct show *s, const char *text, size_t len)
{
	char shown[NAME_SHOWN_MAX];
	size_t n = s->json ? name_show_json(text, len, shown)
	    : len > 0	   ? name_show(text, len, shown)
			   : 0;

	if (fwrite(shown, 1, n, s->out) != n)
		s->failed = true;
	s->len += n;
}

void
show_comma(struct show *s)
{
	if (s->json && s->some)
		show_put(s, ",\n");
	s->some = true;
}

bool
show_connection(
    const struct show *s, uint32_t i, struct slot *out, uint64_t *id)
{
	const struct hub *h = s->from.hub;

	return slot_is_open(h, i) && slot_read(h, i, out, id) &&
	    (*id & UINT32_MAX) == i && out->worker < SHM_WORKERS &&
	    (s->from.alive >> out->worker & 1) != 0;
}

bool
show_count(struct show *s)
{
	const struct hub *h = s->from.hub;
	struct slot slot;
	uint64_t id;

	for (int n = 0; n < SHOW_STEP_ITEMS; n++, s->at++) {
		if ((s->at = slot_ever(h, s->at)) >= h->n_slots)
			return true;
		if (!show_connection(s, s->at, &slot, &id))
			continue;
		s->worker[slot.worker]++;
		if (s->count != NULL && slot.user < s->n_users)
			s->count[slot.user]++;
	}
	return false;
}

void
show_mask(struct show *s, uint64_t mask)
{
	char list[SHM_WORKERS * 3 + 1] = "";
	size_t len = 0;

	for (int i = 0; i < SHM_WORKERS; i++)
		if ((mask >> i & 1) != 0)
			len += (size_t)snprintf(list + len, sizeof(list) - len,
			    "%s%d", len > 0 ? "," : "", i);
	if (s->json)
		show_put(s, "[%s]", list);
	else
		show_put(s, "%-15s ", list);
}

void
show_readers(struct show *s, uint8_t readers, int width)
{
	static const char *const names[READERS] = {[READER_STORE] = "store",
	    [READER_ENGINE] = "engine",
	    [READER_HOOKS] = "hooks"};
	const char *quote = s->json ? "\"" : "";
	char list[READERS * 10 + 1] = "";
	size_t len = 0;

	for (int i = 0; i < READERS; i++)
		if ((readers >> i & 1) != 0)
			len += (size_t)snprintf(list + len, sizeof(list) - len,
			    "%s%s%s%s", len > 0 ? "," : "", quote, names[i],
			    quote);
	if (s->json)
		show_put(s, "[%s]", list);
	else
		show_put(s, "%-*s ", width, len > 0 ? list : "-");
}
