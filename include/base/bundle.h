/*
 * bundle: what one process has read for another: files, addresses, users, each
 * by its name, or the error that came instead. Layer 0.
 *
 * One process fills it by reading, another one goes through the same steps and
 * finds in it what the first one met, without touching a file.
 */
#ifndef CHATD_BASE_BUNDLE_H
#define CHATD_BASE_BUNDLE_H

#include <stdbool.h>
#include <stddef.h>

/* All pieces together: the children's program (48M with all that helps to debug
 * it, else 4M), configuration (1M), web page (3M), addresses. Larger only costs
 * memory; smaller refuses what the parts allow. */
enum { BUNDLE_MAX = 56 * 1024 * 1024 };

enum bundle_kind {
	BUNDLE_FILE = 1, /* of the configuration; its bytes */
	BUNDLE_ADDRESS,	 /* of a name in `listen`; struct listener_targets */
	BUNDLE_USER,	 /* struct identity */
	BUNDLE_PAGE,	 /* the image of the web page, see door/door.h */
	BUNDLE_LOOK,	 /* a finding, see src/master/look.h */
	BUNDLE_PROGRAM,	 /* that children execute, see src/master/program.h */
	BUNDLE_STAMP	 /* of files, see src/master/judge.h */
};

struct bundle {
	char *bytes; /* pieces, one behind the other */
	size_t len, size;
	/* Set in the process that reads: called with the name of what is read
	 * next. What is not in the bundle may be read only if this is set. */
	void (*begin)(void *arg, const char *name);
	void *arg;
};

struct bundle_piece {
	const char *bytes; /* lives until the next put, or free */
	size_t len;
	int error; /* errno of the reading, or 0 */
};

/* Appends a piece. Returns 0, or -1 and errno (ENOMEM, EFBIG). */
int bundle_put(struct bundle *b, enum bundle_kind kind, const char *name,
    int error, const void *bytes, size_t len);

/* Finds the first piece of that kind and name; false: there is none. */
bool bundle_get(const struct bundle *b, enum bundle_kind kind, const char *name,
    struct bundle_piece *out);

/*
 * Takes over len bytes, malloc'ed, that bundle_put made elsewhere. Returns 0,
 * or -1 with EBADMSG if they are not whole pieces: then nothing is taken.
 */
int bundle_adopt(struct bundle *b, char *bytes, size_t len);

/* Frees the pieces, and overwrites them: there may be secrets. */
void bundle_free(struct bundle *b);

#endif
