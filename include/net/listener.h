/* listener: the sockets that clients connect to. Layer 2. */
#ifndef CHATD_NET_LISTENER_H
#define CHATD_NET_LISTENER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

enum { LISTENER_MAX = 16, LISTENER_TEXT = 64 };

/* The addresses that one text means. Plain data. */
struct listener_targets {
	struct sockaddr_storage sa[LISTENER_MAX];
	socklen_t len[LISTENER_MAX];
	int n;
};

/* Whether "host:port" holds no name that files or a name server would have to
 * be asked for; true also if it makes no sense. */
bool listener_is_literal(const char *address);

/* Finds what "host:port" means; a name may make the caller wait. Returns 0, or
 * -1 with a message for people in error. */
int listener_resolve(const char *address, struct listener_targets *t,
    char *error, size_t error_len);

/*
 * Binds every address that "host:port" means ("localhost:8080": 127.0.0.1
 * and, where the machine has it, ::1; "*:8080": all, v4 and v6 as two sockets
 * with IPV6_V6ONLY; "[::1]:8080"; port 0 = any, the same for both families).
 * Sockets are bound, not yet listening, non-blocking, close-on-exec, with
 * SO_REUSEADDR, SO_OOBINLINE and TCP_NODELAY (accepted sockets inherit both).
 * Appends to fd[*n]. Returns 0, or -1 with a message for people in error.
 */
int listener_bind(const char *address, int fd[LISTENER_MAX], int *n,
    char *error, size_t error_len);

/* listener_bind() to the targets that listener_resolve() has found. */
int listener_bind_targets(const char *address, struct listener_targets *t,
    int fd[LISTENER_MAX], int *n, char *error, size_t error_len);

/* Bounds what the kernel takes of a client's output (SO_SNDBUF, of which it
 * reserves twice as much); accepted sockets inherit it. 0: it sees for itself,
 * as without any bound. Before listener_listen(). */
void listener_bound(int fd, uint32_t send_bytes);

/* listen() with the largest backlog; -1 and errno. */
int listener_listen(int fd);

/*
 * Undoes what a process that shares a listening socket, and should not be
 * trusted, may do to it for all others: shutdown(), or making it wait. Returns
 * 1 if something was undone, 0: all was well, or -1 and errno.
 */
int listener_mend(int fd);

/* "127.0.0.1:8080", "[::1]:8080", of any socket address. */
const char *listener_name(const struct sockaddr *sa, char out[LISTENER_TEXT]);

#endif
