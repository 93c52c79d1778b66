#include "process/identity.h"

#include <errno.h>
#include <grp.h>
#include <sys/stat.h>
#include <unistd.h>

int
identity_assume(const struct identity *id)
{
	if (!id->drop)
		return 0;
	if (setgroups(1, &id->gid) == -1 ||
	    setresgid(id->gid, id->gid, id->gid) == -1 ||
	    setresuid(id->uid, id->uid, id->uid) == -1)
		return -1;
	return 0;
}

int
identity_give(const struct identity *id, int fd)
{
	struct stat st;

	if (!id->drop)
		return 0;
	if (fstat(fd, &st) == -1)
		return -1;
	if (!S_ISREG(st.st_mode))
		return 0; /* a device or a pipe is its owner's business */
	/* A user who may write the directory could lay a trap for root. */
	if (st.st_nlink != 1) {
		errno = EMLINK;
		return -1;
	}
	return fchown(fd, id->uid, id->gid);
}
