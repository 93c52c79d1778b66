/* probe: what the kernel says of a process. Layer 5. */
#ifndef CHATD_PROCESS_PROBE_H
#define CHATD_PROCESS_PROBE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct probe {
	char state;	   /* as in /proc/PID/stat */
	uint64_t used_ms;  /* of a processor so far */
	uint64_t queue_ms; /* waited for one so far; 0: it does not say */
};

/* False: unknown. */
bool probe_process(pid_t pid, struct probe *probe);

#endif
