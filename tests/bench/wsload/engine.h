/* engine.h - many WebSocket clients on one epoll. */
#ifndef WSLOAD_ENGINE_H
#define WSLOAD_ENGINE_H

#include "hist.h"
#include "options.h"

#include <stddef.h>
#include <stdint.h>

enum client_state {
	CL_NEW,
	CL_CONNECTING,
	CL_SECURING,
	CL_SECURE, /* scenario shake: it waits for what the server says */
	CL_HANDSHAKE,
	CL_OPEN,
	CL_DEAD
};

struct client {
	int fd;
	uint8_t state;
	uint8_t ready;
	uint32_t stash_len; /* bytes of an incomplete frame or response head */
	uint32_t out_len;   /* bytes waiting for the socket to take them */
	uint8_t *stash, *out;
	struct secure *tls; /* NULL: plain, or not yet */
	uint64_t connect_ns;
};

struct engine {
	const struct options *opt;
	struct client *client;
	int clients, opened, ready, alive, in_flight;
	int failed;  /* ended before they were ready */
	int resumed; /* sessions of TLS */
	int ep;
	uint64_t now; /* time of the latest read or poll */
	uint64_t deadline;
	int closing; /* clients are being closed: errors no longer count */
	uint8_t *rx;

	/* called for every data frame of an open client; may send */
	void (*on_payload)(void *arg, int client, const uint8_t *p, size_t len);
	/* called after each client whose data was read */
	void (*on_client_done)(void *arg);
	void *arg;

	uint64_t reads, frames_in, bytes_in, sends, bytes_out, pings;
	uint64_t errors;
	int closes; /* hold: close frames received */
	char first_error[256];
	struct hist handshake;
};

void engine_init(struct engine *e, const struct options *opt);

/* Has the server give a session of TLS, which all clients resume. */
void engine_session(struct engine *e);

/* Opens all clients and waits until all are ready. Dies on any failure; with
 * scenario hold it waits until each is ready or has ended. */
void engine_connect_all(struct engine *e);

/* Waits for events until the time given (ns, monotonic) at the latest and
 * handles one batch of them. */
void engine_poll(struct engine *e, uint64_t until);

/* Polls until the time given. */
void engine_run_until(struct engine *e, uint64_t until);

/* Sends bytes (whole frames); what the socket does not take is sent later. */
void engine_send(struct engine *e, int client, const void *p, size_t len);

int engine_out_of_time(struct engine *e);

/* Counts an error, keeps the first one's text, drops the client. */
void engine_fail(struct engine *e, int client, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* Resets every connection. */
void engine_close_all(struct engine *e);

#endif
