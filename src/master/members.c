/* What anybody in the master may ask of workers, and tell them. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "codec/message.h"
#include "conf/conf.h"
#include "member.h"
#include "members.h"
#include "net/link.h"
#include "private.h"

/* The workers that serve, or are just taking over from one that did, as a
 * presence mask. */
uint64_t
members_mask(const struct master *m)
{
	uint64_t mask = 0;

	for (int i = 0; i < m->n_workers; i++)
		if (m->member[i].child.pid != 0 || m->member[i].unclean)
			mask |= 1ull << i;
	return mask;
}

/* The lowest worker that can be asked to do something: one that ticks if
 * there is any. */
int
members_lowest(const struct master *m)
{
	int lowest = -1;

	for (int i = m->n_workers - 1; i >= 0; i--)
		if (m->member[i].child.ready && !m->member[i].child.killed &&
		    (lowest == -1 || watchdog_is_lively(&m->watchdog, i)))
			lowest = i;
	return lowest;
}

/* Sends a message now or not at all. Returns 0, or -1 and errno. */
int
member_send(struct member *w, uint32_t type, const void *payload, size_t len)
{
	if (w->child.link == -1) {
		errno = EPIPE;
		return -1;
	}
	if (link_send(w->child.link, type, payload, len, -1) == 0)
		return 0;
	log_warn("worker %d does not take a message: %s not sent: %s", w->slot,
	    message_name((int)type), strerror(errno));
	return -1;
}

uint64_t
master_clock_ms(const struct master *m)
{
	return watchdog_clock_ms(&m->watchdog, clock_ms());
}

/* Kills a worker that has to go, and says why. */
void
member_kill(struct member *w, const char *fmt, ...)
{
	char why[128];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(why, sizeof(why), fmt, ap);
	va_end(ap);
	(void)child_kill(&w->child, why); /* or it is asked for again */
}

/* Sends what is owed, as far as the link takes it. */
void
member_owed_send(struct member *w)
{
	static const uint32_t type[] = {MSG_CONF, MSG_DRAIN, MSG_START,
	    MSG_RETIRE, MSG_QUIT, MSG_STOP, MSG_PAGE};
	const struct master *m = w->master;
	const struct message_drain drain = {
	    m->drain_rate * 1000 / (uint32_t)m->n_workers};
	static char conf[CONF_LIVE_MAX];
	const void *payload;
	size_t len;

	for (size_t i = 0; i < sizeof(type) / sizeof(type[0]); i++) {
		if ((w->owed & 1u << i) == 0 ||
		    (type[i] == MSG_PAGE && m->page == -1))
			continue;
		payload = NULL;
		len = 0;
		if (type[i] == MSG_CONF) {
			payload = conf;
			len = conf_live_write(&m->live, conf);
		} else if (type[i] == MSG_DRAIN) {
			payload = &drain;
			len = sizeof(drain);
		}
		if (link_send(w->child.link, type[i], payload, len,
			type[i] == MSG_PAGE ? m->page : -1) == -1)
			return; /* full: later; gone: it does not matter */
		w->owed &= ~(1u << i);
	}
}

/* Owes a worker a message that must not get lost. */
void
member_owe(struct member *w, unsigned what)
{
	if (w->child.link == -1)
		return;
	w->owed |= what;
	member_owed_send(w);
}
