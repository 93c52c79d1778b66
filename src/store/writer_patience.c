/* writer_patience: how long calls may take: as long as the disk does for a
 * large log, with life signs in the middle; but not for long once the master is
 * dead, since the next chatd waits for the database. */
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/time.h>
#include <unistd.h>

#include "hub/line.h"
#include "writer.h"

enum {
	/* Life signs in one such call, one a second. Larger: one that hangs for
	 * good is replaced later; smaller: a log of some GB on a slow disk is
	 * never moved, since each process is killed before the end. */
	PATIENCE_TICKS = 300,
	/* From the master's death to the end, less than the next store waits
	 * for the lock (open.c). Larger: a disk that hangs keeps the next chatd
	 * from storing for longer; smaller: what was accepted last is lost with
	 * a slow one. */
	PATIENCE_ORPHAN_S = 4
};

static struct hub *hub;
static volatile sig_atomic_t ticks;
static volatile sig_atomic_t left; /* seconds to the end; 0: it is not near */

/* One signal a second, or none. */
static void
patience_timer(bool on)
{
	const struct itimerval each = {
	    .it_interval = {.tv_sec = on}, .it_value = {.tv_sec = on}};

	(void)setitimer(ITIMER_REAL, &each, NULL);
}

/* A second has passed. */
static void
patience_cb(int sig)
{
	if (left > 0 && --left == 0)
		_exit(1);
	if (ticks > 0) {
		ticks--;
		line_tick(hub);
		/* its cursor stands still, too */
		SHM_TELL(hub->mine->hand, HAND_BLOCKED);
	}
}

/* The master has died. */
static void
patience_orphan_cb(int sig)
{
	left = PATIENCE_ORPHAN_S;
	patience_timer(true);
}

void
writer_patience_init(struct writer *w)
{
	const struct sigaction tick = {
	    .sa_handler = patience_cb, .sa_flags = SA_RESTART};
	const struct sigaction orphan = {
	    .sa_handler = patience_orphan_cb, .sa_flags = SA_RESTART};

	hub = w->hub;
	(void)sigaction(SIGALRM, &tick, NULL);
	/* instead of SIGKILL: others die at once, so that all that they have
	 * accepted is there; a master that is dead by now has sent that */
	if (sigaction(SIGUSR2, &orphan, NULL) == 0)
		(void)prctl(PR_SET_PDEATHSIG, SIGUSR2);
}

bool
writer_is_orphan(const struct writer *w)
{
	struct pollfd link = {.fd = w->start->link};

	/* its end of the link ends a moment before it does */
	return left > 0 ||
	    (poll(&link, 1, 0) == 1 && (link.revents & POLLHUP) != 0);
}

void
writer_patience(struct writer *w, bool on)
{
	ticks = on ? PATIENCE_TICKS : 0;
	if (left == 0) {
		patience_timer(on);
		if (left > 0) /* the master has died in between */
			patience_timer(true);
	}
	if (!on && SHM_OWN(hub->mine->hand) == HAND_BLOCKED)
		writer_hand_free(w);
}

enum store_result
writer_checkpoint(struct writer *w, bool idle)
{
	enum store_result r;

	writer_patience(w, true);
	r = store_checkpoint(w->store, idle);
	writer_patience(w, false);
	return r;
}
