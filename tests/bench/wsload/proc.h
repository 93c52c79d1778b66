/* proc.h - what the server costs, read from /proc: CPU time and memory of a
 * tree of processes, and the machine's own figures. */
#ifndef WSLOAD_PROC_H
#define WSLOAD_PROC_H

#include <stdint.h>
#include <sys/types.h>

enum { MAX_PROCS = 1024 };

/* The server's processes: the roots given and all their descendants. */
struct proc_tree {
	pid_t root[16];
	int roots;
	pid_t pid[MAX_PROCS];
	int n;
};

void proc_tree_add_root(struct proc_tree *t, pid_t pid);

/* Finds the descendants anew. Dies if a root is gone and need_roots. */
void proc_tree_scan(struct proc_tree *t, int need_roots);

struct cpu {
	double total; /* seconds: the exact process clocks + children already
			 reaped */
	double user;  /* seconds out of /proc/PID/stat (10 ms steps) */
	double sys;
};

/* CPU time used so far by all processes of the tree, all their threads and
 * their dead (reaped) children. */
struct cpu proc_tree_cpu(const struct proc_tree *t);

/* The generator's own CPU seconds. */
double self_cpu(void);

/* Sum of Pss over the tree, in bytes (/proc/PID/smaps_rollup). */
uint64_t proc_tree_pss(const struct proc_tree *t);
uint64_t self_pss(void);

struct machine {
	double busy, softirq, steal; /* CPU seconds of all cores since boot */
	double ksoftirqd;	     /* CPU seconds of the ksoftirqd threads */
	uint64_t mem_available;	     /* bytes */
	uint64_t slab;		     /* bytes, reclaimable or not */
	uint64_t tcp_buffers;	     /* bytes in TCP socket buffers */
};

void machine_read(struct machine *m);

#endif
