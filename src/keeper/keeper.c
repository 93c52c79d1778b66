#include "keeper/keeper.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"
#include "hub/stats.h"
#include "keeper_filter.h"
#include "net/custody.h"

enum {
	TICK_MS = 100,
	/*
	 * A wake-up for each note would cost more than its work, and the
	 * worker more than to send it. Who was woken so often without a pause
	 * rests after each time and then reads all that has come. It is safe
	 * on the link, whoever dies.
	 */
	REST_AFTER = 16,
	REST_MS = 20,
	NOTES_MAX = 64 /* at a time */
};

/* What is in custody, by slot. */
struct keeper {
	uint32_t n_slots;
	int *fd;      /* + 1, so that fresh pages are right; 0: none */
	uint64_t *id; /* 0: none */
	int link;     /* to the worker; -1: none */
	int control;
	_Atomic uint64_t *tick; /* its life sign */
};

/* Closes what is kept for a slot. */
static void
drop(struct keeper *k, uint32_t i)
{
	if (k->id[i] == 0)
		return;
	close(k->fd[i] - 1);
	k->id[i] = 0;
}

/* Does what a note says; descriptors are this function's. */
static void
take(struct keeper *k, const struct custody_note *note, const int *fd)
{
	uint32_t j, i;

	for (j = 0; j < note->n; j++) {
		i = (uint32_t)note->id[j];
		if (note->type == CUSTODY_KEEP) {
			/* a slot's next connection has a larger id */
			if (i >= k->n_slots || note->id[j] == 0 ||
			    note->id[j] < k->id[i]) {
				close(fd[j]);
				continue;
			}
			drop(k, i);
			k->fd[i] = fd[j] + 1;
			k->id[i] = note->id[j];
		} else if (note->type == CUSTODY_GIVE_UP && i < k->n_slots &&
		    k->id[i] == note->id[j])
			drop(k, i);
	}
}

/* Reads one note from the worker: 1, 0 if there is none, -1 at the link's
 * end. */
static int
link_read(struct keeper *k, bool wait)
{
	static struct custody_note note;
	static int fd[CUSTODY_MAX];
	int r = custody_receive(k->link, &note, fd, wait);

	if (r > 0)
		take(k, &note, fd);
	return r < 0 && errno == EBADMSG ? 1 : r;
}

/* Reads what has come from the worker; returns how many notes. */
static uint32_t
link_drain(struct keeper *k)
{
	uint32_t n = 0;
	int r = 0;

	while (k->link >= 0 && n < NOTES_MAX && (r = link_read(k, false)) > 0)
		n++;
	if (r < 0) {
		close(k->link);
		k->link = -1;
	}
	return n;
}

/* Sends a note that must arrive. If too many descriptors are in flight, they
 * are being read, or the worker hangs: that is not the keeper's fault. False
 * at the link's end. */
static bool
link_write(struct keeper *k, const struct custody_note *note, const int *fd)
{
	while (custody_send(k->link, note, fd, false) < 0) {
		if (errno != EAGAIN)
			return false;
		poll(NULL, 0, 1);
		SHM_COUNT(*k->tick, 1);
	}
	return true;
}

/* Gives duplicates of everything in custody to the worker at the link. */
static void
hand_back(struct keeper *k)
{
	static struct custody_note note;
	static int fd[CUSTODY_MAX];
	uint32_t i;

	note.type = CUSTODY_KEEP;
	note.n = 0;
	for (i = 0; i <= k->n_slots; i++) {
		if (i < k->n_slots && k->id[i] != 0) {
			fd[note.n] = k->fd[i] - 1;
			note.id[note.n++] = k->id[i];
		}
		if (note.n == CUSTODY_MAX || (i == k->n_slots && note.n > 0)) {
			if (!link_write(k, &note, fd))
				return;
			note.n = 0;
		}
	}
	note.type = CUSTODY_DONE;
	(void)link_write(k, &note, NULL);
}

/* The master's word: a byte, and perhaps a descriptor. */
static void
order(struct keeper *k)
{
	char control[CMSG_SPACE(sizeof(int))];
	uint8_t what = 0;
	struct iovec v = {&what, 1};
	struct msghdr h = {.msg_iov = &v,
	    .msg_iovlen = 1,
	    .msg_control = control,
	    .msg_controllen = sizeof(control)};
	struct cmsghdr *c;
	uint32_t i;
	int fd = -1;

	if (recvmsg(k->control, &h, MSG_CMSG_CLOEXEC) <= 0)
		_exit(0); /* the master is gone */
	c = CMSG_FIRSTHDR(&h);
	if (c != NULL && c->cmsg_type == SCM_RIGHTS)
		memcpy(&fd, CMSG_DATA(c), sizeof(fd));
	if (what == KEEPER_FORGET) {
		for (i = 0; i < k->n_slots; i++)
			drop(k, i);
		return;
	}
	if (fd < 0)
		return;
	if (k->link >= 0) {
		/* the dead worker's, to its end */
		while (link_read(k, true) > 0)
			;
		close(k->link);
	}
	k->link = fd;
	if (what == KEEPER_HAND_BACK)
		hand_back(k);
}

/* Private memory that costs nothing until it is touched; zero. */
static void *
table(size_t bytes)
{
	void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
	    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (p == MAP_FAILED)
		log_fatal("keeper: %s", strerror(errno));
	return p;
}

void
keeper_main(struct hub *h, int worker, int control)
{
	struct keeper k = {.n_slots = h->n_slots,
	    .link = -1,
	    .control = control,
	    .tick = &h->worker[worker].keeper_tick};
	struct pollfd p[2];
	uint32_t woken = 0, n = 0;
	bool rests;

	k.fd = table(sizeof(*k.fd) * k.n_slots);
	k.id = table(sizeof(*k.id) * k.n_slots);
	keeper_filter();
	for (;;) {
		rests = woken >= REST_AFTER && n < NOTES_MAX;
		p[0] = (struct pollfd){control, POLLIN, 0};
		p[1] = (struct pollfd){rests ? -1 : k.link, POLLIN, 0};
		if (poll(p, 2, rests ? REST_MS : TICK_MS) < 0 && errno != EINTR)
			_exit(1);
		SHM_COUNT(*k.tick, 1);
		if (p[0].revents) {
			order(&k);
			n = 0;
		} else {
			n = rests || p[1].revents ? link_drain(&k) : 0;
			woken = n > 0 ? woken + 1 : 0;
		}
	}
}
