/* The few system calls that a child of some kind needs. */
#include <errno.h>
#include <seccomp.h>
#include <string.h>

#include "base/log.h"
#include "process/child.h"

void
child_confine(const struct child_start *start)
{
#ifdef CHATD_SANITIZED
	/* the sanitizers call what they like at the end */
#else
	const int *calls = start->kind->calls;
#ifdef CHATD_KILL_POINTS
	/* to die, or stop, at one, and to say so */
	static const int dying[] = {SCMP_SYS(getpid), SCMP_SYS(kill),
	    SCMP_SYS(fstat), SCMP_SYS(newfstatat), SCMP_SYS(lseek)};
#endif
	scmp_filter_ctx f;
	int e = 0;

	if (calls == NULL)
		return;
	if ((f = seccomp_init(SCMP_ACT_KILL_PROCESS)) == NULL)
		e = -ENOMEM;
	for (size_t i = 0; e == 0 && calls[i] != -1; i++)
		e = seccomp_rule_add(f, SCMP_ACT_ALLOW, calls[i], 0);
#ifdef CHATD_KILL_POINTS
	for (size_t i = 0; e == 0 && i < sizeof(dying) / sizeof(*dying); i++)
		e = seccomp_rule_add(f, SCMP_ACT_ALLOW, dying[i], 0);
#endif
	if (e == 0)
		e = seccomp_load(f);
	if (e != 0)
		log_warn("%s without a filter: %s", start->kind->name,
		    f == NULL ? "seccomp is not permitted" : strerror(-e));
	if (f != NULL)
		seccomp_release(f);
#endif
}
