#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net/custody.h"
#include "net/link.h"
#include "net/rights.h"

int
custody_pair(int fd[2])
{
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fd) < 0)
		return -1;
	link_buffer_raise(fd[0]);
	link_buffer_raise(fd[1]);
	return 0;
}

/* Bytes of a note on the link. */
static size_t
note_bytes(const struct custody_note *note)
{
	return offsetof(struct custody_note, id) +
	    note->n * sizeof(note->id[0]);
}

/* Whether a send's error says nothing of the link, and may be gone in a
 * moment. ENOMEM: under a cgroup's limit; ETOOMANYREFS: descriptors in flight
 * are counted for all processes of a user. */
static bool
error_is_passing(int error)
{
	return error == EAGAIN || error == ENOBUFS || error == ENOMEM ||
	    error == ETOOMANYREFS;
}

int
custody_send(int link, const struct custody_note *note, const int *fd)
{
	RIGHTS_SPACE(CUSTODY_MAX) space;
	struct iovec v = {(void *)note, note_bytes(note)};
	struct msghdr h = {.msg_iov = &v, .msg_iovlen = 1};
	ssize_t r;

	if (note->type == CUSTODY_KEEP && note->n > 0)
		rights_put(&h, &space, fd, note->n);
	do
		r = sendmsg(link, &h, MSG_NOSIGNAL | MSG_DONTWAIT);
	while (r < 0 && errno == EINTR);
	if (r < 0 && error_is_passing(errno))
		errno = EAGAIN;
	return r < 0 ? -1 : 0;
}

bool
custody_is_gone(int error)
{
	return error == EPIPE || error == ECONNRESET || error == ENOTCONN;
}

int
custody_ask(int link, uint32_t n)
{
	struct custody_note note = {.type = CUSTODY_ROOM, .n = 1, .id = {n}};

	return custody_send(link, &note, NULL);
}

/* Whether a note of r bytes with n descriptors is one. */
static bool
note_is_sound(const struct custody_note *note, size_t r, int n)
{
	if (r < offsetof(struct custody_note, id) || note->n > CUSTODY_MAX ||
	    r != note_bytes(note))
		return false;
	switch (note->type) {
	case CUSTODY_KEEP:
		return n == (int)note->n;
	case CUSTODY_ROOM:
		return n == 0 && note->n == 1;
	case CUSTODY_DONE:
		return n == 0 && note->n == 0;
	default:
		return false;
	}
}

int
custody_receive(int link, struct custody_note *note, int *fd)
{
	RIGHTS_SPACE(CUSTODY_MAX) space;
	struct iovec v = {note, sizeof(*note)};
	struct msghdr h = {.msg_iov = &v,
	    .msg_iovlen = 1,
	    .msg_control = &space,
	    .msg_controllen = sizeof(space.bytes)};
	ssize_t r;
	int n, k, tries = 0;

	/* An end that was closed with something unread gives one ECONNRESET
	 * ahead of what it had sent. */
	do
		r = recvmsg(link, &h, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
	while (r < 0 && (errno == EINTR || errno == ECONNRESET) && tries++ < 8);
	if (r < 0 && errno == EAGAIN)
		return 0;
	if (r <= 0) {
		errno = r == 0 ? 0 : errno;
		return -1;
	}
	n = (int)rights_take(&h, fd, CUSTODY_MAX);
	if (!(h.msg_flags & (MSG_CTRUNC | MSG_TRUNC)) &&
	    note_is_sound(note, (size_t)r, n))
		return 1;
	for (k = 0; k < n; k++)
		close(fd[k]);
	errno = EBADMSG;
	return -1;
}

/* Fills a note with what comes next, as far as there is room. Returns the
 * number to go on from. */
static uint32_t
giver_fill(const struct custody_giver *g, struct custody_note *note, int *fd,
    custody_at at, void *arg)
{
	uint32_t i;

	note->type = CUSTODY_KEEP;
	note->n = 0;
	for (i = g->next;
	     i < g->n && note->n < CUSTODY_MAX && note->n < g->room; i++)
		if (at(arg, i, &note->id[note->n], &fd[note->n]))
			note->n++;
	return i;
}

enum custody_given
custody_give(struct custody_giver *g, int link, custody_at at, void *arg)
{
	static struct custody_note note;
	static int fd[CUSTODY_MAX];
	uint32_t next;

	if (g->next > g->n)
		return CUSTODY_IDLE;
	while (g->room > 0) {
		next = giver_fill(g, &note, fd, at, arg);
		if (note.n == 0)
			note.type = CUSTODY_DONE;
		if (custody_send(link, &note, fd) < 0)
			return custody_is_gone(errno) ? CUSTODY_ENDED
						      : CUSTODY_FULL;
		g->room -= note.n;
		g->next = note.n == 0 ? g->n + 1 : next;
		if (note.n == 0)
			return CUSTODY_IDLE;
	}
	return CUSTODY_IDLE;
}

/* Reads how much more the other side has room for. False: the link's end. */
static bool
giver_read(struct custody_giver *g, int link)
{
	static struct custody_note note;
	static int fd[CUSTODY_MAX];
	int r;

	while ((r = custody_receive(link, &note, fd)) != 0) {
		if (r < 0 && errno != EBADMSG)
			return false;
		for (uint32_t k = 0;
		     r > 0 && note.type == CUSTODY_KEEP && k < note.n; k++)
			close(fd[k]); /* nobody gives here */
		if (r > 0 && note.type == CUSTODY_ROOM && g->room <= UINT32_MAX)
			g->room += note.id[0] & UINT32_MAX;
	}
	return true;
}

bool
custody_serve(struct custody_giver *g, int *link, custody_at at, void *arg)
{
	enum custody_given given;

	if (*link == -1)
		return false;
	if (giver_read(g, *link) &&
	    (given = custody_give(g, *link, at, arg)) != CUSTODY_ENDED)
		return given == CUSTODY_FULL;
	close(*link);
	*link = -1;
	return false;
}
