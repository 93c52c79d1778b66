/* By which way workers send: io_uring is about twice as fast, and not to be had
 * everywhere. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

#include "base/log.h"
#include "hub/stats.h"
#include "member.h"
#include "private.h"
#include "writes.h"

/* Ready workers, and those of them that send otherwise. */
struct writes_count {
	int workers, plain;
	int error; /* errno of such a one; 0: none */
};

/* Counts them. */
static struct writes_count
writes_count(const struct master *m)
{
	struct writes_count n = {.workers = 0};
	const struct shm_worker *line;

	for (int i = 0; i < m->n_workers; i++) {
		line = &m->hub.worker[i];
		if (!m->member[i].child.ready)
			continue;
		n.workers++;
		if (SHM_LOAD(line->sends_by) == SENDS_URING)
			continue;
		n.plain++;
		n.error = (int)SHM_LOAD(line->sends_error);
	}
	return n;
}

/* What helps. */
static void
remedy_write(int error, char *text, size_t len)
{
	struct rlimit locked = {.rlim_cur = 0};

	switch (error) {
	case ENOMEM:
		(void)getrlimit(RLIMIT_MEMLOCK, &locked);
		snprintf(text, len,
		    "rings are locked memory, some 100K for each worker, of "
		    "which this user's processes may have %lluK together: "
		    "raise LimitMEMLOCK of the service (ulimit -l)",
		    (unsigned long long)locked.rlim_cur / 1024);
		break;
	case EPERM:
	case EACCES:
	case ENOSYS:
		strlcpy(text,
		    "the kernel (sysctl kernel.io_uring_disabled) or the "
		    "container's seccomp filter does not permit it: permit "
		    "io_uring_setup, io_uring_enter and io_uring_register",
		    len);
		break;
	default:
		strlcpy(text, "it does not work on this kernel", len);
	}
}

void
writes_tell(struct master *m, bool starting)
{
	const struct writes_count n = writes_count(m);
	char remedy[512], error[64] = "";

	if (!m->conf->io_uring || n.plain == 0) {
		if (starting)
			log_info("writes by %s",
			    n.plain == 0 ? "io_uring" : "sendmsg");
		m->writes_told = false;
		return;
	}
	if (m->writes_told)
		return;
	m->writes_told = true;
	remedy_write(n.error, remedy, sizeof(remedy));
	if (n.error > 0 && n.error < 4096)
		snprintf(error, sizeof(error), " (%s)", strerror(n.error));
	log_warn("%d of %d workers have no io_uring%s and send by sendmsg, "
		 "which takes about twice the processor time: %s, or say "
		 "`io-uring no`",
	    n.plain, n.workers, error, remedy);
}
