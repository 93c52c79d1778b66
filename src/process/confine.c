/* The few system calls that a child of some kind needs. */
#include <errno.h>
#include <seccomp.h>
#include <stdint.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#include "base/log.h"
#include "process/child.h"

#ifndef CHATD_SANITIZED
/* Allows a call, of those that can do more than a kind needs that alone: to ask
 * how much a socket has, not to type into a terminal, say; to take memory, not
 * to run what is in it. Returns 0 or a negative error. */
static int
confine_allow(scmp_filter_ctx f, int call)
{
	static const unsigned asked[] = {FIONREAD, TIOCOUTQ};
	int e = 0;

	if (call == SCMP_SYS(mmap) || call == SCMP_SYS(mprotect))
		return seccomp_rule_add(f, SCMP_ACT_ALLOW, call, 1,
		    SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
	if (call != SCMP_SYS(ioctl))
		return seccomp_rule_add(f, SCMP_ACT_ALLOW, call, 0);
	for (size_t i = 0; e == 0 && i < sizeof(asked) / sizeof(*asked); i++)
		e = seccomp_rule_add(f, SCMP_ACT_ALLOW, call, 1,
		    SCMP_A1(SCMP_CMP_MASKED_EQ, UINT32_MAX, asked[i]));
	return e;
}
#endif

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
		e = confine_allow(f, calls[i]);
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
