/* secure.h - the clients' sockets, over TLS where that is asked for: as send(2)
 * and recv(2). Certificates are not looked at: this measures. */
#ifndef WSLOAD_SECURE_H
#define WSLOAD_SECURE_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct ssl_st;

/* A client's TLS on a connected socket. */
struct ssl_st *secure_new(int fd);
void secure_free(struct ssl_st *ssl);

/* Goes on with the handshake: 1 done, 0 again when the socket is ready, -1
 * failed: secure_error(). */
int secure_handshake(struct ssl_st *ssl);
const char *secure_error(void);

/* ssl NULL: plain. -1 and errno EAGAIN: the socket takes, or has, no more. */
ssize_t secure_send(struct ssl_st *ssl, int fd, const void *p, size_t len);
ssize_t secure_recv(struct ssl_st *ssl, int fd, void *p, size_t len);

#endif
