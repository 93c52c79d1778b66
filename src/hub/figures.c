#include "hub/figures.h"

#include "base/clock.h"
#include "heads.h"

enum { FIRST_BITS = 4 /* of the first step: 16 us */ };

struct figures *
figures_of(const struct hub *h)
{
	return &h->heads->figures;
}

void
figures_tell(struct figures *f, enum figures_state state, const char *reason)
{
	size_t n = 0;

	if (reason != NULL) {
		for (; reason[n] != '\0' && n < FIGURES_REASON - 1; n++)
			SHM_TELL(f->reason[n], (uint8_t)reason[n]);
		for (; n < FIGURES_REASON; n++)
			SHM_TELL(f->reason[n], 0);
	}
	if (SHM_OWN(f->state) != state)
		SHM_TELL(f->state_ms, clock_ms());
	SHM_TELL(f->state, state);
}

/* The step of a time: two bits behind its highest one. */
static unsigned
figures_step(uint64_t us)
{
	unsigned high, step;

	if (us < 1u << FIRST_BITS)
		return 0;
	high = 63 - (unsigned)__builtin_clzll(us);
	step = (high - FIRST_BITS) * 4 + (unsigned)(us >> (high - 2) & 3);
	return step < FIGURES_STEPS ? step : FIGURES_STEPS - 1;
}

/* The longest time of a step, us. */
static uint64_t
figures_step_us(unsigned step)
{
	return (5ull + step % 4) << (step / 4 + FIRST_BITS - 2);
}

void
figures_commit(struct figures *f, uint64_t us)
{
	SHM_COUNT(f->commits, 1);
	SHM_COUNT(f->commit_us_all, us);
	SHM_COUNT(f->step[figures_step(us)], 1);
	if (us > SHM_OWN(f->commit_us_max))
		SHM_TELL(f->commit_us_max, us);
}

uint64_t
figures_commit_us(const struct figures *f, unsigned percent)
{
	uint64_t all = 0, n = 0, us;
	unsigned i;

	for (i = 0; i < FIGURES_STEPS; i++)
		all += SHM_LOAD(f->step[i]);
	if (all == 0)
		return 0;
	for (i = 0; i < FIGURES_STEPS - 1; i++)
		if ((n += SHM_LOAD(f->step[i])) * 100 >= all * percent)
			break;
	us = SHM_LOAD(f->commit_us_max);
	return figures_step_us(i) < us ? figures_step_us(i) : us;
}

const char *
figures_state_name(uint32_t state)
{
	static const char *const names[FIGURES_STATES] = {"off", "opening",
	    "ok", "full", "read-only", "locked", "damaged", "failed"};

	return state < FIGURES_STATES ? names[state] : "?";
}

void
figures_reason(const struct figures *f, char out[FIGURES_REASON])
{
	size_t n;
	uint8_t c;

	for (n = 0; n < FIGURES_REASON - 1; n++) {
		if ((c = SHM_LOAD(f->reason[n])) == '\0')
			break;
		out[n] = c < 0x20 || c >= 0x7f ? '?' : (char)c;
	}
	out[n] = '\0';
}
