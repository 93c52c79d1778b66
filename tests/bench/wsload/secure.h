/* secure.h - the clients' sockets, over TLS 1.3 where that is asked for: as
 * send(2) and recv(2). OpenSSL shakes hands, then its object goes: records are
 * sealed and opened by chatd's own layer, with 150 bytes for each client
 * instead of 14,000, so that a thousand clients do not push the server's memory
 * out of the caches. Certificates are not looked at: this measures. */
#ifndef WSLOAD_SECURE_H
#define WSLOAD_SECURE_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct secure;

/* Has the server give a session, which clients resume, over a connected socket
 * that waits. */
void secure_session(int fd);

/* A client's TLS on a connected socket. */
struct secure *secure_new(int fd, int resume);
void secure_free(struct secure *s);

/* Goes on with the handshake: 1 done, 0 again when the socket is ready, -1
 * failed: secure_error(). */
int secure_handshake(struct secure *s);
const char *secure_error(void);
int secure_resumed(const struct secure *s);

/* s NULL: plain. -1 and errno EAGAIN: the socket takes, or has, no more. */
ssize_t secure_send(struct secure *s, int fd, const void *p, size_t len);
/* *more: the socket may have more, although less came than was asked for. */
ssize_t secure_recv(struct secure *s, int fd, void *p, size_t len, int *more);

/* Sends what a socket did not take of a record; it takes more now. */
void secure_flush(struct secure *s, int fd);

#endif
