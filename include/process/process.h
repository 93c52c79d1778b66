/* process: killing and reaping children, whatever they and the kernel say to
 * it. Layer 5. */
#ifndef CHATD_PROCESS_PROCESS_H
#define CHATD_PROCESS_PROCESS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* "SIGKILL"; "signal 34" for one without a name. Until the next call. */
const char *process_signal(int number);
/* How a process ended, as waitpid() says: "died of SIGKILL", "left with status
 * 1". Until the next call. */
const char *process_death(int status);
/* SIGKILL, with a word in the log if that is not allowed. Returns 0, or -1 and
 * errno; one that is dead already is no error. */
int process_kill(pid_t pid, const char *what);
/* Whether a number is the pid of a child of this process, dead or not: nobody
 * else may be killed for one that comes from elsewhere. */
bool process_is_child(pid_t pid);
/* Waits for a child's end until then; true: it is reaped. */
bool process_reap(pid_t pid, uint64_t limit_ms);
/* Kills a child and waits until it is reaped or clock_ms() is limit_ms: at the
 * very end, when no other process is kept waiting. */
void process_end(pid_t pid, const char *what, uint64_t limit_ms);

#endif
