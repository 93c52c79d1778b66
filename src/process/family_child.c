/*
 * family_child: how a family's process begins. Until it has keepers of its own,
 * which share its table of descriptors, and has said so by one store, nothing
 * that it does changes what the family has: it reads no client, gives up no
 * socket, and if it dies, the keepers of the process before it are asked again.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/kill_list.h"
#include "base/log.h"
#include "base/title.h"
#include "codec/birth.h"
#include "hub/wire.h"
#include "process/child.h"
#include "process/executable.h"
#include "process/family.h"
#include "process/family_filter.h"
#include "process/passport.h"
#include "process/spawn.h"

/*
 * How long a process waits until the keeper that makes room for its own is
 * reaped. Longer: where there is none, its clients wait for that; shorter: a
 * master that is busy is too slow.
 */
enum { ROOM_TRIES = 200, ROOM_US = 1000 };

/* What is known of this process so far. */
struct beginning {
	uint32_t generation;
	struct passport_page passport;
	struct hub hub;
	struct child_start start;
	struct family_page *page;
};

/* Leaves with a status that the master understands. */
static void __attribute__((noreturn)) begin_fail(int status, const char *what)
{
	log_error("%s: %s", what, strerror(errno));
	log_flush();
	_exit(status);
}

/* A process that had this table before may have closed the numbers of standard
 * streams: none of them is left free for a descriptor that comes in a note. */
static void
begin_streams(void)
{
	int fd;

	while ((fd = eventfd(0, EFD_NONBLOCK)) != -1 && fd <= STDERR_FILENO)
		;
	if (fd > STDERR_FILENO)
		close(fd);
}

/* A process that had this table before may have put other files in the place
 * of the standard streams that the master has; those do not stay open. */
static void
begin_streams_check(const struct family_page *p)
{
	struct stat st;

	for (int i = 0; i <= STDERR_FILENO; i++)
		if (fstat(i, &st) == -1 || st.st_dev != p->stream_dev[i] ||
		    st.st_ino != p->stream_inode[i])
			(void)dup2(FAMILY_RESERVE, i);
}

/* Makes FAMILY_RESERVE, which was closed before the exec. An eventfd: no file
 * is opened for it, and none that the filter forbids. */
static void
begin_reserve(void)
{
	int fd;

	if (fcntl(FAMILY_RESERVE, F_GETFD) != -1 ||
	    (fd = eventfd(0, EFD_NONBLOCK)) == -1 || fd == FAMILY_RESERVE)
		return;
	(void)dup2(fd, FAMILY_RESERVE);
	close(fd);
}

/* Any file may have the link's number: a process that had this table before may
 * have put it there. The page, which says which socket it is, comes later. */
static void
begin_home(void)
{
	int type = 0;
	socklen_t len = sizeof(type);

	if (getsockopt(FAMILY_HOME, SOL_SOCKET, SO_TYPE, &type, &len) == -1 ||
	    type != SOCK_SEQPACKET)
		_exit(FAMILY_SPOILT);
}

/* Takes a note; returns how many descriptors it has brought. */
static int
begin_take(const struct beginning *b, uint32_t what, int *fd, uint32_t least,
    uint32_t most)
{
	const int n =
	    family_note_take(FAMILY_HOME, b->generation, what, fd, least, most);

	if (n == -1 && errno == EPIPE)
		_exit(0);
	if (n == -1)
		/* no room after the sweep: its own sockets take all there is */
		begin_fail(errno == EMFILE && what == FAMILY_NOTE_REST
			? FAMILY_FAILED
			: FAMILY_SPOILT,
		    "a note of the master's");
	return n;
}

/* Takes the passport: which child this is, of which master. */
static void
begin_passport(struct beginning *b)
{
	struct passport_page *p = &b->passport;
	struct spawn s;
	int fd;

	(void)begin_take(b, FAMILY_NOTE_PASSPORT, &fd, 1, 1);
	passport_take(fd, EXECUTABLE_CHILD, p);
	close(fd);
	s.parent = p->parent;
	if (!spawn_tie(&s, SIGKILL))
		_exit(0);
#ifndef CHATD_SANITIZED
	/* its file may be one that it could read, then the exec did not see
	 * to that */
	if (p->drop && prctl(PR_SET_DUMPABLE, 0) == -1)
		begin_fail(FAMILY_FAILED, "dumpable");
#endif
	kill_list_become(p->at);
	passport_start(p, NULL, &b->start);
	log_set_name(p->title);
	log_set_verbose(p->live.verbose != 0);
}

/* Maps shared memory. Keepers do not get it. */
static void
begin_hub(struct beginning *b)
{
	const struct passport_page *p = &b->passport;
	struct hub *h = &b->hub;
	char error[256];
	int fd;

	(void)begin_take(b, FAMILY_NOTE_HUB, &fd, 1, 1);
	if (hub_attach(h, fd, &p->limits, p->hash_key,
		(p->gets & CHILD_HUB) == 0, error, sizeof(error)) == -1) {
		log_error("%s", error);
		_exit(FAMILY_FAILED);
	}
	hub_close_file(h);
	h->table = p->table;
	if (madvise(h->base, h->size, MADV_DONTFORK) == -1)
		begin_fail(FAMILY_FAILED, "shared memory");
	b->start.hub = h;
	child_enter(&b->start, p->at);
	KILL_POINT();
}

/* Maps what transports know. Keepers, which have this process's table of
 * descriptors, get neither the memory nor its file. */
static void
begin_wire(struct beginning *b)
{
	struct hub *h = &b->hub;
	int fd;

	if (b->passport.fd.wire == -1)
		return;
	(void)begin_take(b, FAMILY_NOTE_WIRE, &fd, 1, 1);
	if (wire_attach(h, fd) == -1 || wire_own(h) == -1)
		begin_fail(FAMILY_FAILED, "memory of transports");
	close(fd);
	if (wire_lock(h) == -1)
		log_debug("keys may be swapped out: %s (LimitMEMLOCK)",
		    strerror(errno));
	KILL_POINT();
}

/* The next of the descriptors of a note if there is to be one. */
static int
rest_next(const int **fd, const int *end, bool wanted)
{
	return wanted && *fd < end ? *(*fd)++ : -1;
}

/* Takes the last note: page, link, log, givers and listeners. */
static void
begin_rest(struct beginning *b)
{
	struct passport_page *p = &b->passport;
	struct birth_worker *birth = p->birth_bytes == sizeof(*birth)
	    ? (struct birth_worker *)p->birth
	    : NULL;
	const bool log = p->fd.log != -1;
	uint32_t n = 2 + log + (uint32_t)p->endpoints.n;
	int fd[FAMILY_REST_MAX], page;
	const int *next = fd;

	for (int i = 0; birth != NULL && i < BIRTH_GIVERS; i++)
		n += birth->giver[i] != -1;
	if (n > FAMILY_REST_MAX) {
		errno = E2BIG;
		begin_fail(FAMILY_FAILED, "passport");
	}
	(void)begin_take(b, FAMILY_NOTE_REST, fd, n, n);
	page = rest_next(&next, fd + n, true);
	b->start.link = rest_next(&next, fd + n, true);
	if (log)
		log_send_to(rest_next(&next, fd + n, true));
	for (int i = 0; birth != NULL && i < BIRTH_GIVERS; i++)
		birth->giver[i] =
		    rest_next(&next, fd + n, birth->giver[i] != -1);
	for (int i = 0; i < p->endpoints.n; i++)
		p->endpoints.at[i].fd = rest_next(&next, fd + n, true);
	if ((b->page = family_page_map(page)) == NULL)
		begin_fail(FAMILY_FAILED, "page");
	close(page);
	begin_streams_check(b->page);
	KILL_POINT();
}

/* Loads the filter of the whole family, once: in its first process, before its
 * keepers are cloned, so that all that come later inherit it. */
static void
begin_filter(struct beginning *b)
{
	int *thread, e;

	if (SHM_LOAD(b->page->confined) != FAMILY_FILTER_COMES)
		return;
	e = family_filter(family_clone_flags(&thread));
	if (e != 0)
		log_warn("%s and its keepers without a filter of system calls: "
			 "%s",
		    b->passport.title, strerror(e));
	SHM_STORE(b->page->confined,
	    e == 0 ? FAMILY_FILTER_LOADED : FAMILY_FILTER_REFUSED);
}

/* The keepers before have another table, and no use any more. */
static void
keepers_leave(struct family_page *p, unsigned first, unsigned n)
{
	for (unsigned k = first; k < first + n; k++)
		if (SHM_LOAD(p->keeper[k].pid) != 0)
			family_order(p, k, FAMILY_LEAVE, 0);
}

/*
 * Makes the first keeper. Where no more processes are allowed than there were
 * before the death, one of two keepers before makes room for it: until it is
 * there, one keeper holds the table, as after any death of a keeper.
 */
static bool
keeper_first(struct family_page *p, unsigned k, unsigned before)
{
	const bool two = SHM_LOAD(p->keeper[before].pid) != 0 &&
	    SHM_LOAD(p->keeper[before + 1].pid) != 0;

	for (int tries = 0; !family_keeper_make(p, k); tries++) {
		if ((errno != EAGAIN && errno != ENOMEM) || !two ||
		    tries == ROOM_TRIES)
			return false;
		if (tries == 0)
			keepers_leave(p, before, 1);
		usleep(ROOM_US);
	}
	return true;
}

/* Makes keepers that share its table, and says by one store that they count.
 * If there is no room for the second one, it is the master's to have it made
 * when those before are gone. */
static void
begin_keepers(struct beginning *b)
{
	struct family_page *p = b->page;
	const unsigned before = family_pair(p), pair = family_other_pair(p);
	char title[CHILD_NAME];

	snprintf(title, sizeof(title), "keeper %d", b->start.number);
	title_set(title); /* the keepers', which are copies of this process */
	if (!keeper_first(p, pair, before))
		begin_fail(FAMILY_FAILED, "cannot make a keeper");
	(void)family_keeper_make(p, pair + 1);
	SHM_STORE(p->cur, pair / FAMILY_KEEPERS);
	keepers_leave(p, before, FAMILY_KEEPERS);
	title_set(b->passport.title);
	family_page_unmap(p);
	b->page = NULL;
	KILL_POINT();
}

void
family_main(uint32_t generation)
{
	static struct beginning b;

	b.generation = generation;
	spawn_signals(NULL);
	begin_home();
	begin_streams();
	begin_passport(&b);
	begin_hub(&b);
	begin_wire(&b);
	if (b.start.kind->settle != NULL)
		b.start.kind->settle(&b.hub);
	KILL_POINT();
	begin_reserve();
	begin_rest(&b);
	begin_filter(&b);
	begin_keepers(&b);
	/* an error is that of family_filter(), which is in the log */
	(void)family_filter_self();
	b.start.kind->main(&b.start);
	_exit(0);
}
