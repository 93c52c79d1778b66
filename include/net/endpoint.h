/*
 * endpoint: a listening socket, and how its connections are served: for what
 * purpose, over which transport, in which framing, at which doors. The words of
 * a line `listen ADDRESS WORD ...` choose each by its name; what no word
 * chooses is as usual. Layer 2: the caller says which doors there are.
 */
#ifndef CHATD_NET_ENDPOINT_H
#define CHATD_NET_ENDPOINT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "net/listener.h"

enum {
	ENDPOINTS_MAX = LISTENER_MAX,
	ENDPOINT_DOORS = 32, /* numbers of doors are below */
	ENDPOINT_TEXT = 256  /* its words, all of them, and a NUL */
};

/* For whom an endpoint is; each path of HTTP says where it is served. */
enum endpoint_purpose {
	ENDPOINT_PUBLIC,  /* clients, and backends */
	ENDPOINT_CLIENTS, /* clients alone */
	ENDPOINT_ADMIN,	  /* backends and operators: no door is open there */
	ENDPOINT_REDIRECT /* clients are sent to one with TLS; workers do not
			   * accept there */
};

/* Plain data. */
struct endpoint {
	int fd;
	uint8_t purpose;   /* enum endpoint_purpose */
	uint8_t transport; /* its number (net/transport.h) */
	uint8_t framing;   /* its number (codec/framing.h) */
	uint32_t doors;	   /* that are open there: a bit for each number; 0 with
			    * ENDPOINT_ADMIN and ENDPOINT_REDIRECT alone */
	char name[LISTENER_TEXT]; /* "127.0.0.1:8080" */
};

struct endpoints {
	struct endpoint at[ENDPOINTS_MAX];
	int n;
};

/* A door as endpoints know it; name NULL: no door has that number. */
struct endpoint_door {
	const char *name;
	const char *framing; /* its one; NULL: those that begin with HTTP */
};

/* One endpoint of the usual kind, for a chat that is given none. */
extern const struct endpoints endpoints_usual;

/*
 * Fills in what words say (NULL or "": nothing), of doors[ENDPOINT_DOORS] by
 * number; fd and name are left alone. Returns 0, or -1 with a message for
 * people in error: a word is unknown or contradicts another one.
 */
int endpoint_parse(struct endpoint *e, const char *words,
    const struct endpoint_door *doors, char *error, size_t error_len);

/* Writes the words that make an endpoint what it is; with HTTP no doors if all
 * are open, so that a later program opens those that it adds. */
void endpoint_words(const struct endpoint *e, const struct endpoint_door *doors,
    char out[ENDPOINT_TEXT]);

/* Whether a door is open there. */
static inline bool
endpoint_has(const struct endpoint *e, unsigned door)
{
	return door < ENDPOINT_DOORS && (e->doors >> door & 1) != 0;
}

/* The only door that is open there; 0: none is, or more than one. */
unsigned endpoint_only_door(const struct endpoint *e);

/* Adds an endpoint, named after the address that fd is bound to. False: there
 * are ENDPOINTS_MAX. */
bool endpoints_add(struct endpoints *all, const struct endpoint *e, int fd);

/* The endpoint of that name; NULL: there is none. */
const struct endpoint *
endpoints_find(const struct endpoints *all, const char *name);

/* The number of the endpoint that a socket was accepted at, by its own address:
 * one that listens there, else at its port on every address; -1: none. */
int endpoints_accepted(const struct endpoints *all, int fd);

/* Whether the transport of one of them keeps something of its connections. */
bool endpoints_keep(const struct endpoints *all);

/* Closes all. */
void endpoints_close(struct endpoints *all);

#endif
