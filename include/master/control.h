/*
 * control: the UNIX socket that chatctl talks to. Layer 4.
 *
 * One request and one reply per connection. Request: a uint32_t, the number of
 * bytes that follow; then arguments, each NUL-terminated, of which the first
 * is CONTROL_TEXT or CONTROL_JSON and says how lists are wanted. Reply: one
 * byte, CONTROL_DONE or CONTROL_REFUSED; then text up to EOF: the answer, or
 * the reason. Numbers are in host order: the socket never leaves the machine.
 *
 * An upgrade is answered when its rehearsal begins; how it goes on is asked
 * with "show upgrade". While the new program is executed, a request may go
 * unanswered or wait for it in the backlog.
 */
#ifndef CHATD_MASTER_CONTROL_H
#define CHATD_MASTER_CONTROL_H

#include <stdbool.h>
#include <stddef.h>

enum {
	CONTROL_REQUEST_MAX = 64 * 1024, /* bytes after the length */
	CONTROL_ARGS_MAX = 8,
	CONTROL_CLIENTS = 16,	      /* at once; more are refused */
	CONTROL_CLIENT_MS = 10 * 1000 /* one that takes longer is dropped */
};

#define CONTROL_TEXT "text"
#define CONTROL_JSON "json"
#define CONTROL_DONE '0'
#define CONTROL_REFUSED '1'

struct master;
struct control;

/*
 * Binds the socket, mode 0660, in place of one that nobody listens on any
 * more. Needs no event loop yet, so that a second start is told on the
 * terminal. NULL: a message in error.
 */
struct control *
control_open(struct master *m, const char *path, char *error, size_t error_len);

/* Takes up one that another program opened: after an upgrade. Owns fd. */
struct control *control_adopt(struct master *m, const char *path, int fd);

int control_fd(const struct control *c);
const char *control_path(const struct control *c);
bool control_is_idle(const struct control *c); /* nobody is being answered */

/* Starts to serve on the master's loop. Returns 0, or -1 and errno. */
int control_start(struct control *c);

/* In a child: closes, leaves the socket's file alone. */
void control_drop(struct control *c);

/* Writes what is written at once, closes, removes the file. */
void control_close(struct control *c);

#endif
