/*
 * state: what the master of one program leaves to that of the next, as lines
 * of text "key value ..." in a memory file; descriptors by number, inherited.
 * Unknown keys are passed over, so that both directions work.
 */
#ifndef CHATD_MASTER_STATE_H
#define CHATD_MASTER_STATE_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "hub/shm.h"
#include "master/options.h"
#include "net/endpoint.h"

struct master;

/* The first one is of programs without families: they could not go on with
 * what this one leaves. */
enum { STATE_FORMAT_FIRST = 1, STATE_FORMAT = 2 };

/* How the lines of the memory's layout begin (hub/print.h). */
#define STATE_LAYOUT "layout "

/* What cannot stand in a struct master before it runs again. */
struct state {
	struct options options; /* its strings belong to `text` */
	char *text;		/* malloc'ed */
	int hub;		/* descriptors; -1: none */
	int bundle;		/* what the rehearsal has read; the same */
	bool reload;		/* that is not the newest */
	struct hub_limits limits;
	uint8_t hash_key[16];
	/* What is said of the file of what transports know (wires.h); NULL:
	 * there is none. */
	const char *wire_text;
	int control;
	const char *control_path;
	char *print; /* all lines once more: the memory's layout; malloc'ed */
	bool converted; /* all workers have retired, their keepers are the old
			 * program's */
	uint32_t connections; /* the configuration's, as started */
	const char *listen[CONF_LISTEN_MAX];
	int n_listen;
	struct endpoints endpoints; /* that were kept; without descriptors */
	bool verbose;
};

/* Writes it all. Returns the memory file, or -1 with a message. */
int state_write(const struct master *m, char *error, size_t error_len);

/* Reads it into m, which is all zero, and s. Returns 0, or -1 with a message.
 * m and s point into s->text from then on, and m has orders. */
int state_read(
    int fd, struct master *m, struct state *s, char *error, size_t error_len);

/* Writes and reads shared memory and addresses alone: all that outlives a
 * master. m's conf, limits and hub.hash_key count. */
int state_write_memory(const struct master *m, char *error, size_t error_len);
int state_read_memory(int fd, struct state *s, char *error, size_t error_len);

/* Reads what state_read_memory() does, and the memory's print; for a process
 * that only looks. */
int state_read_print(int fd, struct state *s, char *error, size_t error_len);

/* Calls f for each descriptor that m passes on. */
void state_descriptors(const struct master *m, void (*f)(int fd));

#endif
