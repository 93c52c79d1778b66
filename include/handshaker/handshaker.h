/* handshaker: a process that shakes hands with clients over TLS, and hands them
 * to workers. Layer 6; meets master and workers in messages only. */
#ifndef CHATD_HANDSHAKER_HANDSHAKER_H
#define CHATD_HANDSHAKER_HANDSHAKER_H

#include "process/child.h"

/* The process's main. */
void handshaker_main(struct child_start *start) __attribute__((noreturn));

/*
 * Whether it could serve with these: ciphers and groups ("": as usual), then
 * for each certificate its file, its key's and its staple's ("": none). Says on
 * standard error what is wrong, and, after "warning: ", what only looks so.
 * Returns the exit status: 0, or 1.
 */
int handshaker_try(int n, char **words);

#endif
