/* family_filter: system calls that end a process of a family. Layer 5. */
#ifndef CHATD_PROCESS_FAMILY_FILTER_H
#define CHATD_PROCESS_FAMILY_FILTER_H

/* In the first process, before its keepers are: all of the family inherit it.
 * clone() is left with exactly these flags. Returns 0, or the error that says
 * why there is none. */
int family_filter(unsigned long clone_flags);

/* In each, when its keepers are there and before it reads a client's byte. */
int family_filter_self(void);

#endif
