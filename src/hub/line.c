#include "hub/line.h"

const char *
worker_state_name(uint32_t state)
{
	static const char *const name[] = {"stopped", "starting", "running",
	    "stopping", "waiting", "draining"};

	return state < sizeof(name) / sizeof(name[0]) ? name[state] : "?";
}
