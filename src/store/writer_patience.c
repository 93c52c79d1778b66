/* writer_patience: calls that take as long as the disk does for a large log,
 * and give no life signs in the middle. */
#include <signal.h>
#include <sys/time.h>

#include "hub/line.h"
#include "writer.h"

enum {
	/* Life signs in one such call, one a second. Larger: one that hangs for
	 * good is replaced later; smaller: a log of some GB on a slow disk is
	 * never moved, since each process is killed before the end. */
	PATIENCE_TICKS = 300
};

static struct hub *hub;
static volatile sig_atomic_t ticks;

/* A second has passed. */
static void
patience_cb(int sig)
{
	if (ticks > 0) {
		ticks--;
		line_tick(hub);
		/* its cursor stands still, too */
		SHM_TELL(hub->mine->hand, HAND_BLOCKED);
	}
}

void
writer_patience(struct writer *w, bool on)
{
	const struct sigaction how = {
	    .sa_handler = patience_cb, .sa_flags = SA_RESTART};
	const struct itimerval each = {
	    .it_interval = {.tv_sec = on}, .it_value = {.tv_sec = on}};

	hub = w->hub;
	ticks = on ? PATIENCE_TICKS : 0;
	if (on)
		(void)sigaction(SIGALRM, &how, NULL);
	(void)setitimer(ITIMER_REAL, &each, NULL);
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
