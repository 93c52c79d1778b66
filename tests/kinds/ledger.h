/* ledger: see ledger.c. */
#ifndef CHATD_TESTS_LEDGER_H
#define CHATD_TESTS_LEDGER_H

#include "process/child.h"

/* The variable that names its folder; there is one if it is set. */
#define LEDGER_DIR "CHATD_LEDGER_DIR"

bool ledger_is_wanted(const struct conf *c);
bool ledger_is_absent(const struct conf *c);
void ledger_main(struct child_start *start);

#endif
