/* heads: the words of the shared memory that everybody meets at; private to
 * the hub layer. Each writer's hot words have their own cache line. */
#ifndef CHATD_SRC_HUB_HEADS_H
#define CHATD_SRC_HUB_HEADS_H

#include <pthread.h>

#include "hub/lock.h"
#include "hub/shm.h"

enum { SHM_LAYOUT = 1 };
#define SHM_MAGIC 0x6d6873647461686dull

struct shm_heads {
	uint64_t magic;
	uint32_t layout; /* who knows another number must not read on */
	uint32_t spare;

	_Atomic uint64_t tail __attribute__((aligned(64)));
	_Atomic uint64_t oldest __attribute__((aligned(64)));

	_Atomic uint64_t fault; /* position whose delivery crashed a worker */

	_Atomic uint32_t entries __attribute__((aligned(64))); /* ever used */
	_Atomic uint32_t extras;			       /* ever used */
	_Atomic uint32_t epoch; /* last one given out */
	_Atomic uint32_t hand;	/* where to look for entries to reuse */
	_Atomic uint32_t extra_hand;
};

struct index_entry {
	_Atomic uint64_t at; /* bytes ever appended before this entry */
	_Atomic uint64_t mask;
};

struct shm_lock {
	pthread_mutex_t mutex __attribute__((aligned(64)));
	_Atomic uint32_t holder __attribute__((aligned(64))); /* worker + 1 */
};

#endif
