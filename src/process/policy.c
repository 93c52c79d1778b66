#include "process/policy.h"

#include <signal.h>
#include <sys/wait.h>

bool
policy_is_fault(int wait_status)
{
	if (WIFEXITED(wait_status))
		return true;
	switch (WTERMSIG(wait_status)) {
	case SIGSEGV:
	case SIGABRT:
	case SIGBUS:
	case SIGFPE:
	case SIGILL:
		return true;
	default:
		return false;
	}
}

void
policy_ready(struct policy *p)
{
	p->unready = 0;
}

/* The n-th back-off, from 1: 1, 2, 4 ... 60 s; none for 0. */
static uint64_t
backoff_ms(uint32_t n)
{
	uint64_t ms;

	if (n == 0)
		return 0;
	ms = (uint64_t)POLICY_BACKOFF_MIN_MS << (n < 8 ? n - 1 : 7);
	return ms < POLICY_BACKOFF_MAX_MS ? ms : POLICY_BACKOFF_MAX_MS;
}

/* How long until the burst limit allows one more respawn. */
static uint64_t
burst_ms(const struct policy *p, uint64_t now_ms)
{
	uint64_t oldest = p->respawn_ms[p->next];

	if (oldest == 0 || now_ms >= oldest + POLICY_BURST_MS)
		return 0;
	return oldest + POLICY_BURST_MS - now_ms;
}

uint64_t
policy_died(struct policy *p, bool fault, bool was_ready, uint64_t age_ms,
    uint64_t now_ms)
{
	uint64_t wait_ms, other_ms;

	if (was_ready && age_ms >= POLICY_GOOD_LIFE_MS)
		p->faults = p->unready = 0;
	else if (fault) {
		p->faults++;
		if (!was_ready)
			p->unready++;
	}
	/* One that was killed waits for nothing, nor does it pay off what
	 * its predecessors ran up. */
	wait_ms = fault ? backoff_ms(p->unready) : 0;
	if (fault && p->faults >= POLICY_FAULTS) {
		other_ms = backoff_ms(p->faults - POLICY_FAULTS + 1);
		if (other_ms > wait_ms)
			wait_ms = other_ms;
	}
	other_ms = burst_ms(p, now_ms);
	return other_ms > wait_ms ? other_ms : wait_ms;
}

void
policy_respawned(struct policy *p, uint64_t now_ms)
{
	p->respawn_ms[p->next] = now_ms;
	p->next = (p->next + 1) % POLICY_BURST;
}
