/*
 * control: the UNIX socket that chatctl talks to. Layer 6.
 *
 * One request and one reply per connection. Request: a uint32_t, the number of
 * bytes that follow; then arguments, each NUL-terminated, of which the first
 * is CONTROL_TEXT or CONTROL_JSON and says how lists are wanted. Reply: one
 * byte, CONTROL_DONE or CONTROL_REFUSED; then text without NUL: the answer, or
 * the reason; then CONTROL_END and EOF. A reply without CONTROL_END was cut: by
 * the daemon's death, for want of memory, or because the client did not read.
 * Numbers are in host order: the socket never leaves the machine.
 *
 * A client that closes its side before the reply does without it.
 *
 * An upgrade is answered when its rehearsal begins; how it goes on is asked
 * with "show upgrade". While the new program is executed, a request may go
 * unanswered or wait for it in the backlog.
 */
#ifndef CHATD_MASTER_CONTROL_H
#define CHATD_MASTER_CONTROL_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "codec/command.h"

enum {
	CONTROL_REQUEST_MAX = 64 * 1024, /* bytes after the length */
	CONTROL_ARGS_MAX = 8,
	CONTROL_CLIENTS = 16, /* at once; more are refused */
	/* For the request, for each byte of the reply to be read, and for kick
	 * and say. Larger: clients that hang keep others out for longer;
	 * smaller: who is slow, or stopped for a while, goes without. */
	CONTROL_CLIENT_MS = 10 * 1000,
	/* For what control_finish() answers. chatctl waits a little longer. */
	CONTROL_LATER_MS = 60 * 1000
};

struct answer;
struct client;
struct control;
struct control_wait;
struct master;

/* Does what a request's arguments say, of a client of that user. */
typedef void (*control_run)(struct master *m, bool json, int argc, char **argv,
    uid_t uid, struct answer *a);

/*
 * Binds the socket, mode 0660, in place of one that nobody listens on any
 * more. Needs no event loop yet, so that a second start is told on the
 * terminal. NULL: a message in error.
 */
struct control *control_open(struct master *m, control_run run,
    const char *path, char *error, size_t error_len);

/* Takes up one that another program opened: after an upgrade. Owns fd. */
struct control *
control_adopt(struct master *m, control_run run, const char *path, int fd);

int control_fd(const struct control *c);
const char *control_path(const struct control *c);

/* Whether no request and no reply is on its way. Clients that wait for
 * control_finish() do not count: it may wait for the caller. */
bool control_is_idle(const struct control *c);

/* Starts to serve on the master's loop. Returns 0, or -1 and errno. */
int control_start(struct control *c);

/*
 * Has a client's request answered later, by control_finish(): for a command
 * that has begun something whose end will be known (struct answer has the
 * client). NULL: no memory. Who has the wait must end it with control_finish(),
 * also when the client has left or was told that it takes too long.
 */
struct control_wait *control_later(struct client *cl);

/* Answers: done, or refused with a reason; fmt NULL: without words. Frees the
 * wait. Can be called from anywhere, in the command itself, too. w NULL: nobody
 * asked, nothing happens. */
void control_finish(struct control_wait *w, bool done, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* Frees it, answers nobody. */
void control_forget(struct control_wait *w);

/* Refuses with a reason whatever clients wait for: before another program is
 * executed, which knows nothing of them. Its waits remain to be ended. */
void control_settle(struct control *c, const char *why);

/* Other limits than CONTROL_CLIENT_MS and CONTROL_LATER_MS: for tests. */
void control_set_limits(struct control *c, int client_ms, int later_ms);

/* Closes, leaves the socket's file alone. */
void control_drop(struct control *c);

/* Writes what is written at once, closes, removes the file. */
void control_close(struct control *c);

#endif
