/*
 * cgroup: where the files of this process's control groups are, and what they
 * say; cgroups(7), versions 1 and 2 and both at once. Pure functions on texts:
 * machine.h reads. Layer 0.
 */
#ifndef CHATD_BASE_CGROUP_H
#define CHATD_BASE_CGROUP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { CGROUP_PATH = 4096 };

#define CGROUP_NONE UINT64_MAX /* no limit */

/* A group's folder. */
struct cgroup {
	char folder[CGROUP_PATH];
	size_t top;   /* bytes of it up to the topmost group in sight */
	bool unified; /* version 2: other file names */
};

/*
 * Finds a controller's group from the texts of /proc/self/cgroup and
 * /proc/self/mountinfo. In a container the group may lie outside of what is
 * mounted: then it is the topmost one in sight. False: there is none.
 */
bool cgroup_find(struct cgroup *g, const char *groups, const char *mounts,
    const char *controller);

/* Goes to the group above; false: this one is the topmost. */
bool cgroup_up(struct cgroup *g);

/* A file with one number: CGROUP_NONE for "max", a negative one, and what is no
 * number. Version 1 says "no limit" by a number of about 2^63. */
uint64_t cgroup_number(const char *text);

/* The processors that a quota of quota_us in each period_us is good for,
 * rounded up; CGROUP_NONE if there is no quota. */
uint64_t cgroup_processors(uint64_t quota_us, uint64_t period_us);

/* cgroup_processors() of what a cpu.max says: "max 100000" or "150000
 * 100000". */
uint64_t cgroup_cpu_max(const char *text);

#endif
