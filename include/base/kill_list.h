/*
 * kill_list: the kill points of a test build (base/shared.h), shared by all
 * processes and the test: a file that CHATD_KILL_LIST names. A point enters the
 * list when a worker passes it for the first time, so the list is what the code
 * does. The test chooses a point, a worker and at which pass of it the worker
 * dies. Layer 0.
 */
#ifndef CHATD_BASE_KILL_LIST_H
#define CHATD_BASE_KILL_LIST_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

enum {
	KILL_POINTS = 1024,
	KILL_NAME = 40,
	KILL_COPIER = 80, /* the process that copies memory, in no line */
	KILL_KEEPERS,	  /* and those that are beside a worker, behind it */
	KILL_LINES = KILL_KEEPERS + 64
};

struct kill_entry {
	_Atomic uint32_t state; /* 0: free, 1: being named, 2: a point */
	char name[KILL_NAME];	/* "conn/conn.c:123" */
	_Atomic uint32_t deaths;
	_Atomic uint64_t passes;
};

struct kill_list {
	/*
	 * Where each worker is to die, at which pass from now; nth is stored
	 * last, 0: nowhere. A worker that dies puts its second one in the place
	 * of the first: that is its replacement's.
	 */
	struct kill_arm {
		_Atomic uint32_t point, nth;
	} arm[KILL_LINES][2];
	_Atomic uint32_t fired[KILL_LINES];  /* deaths so far */
	_Atomic uint32_t signal[KILL_LINES]; /* what it dies of; 0: SIGKILL */
	struct kill_entry entry[KILL_POINTS];
};

/* This process has that line. Points that it passed before are not counted. */
void kill_list_become(int line);

/* This process is a keeper of the worker that it was so far. */
void kill_list_keep(void);

/* Test builds crash on a message that holds certain words, as if by a fault of
 * the worker's own. */
#ifdef CHATD_KILL_POINTS
void kill_word(const char *bytes, size_t len, const char *word);
#define KILL_WORD(bytes, len, word) kill_word((bytes), (len), (word))
#else
#define KILL_WORD(bytes, len, word) ((void)0)
#endif

#endif
