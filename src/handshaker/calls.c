/* The only system calls of a process that shakes hands, once it has read what
 * it needs: sockets, memory, time. No file, no process. */
#include <seccomp.h>

#include "handshaker/kinds.h"

const int handshaker_calls[] = {SCMP_SYS(accept4), SCMP_SYS(recvfrom),
    SCMP_SYS(sendto), SCMP_SYS(recvmsg), SCMP_SYS(recvmmsg), SCMP_SYS(sendmsg),
    SCMP_SYS(getsockopt), SCMP_SYS(getpeername), SCMP_SYS(ioctl),
    SCMP_SYS(shutdown), SCMP_SYS(close), SCMP_SYS(write), SCMP_SYS(writev),
    SCMP_SYS(epoll_wait), SCMP_SYS(epoll_pwait), SCMP_SYS(epoll_ctl),
    SCMP_SYS(poll), SCMP_SYS(ppoll), SCMP_SYS(futex), SCMP_SYS(madvise),
    SCMP_SYS(brk), SCMP_SYS(mmap), SCMP_SYS(munmap), SCMP_SYS(mremap),
    SCMP_SYS(mprotect), SCMP_SYS(getrandom), SCMP_SYS(getpid), SCMP_SYS(gettid),
    SCMP_SYS(clock_gettime), SCMP_SYS(gettimeofday), SCMP_SYS(time),
    SCMP_SYS(sched_yield), SCMP_SYS(rt_sigprocmask), SCMP_SYS(rt_sigaction),
    SCMP_SYS(rt_sigreturn), SCMP_SYS(restart_syscall), SCMP_SYS(exit_group),
    -1};
