/* privilege: whether the master may do to its workers what it has to. Layer 6.
 */
#ifndef CHATD_MASTER_PRIVILEGE_H
#define CHATD_MASTER_PRIVILEGE_H

#include <stddef.h>

struct identity;

/*
 * Tries with a child whether it can become that user, and can then be killed:
 * containers take both rights away. Returns 0, or -1 with one line that says
 * what to give.
 */
int privilege_check(const struct identity *id, char *error, size_t error_len);

#endif
