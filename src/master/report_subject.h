/*
 * report_subject: what `chatctl show` can show that only the master knows.
 * Private to src/master; what shared memory has is in src/show.
 */
#ifndef CHATD_SRC_MASTER_REPORT_SUBJECT_H
#define CHATD_SRC_MASTER_REPORT_SUBJECT_H

#include "show/subject.h"

struct child;
struct master;

extern const struct show_subject report_processes, report_conf;

/* The age of a child's process, in seconds of the master's clock: time in which
 * the master did not run does not count. 0: there is no process. */
uint64_t report_child_age_s(const struct master *m, const struct child *c);

#endif
