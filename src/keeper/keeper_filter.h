/* keeper_filter: the few system calls that a keeper needs. */
#ifndef CHATD_SRC_KEEPER_FILTER_H
#define CHATD_SRC_KEEPER_FILTER_H

/* From here on any other call kills the process. Without libseccomp's or the
 * kernel's help it goes on unfiltered, which is logged. */
void keeper_filter(void);

#endif
