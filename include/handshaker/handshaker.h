/*
 * handshaker: a process that shakes hands with TLS clients for workers, and
 * hands what they have come to over. It alone sees private keys and parses what
 * clients say before there are keys; it has neither shared memory nor files.
 * Layer 6, linked into chatd-handshaker alone.
 */
#ifndef CHATD_HANDSHAKER_HANDSHAKER_H
#define CHATD_HANDSHAKER_HANDSHAKER_H

struct child_start;

/* The kind's main. */
void handshaker_main(struct child_start *start);

/* The arguments behind EXECUTABLE_TRY: ciphers, groups, then for each pair the
 * paths of chain, key and staple ("": none). Returns the program's status, with
 * lines on standard error. */
int handshaker_try(int argc, char **argv);

#endif
