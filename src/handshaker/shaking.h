/* shaking: connections whose handshakes are under way, by age, with their
 * sockets in the loop. */
#ifndef CHATD_HANDSHAKER_SHAKING_H
#define CHATD_HANDSHAKER_SHAKING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "handed.h"

struct contexts;
struct event_base;
struct shaking_one;

enum {
	/* Handshakes at once. Larger: clients that connect and say nothing cost
	 * more memory; smaller: with so many of them others wait. */
	SHAKING_MAX = 1000,
	/* How old one is at least that is given up for a new one when there are
	 * so many. */
	SHAKING_SPARE_MS = 1000
};

struct shaking {
	struct event_base *base;
	const struct contexts *contexts;
	void (*tick)(void *arg); /* called before each piece of work */
	void *arg;
	/* One is over; its descriptor is whose is called. */
	void (*done)(void *arg, const struct handed_what *what);
	struct shaking_one *first, *last;
	size_t n;
	/* So far. Failed: with an alert, or what was no TLS; left: their
	 * clients have; late: at the deadline; spared: for others. */
	uint64_t n_done, n_failed, n_left, n_late, n_spared;
};

/* Begins with a connection, whose descriptor is its own from now on. -1: there
 * is no memory, and it is closed. */
int
shaking_begin(struct shaking *s, int fd, uint32_t endpoint, uint64_t now_ms);

/* Gives up those that are older than that. */
void shaking_time(struct shaking *s, uint64_t now_ms, uint64_t most_ms);

/* Whether one more may begin; the oldest one is given up for it if that is old
 * enough. */
bool shaking_spare(struct shaking *s, uint64_t now_ms);

/* Gives up all. */
void shaking_deinit(struct shaking *s);

#endif
