/* writer_fault: an entry of the journal that kills the writer. What it has in
 * hand stands in its line; one that killed it by a fault of its own twice is
 * passed over. */
#include <errno.h>
#include <signal.h>
#include <string.h>

#include "base/log.h"
#include "hub/line.h"
#include "writer.h"

enum {
	FAULT_STACK = 32 * 1024, /* its own: the other may be exhausted */
	FAULT_DEATHS = 60,	 /* shift: of them, above the position */
	FAULT_MAX = 2
};

static struct hub *hub;

/* Notes one more death over what is in hand, and dies of the same signal. */
static void
writer_fault_cb(int sig)
{
	const uint64_t in_hand = SHM_OWN(hub->mine->hand_arg);

	if (SHM_OWN(hub->mine->hand) == HAND_DELIVERY &&
	    in_hand >> FAULT_DEATHS < FAULT_MAX)
		SHM_TELL(hub->mine->hand_arg, in_hand + (1ull << FAULT_DEATHS));
	raise(sig);
}

void
writer_fault_init(struct writer *w)
{
	static const int faults[] = {SIGSEGV, SIGABRT, SIGBUS, SIGFPE, SIGILL};
	static uint8_t stack[FAULT_STACK];
	const stack_t s = {.ss_sp = stack, .ss_size = sizeof(stack)};
	const struct sigaction how = {.sa_handler = writer_fault_cb,
	    .sa_flags = SA_ONSTACK | (int)SA_RESETHAND};
	const uint64_t in_hand = SHM_LOAD(w->hub->mine->hand_arg);

	hub = w->hub;
	if (SHM_LOAD(hub->mine->hand) == HAND_DELIVERY) {
		w->suspect = in_hand & (JOURNAL_POSITION_MAX - 1);
		w->deaths = (unsigned)(in_hand >> FAULT_DEATHS);
	}
#ifdef __SANITIZE_ADDRESS__
	return; /* it has reports of its own to write */
#endif
	if (sigaltstack(&s, NULL) < 0)
		log_warn("sigaltstack: %s", strerror(errno));
	for (size_t k = 0; k < sizeof(faults) / sizeof(faults[0]); k++)
		if (sigaction(faults[k], &how, NULL) < 0)
			log_warn("sigaction: %s", strerror(errno));
}

bool
writer_is_poison(const struct writer *w, const struct publication *p)
{
	return w->deaths >= FAULT_MAX && p->position == w->suspect;
}

void
writer_in_hand(struct writer *w, const struct publication *p)
{
	const uint64_t deaths = p->position == w->suspect ? w->deaths : 0;

	SHM_TELL(w->hub->mine->hand_arg, p->position | deaths << FAULT_DEATHS);
	SHM_TELL(w->hub->mine->hand, HAND_DELIVERY);
}

void
writer_hand_free(struct writer *w)
{
	SHM_TELL(w->hub->mine->hand,
	    w->state == STORE_OK ? HAND_NOTHING : HAND_BLOCKED);
}
