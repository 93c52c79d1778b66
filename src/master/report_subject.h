/*
 * report_subject: what `chatctl show` can show that only the master knows.
 * Private to src/master; what shared memory has is in src/show.
 */
#ifndef CHATD_SRC_MASTER_REPORT_SUBJECT_H
#define CHATD_SRC_MASTER_REPORT_SUBJECT_H

#include "show/subject.h"

extern const struct show_subject report_processes, report_conf, report_archive,
    report_certificates;

/* Appends an operator's text as a JSON string, or "null" for none. */
void report_put_json(struct show *s, const char *text);

/* Appends an operator's text as it can stand in a line, so wide at least. */
void report_put_text(struct show *s, const char *text, int width);

#endif
