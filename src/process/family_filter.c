/*
 * family_filter: system calls that a family's processes do not make. They go by
 * what is forbidden: what is inherited over clone() and exec cannot be narrower
 * than what a later program's worker calls, and adds up if each process makes
 * one. So one is the family's, made once, and what only those need that make
 * others is forbidden in a second one, which ends with its process.
 */
#include <asm/sockios.h>
#include <errno.h>
#include <fcntl.h>
#include <seccomp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "process/family_filter.h"

#ifndef CHATD_SANITIZED /* a sanitizer calls what it likes */

enum {
	FILTER_ALWAYS = 6,
	FILTER_IS = 8 /* added to an argument's number */
};

/* A call that ends the process: always, or but with that value, or with it:
 * in the 32 bits that the kernel looks at in such a call. */
struct filter_rule {
	int call;
	unsigned arg;
	uint64_t value;
};

/* What reaches other processes, or changes what a name or number means. */
static const int filter_family[] = {SCMP_SYS(fork), SCMP_SYS(vfork),
    SCMP_SYS(execve), SCMP_SYS(ptrace), SCMP_SYS(process_vm_readv),
    SCMP_SYS(process_vm_writev), SCMP_SYS(process_madvise), SCMP_SYS(kcmp),
    SCMP_SYS(pidfd_open), SCMP_SYS(pidfd_getfd), SCMP_SYS(pidfd_send_signal),
    SCMP_SYS(mount), SCMP_SYS(umount2), SCMP_SYS(move_mount),
    SCMP_SYS(open_tree), SCMP_SYS(fsopen), SCMP_SYS(fsmount),
    SCMP_SYS(mount_setattr), SCMP_SYS(pivot_root), SCMP_SYS(chroot),
    SCMP_SYS(unshare), SCMP_SYS(setns), SCMP_SYS(bpf),
    SCMP_SYS(perf_event_open), SCMP_SYS(userfaultfd), SCMP_SYS(keyctl),
    SCMP_SYS(add_key), SCMP_SYS(request_key), SCMP_SYS(kexec_load),
    SCMP_SYS(kexec_file_load), SCMP_SYS(init_module), SCMP_SYS(finit_module),
    SCMP_SYS(delete_module), SCMP_SYS(swapon), SCMP_SYS(swapoff),
    SCMP_SYS(reboot), SCMP_SYS(acct), SCMP_SYS(quotactl),
    SCMP_SYS(migrate_pages), SCMP_SYS(move_pages), SCMP_SYS(open_by_handle_at),
    SCMP_SYS(name_to_handle_at), SCMP_SYS(fanotify_init)};

/* Adds a rule. */
static int
filter_add_one(scmp_filter_ctx f, const struct filter_rule *r)
{
	if (r->arg == FILTER_ALWAYS)
		return seccomp_rule_add(f, SCMP_ACT_KILL_PROCESS, r->call, 0);
	if (r->arg >= FILTER_IS)
		return seccomp_rule_add(f, SCMP_ACT_KILL_PROCESS, r->call, 1,
		    SCMP_CMP(r->arg - FILTER_IS, SCMP_CMP_MASKED_EQ, UINT32_MAX,
			r->value));
	return seccomp_rule_add(f, SCMP_ACT_KILL_PROCESS, r->call, 1,
	    SCMP_CMP(r->arg, SCMP_CMP_NE, r->value, 0));
}

/* Adds rules. */
static int
filter_add(scmp_filter_ctx f, const struct filter_rule *rule, size_t n)
{
	int e = 0;

	for (size_t i = 0; i < n && e == 0; i++)
		e = filter_add_one(f, &rule[i]);
	return e;
}

/* Puts a filter with these rules in force. Returns 0 or an error. */
static int
filter_load(const struct filter_rule *rule, size_t n, bool family)
{
	scmp_filter_ctx f = seccomp_init(SCMP_ACT_ALLOW);
	int e;

	if (f == NULL)
		return ENOMEM;
	/* else older kernels make everything that it does slower */
	(void)seccomp_attr_set(f, SCMP_FLTATR_CTL_SSB, 1);
	e = seccomp_attr_set(f, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);
	/* libc asks for the newer one first */
	if (e == 0 && family)
		e = seccomp_rule_add(
		    f, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0);
	for (size_t i = 0; e == 0 && family &&
	     i < sizeof(filter_family) / sizeof(filter_family[0]);
	     i++) {
		e = seccomp_rule_add(
		    f, SCMP_ACT_KILL_PROCESS, filter_family[i], 0);
		if (e == -EDOM)
			e = 0; /* not on this machine */
	}
	if (e == 0)
		e = filter_add(f, rule, n);
	if (e == 0)
		e = seccomp_load(f);
	seccomp_release(f);
	return -e;
}

int
family_filter(unsigned long clone_flags)
{
	const struct filter_rule rule[] = {
	    {SCMP_SYS(clone), 0, clone_flags},
	    {SCMP_SYS(execveat), 4, AT_EMPTY_PATH},
	};

	return filter_load(rule, sizeof(rule) / sizeof(rule[0]), true);
}

int
family_filter_self(void)
{
	const uint64_t self = (uint64_t)getpid();
	/* others of the same user, its keepers among them, are not to be
	 * ended, starved or traced */
	const struct filter_rule rule[] = {
	    {SCMP_SYS(clone), FILTER_ALWAYS, 0},
	    {SCMP_SYS(execveat), FILTER_ALWAYS, 0},
	    {SCMP_SYS(kill), 0, self},
	    {SCMP_SYS(tgkill), 0, self},
	    {SCMP_SYS(tkill), 0, self},
	    {SCMP_SYS(rt_sigqueueinfo), 0, self},
	    {SCMP_SYS(rt_tgsigqueueinfo), 0, self},
	    /* the kernel signals the owner of a file that becomes ready */
	    {SCMP_SYS(fcntl), FILTER_IS + 1, F_SETOWN},
	    {SCMP_SYS(fcntl), FILTER_IS + 1, F_SETOWN_EX},
	    {SCMP_SYS(ioctl), FILTER_IS + 1, FIOSETOWN},
	    {SCMP_SYS(ioctl), FILTER_IS + 1, SIOCSPGRP},
	    {SCMP_SYS(prlimit64), 0, 0},
	    {SCMP_SYS(sched_setscheduler), 0, 0},
	    {SCMP_SYS(sched_setparam), 0, 0},
	    {SCMP_SYS(sched_setattr), 0, 0},
	    {SCMP_SYS(sched_setaffinity), 0, 0},
	    {SCMP_SYS(setpriority), 1, 0},
	    {SCMP_SYS(ioprio_set), 1, 0},
	};

	return filter_load(rule, sizeof(rule) / sizeof(rule[0]), false);
}
#else
int
family_filter(unsigned long clone_flags)
{
	return 0;
}

int
family_filter_self(void)
{
	return 0;
}
#endif
