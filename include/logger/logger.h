/*
 * logger: the log process. It alone writes the log: all others send it their
 * lines (base/log.h) and never wait. What it has read and not written yet lies
 * in a buffer that the next log process goes on with; what there is no room
 * for in it stays in the socket until that is full. Layer 6.
 */
#ifndef CHATD_LOGGER_LOGGER_H
#define CHATD_LOGGER_LOGGER_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

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

/* What the program is told that a log process executes, in a memory file: its
 * addresses are no other process's then. Written by a process of the same build
 * alone. Its descriptors are open. */
struct logger_passport {
	uint64_t size; /* of this */
	pid_t parent;
	int lines, control;
	int buffer; /* of those before it; -1: its own */
	struct sink sink, other;
	char file[PATH_MAX]; /* sink.file; "": none */
	/* For the master, over `control`, as the first word. */
	uint32_t report_bytes;
	uint8_t report[512];
};

/* The option of the children's program, with the passport's descriptor. */
#define LOGGER_OPTION "-L"

/* Goes on as the passport says. */
void logger_program(int passport) __attribute__((noreturn));

/*
 * Serves until it is told to leave, or all processes that send lines and the
 * master are gone, LOGGER_LEAVE_MS after that at the latest. SIGALRM, which the
 * kernel sends when the master dies, ends it so, too, even within a write that
 * waits.
 */
void logger_main(const struct logger_start *start) __attribute__((noreturn));

#endif
