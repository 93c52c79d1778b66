/* kinds: the kind of the processes that shake hands. Layer 6. */
#ifndef CHATD_HANDSHAKER_KINDS_H
#define CHATD_HANDSHAKER_KINDS_H

#include "process/child.h"

/* Without a main: its program has that. */
extern const struct child_kind handshaker_kind;
/* The only system calls of such a process, see child_kind.calls. */
extern const int handshaker_calls[];

#endif
