#include "keeper/keeper.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <seccomp.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"
#include "base/sparse.h"
#include "codec/birth.h"
#include "hub/kept.h"
#include "hub/stats.h"
#include "net/custody.h"
#include "net/rights.h"

enum {
	TICK_MS = 100,
	/*
	 * A wake-up for each note would cost more than its work, and the worker
	 * more than to send it. A keeper that was woken so often without a
	 * pause rests after each time, and then reads all notes that have come.
	 * They are safe on the link, even if the worker dies.
	 */
	REST_AFTER = 16,
	REST_MS = 20,
	RETRY_MS = 1,	/* the link to the worker is full: again after */
	NOTES_MAX = 64, /* at a time */
	/* The former worker has closed its end of the link before the keeper
	 * hears of the next one; if it has not, its notes are waited for so
	 * long. */
	DRAIN_MS = 1000,
	CHECK_MS = 1000 /* between two looks at what has ended, without a
			 * worker */
};

/* What is in custody, by slot. */
struct keeper {
	struct hub *hub;
	int worker;
	uint32_t number; /* kept.h */
	uint32_t n_slots;
	int *fd;      /* + 1, so that fresh pages are right; 0: none */
	uint64_t *id; /* 0: none */
	int link;     /* to the worker; -1: none */
	int control;
	struct custody_giver giver; /* what goes back over the link */
};

/* The life sign of a worker's keeper, while this is that keeper. One that is
 * being replaced must not hide that the next one hangs. */
static void
keeper_tick(struct keeper *k)
{
	struct shm_worker *line = &k->hub->worker[k->worker];

	if (SHM_LOAD(line->custody) == k->number)
		SHM_COUNT(line->keeper_tick, 1);
}

/* Closes what is kept for a slot. */
static void
keeper_drop(struct keeper *k, uint32_t i)
{
	if (k->id[i] == 0)
		return;
	kept_clear(k->hub, k->number, k->id[i]);
	close(k->fd[i] - 1);
	k->id[i] = 0;
}

/* Takes one descriptor into custody; owns it. */
static void
keeper_keep(struct keeper *k, uint64_t id, int fd)
{
	uint32_t i = (uint32_t)id;

	/* A slot's next connection has a larger id. The same id is a duplicate
	 * of what is here already: another keeper's word, or none, stands for
	 * it. */
	if (i >= k->n_slots || id <= k->id[i]) {
		if (i < k->n_slots && id == k->id[i])
			kept_set(k->hub, k->number, id);
		close(fd);
		return;
	}
	keeper_drop(k, i);
	k->id[i] = id;
	k->fd[i] = fd + 1;
	kept_set(k->hub, k->number, id);
}

/* Whether a connection in custody is over, or goes on at another worker in the
 * custody of that worker's keeper. */
static bool
keeper_is_stale(const struct keeper *k, uint32_t i)
{
	uint32_t by;

	if (k->id[i] == 0)
		return false;
	if (slot_find(k->hub, k->id[i]) != i)
		return true;
	by = kept_by(k->hub, k->id[i]);
	return by != 0 && by != k->number &&
	    slot_worker(k->hub, i) != k->worker &&
	    slot_state(k->hub, i) != SLOT_MOVING;
}

/* Drops whatever has no use any more. */
static void
keeper_check(struct keeper *k)
{
	uint32_t i;

	for (i = 0; i < k->n_slots; i++)
		if (keeper_is_stale(k, i))
			keeper_drop(k, i);
}

/* Does what a note says; descriptors are this function's. */
static void
keeper_note(struct keeper *k, const struct custody_note *note, const int *fd)
{
	uint32_t j, i;

	switch (note->type) {
	case CUSTODY_KEEP:
		for (j = 0; j < note->n; j++)
			keeper_keep(k, note->id[j], fd[j]);
		break;
	case CUSTODY_GIVE_UP:
		for (j = 0; j < note->n; j++) {
			i = (uint32_t)note->id[j];
			if (i < k->n_slots && k->id[i] == note->id[j])
				keeper_drop(k, i);
		}
		break;
	case CUSTODY_CHECK:
		keeper_check(k);
		break;
	case CUSTODY_ROOM:
		if (k->giver.room <= UINT32_MAX)
			k->giver.room += note->id[0] & UINT32_MAX;
		break;
	default:
		break;
	}
}

/* Reads one note. Returns 1, 0 = nothing there, or -1: the end. */
static int
link_read(struct keeper *k)
{
	static struct custody_note note;
	static int fd[CUSTODY_MAX];
	int r = custody_receive(k->link, &note, fd);

	keeper_tick(k);
	if (r > 0)
		keeper_note(k, &note, fd);
	return r < 0 && errno == EBADMSG ? 1 : r;
}

/* Gives up the link. */
static void
link_close(struct keeper *k)
{
	if (k->link >= 0)
		close(k->link);
	k->link = -1;
}

/* Reads what has come from the worker; returns how many notes. */
static uint32_t
link_drain(struct keeper *k)
{
	uint32_t n = 0;
	int r = 0;

	while (k->link >= 0 && n < NOTES_MAX && (r = link_read(k)) > 0)
		n++;
	if (r < 0)
		link_close(k);
	return n;
}

/* For custody_give(): what is kept for slot i. */
static bool
keeper_at(void *arg, uint32_t i, uint64_t *id, int *fd)
{
	const struct keeper *k = arg;

	*id = k->id[i];
	*fd = k->fd[i] - 1;
	return k->id[i] != 0;
}

/* Gives back what is asked for. True if the link is full. */
static bool
link_give(struct keeper *k)
{
	if (k->link < 0)
		return false;
	switch (custody_give(&k->giver, k->link, keeper_at, k)) {
	case CUSTODY_FULL:
		return true;
	case CUSTODY_ENDED:
		/* what it has sent is still to be read */
		k->giver.next = k->giver.n + 1;
		return false;
	default:
		return false;
	}
}

/* Reads the link of the worker that was, to its end. */
static void
link_finish(struct keeper *k)
{
	struct pollfd p = {k->link, POLLIN, 0};
	uint32_t waited_ms = 0;
	int r;

	while (k->link >= 0 && waited_ms < DRAIN_MS) {
		r = link_read(k);
		if (r < 0)
			link_close(k);
		else if (r == 0 && poll(&p, 1, TICK_MS) == 0)
			waited_ms += TICK_MS;
	}
	link_close(k);
}

/* The master's word: a byte, and perhaps a descriptor. */
static void
keeper_order(struct keeper *k)
{
	RIGHTS_SPACE(1) space;
	uint8_t what = 0;
	struct iovec v = {&what, 1};
	struct msghdr h = {.msg_iov = &v, .msg_iovlen = 1};
	int fd = -1;

	if (recvmsg(k->control, &h, MSG_PEEK) <= 0) { /* the master is gone */
		log_flush();
		_exit(0);
	}
	/* Before the new link is received: with as many descriptors as the
	 * limit allows there is room for it only then. */
	if (what == KEEPER_LINK)
		link_finish(k);
	h.msg_control = &space;
	h.msg_controllen = sizeof(space.bytes);
	if (recvmsg(k->control, &h, MSG_CMSG_CLOEXEC) <= 0)
		_exit(0);
	(void)rights_take(&h, &fd, 1);
	if (what == KEEPER_CHECK)
		keeper_check(k);
	if (fd < 0)
		return;
	link_close(k);
	k->link = fd;
	k->giver = (struct custody_giver){.n = k->n_slots};
}

void
keeper_main(const struct child_start *start, uint32_t number)
{
	struct keeper k = {.hub = start->hub,
	    .worker = start->number,
	    .number = number,
	    .n_slots = start->hub->n_slots,
	    .link = -1,
	    .control = start->link};
	struct pollfd p[2];
	uint32_t woken = 0, n = 0, idle_ms = 0;
	bool rests, full = false;

	k.giver.next = 1; /* no worker can ask before there is a link */
	k.fd = sparse_new(k.n_slots, sizeof(*k.fd));
	k.id = sparse_new(k.n_slots, sizeof(*k.id));
	if (k.fd == NULL || k.id == NULL)
		log_fatal("keeper: %s", strerror(errno));
	child_confine(start);
	for (;;) {
		rests = woken >= REST_AFTER && n < NOTES_MAX && !full;
		p[0] = (struct pollfd){k.control, POLLIN, 0};
		p[1] = (struct pollfd){rests ? -1 : k.link, POLLIN, 0};
		if (poll(p, 2,
			full	    ? RETRY_MS
			    : rests ? REST_MS
				    : TICK_MS) < 0 &&
		    errno != EINTR)
			_exit(1);
		keeper_tick(&k);
		log_more();
		if (p[0].revents) {
			keeper_order(&k);
			n = 0;
		} else {
			n = rests || p[1].revents ? link_drain(&k) : 0;
			woken = n > 0 ? woken + 1 : 0;
		}
		full = link_give(&k);
		/* without a worker no note says what has gone on elsewhere */
		idle_ms = k.link < 0 ? idle_ms + TICK_MS : 0;
		if (idle_ms >= CHECK_MS) {
			keeper_check(&k);
			idle_ms = 0;
		}
	}
}

/* Orders of the master are waited for. */
static void __attribute__((noreturn)) keeper_begin(struct child_start *start)
{
	const struct birth_keeper *birth = start->birth;

	fcntl(start->link, F_SETFL, 0);
	keeper_main(start, birth->number);
}

/* All that a keeper calls once it serves. */
static const int keeper_calls[] = {SCMP_SYS(recvmsg), SCMP_SYS(sendmsg),
    SCMP_SYS(poll), SCMP_SYS(ppoll), SCMP_SYS(close), SCMP_SYS(exit_group),
    SCMP_SYS(rt_sigreturn), SCMP_SYS(restart_syscall), -1};

const struct child_kind keeper_kind = {.name = "keeper",
    .n = CHILD_EACH_WORKER,
    .gets = CHILD_HUB | CHILD_MUTE,
    .calls = keeper_calls,
    .main = keeper_begin,
    /* longer: a worker is without one, and its death disconnects */
    .backoff_max_ms = 1000};
