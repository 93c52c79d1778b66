#include "net/rights.h"

#include <string.h>
#include <unistd.h>

void
rights_put(struct msghdr *h, void *space, const int *fd, size_t n)
{
	const size_t bytes = sizeof(*fd) * n;
	struct cmsghdr *c;

	memset(space, 0, CMSG_SPACE(bytes));
	h->msg_control = space;
	h->msg_controllen = CMSG_SPACE(bytes);
	c = CMSG_FIRSTHDR(h);
	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(bytes);
	memcpy(CMSG_DATA(c), fd, bytes);
}

size_t
rights_take(struct msghdr *h, int *fd, size_t most)
{
	size_t n = 0;
	int one;

	for (struct cmsghdr *c = CMSG_FIRSTHDR(h); c != NULL;
	     c = CMSG_NXTHDR(h, c)) {
		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		for (size_t at = CMSG_LEN(0); at + sizeof(one) <= c->cmsg_len;
		     at += sizeof(one), n++) {
			memcpy(&one, (char *)c + at, sizeof(one));
			if (n < most)
				fd[n] = one;
			else
				close(one);
		}
	}
	return n;
}
