/* log_child: the log process, as the master starts and replaces it. */
#ifndef CHATD_SRC_MASTER_LOG_CHILD_H
#define CHATD_SRC_MASTER_LOG_CHILD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct master;

/* The log process, or the one that is to follow it. */
struct log_process {
	pid_t pid;   /* 0: none */
	int control; /* -1: none */
	bool opened; /* it has opened the log, and said so */
	uint64_t started_ms;
	uint64_t leave_ms; /* told to leave; killed then; 0: was not told */
	bool killed;	   /* and was; given up if it is still there later */
};

struct log_child {
	int lines[2]; /* where it reads, where all others write; -1: none */
	int buffer;   /* memory of the lines that are not written yet */
	struct log_process now, next;
	uint64_t again_ms; /* the next is not started before */
	bool reopening;	   /* next is there, or due, because of USR1 */
	bool reopen_again; /* USR1 came again while it took over */
};

void log_child_init(struct master *m);
/* Starts it, and sends the log there from now on. Returns 0, or -1 with a
 * message: the log cannot be opened. */
int log_child_boot(struct master *m, char *error, size_t error_len);
void log_child_adopt(struct master *m); /* in the place of an older program's */
/* Whether that was one; it is replaced. */
bool log_child_died(struct master *m, pid_t pid, int wait_status);
void log_child_time(struct master *m, uint64_t now); /* every timer period */
void log_child_reopen(struct master *m); /* the log is opened anew */
void log_child_end(
    struct master *m); /* after the last line: all others have ended */

#endif
