/* family_note: notes over a family's link. */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/shared.h"
#include "net/rights.h"
#include "process/family.h"

#define NOTE_MAGIC 0x46616d4eu

#ifndef SO_PASSPIDFD
#define SO_PASSPIDFD 76
#endif

enum {
	NOTE_FDS = 253,	 /* SCM_MAX_FD: the kernel passes no more at once */
	NOTE_BYTES = 256 /* a later program's may be longer than ours */
};

/* Room for whatever the kernel may add, too. */
union note_control {
	struct cmsghdr head;
	char bytes[CMSG_SPACE(sizeof(int) * NOTE_FDS) + 256];
};

int
family_note_send(
    int home, uint32_t generation, uint32_t what, const int *fd, uint32_t n)
{
	struct family_note note = {NOTE_MAGIC, generation, what, n};
	struct iovec v = {&note, sizeof(note)};
	struct msghdr h = {.msg_iov = &v, .msg_iovlen = 1};
	RIGHTS_SPACE(FAMILY_REST_MAX) space;
	ssize_t r;

	if (n > FAMILY_REST_MAX) {
		errno = EINVAL;
		return -1;
	}
	if (n > 0)
		rights_put(&h, &space, fd, n);
	do
		r = sendmsg(home, &h, MSG_NOSIGNAL | MSG_DONTWAIT);
	while (r == -1 && errno == EINTR);
	KILL_POINT();
	if (r == -1 &&
	    (errno == ENOBUFS || errno == ENOMEM || errno == ETOOMANYREFS))
		errno = EAGAIN;
	return r == -1 ? -1 : 0;
}

/* A process that had this table before may have asked the kernel for more than
 * descriptors in each message; one of those options adds a descriptor. */
static void
note_plain(int home)
{
	static const int option[] = {
	    SO_PASSCRED, SO_PASSSEC, SO_PASSPIDFD, SO_TIMESTAMP};
	const int off = 0;

	for (size_t i = 0; i < sizeof(option) / sizeof(option[0]); i++)
		(void)setsockopt(
		    home, SOL_SOCKET, option[i], &off, sizeof(off));
}

/* Closes what came. */
static void
note_close(const int *fd, size_t n)
{
	for (size_t i = 0; i < n; i++)
		close(fd[i]);
}

/* Reads one note. Returns how many descriptors came, all of them in fd, or -1
 * and errno; EMFILE: not all of them found a number. */
static int
note_read(int home, struct family_note *note, int fd[NOTE_FDS], bool *whole)
{
	union note_control control;
	char bytes[NOTE_BYTES];
	struct iovec v = {bytes, sizeof(bytes)};
	struct msghdr h = {.msg_iov = &v,
	    .msg_iovlen = 1,
	    .msg_control = &control,
	    .msg_controllen = sizeof(control.bytes)};
	size_t n;
	ssize_t r;

	do
		r = recvmsg(home, &h, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	while (r == -1 && errno == EINTR);
	KILL_POINT();
	if (r == -1)
		return -1;
	n = rights_take(&h, fd, NOTE_FDS);
	*whole = (h.msg_flags & MSG_CTRUNC) == 0;
	if (r == 0 && n == 0 && *whole) {
		errno = EPIPE;
		return -1;
	}
	memset(note, 0, sizeof(*note));
	memcpy(
	    note, bytes, (size_t)r < sizeof(*note) ? (size_t)r : sizeof(*note));
	return (int)n;
}

int
family_note_take(int home, uint32_t generation, uint32_t what, int *fd,
    uint32_t least, uint32_t most)
{
	struct family_note note;
	int got[NOTE_FDS];
	bool whole;
	int n;

	note_plain(home);
	for (;;) {
		if ((n = note_read(home, &note, got, &whole)) == -1)
			return -1;
		if (note.magic != NOTE_MAGIC || note.generation == generation)
			break;
		note_close(got, (size_t)n); /* for one that is dead */
	}
	if (note.magic == NOTE_MAGIC && note.what == what && note.n >= least &&
	    note.n <= most && whole && note.n == (uint32_t)n) {
		memcpy(fd, got, sizeof(*fd) * (size_t)n);
		return n;
	}
	note_close(got, (size_t)n);
	errno = whole ? EBADMSG : EMFILE;
	return -1;
}
