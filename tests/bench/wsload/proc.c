#include "proc.h"

#include "util.h"

#include <ctype.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

struct stat_line {
	pid_t ppid;
	char comm[32];
	unsigned long long utime, stime, cutime, cstime; /* clock ticks */
};

static int
read_stat(pid_t pid, struct stat_line *s)
{
	char path[64], line[1024];
	snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
	FILE *f = fopen(path, "r");
	if (!f)
		return -1;
	char *ok = fgets(line, sizeof line, f);
	fclose(f);
	char *open = ok ? strchr(line, '(') : NULL,
	     *close = ok ? strrchr(line, ')') : NULL;
	if (!open || !close)
		return -1;
	snprintf(
	    s->comm, sizeof s->comm, "%.*s", (int)(close - open - 1), open + 1);
	int ppid;
	if (sscanf(close + 1,
		" %*c %d %*d %*d %*d %*d %*u %*u %*u %*u %*u %llu %llu %llu "
		"%llu",
		&ppid, &s->utime, &s->stime, &s->cutime, &s->cstime) != 5)
		return -1;
	s->ppid = ppid;
	return 0;
}

void
proc_tree_add_root(struct proc_tree *t, pid_t pid)
{
	if (t->roots == (int)(sizeof t->root / sizeof *t->root))
		die("too many --server-pid");
	t->root[t->roots++] = pid;
}

static int
in_tree(const struct proc_tree *t, pid_t pid)
{
	for (int i = 0; i < t->n; i++)
		if (t->pid[i] == pid)
			return 1;
	return 0;
}

void
proc_tree_scan(struct proc_tree *t, int need_roots)
{
	static struct {
		pid_t pid, ppid;
	} all[65536];
	int n = 0;
	struct stat_line s;

	t->n = 0;
	if (t->roots == 0)
		return;
	for (int i = 0; i < t->roots; i++) {
		if (read_stat(t->root[i], &s) == 0)
			t->pid[t->n++] = t->root[i];
		else if (need_roots)
			die("--server-pid %d: no such process",
			    (int)t->root[i]);
	}
	DIR *d = opendir("/proc");
	if (!d)
		die("/proc cannot be read");
	for (struct dirent *e;
	     (e = readdir(d)) && n < (int)(sizeof all / sizeof *all);) {
		if (!isdigit((unsigned char)e->d_name[0]))
			continue;
		pid_t pid = atoi(e->d_name);
		if (read_stat(pid, &s) == 0) {
			all[n].pid = pid;
			all[n++].ppid = s.ppid;
		}
	}
	closedir(d);
	for (int grew = 1; grew;) {
		grew = 0;
		for (int i = 0; i < n; i++) {
			if (t->n < MAX_PROCS && in_tree(t, all[i].ppid) &&
			    !in_tree(t, all[i].pid)) {
				t->pid[t->n++] = all[i].pid;
				grew = 1;
			}
		}
	}
}

struct cpu
proc_tree_cpu(const struct proc_tree *t)
{
	struct cpu c = {0};
	double tick = 1.0 / (double)sysconf(_SC_CLK_TCK);

	for (int i = 0; i < t->n; i++) {
		struct stat_line s;
		if (read_stat(t->pid[i], &s) < 0)
			continue;
		double reaped = (double)(s.cutime + s.cstime) * tick;
		c.user += (double)(s.utime + s.cutime) * tick;
		c.sys += (double)(s.stime + s.cstime) * tick;

		/* The same sum as utime + stime, without the 10 ms steps. */
		clockid_t clock;
		struct timespec ts;
		if (clock_getcpuclockid(t->pid[i], &clock) == 0 &&
		    clock_gettime(clock, &ts) == 0)
			c.total += (double)ts.tv_sec +
			    (double)ts.tv_nsec * 1e-9 + reaped;
		else
			c.total += (double)(s.utime + s.stime) * tick + reaped;
	}
	return c;
}

double
self_cpu(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec * 1e-9;
}

/* The number after "KEY" at the start of a line, in bytes for kB figures. */
static uint64_t
read_kb(const char *path, const char *key)
{
	char line[256];
	unsigned long long kb = 0;
	FILE *f = fopen(path, "r");
	if (!f)
		return 0;
	while (fgets(line, sizeof line, f)) {
		if (strncmp(line, key, strlen(key)) == 0) {
			sscanf(line + strlen(key), "%llu", &kb);
			break;
		}
	}
	fclose(f);
	return kb * 1024;
}

uint64_t
proc_tree_pss(const struct proc_tree *t)
{
	uint64_t sum = 0;
	for (int i = 0; i < t->n; i++) {
		char path[64];
		snprintf(
		    path, sizeof path, "/proc/%d/smaps_rollup", (int)t->pid[i]);
		sum += read_kb(path, "Pss:");
	}
	return sum;
}

uint64_t
self_pss(void)
{
	return read_kb("/proc/self/smaps_rollup", "Pss:");
}

static double
ksoftirqd_cpu(void)
{
	static pid_t pid[256];
	static int n = -1;
	double sum = 0;
	struct stat_line s;

	if (n < 0) { /* kernel threads: found once, among the low pids */
		n = 0;
		for (pid_t p = 2; p < 1000 && n < 256; p++)
			if (read_stat(p, &s) == 0 && s.ppid == 2 &&
			    strncmp(s.comm, "ksoftirqd/", 10) == 0)
				pid[n++] = p;
	}
	for (int i = 0; i < n; i++)
		if (read_stat(pid[i], &s) == 0)
			sum += (double)(s.utime + s.stime) /
			    (double)sysconf(_SC_CLK_TCK);
	return sum;
}

void
machine_read(struct machine *m)
{
	char line[512];
	double tick = 1.0 / (double)sysconf(_SC_CLK_TCK);

	memset(m, 0, sizeof *m);
	FILE *f = fopen("/proc/stat", "r");
	if (f) {
		unsigned long long user, nice, sys, idle, iowait, irq, softirq,
		    steal;
		if (fgets(line, sizeof line, f) &&
		    sscanf(line, "cpu %llu %llu %llu %llu %llu %llu %llu %llu",
			&user, &nice, &sys, &idle, &iowait, &irq, &softirq,
			&steal) == 8) {
			m->busy =
			    (double)(user + nice + sys + irq + softirq) * tick;
			m->softirq = (double)softirq * tick;
			m->steal = (double)steal * tick;
		}
		fclose(f);
	}
	m->ksoftirqd = ksoftirqd_cpu();
	m->mem_available = read_kb("/proc/meminfo", "MemAvailable:");
	m->slab = read_kb("/proc/meminfo", "Slab:");
	f = fopen("/proc/net/sockstat", "r");
	if (f) {
		while (fgets(line, sizeof line, f)) {
			unsigned long long pages;
			char *mem = strncmp(line, "TCP:", 4) == 0
			    ? strstr(line, " mem ")
			    : NULL;
			if (mem && sscanf(mem, " mem %llu", &pages) == 1)
				m->tcp_buffers =
				    pages * (uint64_t)sysconf(_SC_PAGESIZE);
		}
		fclose(f);
	}
}
