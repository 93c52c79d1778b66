/* options.h - the command line. */
#ifndef WSLOAD_OPTIONS_H
#define WSLOAD_OPTIONS_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum scenario { SC_CONNECT, SC_IDLE, SC_FANOUT, SC_PRIVATE, SC_HOLD, SC_SHAKE };

enum { MAX_HELLOS = 8, MAX_HEADERS = 16 };

struct options {
	enum scenario scenario;
	const char *scenario_name;
	const char *label;

	/* where to and how many */
	uint32_t host; /* 127.x.y.z, host byte order */
	int port;
	int clients;
	int first;	     /* number of the first client */
	int sources;	     /* source addresses 127.0.0.1 .. 127.0.0.K */
	int inflight;	     /* handshakes at once */
	double connect_rate; /* handshakes/s, 0: as fast as possible */

	/* the handshake and what follows it */
	const char *url;
	const char *protocol;
	const char *header[MAX_HEADERS];
	int headers;
	const char *hello[MAX_HELLOS];
	int hellos;
	const char *ready;
	double settle;

	/* traffic */
	const char *message;
	int size;
	int binary;
	int publishers;
	double rate; /* messages/s of all publishers together; 0: closed loop */
	int window;
	int ack_own; /* closed loop: a message's own echo acknowledges it */
	const char *pair; /* private: prints the only two clients that talk */
	int tls;	  /* the clients' connections are over TLS */
	int tls_resume;	  /* with one session */
	int no_self; /* the server sends a publisher no copy of its own messages
		      */
	double warmup, duration, drain, stall;

	/* measuring */
	double time_limit;
	int cpu; /* run on this CPU only, -1: anywhere */
	int json_only;
	pid_t server_pid[16];
	int server_pids;
};

/* Fills in *o; exits on --help and on errors. */
void options_parse(struct options *o, int argc, char **argv);

/* Expands a template into a new buffer: %d the client's number, %r its peer's,
 * %b the body, %l the body's length, %% a percent sign; \r \n \t \\ \xHH.
 * If body_at is given it receives the body's offset (or -1). */
char *expand(const char *tmpl, int self, int peer, const char *body,
    size_t body_len, size_t *out_len, long *body_at);

#endif
