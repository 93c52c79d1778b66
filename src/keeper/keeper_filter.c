#include "keeper_filter.h"

#include <errno.h>
#include <seccomp.h>
#include <string.h>

#include "base/log.h"

void
keeper_filter(void)
{
#ifdef CHATD_SANITIZED
	/* the sanitizers call what they like at the end */
#else
	static const int allowed[] = {SCMP_SYS(recvmsg), SCMP_SYS(sendmsg),
	    SCMP_SYS(poll), SCMP_SYS(ppoll), SCMP_SYS(close),
	    SCMP_SYS(exit_group), SCMP_SYS(rt_sigreturn),
	    SCMP_SYS(restart_syscall)};
	scmp_filter_ctx f = seccomp_init(SCMP_ACT_KILL_PROCESS);
	int e = f == NULL ? -ENOMEM : 0;
	size_t k;

	for (k = 0; e == 0 && k < sizeof(allowed) / sizeof(allowed[0]); k++)
		e = seccomp_rule_add(f, SCMP_ACT_ALLOW, allowed[k], 0);
	if (e == 0)
		e = seccomp_load(f);
	if (e != 0)
		log_warn("keeper without a filter: %s",
		    f == NULL ? "seccomp is not permitted" : strerror(-e));
	if (f != NULL)
		seccomp_release(f);
#endif
}
