/*
 * logger: the log process. It alone writes the log: all others send it their
 * lines (base/log.h) and never wait. What it has read and not written yet lies
 * in a buffer that the next log process goes on with; what there is no room
 * for in it stays in the socket until that is full. Layer 6.
 */
#ifndef CHATD_LOGGER_LOGGER_H
#define CHATD_LOGGER_LOGGER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/sink.h"

/* The master's word: one byte. */
enum logger_order {
	LOGGER_GO = 'g',    /* read lines: the log process before it is gone */
	LOGGER_LEAVE = 'l', /* another one goes on: leave at once */
	LOGGER_FINISH = 'f' /* none follows: write all there is, leave within
			     * LOGGER_LEAVE_MS */
};

enum {
	/* Larger: more lines survive a disk that is full or a reader that
	 * stops. Only memory that is needed is used. */
	LOGGER_BYTES = 256 * 1024,
	LOGGER_LEAVE_MS = 1000
};

/* Lines that are read and not written yet, in memory that one log process
 * after the other has. Neither number is trusted. */
struct logger_buffer {
	uint32_t at, len; /* what is to be written of bytes */
	char bytes[LOGGER_BYTES];
};

struct logger_start {
	int lines;   /* SOCK_SEQPACKET: records come in */
	int control; /* SOCK_SEQPACKET: orders come in */
	struct sink *sink;
	struct sink *other; /* where a failure of `sink` is told */
	struct logger_buffer *buffer;
};

/*
 * Serves until it is told to leave, or all processes that send lines and the
 * master are gone, LOGGER_LEAVE_MS after that at the latest. SIGALRM, which the
 * kernel sends when the master dies, ends it so, too, even within a write that
 * waits.
 */
void logger_main(const struct logger_start *start) __attribute__((noreturn));

#endif
