/* boot: what a start does that an upgrade does, too. */
#ifndef CHATD_SRC_MASTER_BOOT_H
#define CHATD_SRC_MASTER_BOOT_H

struct master;

/* Raises the limits of what each process may have. */
void boot_raise_limits(struct master *m);

#endif
