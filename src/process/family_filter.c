/*
 * family_filter: system calls that a family's processes do not make. They go by
 * what is forbidden: what is inherited over clone() and exec cannot be narrower
 * than what a later program's worker calls, and adds up if each process makes
 * one. So one is the family's, made once, and what only those need that make
 * others is forbidden in a second one, which ends with its process.
 */
#include <errno.h>
#include <fcntl.h>
#include <seccomp.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <linux/ioprio.h>

#include "process/family_filter.h"

#ifndef CHATD_SANITIZED /* a sanitizer calls what it likes */

/* A call that ends the process: always, or where n of its arguments are so. */
struct filter_rule {
	int call;
	unsigned n;
	struct scmp_arg_cmp when[2];
};

/* An argument that is not that value. */
#define FILTER_NOT(arg, value) SCMP_CMP(arg, SCMP_CMP_NE, value, 0)
/* One that is: of an int the kernel looks at half of the word. */
#define FILTER_IS(arg, value) \
	SCMP_CMP(arg, SCMP_CMP_MASKED_EQ, UINT32_MAX, value)

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

/* Adds rules. Returns 0 or a negative error. */
static int
filter_add(scmp_filter_ctx f, const struct filter_rule *rule, size_t n)
{
	int e = 0;

	for (size_t i = 0; i < n && e == 0; i++)
		e = seccomp_rule_add_array(f, SCMP_ACT_KILL_PROCESS,
		    rule[i].call, rule[i].n, rule[i].when);
	return e;
}

/* Adds those that are the family's alone. */
static int
filter_add_family(scmp_filter_ctx f)
{
	/* libc asks for the newer one first */
	int e =
	    seccomp_rule_add(f, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0);

	for (size_t i = 0;
	     e == 0 && i < sizeof(filter_family) / sizeof(filter_family[0]);
	     i++) {
		e = seccomp_rule_add(
		    f, SCMP_ACT_KILL_PROCESS, filter_family[i], 0);
		if (e == -EDOM)
			e = 0; /* not on this machine */
	}
	return e;
}

/* Puts a filter in force and frees it; e: of its rules. Returns 0 or an
 * error. */
static int
filter_load(scmp_filter_ctx f, int e)
{
	/* else older kernels make everything that it does slower */
	(void)seccomp_attr_set(f, SCMP_FLTATR_CTL_SSB, 1);
	if (e == 0)
		e = seccomp_attr_set(
		    f, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);
	if (e == 0)
		e = seccomp_load(f);
	seccomp_release(f);
	return -e;
}

int
family_filter(unsigned long clone_flags)
{
	const struct filter_rule rule[] = {
	    {SCMP_SYS(clone), 1, {FILTER_NOT(0, clone_flags)}},
	    {SCMP_SYS(execveat), 1, {FILTER_NOT(4, AT_EMPTY_PATH)}},
	};
	scmp_filter_ctx f = seccomp_init(SCMP_ACT_ALLOW);
	int e;

	if (f == NULL)
		return ENOMEM;
	if ((e = filter_add_family(f)) == 0)
		e = filter_add(f, rule, sizeof(rule) / sizeof(rule[0]));
	return filter_load(f, e);
}

int
family_filter_self(void)
{
	const uint64_t self = (uint64_t)getpid();
	/* Others of the same user, its keepers among them, are not to be
	 * ended, starved or traced: nor by the signal that the kernel sends to
	 * a file's owner, or a close that waits for a peer, where another
	 * worker takes the socket. */
	const struct filter_rule rule[] = {
	    {.call = SCMP_SYS(clone)},
	    {.call = SCMP_SYS(execveat)},
	    {SCMP_SYS(kill), 1, {FILTER_NOT(0, self)}},
	    {SCMP_SYS(tgkill), 1, {FILTER_NOT(0, self)}},
	    {SCMP_SYS(tkill), 1, {FILTER_NOT(0, self)}},
	    {SCMP_SYS(rt_sigqueueinfo), 1, {FILTER_NOT(0, self)}},
	    {SCMP_SYS(rt_tgsigqueueinfo), 1, {FILTER_NOT(0, self)}},
	    {SCMP_SYS(fcntl), 1, {FILTER_IS(1, F_SETOWN)}},
	    {SCMP_SYS(fcntl), 1, {FILTER_IS(1, F_SETOWN_EX)}},
	    {SCMP_SYS(ioctl), 1, {FILTER_IS(1, FIOSETOWN)}},
	    {SCMP_SYS(ioctl), 1, {FILTER_IS(1, SIOCSPGRP)}},
	    {SCMP_SYS(setsockopt), 2,
		{FILTER_IS(1, SOL_SOCKET), FILTER_IS(2, SO_LINGER)}},
	    {SCMP_SYS(prlimit64), 1, {FILTER_NOT(0, 0)}},
	    {SCMP_SYS(sched_setscheduler), 1, {FILTER_NOT(0, 0)}},
	    {SCMP_SYS(sched_setparam), 1, {FILTER_NOT(0, 0)}},
	    {SCMP_SYS(sched_setattr), 1, {FILTER_NOT(0, 0)}},
	    {SCMP_SYS(sched_setaffinity), 1, {FILTER_NOT(0, 0)}},
	    {SCMP_SYS(setpriority), 1, {FILTER_NOT(0, PRIO_PROCESS)}},
	    {SCMP_SYS(setpriority), 1, {FILTER_NOT(1, 0)}},
	    {SCMP_SYS(ioprio_set), 1, {FILTER_NOT(0, IOPRIO_WHO_PROCESS)}},
	    {SCMP_SYS(ioprio_set), 1, {FILTER_NOT(1, 0)}},
	};
	scmp_filter_ctx f = seccomp_init(SCMP_ACT_ALLOW);

	if (f == NULL)
		return ENOMEM;
	return filter_load(
	    f, filter_add(f, rule, sizeof(rule) / sizeof(rule[0])));
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
