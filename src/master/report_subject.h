/*
 * report_subject: what `chatctl show` can show that only the master knows.
 * Private to src/master; what shared memory has is in src/show.
 */
#ifndef CHATD_SRC_MASTER_REPORT_SUBJECT_H
#define CHATD_SRC_MASTER_REPORT_SUBJECT_H

#include "show/subject.h"

extern const struct show_subject report_processes, report_conf, report_archive;

#endif
