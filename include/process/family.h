/*
 * family: a worker (or a mover) and its two keepers, which share one table of
 * descriptors, so that no socket is lost while one of the three lives. A keeper
 * does nothing but clone, by order of the master, what is missing: a process
 * that executes the children's program anew, or the other keeper. Layer 5.
 *
 * Orders and process ids are in a page that only the master and keepers map,
 * and a process that has not read a client's byte yet. The kernel itself stores
 * a pid there, within clone() and before the child runs, so whoever died, the
 * page says for certain what was carried out.
 *
 * What a process needs comes in notes over the family's link, which the master
 * sends before the order. Page and notes are a contract between two versions of
 * chatd: fields are only added, at the end.
 */
#ifndef CHATD_PROCESS_FAMILY_H
#define CHATD_PROCESS_FAMILY_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

enum {
	FAMILY_HOME = 3,    /* number of its end of the link to the master */
	FAMILY_RESERVE = 4, /* one that is closed when a number is needed */
	FAMILY_KEEPERS = 2,
	FAMILY_SPOILT = 77 /* exit status: its table cannot be used any more */
};

enum family_what { FAMILY_PROCESS = 1, FAMILY_KEEPER, FAMILY_LEAVE };

struct family_keeper {
	/* An order's number, and the last one that was carried out. The master
	 * writes `done` only of a keeper that is not there. */
	_Atomic uint32_t order, done;
	_Atomic uint32_t what, arg; /* arg: which keeper to make */
	_Atomic int32_t pid;	    /* stored by the kernel; 0: none */
};

struct family_page {
	uint32_t magic;
	_Atomic uint32_t cur; /* the pair that counts: keepers 2 cur, 2 cur + 1
			       */
	struct family_keeper keeper[2 * FAMILY_KEEPERS];
	_Atomic int32_t process;      /* worker or mover */
	_Atomic uint32_t generation;  /* of the notes that it is to read */
	_Atomic int32_t master;	      /* whose children they are */
	uint64_t home_dev, home_inode; /* of FAMILY_HOME */
};

enum family_note_what {
	FAMILY_NOTE_PROGRAM = 1, /* to execute */
	FAMILY_NOTE_PASSPORT,
	FAMILY_NOTE_HUB,
	FAMILY_NOTE_REST /* page, link, log, givers, listeners */
};

struct family_note {
	uint32_t magic, generation, what, n; /* n: descriptors */
};

#endif
