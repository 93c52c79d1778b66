/*
 * takeover_fuzz: what processes gone wrong give the next worker, whose table
 * does not have its sockets: their notes' ids and descriptors are any, and so
 * may be words of the slots, and what these claim. The next worker goes on, a
 * connection whose socket came first under its own id is open there, and no
 * descriptor is lost. An input is a list of {what, length,
 * bytes} (enum takeover_step). Everything is made anew for each.
 */
#include "fuzz.h"
#include "note.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#define FIXTURE_NODES 2
#include "../unit/chat_fixture.h"

#include "base/log.h"
#include "hub/stats.h"
#include "net/custody.h"
#include "takeover/takeover.h"

enum takeover_step {
	STEP_KEEP,  /* a note of {id, descriptor}, a byte each */
	STEP_NOTE,  /* of the type that the first byte says, with as many
		     * descriptors as the second says, and these ids */
	STEP_RAW,   /* bytes as they are */
	STEP_SPOIL, /* {slot, where, byte}: into a slot */
	STEP_GIVER, /* what follows comes from the worker that retired, or no
		     * more */
	STEP_TEXT,  /* {who, text}: it has sent that, which is not read yet */
	STEP_FAULT, /* {what, whose}: it died of its own fault over that */
	STEP_CLAIM, /* {slot, descriptor}: its slot claims that one here */
	STEPS
};

enum {
	TABLE = 7,
	SLOTS = 64,
	CONNS = 3,
	BASE = 200,
	FDS = 400,
	MAPS = 64,
	BLOCKS = 4096
};

static struct hub hub;
static uint32_t conn[CONNS];
static uint64_t id[CONNS];
static int client[CONNS], kept[CONNS], link_fd[2] = {-1, -1};
static bool right[CONNS], wrong[CONNS], spoilt, claimed;
static bool from_giver, giver_used;
static struct takeover_start start;

static struct {
	void *p;
	size_t len;
} map[MAPS];
static int n_maps;
static void *block[BLOCKS];
static int n_blocks;
static bool recording;

/* Of the sanitizers: what is allocated is noted, to be given back. */
int __sanitizer_install_malloc_and_free_hooks(
    void (*)(const volatile void *, size_t), void (*)(const volatile void *))
    __attribute__((weak));

static void
malloc_hook(const volatile void *p, size_t size)
{
	if (recording && n_blocks < BLOCKS)
		block[n_blocks++] = (void *)p;
}

static void
free_hook(const volatile void *p)
{
	for (int k = n_blocks - 1; k >= 0; k--)
		if (block[k] == p) {
			block[k] = block[--n_blocks];
			return;
		}
}

/* Notes what is mapped, to be given back. */
void *
mmap(void *p, size_t len, int prot, int flags, int fd, off_t at)
{
	p = (void *)syscall(SYS_mmap, p, len, prot, flags, fd, at);
	if (recording && fd == -1 && p != MAP_FAILED) {
		REQUIRE(n_maps < MAPS);
		map[n_maps].p = p;
		map[n_maps++].len = len;
	}
	return p;
}

/* The same: what is given back by itself. */
int
munmap(void *p, size_t len)
{
	for (int k = 0; k < n_maps; k++)
		if (map[k].p == p) {
			map[k] = map[--n_maps];
			break;
		}
	return (int)syscall(SYS_munmap, p, len);
}

/* How many descriptors there are from BASE on. */
static uint32_t
descriptors_count(void)
{
	uint32_t n = 0;
	int fd;

	for (fd = BASE; fd < BASE + FDS; fd++)
		n += fcntl(fd, F_GETFD) != -1;
	return n;
}

/* Notes those that were there before an input (the fuzzer's own), or closes all
 * others. */
static void
descriptors_keep(bool begin)
{
	static bool there[FDS];
	int k;

	for (k = 0; k < FDS; k++)
		if (begin)
			there[k] = fcntl(BASE + k, F_GETFD) != -1;
		else if (!there[k])
			close(BASE + k);
}

/* A reset ends it, so that no port waits. */
static void
linger_none(int fd)
{
	const struct linger none = {.l_onoff = 1};

	(void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &none, sizeof(none));
}

/* A connection over loopback, by the one listener that there is: a new one for
 * each would take all ports. */
static void
pair_make(int fd[2])
{
	static struct sockaddr_in a = {.sin_family = AF_INET};
	static int listener = -1;
	socklen_t len = sizeof(a);

	if (listener == -1) {
		a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
		listener = fcntl(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0),
		    F_DUPFD_CLOEXEC, BASE + FDS);
		REQUIRE(bind(listener, (struct sockaddr *)&a, len) == 0);
		REQUIRE(listen(listener, CONNS) == 0);
		REQUIRE(
		    getsockname(listener, (struct sockaddr *)&a, &len) == 0);
	}
	fd[1] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	REQUIRE(connect(fd[1], (struct sockaddr *)&a, sizeof(a)) == 0);
	fd[0] = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	REQUIRE(fd[0] != -1);
	linger_none(fd[0]);
	linger_none(fd[1]);
}

/* A client opens a connection; its number. */
static uint32_t
client_open(struct node *n, const struct door *door, const char *user, int *end)
{
	const struct sockaddr_in a = {.sin_family = AF_INET};
	int fd[2];
	uint32_t i;

	pair_make(fd);
	i = conn_accept(&n->ch, 0, fd[0], (const struct sockaddr *)&a);
	REQUIRE(i != SHM_NONE);
	REQUIRE(conn_open(&n->ch, i, door, user, strlen(user), "", 0, "101", 3,
		    0) == 0);
	chat_turn(&n->ch);
	*end = fd[1];
	return i;
}

/* The worker that is to die, and its clients. */
static struct node *
before_make(void)
{
	static const struct door *const door[CONNS] = {
	    &plain_door, &plain_door, &centrifugo_door};
	static const char *const user[CONNS] = {"alice", "bob", ""};
	struct node *n;
	int k;

	fixture_hub(&hub, SLOTS, 16, 1 << 17, 1 << 20, 1 << 18);
	n_nodes = 0;
	recording = true;
	n = node_new(&hub, 0);
	recording = false;
	n->ch.live.insecure = 1;
	for (k = 0; k < CONNS; k++) {
		conn[k] = client_open(n, door[k], user[k], &client[k]);
		id[k] = slot_id(&hub, conn[k]);
		kept[k] = node_fd(n, conn[k]);
		right[k] = wrong[k] = false;
	}
	node_read(n, conn[0], client[0], "/join room");
	node_read(n, conn[2], client[2], "{\"id\":1,\"connect\":{}}");
	chat_turn(&n->ch);
	return n;
}

/* The id that a byte stands for. */
static uint64_t
id_of(uint8_t byte)
{
	switch (byte >> 6) {
	case 0:
		return id[byte % CONNS];
	case 1:
		return id[byte % CONNS] + (1ull << 32);
	case 2:
		return (uint64_t)(byte & 3) << 32 | (byte & 63);
	default:
		return ~0ull - byte;
	}
}

/* The descriptor that one stands for. */
static int
file_of(uint8_t byte)
{
	return byte < 0x80    ? kept[byte % CONNS]
	    : (byte & 1) != 0 ? client[byte % CONNS]
	    : (byte & 2) != 0 ? hub.fd
			      : link_fd[0];
}

/* Notes what a note does: the first socket under an id counts, and what is done
 * with one under another's id happens to its own connection, too. */
static void
kept_note(uint64_t which, int fd)
{
	int k;

	for (k = 0; k < CONNS; k++) {
		if ((fd == kept[k] && which != id[k]) || fd == client[k])
			spoilt = true;
		if (which == id[k] && !right[k] && !wrong[k]) {
			right[k] = fd == kept[k];
			wrong[k] = !right[k];
		}
	}
}

/* One giver, or the other one, sends a good note. */
static void
keep_send(const uint8_t *p, size_t len)
{
	struct custody_note note = {.type = CUSTODY_KEEP};
	int fd[CUSTODY_MAX];

	for (; len >= 2 && note.n < CUSTODY_MAX / 2; p += 2, len -= 2) {
		note.id[note.n] = id_of(p[0]);
		fd[note.n++] = file_of(p[1]);
	}
	if (!giver_used) /* else it says when its silence ends */
		for (uint32_t k = 0; k < note.n; k++)
			kept_note(note.id[k], fd[k]);
	note_send(link_fd[from_giver], &note, fd, note.n);
}

/* One that need not be good. */
static void
odd_send(const uint8_t *p, size_t len)
{
	struct custody_note note = {.type = p[0]};
	int fd[CUSTODY_MAX];
	uint32_t k, n_fds = p[1] % (CUSTODY_MAX / 2);

	if (note.type == CUSTODY_KEEP)
		memset(wrong, true, sizeof(wrong));
	if (note.type == CUSTODY_DONE)
		for (k = 0; k < CONNS; k++)
			wrong[k] = wrong[k] || !right[k];
	for (p += 2, len -= 2; len > 0 && note.n < CUSTODY_MAX; p++, len--)
		note.id[note.n++] = id_of(*p);
	for (k = 0; k < n_fds; k++)
		fd[k] = file_of((uint8_t)k);
	note_send(link_fd[from_giver], &note, fd, n_fds);
}

/* A word of a slot is another. */
static void
slot_spoil(const uint8_t *p, size_t len)
{
	struct slot *s;

	for (; len >= 3; p += 3, len -= 3) {
		s = &hub.slot[p[0] % 4 < CONNS ? conn[p[0] % 4] : p[0] % SLOTS];
		((uint8_t *)s)[p[1] % sizeof(*s)] = p[2];
		spoilt = true;
	}
}

/* A client has sent a text. */
static void
text_send(const uint8_t *p, size_t len)
{
	uint8_t frame[200] = {0x81, 0x80};
	const int fd = client[p[0] % CONNS];

	if (--len > 125)
		len = 125;
	frame[1] |= (uint8_t)len;
	memcpy(frame + 6, p + 1, len);
	(void)send(fd, frame, len + 6, MSG_DONTWAIT | MSG_NOSIGNAL);
	spoilt = true; /* it may be what ends it */
}

/* A slot claims a descriptor of the next worker's; no two the same, since the
 * table is settled before. */
static void
slot_claims(const uint8_t *p, size_t len)
{
	uint64_t word;
	uint32_t i;

	for (; len >= 2; p += 2, len -= 2) {
		word = (uint64_t)TABLE << 32 | (uint32_t)file_of(p[1]);
		for (i = 0; i < SLOTS && hub.socket[i] != word; i++)
			;
		if (i == SLOTS)
			SHM_STORE(hub.socket[p[0] % 4 < CONNS ? conn[p[0] % 4]
							      : p[0] % SLOTS],
			    word);
		spoilt = claimed = true;
	}
}

/* One step. */
static void
step(int what, const uint8_t *p, size_t len)
{
	switch (what) {
	case STEP_KEEP:
		keep_send(p, len);
		break;
	case STEP_NOTE:
		if (len >= 2)
			odd_send(p, len);
		break;
	case STEP_RAW:
		(void)send(
		    link_fd[from_giver], p, len, MSG_DONTWAIT | MSG_NOSIGNAL);
		spoilt = true; /* it may be the end of it */
		break;
	case STEP_SPOIL:
		slot_spoil(p, len);
		break;
	case STEP_GIVER:
		from_giver = !from_giver;
		giver_used = true;
		break;
	case STEP_TEXT:
		if (len >= 1)
			text_send(p, len);
		break;
	case STEP_CLAIM:
		slot_claims(p, len);
		break;
	default:
		if (len < 2)
			break;
		start.fault.hand = p[0] % 5;
		start.fault.arg = p[1] < 0x80 ? id[p[1] % CONNS] : p[1];
		spoilt = true;
	}
}

/* Makes the next worker over that memory. */
static void
next_make(struct chat *ch, const struct node *dead)
{
	static struct hub h;

	h = hub;
	hub_become(&h, 0);
	h.table = TABLE;
	recording = true;
	REQUIRE(chat_init(
		    ch, &h, &dead->ch.live, loop_new(), batch_new(false)) == 0);
	recording = false;
	REQUIRE(chat_set_doors(ch, door_registry));
}

/* Gives back what the workers have allocated and mapped. */
static void
world_free(struct node *dead, struct chat *ch)
{
	event_base_free(dead->ch.base);
	event_base_free(ch->base);
	free(ch->message);
	free(dead->ch.message);
	for (; n_maps > 0; n_maps--)
		syscall(SYS_munmap, map[n_maps - 1].p, map[n_maps - 1].len);
	while (n_blocks > 0)
		free(block[--n_blocks]);
	hub_destroy(&hub);
	descriptors_keep(false);
}

/* What is open is served: each hears what is said then. */
static void
after_judge(struct chat *ch)
{
	int k;

	REQUIRE(ch->n_conns <= SLOTS);
	for (k = 0; k < CONNS; k++)
		if (right[k] && !wrong[k] && !spoilt)
			REQUIRE(ch->conn[conn[k]].phase == CONN_OPEN &&
			    slot_state(&hub, conn[k]) == SLOT_OPEN);
	for (k = 0; k < 4; k++) {
		event_base_loop(ch->base, EVLOOP_NONBLOCK | EVLOOP_ONCE);
		chat_turn(ch);
		chat_sweep(ch);
	}
}

/* Makes what all inputs share, once. */
static void
make(void)
{
	static bool made;
	int fd;

	if (made)
		return;
	made = true;
	signal(SIGPIPE, SIG_IGN);
	REQUIRE(log_open(LOG_TO_FILE, "/dev/null") == 0);
	log_info("opened");
	/* what comes later lies from BASE on */
	while ((fd = open("/dev/null", O_RDONLY | O_CLOEXEC)) < BASE - 1)
		REQUIRE(fd != -1);
	if (__sanitizer_install_malloc_and_free_hooks != NULL)
		__sanitizer_install_malloc_and_free_hooks(
		    malloc_hook, free_hook);
}

/* Sends what the input has. */
static void
steps(const uint8_t *data, size_t size)
{
	struct custody_note done = {.type = CUSTODY_DONE};
	size_t len;

	for (; size >= 3; data += 3 + len, size -= 3 + len) {
		len = (size_t)data[1] << 8 | data[2];
		if (len > size - 3)
			len = size - 3;
		step(data[0] % STEPS, data + 3, len);
	}
	for (int k = 0; k < 2; k++) {
		from_giver = k;
		note_send(link_fd[from_giver], &done, NULL, 0);
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct chat ch;
	struct node *dead;
	int pair[2], giver[2];
	uint32_t before;

	if (size > 4000)
		return 0;
	make();
	descriptors_keep(true);
	dead = before_make();
	REQUIRE(custody_pair(pair) == 0 && custody_pair(giver) == 0);
	link_fd[0] = pair[1];
	link_fd[1] = giver[1];
	from_giver = giver_used = spoilt = claimed = false;
	start =
	    (struct takeover_start){.generation = 2, .giver = {-1, pair[0]}};
	steps(data, size);
	start.giver[0] = giver_used ? giver[0] : -1;
	for (int k = 0; k < CONNS; k++)
		close(dead->ch.conn[conn[k]].fd);
	next_make(&ch, dead);
	before = descriptors_count();
	takeover(&ch, &start);
	/* without its links; what was claimed was there before */
	REQUIRE(claimed ||
	    descriptors_count() == before + ch.n_conns - (giver_used ? 2 : 1));
	after_judge(&ch);
	world_free(dead, &ch);
	return 0;
}
