/*
 * machine: how much of the machine this process may use: the limits of all of
 * its control groups and of the kernel, as they are now. No call waits for
 * another process. Layer 0.
 */
#ifndef CHATD_BASE_MACHINE_H
#define CHATD_BASE_MACHINE_H

#include <stdint.h>

enum { MACHINE_FROM = 512 };

#define MACHINE_NONE UINT64_MAX /* no limit, or it is not known */

/* A limit, and where it stands: "/sys/fs/cgroup/chat/memory.max". */
struct machine_limit {
	uint64_t value;
	char from[MACHINE_FROM];
};

struct machine {
	struct machine_limit memory; /* bytes, of all groups: the smallest */
	uint64_t total;		     /* bytes of the whole machine */
	struct machine_limit tasks;  /* processes and threads */
};

/* Looks, with `root` ("" for the real one) in front of each path. */
void machine_look(struct machine *m, const char *root);

/* Bytes of memory that may still be used: what is available on the machine, and
 * within the limit of each control group, where what the kernel could drop
 * counts as free. MACHINE_NONE: it is not known. */
uint64_t machine_left(const char *root);

/* The processors that this process may use, by affinity and by the quota of
 * its control groups, rounded up: at least 1. */
uint32_t machine_processors(const char *root);

#endif
