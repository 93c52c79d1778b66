/*
 * keeper_fuzz: what a worker, or its master, gone wrong says to a keeper. The
 * keeper's own loop runs here: where it waits, the next step of the input is
 * done (poll() below). What it gives back is what was handed to it under that
 * id, and at the end it has no descriptor but those.
 * An input is a list of {what, length, bytes} (enum keeper_step).
 */
#include "fuzz.h"
#include "note.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "../unit/hub_fixture.h"

#include "base/log.h"
#include "hub/claim.h"
#include "hub/kept.h"
#include "hub/slot.h"
#include "hub/stats.h"
#include "keeper/keeper.h"
#include "net/custody.h"

enum keeper_step {
	STEP_KEEP,    /* a note of ids (a byte each, see id_of()), with their
		       * descriptors */
	STEP_GIVE_UP, /* one of ids */
	STEP_NOTE,    /* of the type that the first byte says, with as many
		       * descriptors as the second says, and these ids */
	STEP_RAW,     /* bytes as they are, with as many as the first says */
	STEP_ROOM,    /* asks for that many */
	STEP_LINK,    /* the master brings another link */
	STEP_ORDER,   /* it says that byte; the second: with a descriptor */
	STEP_SLOT,    /* a connection comes or goes (by slots' numbers) */
	STEP_OTHER,   /* another keeper has it */
	STEP_HEAR,    /* the worker reads what comes back */
	STEP_WAIT,    /* nothing happens */
	STEPS
};

enum { SLOTS = 64, FILES = 4, NUMBER = 7, OTHER = 8, BASE = 100, MAPS = 8 };

static struct hub hub;
static struct claim claim;
static int file[FILES];
static ino_t inode[FILES];
static uint64_t slot_now[SLOTS]; /* ids of connections that are there */

static struct {
	const uint8_t *p;
	size_t left;
	int control, link; /* the other ends */
	uint64_t asked, given;
	bool runs;
	jmp_buf out;
} game;

static struct {
	void *p;
	size_t len;
} map[MAPS];
static int n_maps;

/* It has no filter here: the process goes on. */
void
child_confine(const struct child_start *start)
{
}

/* Notes what it maps, to be given back. */
void *
mmap(void *p, size_t len, int prot, int flags, int fd, off_t at)
{
	p = (void *)syscall(SYS_mmap, p, len, prot, flags, fd, at);
	if (game.runs) {
		REQUIRE(n_maps < MAPS);
		map[n_maps].p = p;
		map[n_maps++].len = len;
	}
	return p;
}

/* Of the keeper: it leaves. */
void
_exit(int status)
{
	if (game.runs)
		longjmp(game.out, 1);
	syscall(SYS_exit_group, status);
	abort();
}

/* The id that a byte stands for: of a slot's connection, of one before or after
 * it, or of a slot that there is not. */
static uint64_t
id_of(uint8_t byte)
{
	uint32_t i = byte & (SLOTS - 1);
	uint64_t id = slot_now[i] != 0 ? slot_now[i] : 5ull << 32 | i;

	switch (byte >> 6) {
	case 1:
		return id + (1ull << 32);
	case 2:
		return id - (1ull << 32);
	case 3:
		return byte == 0xff ? ~0ull : id | SLOTS << (byte & 15);
	default:
		return id;
	}
}

/* The descriptor that is handed over under an id. */
static int
file_of(uint64_t id)
{
	return file[id % FILES];
}

/* Sends a note of n ids with that many descriptors, one a byte. */
static void
ids_send(uint32_t type, const uint8_t *p, size_t n, size_t n_fds)
{
	struct custody_note note = {.type = type};
	int fd[CUSTODY_MAX];
	uint32_t k;

	note.n = (uint32_t)(n < CUSTODY_MAX ? n : CUSTODY_MAX);
	for (k = 0; k < note.n; k++)
		note.id[k] = id_of(p[k]);
	if (n_fds > CUSTODY_MAX)
		n_fds = CUSTODY_MAX;
	for (k = 0; k < n_fds; k++)
		fd[k] = file_of(k < note.n ? note.id[k] : 0);
	note_send(game.link, &note, fd, (uint32_t)n_fds);
}

/* Sends bytes as they are. */
static void
raw_send(const uint8_t *p, size_t len)
{
	(void)send(game.link, p, len, MSG_DONTWAIT | MSG_NOSIGNAL);
}

/* The master brings another link; the worker at the one before is gone. */
static void
link_bring(void)
{
	int fd[2];

	if (game.link >= 0)
		close(game.link);
	REQUIRE(custody_pair(fd) == 0);
	game.link = fd[0];
	(void)custody_order(game.control, KEEPER_LINK, fd[1]);
	close(fd[1]);
	game.asked = game.given = 0;
}

/* Connections come and go. */
static void
slots_change(const uint8_t *p, size_t len)
{
	uint32_t i;

	for (; len > 0; p++, len--) {
		i = *p & (SLOTS - 1);
		if (slot_now[i] != 0) {
			slot_release(&hub, &claim, i);
			slot_now[i] = 0;
			continue;
		}
		i = slot_take(&hub, &claim);
		if (i == SHM_NONE)
			continue;
		slot_set(&hub, i, *p & 0x40 ? SLOT_MOVING : SLOT_OPEN);
		slot_now[i] = slot_id(&hub, i);
	}
}

/* The worker reads what has come back. */
static void
link_hear(void)
{
	static struct custody_note note;
	int fd[CUSTODY_MAX];
	struct stat st;
	uint32_t k;

	while (game.link >= 0 && custody_receive(game.link, &note, fd) > 0) {
		REQUIRE(note.type == CUSTODY_KEEP || note.type == CUSTODY_DONE);
		for (k = 0; k < note.n; k++) {
			REQUIRE(fstat(fd[k], &st) == 0);
			REQUIRE(st.st_ino == inode[note.id[k] % FILES]);
			REQUIRE((uint32_t)note.id[k] < SLOTS);
			close(fd[k]);
		}
		game.given += note.n;
		REQUIRE(game.given <= game.asked);
	}
}

/* One step. */
static void
step(int what, const uint8_t *p, size_t len)
{
	size_t k;

	switch (what) {
	case STEP_KEEP:
		ids_send(CUSTODY_KEEP, p, len, len);
		break;
	case STEP_GIVE_UP:
		ids_send(CUSTODY_GIVE_UP, p, len, 0);
		break;
	case STEP_NOTE:
		/* what is asked for is counted by STEP_ROOM alone */
		if (len >= 2 && p[0] != CUSTODY_ROOM)
			ids_send(p[0], p + 2, len - 2, p[1]);
		break;
	case STEP_RAW:
		if (len < 4 || p[0] != CUSTODY_ROOM)
			raw_send(p, len);
		break;
	case STEP_ROOM:
		k = len > 0 ? p[0] : UINT32_MAX;
		if (custody_ask(game.link, (uint32_t)k) == 0)
			game.asked += k;
		break;
	case STEP_LINK:
		link_hear();
		link_bring();
		break;
	case STEP_ORDER:
		if (len >= 2 && p[0] != KEEPER_LINK)
			(void)custody_order(
			    game.control, p[0], p[1] & 1 ? file[0] : -1);
		break;
	case STEP_SLOT:
		slots_change(p, len);
		break;
	case STEP_OTHER:
		for (k = 0; k < len; k++)
			if ((uint32_t)id_of(p[k]) < SLOTS)
				kept_set(&hub, OTHER, id_of(p[k]));
		break;
	case STEP_HEAR:
		link_hear();
		break;
	default:
		break;
	}
}

/* The keeper waits: the next step; at the end, it is left. */
int
poll(struct pollfd *p, nfds_t n, int timeout)
{
	const struct timespec now = {0},
			      then = {.tv_sec = timeout / 1000,
				  .tv_nsec = timeout % 1000 * 1000000l};
	size_t len;

	if (!game.runs)
		return ppoll(p, n, timeout < 0 ? NULL : &then, NULL);
	if (game.left < 3)
		longjmp(game.out, 2);
	len = (size_t)game.p[1] << 8 | game.p[2];
	if (len > game.left - 3)
		len = game.left - 3;
	step(game.p[0] % STEPS, game.p + 3, len);
	game.p += 3 + len;
	game.left -= 3 + len;
	return ppoll(p, n, &now, NULL);
}

/* How many descriptors there are from BASE on. */
static uint32_t
descriptors_count(void)
{
	uint32_t n = 0;
	int fd;

	for (fd = BASE; fd < BASE + 400; fd++)
		n += fcntl(fd, F_GETFD) != -1;
	return n;
}

/* Makes what all inputs share, once. */
static void
make(void)
{
	struct stat st;
	int k, fd;

	if (hub.base != NULL)
		return;
	signal(SIGPIPE, SIG_IGN);
	REQUIRE(log_open(LOG_TO_FILE, "/dev/null") == 0);
	fixture_hub(&hub, SLOTS, 16, 65536, 1 << 20, 1 << 20);
	REQUIRE(claim_init(&claim, hub.slot_owner, hub.n_slots, 0) == 0);
	SHM_STORE(hub.me->custody, NUMBER);
	for (k = 0; k < FILES; k++) {
		file[k] = memfd_create("client", MFD_CLOEXEC);
		REQUIRE(file[k] != -1 && fstat(file[k], &st) == 0);
		inode[k] = st.st_ino;
	}
	/* what comes later lies from BASE on */
	while ((fd = open("/dev/null", O_RDONLY | O_CLOEXEC)) < BASE - 1)
		REQUIRE(fd != -1);
}

/* Leaves nothing of an input. */
static void
clean(void)
{
	uint32_t i;

	close_range(BASE, ~0u, 0);
	for (; n_maps > 0; n_maps--)
		munmap(map[n_maps - 1].p, map[n_maps - 1].len);
	for (i = 0; i < SLOTS; i++) {
		if (slot_now[i] != 0)
			slot_release(&hub, &claim, i);
		slot_now[i] = 0;
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct child_start start = {.kind = &keeper_kind, .hub = &hub};
	int word[2], how;

	make();
	REQUIRE(
	    socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, word) == 0);
	game.p = data;
	game.left = size;
	game.control = word[0];
	start.link = word[1];
	game.link = -1;
	link_bring();
	how = setjmp(game.out);
	if (how == 0) {
		game.runs = true;
		keeper_main(&start, NUMBER);
	}
	game.runs = false;
	REQUIRE(how == 2); /* nothing makes it leave */
	link_hear();
	/* one for each slot, and the two pairs; none is lost */
	REQUIRE(descriptors_count() <= SLOTS + 4);
	clean();
	return 0;
}
