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
		if (member_is_there(&m->member[i]) || m->member[i].unclean)
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
	log_warn("worker %d does not take a message: %s not sent: %s", w->place,
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

bool
member_is_vacant(const struct member *w)
{
	return w->course == COURSE_GONE || w->child.respawn_ms != 0 ||
	    w->master->phase >= PHASE_QUITTING;
}
