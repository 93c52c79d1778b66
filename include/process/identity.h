/* identity: the user that children become. Layer 5. */
#ifndef CHATD_PROCESS_IDENTITY_H
#define CHATD_PROCESS_IDENTITY_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct identity {
	bool drop;   /* we are root and change */
	bool shared; /* nobody: others use its group too */
	uid_t uid;
	gid_t gid;
	char name[64];
};

/*
 * Finds the named user, or chatd, or nobody. Without root the process keeps its
 * user. Returns 0, or -1 with a message.
 */
int identity_find(
    struct identity *id, const char *user, char *error, size_t error_len);

/* Becomes that user for good. Returns 0, or -1 and errno. */
int identity_assume(const struct identity *id);

/* Gives an open file to that user, so that it can be opened again after the
 * change. Returns 0, or -1 and errno, EMLINK: it has another name, too. */
int identity_give(const struct identity *id, int fd);

#endif
