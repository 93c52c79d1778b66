/* visitor: connections of clients that come by plain HTTP, by age: one request,
 * one answer, and its end. */
#ifndef CHATD_SRC_REDIRECTOR_VISITOR_H
#define CHATD_SRC_REDIRECTOR_VISITOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "redirect.h"

struct event_base;
struct visitor;

enum {
	/* Connections at once; then the oldest one goes for a new one. Larger:
	 * clients that say nothing cost more memory; smaller: a flood of them
	 * ends those that are slow sooner. */
	VISITORS_MAX = 256,
	/* How long the file of a challenge is waited for. Larger: a hanging
	 * disk keeps more connections; smaller: a slow one fails more. */
	VISITORS_FILE_MS = 3000,
	/* Files that are asked for and have not come; others are refused at
	 * once. Larger: a hanging disk keeps more connections. */
	VISITORS_FILES = 32,
	/* How long a client may take to close what was answered. */
	VISITORS_LAST_MS = 2000
};

struct visitors {
	struct event_base *base;
	struct redirect rule;
	int files; /* link to the process that reads; -1: none */
	struct visitor *first, *last;
	size_t n;
	uint32_t number;     /* of the last question */
	uint32_t unanswered; /* questions */
	uint64_t n_redirected, n_files, n_refused, n_late;
};

/* Begins with a connection, whose descriptor is its own from now on. */
void visitors_begin(struct visitors *v, int fd, uint64_t now_ms);

/* The process that reads has answered; false: it has ended. */
bool visitors_files(struct visitors *v, uint64_t now_ms);

/* Gives up those that take too long: `most_ms` for a request. */
void visitors_time(struct visitors *v, uint64_t now_ms, uint64_t most_ms);

/* Ends all. */
void visitors_deinit(struct visitors *v);

#endif
