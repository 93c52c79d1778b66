/* traffic.h - the scenarios fanout and private: sends messages, checks every
 * client's copies. */
#ifndef WSLOAD_TRAFFIC_H
#define WSLOAD_TRAFFIC_H

#include "engine.h"
#include "hist.h"

#include <stdint.h>

/* What one client has received from one sender. */
struct track {
	uint32_t next;	   /* highest sequence number seen + 1 */
	uint32_t distinct; /* messages received at least once */
	uint64_t seen;	   /* bit k: message next - 1 - k was received */
};

struct sender {
	int client;
	uint32_t sent; /* messages sent: the next one's sequence number */
	uint32_t owed; /* messages to send now */
	uint8_t queued;
	uint8_t *payload; /* the message; token and padding are at token_at */
	size_t len;
	long token_at;
	uint64_t due;	/* open loop: when the next one was due */
	uint32_t *acks; /* fanout, closed loop: receivers by sequence number */
};

struct traffic {
	struct engine *e;
	const struct options *opt;
	struct sender *sender;
	int senders;
	struct track *track; /* [client * stride + sender], private: [client] */
	int stride;
	int pair[2]; /* the only clients that talk; [0] == [1]: all do */
	uint32_t ack_mask;
	uint32_t receivers; /* fanout: copies of each message */
	int *queue, queued; /* senders that owe messages */
	uint8_t *tx;
	size_t tx_size;
	uint8_t *padding;
	int sending; /* new messages may be sent */
	uint32_t mask;

	/* open loop */
	uint64_t first_due, due_count;
	uint64_t max_late; /* ns a message was sent after it was due */

	/* totals */
	uint64_t sent, distinct;
	uint64_t duplicated, reordered, corrupted, misdelivered, stray, other;
	uint64_t last_arrival;

	/* the measured window */
	uint64_t
	    deliveries; /* counts all the time; the caller takes differences */
	struct hist latency;
};

void traffic_init(struct traffic *t, struct engine *e);

/* From now on two clients talk to each other and all others are idle. */
void traffic_pair(struct traffic *t, int a, int b);

/* Starts sending; then call traffic_run_until repeatedly. */
void traffic_start(struct traffic *t);

/* Runs until the time given. Returns 0, or -1 when it had to give up: out of
 * time, nothing arriving any more, or no client left. */
int traffic_run_until(struct traffic *t, uint64_t until);

/* Sends no more; waits for what is outstanding. */
void traffic_drain(struct traffic *t);

/* Copies that should have arrived by the end of the drain. */
uint64_t traffic_expected(const struct traffic *t);

/* Those of them that did not: skipped are the ones of which a later message of
 * the same sender did arrive, the rest were still outstanding at the end. */
void traffic_missing(
    const struct traffic *t, uint64_t *skipped, uint64_t *outstanding);

#endif
