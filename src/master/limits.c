#include "limits.h"

#include <inttypes.h>
#include <stdio.h>

int
limits_print(
    char *out, size_t len, const struct hub_limits *l, uint32_t connections)
{
	return snprintf(out, len,
	    "limits %" PRIu32 " %" PRIu32 " %" PRIu32 " %" PRIu64 " %" PRIu64
	    " %" PRIu64 " %" PRIu32 " %" PRIu32 " readers %u %u %" PRIu32,
	    l->connections, l->users, l->channels, l->journal_bytes,
	    l->output_bytes, l->input_bytes, l->subscriptions, connections,
	    l->readers, l->events, l->reader_share);
}

bool
limits_read(const char *text, struct hub_limits *l, uint32_t *connections)
{
	*l = (struct hub_limits){.connections = 0};
	return sscanf(text,
		   "limits %" SCNu32 " %" SCNu32 " %" SCNu32 " %" SCNu64
		   " %" SCNu64 " %" SCNu64 " %" SCNu32 " %" SCNu32
		   " readers %" SCNu8 " %" SCNu8 " %" SCNu32,
		   &l->connections, &l->users, &l->channels, &l->journal_bytes,
		   &l->output_bytes, &l->input_bytes, &l->subscriptions,
		   connections, &l->readers, &l->events,
		   &l->reader_share) >= 8; /* the others may be missing */
}
