/*
 * table: the table of descriptors that a process has from its family
 * (hub/table.h), swept after a death. What a slot of this worker claims stays,
 * and the family's own; everything else was the dead process's and is closed,
 * without knowing what it is. A socket that was accepted and got no slot, so
 * that nothing was read or written, is an orphan: it gets a slot later; not one
 * that came from another table (net/counters.h), since a slot of another worker
 * may claim it there. Layer 4; one per process.
 */
#ifndef CHATD_TAKEOVER_TABLE_H
#define CHATD_TAKEOVER_TABLE_H

#include <stdbool.h>
#include <stdint.h>

struct hub;

/* Sweeps. Before this process opens anything: a number that a slot claims and
 * that is not open would be something else's then. The table may be a copy, and
 * the next sweep one of the original: what it does to the hub is true of both.
 */
void table_settle(struct hub *h);

/* Takes the next orphan, owned by the caller from then on; -1: no more. */
int table_orphan(void);

/* How many descriptors this process has that no slot claims: its own. */
uint32_t table_own(void);

/* What table_settle() has found, for the log, which is not there yet then. */
struct table_found {
	uint32_t claimed; /* descriptors */
	uint32_t missing; /* claimed, but not open */
	uint32_t doubled; /* claimed by more than one slot, all closed */
	uint32_t closed;  /* open, and nobody's */
};
const struct table_found *table_found(void);

#endif
