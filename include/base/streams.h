/* streams: descriptors 0, 1 and 2 are always open. Layer 0. */
#ifndef CHATD_BASE_STREAMS_H
#define CHATD_BASE_STREAMS_H

/*
 * First thing in main(), before anything else opens a descriptor: opens
 * /dev/null at each of the descriptors 0, 1 and 2 that is closed. Otherwise the
 * next file, socket or memory that is opened gets that number, and what is
 * written to standard output or error goes there. Returns 0, or -1 and errno
 * when one is closed and /dev/null cannot be opened.
 */
int streams_hold(void);

#endif
