/*
 * tls_files: what a process that shakes hands is told: what the configuration
 * says of TLS, the contents of the files that it names, and the keys of session
 * tickets. Layer 1, pure.
 *
 * Files travel in a sealed memory file, as pieces one behind the other: a
 * chain begins a pair, its key follows, and perhaps a staple. Who gets them has
 * no file system.
 */
#ifndef CHATD_CODEC_TLS_FILES_H
#define CHATD_CODEC_TLS_FILES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	TLS_FILES_PAIRS = 64, /* of a certificate and its key */
	/* Bytes of a file: a chain of certificates has 4 to 8 K. Larger:
	 * nothing; smaller: long chains are refused. */
	TLS_FILE_MAX = 64 * 1024,
	TLS_FILES_WORDS = 512, /* bytes of a list of names, with the NUL */
	TLS_TICKET_KEYS = 4,
	/* How long a client may use a ticket. Larger: more of those who come
	 * back are spared half of a handshake's work; smaller: a key that is
	 * stolen opens fewer tickets. */
	TLS_TICKET_S = 24 * 3600,
	TLS_DAY_S = 24 * 3600,
	/* When a certificate's end is told before it comes. Larger: it is told
	 * while a renewal is yet to be tried (certbot's come 30 days before);
	 * smaller: there is less time to find out why none came. */
	TLS_SOON_S = 14 * TLS_DAY_S
};

/* Versions of the protocol, as bits. */
enum { TLS_FILES_12 = 1, TLS_FILES_13 = 2 };

/* What the process is told of the configuration. */
struct birth_handshaker {
	int files;	    /* descriptor of the memory file */
	int tickets;	    /* of one with struct tls_tickets, to be read; -1:
			     * no tickets */
	uint32_t protocols; /* bits; 0: all */
	uint32_t strict;    /* 1: a name that no certificate has is refused */
	/* names as OpenSSL has them, after blanks or colons; "": as usual */
	char ciphers[TLS_FILES_WORDS], groups[TLS_FILES_WORDS];
};

enum tls_file_what {
	TLS_FILE_CHAIN = 1, /* PEM: the certificate, then those above it */
	TLS_FILE_KEY,	    /* PEM: its private key */
	TLS_FILE_STAPLE	    /* DER: an OCSP response about it */
};

struct tls_files {
	uint8_t *bytes; /* malloc'ed */
	size_t len, size;
};

struct tls_file {
	enum tls_file_what what;
	int error;	  /* errno of the reading; 0: none */
	const char *path; /* for people; terminated */
	const uint8_t *bytes;
	size_t len;
};

/* Appends a file, or the error that came instead. Returns 0, or -1 and errno
 * (ENOMEM). */
int tls_files_put(struct tls_files *f, enum tls_file_what what,
    const char *path, int error, const void *bytes, size_t len);

/* The file at *at, which is moved behind it; *at is 0 at first. Returns 1, 0:
 * there are no more, or -1: those are no whole pieces. */
int tls_files_next(const struct tls_files *f, size_t *at, struct tls_file *out);

/* Frees them, and overwrites them. */
void tls_files_free(struct tls_files *f);

/* A key of session tickets: its name, of encryption, of authentication. */
struct tls_ticket_key {
	uint8_t name[16], aes[32], mac[32];
};

/*
 * Keys of session tickets, in a page that one process writes and many read: all
 * that shake hands, over reloads and upgrades, so that a client comes back with
 * less work wherever it comes. The newest one makes tickets, it and the one
 * before open them.
 */
struct tls_tickets {
	_Atomic uint64_t number; /* keys so far; 0: there is none yet */
	struct tls_ticket_key key[TLS_TICKET_KEYS];
};

enum { TLS_TICKETS_BYTES = 4096 }; /* of the file that it lies in: a page */
_Static_assert(sizeof(struct tls_tickets) <= TLS_TICKETS_BYTES, "it fits");

/* Adds a key, of bytes by chance, and forgets the one before the last. A reader
 * sees it whole, or not at all. */
void
tls_tickets_turn(struct tls_tickets *t, const struct tls_ticket_key *chance);

/* The newest key; false: there is none. */
bool
tls_tickets_newest(const struct tls_tickets *t, struct tls_ticket_key *out);

/* The key of that name, if it may still open tickets. */
bool tls_tickets_find(const struct tls_tickets *t, const uint8_t name[16],
    struct tls_ticket_key *out);

#endif
