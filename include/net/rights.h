/*
 * rights: descriptors in a message of a UNIX socket (SCM_RIGHTS). Layer 2.
 */
#ifndef CHATD_NET_RIGHTS_H
#define CHATD_NET_RIGHTS_H

#include <stddef.h>
#include <sys/socket.h>

/* What a message's control data needs for n descriptors: a member of this
 * kind is aligned as the kernel wants it. */
#define RIGHTS_SPACE(n)                                            \
	union {                                                    \
		struct cmsghdr head;                               \
		char bytes[CMSG_SPACE(sizeof(int) * (size_t)(n))]; \
	}

/* Puts n > 0 descriptors into a message that is to be sent. space is a
 * RIGHTS_SPACE for n or more, and lives until the message is sent. */
void rights_put(struct msghdr *h, void *space, const int *fd, size_t n);

/* Takes the descriptors out of a message that was received: the first `most`
 * of them into fd, the others are closed. Returns how many came. */
size_t rights_take(struct msghdr *h, int *fd, size_t most);

#endif
