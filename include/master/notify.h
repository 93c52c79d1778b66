/* notify: tells the service manager how things stand (sd_notify(3)'s
 * datagram, without its library). Layer 6. */
#ifndef CHATD_MASTER_NOTIFY_H
#define CHATD_MASTER_NOTIFY_H

enum { NOTIFY_MS = 500 };

/*
 * Sends "READY=1" and the like to the socket that $NOTIFY_SOCKET names, a path
 * or, after an @, an abstract name. Returns 1, 0 if there is none to tell, or
 * -1 and errno. Waits NOTIFY_MS at most for a manager that has not read the
 * last ones: outside the initial network namespace a socket's queue may have
 * room for 10.
 */
int notify_send(const char *state);

/* notify_send() with a descriptor; -1: none. */
int notify_send_fd(const char *state, int fd);

/* Waits until the manager has dealt with all that was sent. Returns 1, 0 if
 * there is none, or -1 and errno (ETIMEDOUT: not within that time). */
int notify_barrier(int ms);

#endif
