/* birth: what the master tells a child of one kind at its start, besides what
 * every child is told (process/child.h). Plain data. Layer 1. */
#ifndef CHATD_CODEC_BIRTH_H
#define CHATD_CODEC_BIRTH_H

#include <stdbool.h>
#include <stdint.h>

#include "conf/conf.h"

enum { BIRTH_GIVERS = 2 };

/* A worker: what it takes over from its predecessor, and by which links. */
struct birth_worker {
	/* Links to processes outside of the family that have sockets of the
	 * connections: a worker that holds them, and a keeper of an older
	 * program; -1: none. */
	int giver[BIRTH_GIVERS];
	uint32_t fault_hand; /* enum hand: what the predecessor had in hand
			      * when it died of its own fault */
	uint64_t fault_arg;
	uint32_t connections; /* of all workers at once */
	bool io_uring;
};

/* Processes of the database: what a reload does not change. */
struct birth_store {
	char path[CONF_PATH_BYTES + 1];
	char backup[CONF_PATH_BYTES + 1]; /* folder of backups; "": none */
	bool sync_full;			  /* each commit is on the disk */
	bool search;			  /* texts are indexed */
};

#endif
