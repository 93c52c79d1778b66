/* place: where the control socket and the pidfile are. Layer 6; chatctl uses
 * it too. */
#ifndef CHATD_MASTER_PLACE_H
#define CHATD_MASTER_PLACE_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>

/*
 * The default control socket: /run/chatd/chatd.sock for root, else
 * $XDG_RUNTIME_DIR/chatd.sock, else /tmp/chatd-UID/chatd.sock.
 */
void place_control(char out[PATH_MAX]);

/* The default pidfile: chatd.pid beside that control socket. */
void place_pidfile(const char *control, char out[PATH_MAX]);

/*
 * Makes the directory of a default path if it is one of chatd's own, or, if it
 * is there, checks that it is nobody else's to play with. make false: only
 * checks. Returns 0, or -1 with a message.
 */
int place_prepare(const char *path, bool make, char *error, size_t error_len);

#endif
