/* read: files into the pieces that a process which shakes hands gets. */
#ifndef CHATD_SRC_HANDSHAKER_READ_H
#define CHATD_SRC_HANDSHAKER_READ_H

#include "codec/tls_files.h"

/* Appends a file, or the error that came instead: EINVAL, it is no regular
 * file; EFBIG, it has more than TLS_FILE_MAX bytes. It may wait for a disk, not
 * for the writer of a pipe. Returns 0, or -1: there is no memory. */
int read_file(struct tls_files *f, enum tls_file_what what, const char *path);

#endif
