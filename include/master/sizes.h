/*
 * sizes: whether what the configuration promises fits into the machine. Sizes
 * that it does not name shrink until all of it fits when it is in use at once;
 * those that it names stay, and are warned of. Layer 6.
 */
#ifndef CHATD_MASTER_SIZES_H
#define CHATD_MASTER_SIZES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/machine.h"
#include "conf/conf.h"
#include "hub/shm.h"

enum { SIZES_TEXT = 2048 };

struct sizes {
	/* What chatd says of it, without an end of line; "": nothing. */
	char
	    shrunk[SIZES_TEXT]; /* what is smaller than the defaults, and why */
	char sends[SIZES_TEXT]; /* send buffers are bounded */
	char memory[SIZES_TEXT]; /* the same, or more, does not fit */
	char tasks[SIZES_TEXT];	 /* too few processes are allowed */
	uint32_t
	    send_bytes; /* SO_SNDBUF of clients' sockets; 0: the kernel's */
};

/*
 * Shrinks sizes of the configuration, whose `workers` is known, to what the
 * machine has. `privileged`: the limit of a user's processes does not bind this
 * one.
 */
void sizes_fit(
    struct sizes *s, struct conf *c, const struct machine *m, bool privileged);

/* sizes_fit() to the machine that this process runs on. */
void sizes_fit_here(struct sizes *s, struct conf *c);

/* At a reload: what neither the old configuration nor the new one names stays
 * as it is in memory. */
void sizes_keep(struct conf *next, const struct conf *old);

/* Logs what there is to say. */
void sizes_log(const struct sizes *s);

/* For more workers at a reload: logs what does not fit, and changes nothing. */
void sizes_log_workers(const struct conf *c, int workers);

/* The limits that the shared memory is made with. */
struct hub_limits sizes_limits(const struct conf *c);

#endif
