#include "validity.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/log.h"
#include "codec/tls_files.h"
#include "private.h"
#include "report_subject.h"

enum { VALIDITY_DAY_MS = TLS_DAY_S * 1000, VALIDITY_TEXT = 32 };

/* "2026-11-29 10:00", of UTC. */
static const char *
validity_text(int64_t at, char out[VALIDITY_TEXT])
{
	const time_t t = (time_t)at;
	struct tm tm;

	if (gmtime_r(&t, &tm) == NULL ||
	    strftime(out, VALIDITY_TEXT, "%Y-%m-%d %H:%M", &tm) == 0)
		strlcpy(out, "?", VALIDITY_TEXT);
	return out;
}

/* Now, by the clock that certificates go by. */
static int64_t
validity_now(void)
{
	return (int64_t)(clock_wall_ms() / 1000);
}

void
validity_free(struct validity *v)
{
	for (int i = 0; i < MESSAGE_FILES; i++)
		free(v->path[i]);
	*v = (struct validity){.set = 0};
}

void
validity_note(struct master *m, uint32_t set, const struct message_until *until)
{
	struct validity *v = &m->beginners.validity;
	const uint64_t now = master_clock_ms(m);
	const bool untold = v->untold;

	if (set == v->set)
		return; /* others of the set say the same */
	validity_free(v);
	v->set = set;
	v->until = *until;
	for (uint32_t i = 0; i < until->n; i++)
		if (i < (uint32_t)m->conf->tls.n_certificates)
			v->path[i] = strdup(m->conf->tls.certificate[i].chain);
	/* at a start and a reload it is told already */
	v->tell_ms = untold ? now : now + VALIDITY_DAY_MS;
}

/* Tells of one certificate. */
static void
validity_tell(const struct validity *v, uint32_t i, int64_t now)
{
	const int64_t end = v->until.certificate[i];
	const char *path = v->path[i] != NULL ? v->path[i] : "?";
	char text[VALIDITY_TEXT];

	if (end != 0 && end <= now)
		log_warn("certificate %s: it has expired on %s UTC: clients "
			 "refuse it",
		    path, validity_text(end, text));
	else if (end != 0 && end - now < TLS_SOON_S)
		log_warn("certificate %s: it expires on %s UTC, in %" PRId64
			 " days",
		    path, validity_text(end, text), (end - now) / TLS_DAY_S);
	if (v->until.staple[i] != 0 && v->until.staple[i] <= now)
		log_warn("certificate %s: its OCSP response is out of date, "
			 "and is not sent",
		    path);
}

void
validity_time(struct master *m, uint64_t now)
{
	struct validity *v = &m->beginners.validity;

	if (v->set == 0 || now < v->tell_ms)
		return;
	v->tell_ms = now + VALIDITY_DAY_MS;
	for (uint32_t i = 0; i < v->until.n; i++)
		validity_tell(v, i, validity_now());
}

int64_t
validity_first(const struct master *m)
{
	const struct validity *v = &m->beginners.validity;
	int64_t first = 0;

	for (uint32_t i = 0; i < v->until.n; i++)
		if (v->until.certificate[i] > 0 &&
		    (first == 0 || v->until.certificate[i] < first))
			first = v->until.certificate[i];
	return first;
}

/* One certificate of `chatctl show certificates`. */
static bool
validity_next(struct show *s)
{
	const struct master *m = s->from.arg;
	const struct validity *v = &m->beginners.validity;
	const uint32_t i = (uint32_t)s->at++;
	char text[VALIDITY_TEXT];
	int64_t end, left;
	const char *path;

	if (i >= v->until.n)
		return false;
	end = v->until.certificate[i];
	/* a handshaker that was taken over may say any number */
	left = (end > 0 ? end : 0) - validity_now();
	path = v->path[i] != NULL ? v->path[i] : "?";
	show_comma(s);
	if (s->json) {
		show_put(s, "{\"certificate\":");
		report_put_json(s, path);
		show_put(s,
		    ",\"not_after_s\":%" PRId64 ",\"left_s\":%" PRId64
		    ",\"ocsp_until_s\":%" PRId64 "}",
		    end, left, v->until.staple[i]);
	} else {
		show_put(s, "%-16s %6" PRId64 " ", validity_text(end, text),
		    left / TLS_DAY_S);
		report_put_text(s, path, 0);
		show_put(s, "\n");
	}
	return true;
}

static void
validity_head(struct show *s)
{
	show_put(s, "%-16s %6s CERTIFICATE\n", "UNTIL/UTC", "DAYS");
}

const struct show_subject report_certificates = {.name = "certificates",
    .next = validity_next,
    .head = validity_head,
    .open = "[",
    .close = "]\n"};
