/* boot: what a start does that an upgrade does, too. */
#ifndef CHATD_SRC_MASTER_BOOT_H
#define CHATD_SRC_MASTER_BOOT_H

#include <stddef.h>

struct master;

/* Raises the limits of what each process may have. */
void boot_raise_limits(struct master *m);

/* Makes the memory of what transports know (hub/wire.h), if an endpoint needs
 * one and there is none. -1 with a message. */
int boot_wire(struct master *m, char *error, size_t error_len);

#endif
