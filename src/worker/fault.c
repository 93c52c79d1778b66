/* fault: what a worker does that dies of its own fault. Its successor finds in
 * shared memory what it had in hand; but the other workers must know at once
 * which publication to keep off. */
#include <errno.h>
#include <signal.h>
#include <string.h>

#include "base/log.h"
#include "hub/journal.h"
#include "hub/stats.h"
#include "private.h"

enum { FAULT_STACK = 32 * 1024 }; /* its own: the other may be exhausted */

static struct hub *hub;

/* Tells, and dies of the same signal: it is blocked until the return. */
static void
fault_cb(int sig)
{
	if (SHM_OWN(hub->mine->hand) == HAND_DELIVERY)
		journal_suspect(hub, SHM_OWN(hub->mine->hand_arg));
	raise(sig);
}

void
fault_init(struct hub *h)
{
	static const int faults[] = {SIGSEGV, SIGABRT, SIGBUS, SIGFPE, SIGILL};
	static uint8_t stack[FAULT_STACK];
	const stack_t s = {.ss_sp = stack, .ss_size = sizeof(stack)};
	struct sigaction how = {
	    .sa_handler = fault_cb, .sa_flags = SA_ONSTACK | (int)SA_RESETHAND};
	size_t k;

	hub = h;
#ifdef __SANITIZE_ADDRESS__
	return; /* it has reports of its own to write */
#endif
	if (sigaltstack(&s, NULL) < 0)
		log_warn("sigaltstack: %s", strerror(errno));
	for (k = 0; k < sizeof(faults) / sizeof(faults[0]); k++)
		if (sigaction(faults[k], &how, NULL) < 0)
			log_warn("sigaction: %s", strerror(errno));
}
