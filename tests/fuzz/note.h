/* note: custody's notes as no sender of this project makes them. */
#ifndef CHATD_TESTS_FUZZ_NOTE_H
#define CHATD_TESTS_FUZZ_NOTE_H

#include <stddef.h>
#include <string.h>
#include <sys/socket.h>

#include "net/custody.h"

/* Sends a note with descriptors, which need not be as many as its ids: at most
 * CUSTODY_MAX. */
static inline void
note_send(int link, struct custody_note *note, const int *fd, uint32_t n_fds)
{
	char control[CMSG_SPACE(sizeof(int) * CUSTODY_MAX)] = {0};
	struct iovec v = {
	    note, offsetof(struct custody_note, id) + note->n * 8ul};
	struct msghdr h = {.msg_iov = &v, .msg_iovlen = 1};
	struct cmsghdr *c;

	if (n_fds > 0) {
		h.msg_control = control;
		h.msg_controllen = CMSG_SPACE(sizeof(int) * n_fds);
		c = CMSG_FIRSTHDR(&h);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(int) * n_fds);
		memcpy(CMSG_DATA(c), fd, sizeof(int) * n_fds);
	}
	(void)sendmsg(link, &h, MSG_DONTWAIT | MSG_NOSIGNAL);
}

#endif
