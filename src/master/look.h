/*
 * look: whether what the configuration names is there: folders, files, and who
 * may read those that hold keys. Private to src/master.
 */
#ifndef CHATD_MASTER_LOOK_H
#define CHATD_MASTER_LOOK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bundle.h"
#include "conf/conf.h"

/* Looks, and puts sentences into a bundle. Not for a process that must not wait
 * for a disk. */
struct identity;
struct options;
void look_at(const struct conf *c, const struct options *o,
    const struct identity *children, struct bundle *b);

/* Prints the faults that nothing else would stop a start for, a line each.
 * Returns whether there is one. */
bool look_print_unmet(const struct bundle *b);

/* Whether files that a reload reads anew are good; else a line for each fault.
 */
bool look_renewal(const struct bundle *b, char *text, size_t text_len);

/* judge_stamp() as it was then; 0: there was none. */
uint64_t look_stamp(const struct bundle *b);

/* Logs the warnings. */
void look_log(const struct bundle *b);

/* Prints warnings and faults, a line each. Returns whether there is no fault.
 */
bool look_print(const struct bundle *b);

#endif
