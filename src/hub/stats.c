#include "hub/stats.h"

const char *
worker_state_name(uint32_t state)
{
	static const char *const name[] = {"stopped", "starting", "running",
	    "stopping", "waiting", "draining"};

	return state < sizeof(name) / sizeof(name[0]) ? name[state] : "?";
}

const char *
sends_by_name(uint32_t by)
{
	return by == SENDS_URING  ? "io_uring"
	    : by == SENDS_SENDMSG ? "sendmsg"
				  : "-";
}
